"""Masked arrays: wherever an array is taken, one with masked elements is refused, as their values would count."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, ops, optim, weights

MASKED = np.ma.masked_array(np.ones((2, 2), np.float32), np.eye(2, dtype=bool))


def step(make):
    parameter = nn.Parameter(np.zeros((2, 2), np.float32))
    parameter.grad = MASKED
    make([parameter]).step()


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda path: Tensor(MASKED), "Tensor: data"),
        (lambda path: nn.Parameter(MASKED), "Tensor: data"),
        (lambda path: (Tensor(np.ones((2, 2)), True) * 2.0).backward(MASKED), "backward: grad"),
        (lambda path: step(lambda params: optim.SGD(params, 0.1)), "SGD: gradient of parameter 0"),
        (lambda path: step(optim.Adam), "Adam: gradient of parameter 0"),
        (lambda path: weights.save(path, {"w": MASKED}), "weights.save: w"),
        (lambda path: weights.save_pth(path, {"w": MASKED}), "save_pth: 'w'"),
        (lambda path: ops.cross_entropy(Tensor(np.zeros((2, 2))), [0, 1], weight=MASKED[0]), "cross_entropy: weight"),
    ],
)
def test_masked_elements_are_refused(use, message, tmp_path):
    path = tmp_path / "file"
    with pytest.raises(TypeError, match=f"{message} - expected an array without masked elements, got"):
        use(path)
    assert not path.exists()


def test_a_masked_array_without_masked_elements_is_an_array(tmp_path):
    whole = np.ma.masked_array(np.ones(2, np.float32), [False, False])
    weights.save(tmp_path / "file", {"w": whole})
    assert weights.load(tmp_path / "file")[0]["w"].tolist() == [1, 1]
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * 2.0).backward(whole)
    assert x.grad.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("grad", "error", "message"),
    [
        ([1j, 2.0], TypeError, "backward: grad - expected real numbers, got dtype complex128"),
        ("ab", TypeError, "backward: grad - expected real numbers, got dtype <U2"),
        ([[1.0, 2.0], [3.0]], ValueError, "backward: grad - expected rows of one length, got list"),
    ],
)
def test_a_gradient_of_another_kind_is_refused(grad, error, message):
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(error, match=message):
        (x * 2.0).backward(grad)
    assert x.grad is None
