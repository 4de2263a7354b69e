"""Bounds on gradients."""

import numpy as np
import pytest

from minitorch_cnn import nn, optim


def parameters(scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    params = [nn.Parameter(np.zeros(shape, np.float32)) for shape in ((3, 4), (5,), (2,))]
    for parameter in params[:2]:
        parameter.grad = (scale * rng.standard_normal(parameter.shape)).astype(np.float32)
    return params


def length(params):
    return np.sqrt(sum((p.grad.astype(np.float64) ** 2).sum() for p in params if p.grad is not None))


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
def test_the_gradient_of_a_scalar_stays_an_array_that_an_optimiser_takes(clip):
    parameter = nn.Parameter(1.0)
    optimizer = optim.SGD([parameter], lr=0.5)
    for expected in (0.75, 0.5):
        optimizer.zero_grad()
        (parameter * parameter).backward()
        clip([parameter], 0.5)
        assert isinstance(parameter.grad, np.ndarray) and parameter.grad.shape == ()
        optimizer.step()
        assert parameter.data == pytest.approx(expected, abs=1e-5)
    parameter.grad = parameter.grad * 2  # NumPy makes a scalar of an array without axes
    optimizer.step()
    assert parameter.data == pytest.approx(0.0, abs=1e-5)


def test_long_gradients_are_scaled_together():
    params = parameters()
    directions, before = [p.grad.copy() for p in params[:2]], length(params)
    assert optim.clip_grad_norm(params, 0.5) == pytest.approx(before)
    assert length(params) == pytest.approx(0.5, rel=1e-5)
    for parameter, direction in zip(params, directions, strict=False):
        np.testing.assert_allclose(parameter.grad, direction * (0.5 / before), rtol=1e-5)
        assert parameter.grad.dtype == np.float32
    assert params[2].grad is None


def test_short_gradients_are_left_alone():
    params = parameters()
    kept = params[0].grad
    optim.clip_grad_norm(params, 100.0)
    assert params[0].grad is kept


def test_the_length_of_large_float32_gradients_does_not_overflow():
    params = parameters(scale=1e25)
    assert np.isfinite(optim.clip_grad_norm(params, 1.0))
    assert length(params) == pytest.approx(1, rel=1e-4)


def test_a_nan_is_reported():
    params = parameters()
    params[0].grad[0, 0] = np.nan
    assert np.isnan(optim.clip_grad_norm(params, 1.0))
    assert np.isnan(params[1].grad).all()


def test_values_are_bounded():
    params = parameters(scale=10)
    expected = np.clip(params[0].grad, -2, 2)
    optim.clip_grad_value(params, 2)
    np.testing.assert_array_equal(params[0].grad, expected)
    assert params[0].grad.dtype == np.float32


@pytest.mark.oracle
def test_both_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    for ours, theirs in (
        (optim.clip_grad_norm, torch.nn.utils.clip_grad_norm_),
        (optim.clip_grad_value, torch.nn.utils.clip_grad_value_),
    ):
        params = parameters()
        others = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in params[:2]]
        for other, parameter in zip(others, params, strict=False):
            other.grad = torch.from_numpy(parameter.grad.copy())
        ours(params, 0.7)
        theirs(others, 0.7)
        for other, parameter in zip(others, params, strict=False):
            np.testing.assert_allclose(parameter.grad, other.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize(("clip", "name"), [(optim.clip_grad_norm, "max_norm"), (optim.clip_grad_value, "clip_value")])
def test_bad_arguments_are_refused(clip, name):
    with pytest.raises(ValueError, match=f"{clip.__name__}: {name} - expected a positive number, got 0"):
        clip(parameters(), 0)
    with pytest.raises(TypeError, match=f"{clip.__name__}: parameters - expected Tensors, got ndarray"):
        clip([np.zeros(3)], 1.0)
    with pytest.raises(TypeError, match=f"{clip.__name__}: parameters - expected Tensors, got float"):
        clip(1.0, 1.0)
    with pytest.raises(TypeError, match=f"{clip.__name__}: {name} - expected a number, got '1'"):
        clip(parameters(), "1")


@pytest.mark.parametrize("clip", [optim.clip_grad_norm, optim.clip_grad_value])
def test_nothing_to_clip_is_refused_as_an_exhausted_generator_would_be(clip):
    net = nn.Linear(2, 2)
    generator = net.parameters()
    optim.SGD(generator, lr=0.1)
    with pytest.raises(ValueError, match="parameters - expected at least one Tensor, got none; was a generator used"):
        clip(generator, 1.0)


def test_a_parameter_that_is_given_twice_counts_once():
    params = parameters()
    before = length(params)
    assert optim.clip_grad_norm([*params, *params], before / 2) == pytest.approx(before)
    assert length(params) == pytest.approx(before / 2, rel=1e-5)


def test_a_float64_bound_leaves_the_gradient_float32():
    params = parameters()
    optim.clip_grad_value(params, np.float64(0.1))
    optim.clip_grad_norm(params, np.float64(0.1))
    assert params[0].grad.dtype == np.float32


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-320])
def test_the_norm_of_gradients_whose_squares_leave_the_range_of_float64(scale):
    a, b = (nn.Parameter(np.ones(1)) for _ in "ab")
    a.grad, b.grad = np.array([3 * scale]), np.array([-4 * scale])
    assert optim.clip_grad_norm([a, b], 1.0) == pytest.approx(5 * scale, rel=1e-3)
    if scale > 1:
        np.testing.assert_allclose([a.grad[0], b.grad[0]], [0.6, -0.8])


def test_a_factor_below_the_range_of_float32_keeps_its_digits():
    parameter = nn.Parameter(np.zeros(1000, np.float32))
    parameter.grad = np.full(1000, 3e38, np.float32)
    optim.clip_grad_norm([parameter], 1e-3)
    assert parameter.grad.dtype == np.float32
    assert np.linalg.norm(parameter.grad.astype(np.float64)) == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.filterwarnings("error")
def test_a_bound_beyond_float32_bounds_nothing_but_infinity():
    parameter = nn.Parameter([1.0, 2.0])
    parameter.grad = np.array([5, -np.inf], np.float32)
    optim.clip_grad_value([parameter], 1e300)
    assert parameter.grad.tolist() == [5, -float(np.finfo(np.float32).max)]
