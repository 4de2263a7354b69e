"""Losses as layers: the values of PyTorch, and arguments."""

import numpy as np
import pytest

from minitorch_cnn import nn
from minitorch_cnn.tensor import Tensor

LABELS = np.array([0, 2, 1, 1, 2])


def logits(seed=0):
    return np.random.default_rng(seed).standard_normal((5, 3))


def compare(torch, mine, theirs, target, torch_target):
    x = Tensor(logits(), requires_grad=True)
    torch_x = torch.from_numpy(x.data.copy()).requires_grad_()
    out, expected = mine(x, target), theirs(torch_x, torch_target)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-12)
    out.sum().backward()
    expected.sum().backward()
    np.testing.assert_allclose(x.grad, torch_x.grad.numpy(), rtol=1e-10, atol=1e-14)


@pytest.mark.oracle
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "MSELoss"])
def test_values_and_gradients_are_those_of_pytorch(name, reduction):
    torch = pytest.importorskip("torch")
    mine, theirs = getattr(nn, name)(reduction=reduction), getattr(torch.nn, name)(reduction=reduction)
    if name == "MSELoss":
        target = logits(1)
        compare(torch, mine, theirs, Tensor(target), torch.from_numpy(target))
    else:
        compare(torch, mine, theirs, LABELS, torch.from_numpy(LABELS))


@pytest.mark.oracle
def test_label_smoothing_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    mine, theirs = nn.CrossEntropyLoss(label_smoothing=0.1), torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    compare(torch, mine, theirs, LABELS, torch.from_numpy(LABELS))


def test_cross_entropy_of_equal_logits_is_the_logarithm_of_the_classes():
    loss = nn.CrossEntropyLoss()(Tensor(np.zeros((4, 8), np.float32)), np.arange(4))
    np.testing.assert_allclose(loss.item(), np.log(8), rtol=1e-6)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, nn.NLLLoss, nn.MSELoss])
def test_an_unknown_reduction_is_refused(loss):
    with pytest.raises(
        ValueError, match=f"{loss.__name__}: reduction - expected one of 'mean', 'sum', 'none', got 'avg'"
    ):
        loss(reduction="avg")


def test_label_smoothing_is_a_share():
    with pytest.raises(ValueError, match="CrossEntropyLoss: label_smoothing - expected a number from 0 to 1, got 2"):
        nn.CrossEntropyLoss(label_smoothing=2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.HuberLoss(delta=0), "HuberLoss: delta - expected a positive number, got 0"),
        (lambda: nn.SmoothL1Loss(beta=-1), "SmoothL1Loss: beta - expected at least 0, got -1"),
        (lambda: nn.BCELoss("avg"), "BCELoss: reduction - expected one of 'mean', 'sum', 'none', got 'avg'"),
        (lambda: nn.L1Loss("avg"), "L1Loss: reduction - expected one of"),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_are_saved_with_the_loss_and_converted_with_it():
    loss = nn.CrossEntropyLoss(weight=[1.0, 2.0, 3.0], ignore_index=-1).float()
    assert loss.state_dict()["weight"].dtype == np.float32
    assert repr(loss) == "CrossEntropyLoss(ignore_index=-1)"
    value = loss(Tensor(logits()), np.array([0, 2, 1, -1, 2]))
    rows = nn.LogSoftmax()(Tensor(logits())).data
    expected = -(rows[0, 0] + 3 * rows[1, 2] + 2 * rows[2, 1] + 3 * rows[4, 2]) / 9
    np.testing.assert_allclose(value.item(), expected)
    with pytest.raises(TypeError, match="CrossEntropyLoss: weight - expected numbers, got dtype"):
        nn.CrossEntropyLoss(weight="balanced")


def test_a_mean_over_nothing_is_not_a_number():
    assert np.isnan(nn.CrossEntropyLoss(ignore_index=1)(Tensor(logits()), np.full(5, 1)).item())
    assert nn.CrossEntropyLoss(0.0, "sum", ignore_index=1)(Tensor(logits()), np.full(5, 1)).item() == 0
    assert np.isnan(nn.L1Loss()(Tensor(np.zeros((0, 3))), Tensor(np.zeros((0, 3)))).item())
