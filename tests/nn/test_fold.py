"""nn.fold_batch_norm: the same results from fewer layers, in a copy."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, manual_seed, models, nn, ops
from minitorch_cnn.shapes import ShapeError

SHAPE = (2, 3, 16, 16)


def used(model):
    """Return the model as if it had been trained: every element of the batch norms has left its initial value."""
    rng = np.random.default_rng(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean[...] = rng.standard_normal(module.num_features)
            module.running_var[...] = rng.uniform(0.3, 3, module.num_features)
            if module.weight is not None:
                module.weight.data[...] = rng.uniform(-2, 2, module.num_features)
            if module.bias is not None:
                module.bias.data[...] = rng.standard_normal(module.num_features)
    return model.eval()


def norms_left(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def same(model, folded, dtype=np.float64):
    x = Tensor(np.random.default_rng(0).standard_normal(SHAPE).astype(dtype))
    np.testing.assert_allclose(folded(x).data, model(x).data, rtol=1e-9, atol=1e-9)


class Shortcut(nn.Module):
    """The convolution's output has two readers."""

    def __init__(self):
        self.conv, self.bn = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x):
        x = self.conv(x)
        return self.bn(x) + x


class Twice(nn.Module):
    """One convolution, two batch norms."""

    def __init__(self):
        self.conv, self.bn1, self.bn2 = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x):
        return self.bn2(self.conv(ops.relu(self.bn1(self.conv(x)))))


class Tied(nn.Module):
    """Two convolutions with one weight."""

    def __init__(self):
        self.a, self.b, self.bn = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.b.weight = self.a.weight

    def forward(self, x):
        return self.b(ops.relu(self.bn(self.a(x))))


@pytest.mark.parametrize("fused", [False, True])
def test_cifar4_loses_all_its_batch_norms(fused):
    manual_seed(0)
    model = nn.fuse(used(models.create("cifar4").double()), fused)
    folded = nn.fold_batch_norm(model, SHAPE)
    assert norms_left(folded) == 0 and norms_left(model) == 4
    same(model, folded)


@pytest.mark.parametrize("learned", [{}, {"affine": False}, {"affine": "bias"}, {"bias": False}])
@pytest.mark.parametrize("bias", [True, False])
def test_with_and_without_biases(learned, bias):
    conv = nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3, bias=bias)
    model = used(nn.Sequential(conv, nn.BatchNorm2d(6, **learned), nn.ReLU()).double())
    folded = nn.fold_batch_norm(model, SHAPE)
    assert norms_left(folded) == 0
    same(model, folded)


class Inner(nn.Module):
    """Returns or keeps the output of the convolution in addition to the result."""

    def __init__(self, give):
        self.conv, self.bn, self.give = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), give

    def forward(self, x):
        inner = self.conv(x)
        return self.give(self, inner, self.bn(inner))


def keep(net, inner, out):
    net.seen = [inner]
    return out


@pytest.mark.parametrize(
    "give",
    [
        lambda net, inner, out: (out, inner),
        lambda net, inner, out: {"maps": [inner], "out": out},
        lambda net, inner, out: inner,
        keep,
    ],
    ids=["tuple", "dict", "instead", "kept"],
)
def test_an_inner_value_that_the_model_exposes_does_not_change(give):
    model = used(Inner(give).double())
    folded = nn.fold_batch_norm(model, SHAPE)
    assert norms_left(folded) == 1
    x = Tensor(np.random.default_rng(1).standard_normal(SHAPE))
    shown = [shown_by(net, net(x)) for net in (model.eval(), folded)]
    for one, other in zip(*shown, strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-10)


def shown_by(net, result):
    results = result if isinstance(result, tuple) else result["maps"] if isinstance(result, dict) else (result,)
    return [*results, *getattr(net, "seen", [])]


@pytest.mark.parametrize("make", [Shortcut, Twice, Tied, lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3))])
def test_what_cannot_be_folded_stays(make):
    model = used(make().double())
    folded = nn.fold_batch_norm(model, SHAPE)
    assert norms_left(folded) == norms_left(model) > 0
    same(model, folded)


def test_the_copy_is_frozen_and_the_model_left_alone():
    model = used(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))).train()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    folded = nn.fold_batch_norm(model, SHAPE)
    assert model.training and not folded.training
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in folded.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(p.data.dtype == np.float32 for p in folded.parameters())


def test_a_shape_that_does_not_fit():
    with pytest.raises(ShapeError, match="expected 3 channels"):
        nn.fold_batch_norm(models.create("cifar4"), (1, 4, 32, 32))
