"""SGD against PyTorch and, where PyTorch has no such option, against its formula."""

import itertools

import numpy as np
import pytest

from minitorch_cnn import nn, optim

COMBINATIONS = [
    {"momentum": m, "nesterov": n, "weight_decay": w}
    for m, n, w in itertools.product((0.0, 0.9), (False, True), (0.0, 0.05))
    if m or not n
]


def gradients(shape=(7, 5), steps=10):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape) for _ in range(steps)]


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_ten_steps_are_those_of_pytorch(options, dtype):
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(1).standard_normal((7, 5)).astype(dtype)
    mine, theirs = nn.Parameter(start), torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer, other = optim.SGD([mine], lr=0.1, **options), torch.optim.SGD([theirs], lr=0.1, **options)
    for grad in gradients():
        mine.grad, theirs.grad = grad.astype(dtype), torch.from_numpy(grad.astype(dtype))
        optimizer.step()
        other.step()
        tolerance = 20 * np.finfo(dtype).eps
        np.testing.assert_allclose(mine.data, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_decoupled_decay_leaves_the_velocity_alone(momentum, nesterov):
    parameter = nn.Parameter(np.random.default_rng(1).standard_normal((7, 5)))
    x, velocity = parameter.data.copy(), 0.0
    optimizer = optim.SGD([parameter], 0.1, momentum, nesterov, weight_decay=0.5, decoupled=True)
    for grad in gradients():
        parameter.grad = grad
        optimizer.step()
        velocity = momentum * velocity + grad
        x = x * (1 - 0.1 * 0.5) - 0.1 * (grad + momentum * velocity if nesterov else velocity)
        np.testing.assert_allclose(parameter.data, x, rtol=1e-12)


def test_without_momentum_nothing_is_kept():
    parameter = nn.Parameter([1.0])
    optimizer = optim.SGD([parameter], lr=0.1)
    parameter.grad = np.ones(1, np.float32)
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}


def test_a_nan_gradient_gives_a_nan_parameter():
    parameter = nn.Parameter([1.0, 1.0])
    parameter.grad = np.array([np.nan, 1], np.float32)
    optim.SGD([parameter], lr=0.1, momentum=0.9).step()
    assert np.isnan(parameter.data[0]) and np.isfinite(parameter.data[1])
