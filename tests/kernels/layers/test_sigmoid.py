"""Sigmoid and SiLU against float64, for all kinds of numbers, and the same bits for any threads."""

import numpy as np
import pytest

from minitorch_kernels.layers import sigmoid
from tests.kernels.magnitudes import all_magnitudes, units

DTYPES = [np.float32, np.float64]
BAR = {np.float32: 5e-7, np.float64: 1e-14}


def exact(x):
    """Return the sigmoid of x in float64."""
    e = np.exp(-np.abs(x.astype(np.float64)))
    return np.where(x < 0, e, 1) / (1 + e)


def test_all_magnitudes_of_float32_to_a_few_units_in_the_last_place():
    x = all_magnitudes(-87)  # further down the sigmoid is subnormal
    assert units(sigmoid.sigmoid_forward(x), exact(x)) <= 3
    assert units(sigmoid.silu_forward(x), x * exact(x)) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_those_of_the_definition(dtype):
    x = np.concatenate([np.linspace(-30, 30, 3001), all_magnitudes(-80)[::997].clip(-80, 80)]).astype(dtype)
    grad_out, s = np.cos(np.arange(len(x))).astype(dtype), exact(x)
    grad_x = sigmoid.sigmoid_backward(grad_out, sigmoid.sigmoid_forward(x))
    np.testing.assert_allclose(grad_x, grad_out * s * (1 - s), rtol=BAR[dtype], atol=BAR[dtype])
    slope = s * (1 + x.astype(np.float64) * (1 - s))
    grad_x = sigmoid.silu_backward(grad_out, x)
    assert grad_x.dtype == dtype
    np.testing.assert_allclose(grad_x, grad_out * slope, rtol=BAR[dtype], atol=BAR[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_nan_and_numbers_beyond_the_exponential(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, tiny, 1e30, -1e30], dtype)
    np.testing.assert_array_equal(sigmoid.sigmoid_forward(x), [np.nan, 1, 0, 0.5, 0.5, 0.5, 1, 0])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(sigmoid.silu_forward(x)[:5], [np.nan, np.inf, np.nan, 0, 0])
    np.testing.assert_array_equal(sigmoid.silu_backward(np.ones(3, dtype), x[5:]), [0.5, 1, 0])


def everything(hold=np.ascontiguousarray):
    """Return the results of all passes on some arrays."""
    results = []
    for dtype in DTYPES:
        for count in (0, 1, 10, 70_001):
            x, grad = (hold(np.sin(np.arange(count) + shift).astype(dtype)) for shift in (0, 1))
            out = sigmoid.sigmoid_forward(x)
            results += [out, sigmoid.sigmoid_backward(grad, hold(out))]
            results += [sigmoid.silu_forward(x), sigmoid.silu_backward(grad, x)]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
