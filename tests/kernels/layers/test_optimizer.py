"""Parameter updates: the formulas in NumPy float64 over several steps, in place, element by element."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.layers import optimizer

DTYPES = [np.float32, np.float64]
BAR = {np.float32: 1e-5, np.float64: 1e-12}
STEPS = 5
SGD = {"lr": 0.5, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "decoupled": False, "first_step": True}
ADAM = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 1e-8, "weight_decay": 0.0, "decoupled": False, "step": 1}


def numbers(count, seed):
    """Return an array of float32 as float64."""
    return np.random.default_rng([seed, count]).standard_normal(count, np.float32).astype(np.float64)


def agree(got, want, dtype):
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=BAR[dtype] * STEPS)


# ------------------------------------------------------------------------------------------ SGD


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 40),
    lr=st.floats(1e-4, 0.5),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    nesterov=st.booleans(),
    weight_decay=st.sampled_from([0.0, 1e-2, 0.3]),
    decoupled=st.booleans(),
)
def test_sgd_follows_its_formula(dtype, count, lr, momentum, nesterov, weight_decay, decoupled):
    nesterov = nesterov and momentum > 0
    expected, expected_velocity = numbers(count, 0), np.zeros(count)
    parameter = expected.astype(dtype)
    velocity = np.full(count if momentum else 0, 7, dtype)  # what it holds before the first step does not count
    hyper = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay, "decoupled": decoupled}
    for step in range(STEPS):
        grad = numbers(count, step + 1)
        optimizer.sgd_update(parameter, grad.astype(dtype), velocity, **hyper, first_step=step == 0)
        if decoupled:
            expected = expected * (1 - lr * weight_decay)
        else:
            grad = grad + weight_decay * expected
        expected_velocity = momentum * expected_velocity + grad if step else grad
        expected = expected - lr * (grad + momentum * expected_velocity if nesterov else expected_velocity)
    agree(parameter, expected, dtype)
    if momentum:
        agree(velocity, expected_velocity, dtype)


def test_sgd_by_hand():
    parameter, velocity, grad = np.array([10.0]), np.array([2.0]), np.array([4.0])
    hyper = {**SGD, "momentum": 0.5, "first_step": False}
    optimizer.sgd_update(parameter, grad, velocity, **hyper)
    assert (velocity, parameter) == (5, 7.5)  # 0.5 * 2 + 4; 10 - 0.5 * 5
    optimizer.sgd_update(parameter, grad, velocity, **{**hyper, "nesterov": True})
    assert (velocity, parameter) == (6.5, 3.875)  # 0.5 * 5 + 4; 7.5 - 0.5 * (4 + 0.5 * 6.5)
    optimizer.sgd_update(parameter, grad, velocity[:0], **{**SGD, "weight_decay": 0.5})
    assert parameter == 0.90625  # 3.875 - 0.5 * (4 + 0.5 * 3.875)
    optimizer.sgd_update(parameter, grad, velocity[:0], **{**SGD, "weight_decay": 0.5, "decoupled": True})
    assert parameter == 0.90625 * 0.75 - 2


# ----------------------------------------------------------------------------------------- Adam


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 40),
    lr=st.floats(1e-4, 0.1),
    beta1=st.sampled_from([0.0, 0.5, 0.9]),
    beta2=st.sampled_from([0.5, 0.99, 0.999]),
    eps=st.sampled_from([1e-8, 1e-3]),
    weight_decay=st.sampled_from([0.0, 1e-2, 0.3]),
    decoupled=st.booleans(),
)
def test_adam_follows_its_formula(dtype, count, lr, beta1, beta2, eps, weight_decay, decoupled):
    expected, expected_mean, expected_square = numbers(count, 0), np.zeros(count), np.zeros(count)
    parameter, mean, square = expected.astype(dtype), np.zeros(count, dtype), np.zeros(count, dtype)
    hyper = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay, "decoupled": decoupled}
    for step in range(1, STEPS + 1):
        grad = numbers(count, step)
        grad = np.sign(grad) * (0.1 + np.abs(grad))  # dividing by almost zero would magnify rounding
        optimizer.adam_update(parameter, grad.astype(dtype), mean, square, **hyper, step=step)
        grad = grad.astype(dtype).astype(np.float64)
        if decoupled:
            expected = expected * (1 - lr * weight_decay)
        else:
            grad = grad + weight_decay * expected
        expected_mean = beta1 * expected_mean + (1 - beta1) * grad
        expected_square = beta2 * expected_square + (1 - beta2) * grad**2
        mean_hat, square_hat = expected_mean / (1 - beta1**step), expected_square / (1 - beta2**step)
        expected = expected - lr * mean_hat / (np.sqrt(square_hat) + eps)
    agree(mean, expected_mean, dtype)
    np.testing.assert_allclose(square, expected_square, rtol=BAR[dtype] * STEPS, atol=BAR[dtype])
    agree(parameter, expected, dtype)


def test_the_first_step_of_adam_has_the_length_of_the_learning_rate():
    parameter, grad = np.zeros(4), np.array([3.0, -1e-3, 500.0, -7.0])
    mean, square = np.zeros(4), np.zeros(4)
    optimizer.adam_update(parameter, grad, mean, square, **{**ADAM, "eps": 0.0})
    np.testing.assert_allclose(parameter, -0.5 * np.sign(grad), rtol=1e-15)
    np.testing.assert_array_equal(mean, grad * 0.5)
    np.testing.assert_array_equal(square, grad**2 * 0.25)


def test_a_gradient_of_zero_moves_nothing():
    parameter, zeros = np.arange(3, dtype=np.float32), np.zeros((3, 3), np.float32)
    optimizer.adam_update(parameter, *zeros, **ADAM)
    optimizer.sgd_update(parameter, zeros[0], zeros[1], **SGD)
    np.testing.assert_array_equal(parameter, [0, 1, 2])


# ------------------------------------------------------------------- what every update has to do


def update(kind, parameter, grad, *state):
    """Take one step with hyper-parameters at which every term counts."""
    if kind == "sgd":
        hyper = {**SGD, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "first_step": False}
        optimizer.sgd_update(parameter, grad, state[0], **hyper)
    else:
        optimizer.adam_update(parameter, grad, *state, **{**ADAM, "weight_decay": 0.1})
    return [parameter, *state]


def fresh(dtype, count=1001):
    return [np.abs(np.sin(np.arange(count) + shift)).astype(dtype) for shift in range(4)]


@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_element(kind, value):
    parameter, grad, *state = fresh(np.float32)
    clean = update(kind, *(a.copy() for a in (parameter, grad, *state)))
    grad[500] = value
    spoilt = update(kind, parameter, grad, *state)
    others = np.arange(1001) != 500
    for got, want in zip(spoilt, clean, strict=True):
        np.testing.assert_array_equal(got[others], want[others])
    assert not np.isfinite(spoilt[0][500])


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_updates_are_in_place_and_leave_the_gradient(kind):
    arrays = fresh(np.float64)
    before = [a.copy() for a in arrays]
    update(kind, *arrays)
    assert (arrays[0] != before[0]).all() and (arrays[1] == before[1]).all() and (arrays[2] != before[2]).all()


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_nothing_is_read_or_written_outside_the_arrays(guarded, kind):
    for dtype in DTYPES:
        for count in (0, 1, 7, 1001):
            assert all(np.isfinite(a).all() for a in update(kind, *map(guarded.hold, fresh(dtype, count))))


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_threads_do_not_change_a_bit(same_bits_for_any_threads, kind):
    cases = [(dtype, count) for dtype in DTYPES for count in (10, 64, 5001)]
    same_bits_for_any_threads(lambda: [a for case in cases for a in update(kind, *fresh(*case))])
