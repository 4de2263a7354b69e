"""The judge of random networks sees planted faults of each kind that its rules could hide."""

import pathlib
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import network_steps  # noqa: E402
import networks  # noqa: E402

from minitorch_cnn import ops  # noqa: E402
from minitorch_cnn.autograd import Function  # noqa: E402
from minitorch_kernels.conv.winograd import outliers  # noqa: E402


class StopsAtNaN(Function):
    """The identity, but NaN gets no gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x
        return x.copy()

    @staticmethod
    def backward(ctx, grad):
        return np.where(np.isnan(ctx.x), 0, grad)


def last_of_ties(x):
    """A maximum over the whole map, which of several NaN gives the gradient to the last."""
    return ops.adaptive_max_pool2d(x[:, :, ::-1, ::-1], 1)


FAULTS = {  # what a step does here, and what the definition says
    "a NaN reaches other elements": (lambda x: x + 0.0 * x.sum(), lambda x: x + 0.0),
    "an overflow reaches other elements": (lambda x: x + 0.0 * (x * x).sum(), lambda x: x + 0.0),
    "an overflow makes a finite result infinite": (lambda x: x + 0.0 * (x * x), lambda x: x + 0.0),
    "a large element takes the digits of others": (lambda x: (x + x.sum()) - x.sum(), lambda x: x + 0.0),
    "a NaN has no gradient": (StopsAtNaN.apply, lambda x: x + 0.0),
    "the last NaN wins": (last_of_ties, lambda x: network_steps.adaptive_max_pool(x, (1, 1))),
    "a factor is off by three thousandths": (lambda x: x * 1.003, lambda x: x * 1.0),
}


def seen(count):
    """Return whether one of ``count`` networks differs."""
    return any(networks.tried(seed)[1] for seed in range(count))


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(monkeypatch, name):
    here, there = FAULTS[name]

    def faulty(net, shape):
        net.add("faulty", lambda x, p: here(x), lambda x, p: there(x))
        return (*shape[:2], 1, 1) if "wins" in name else shape

    monkeypatch.setattr(network_steps, "STEPS", (network_steps.linear, faulty))
    assert seen(150)


@pytest.mark.parametrize("make", dict.fromkeys(network_steps.STEPS), ids=lambda make: make.__name__)
def test_the_other_side_keeps_the_precision(make, monkeypatch):
    monkeypatch.setattr(network_steps, "STEPS", (make,))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        net = networks.Net(rng, 2)
        inputs = (rng.standard_normal(shape).astype(np.float32) for shape in (net.shape, net.out_shape))
        assert {a.dtype for a in net.expected(*inputs, net.weights, torch.float32)} == {np.dtype(np.float32)}


def test_pixels_that_winograd_spreads_are_found(monkeypatch):
    monkeypatch.setattr(network_steps, "STEPS", (network_steps.conv,))
    assert not seen(25)
    monkeypatch.setattr(outliers, "find", lambda maps, *others: np.arange(0))
    assert seen(25)
