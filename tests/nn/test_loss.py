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
