"""GELU against the error function in float64, for all kinds of numbers, and the same bits for any threads."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minitorch_kernels.layers import gelu

DTYPES = [np.float32, np.float64]
ULPS = {np.float32: 1e-6, np.float64: 1e-12}


def normal_below(x):
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in x])


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_gelu_is_x_times_the_normal_distribution(dtype, data):
    numbers = st.floats(-30, 30, width=32)
    x = data.draw(arrays.arrays(np.float32, st.integers(0, 50), elements=numbers)).astype(np.float64)
    grad_out = np.cos(np.arange(len(x))).astype(np.float32).astype(np.float64)
    expected = x * normal_below(x)
    slope = normal_below(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    out = gelu.gelu_forward(x.astype(dtype))
    grad_x = gelu.gelu_backward(grad_out.astype(dtype), x.astype(dtype))
    assert out.dtype == grad_x.dtype == dtype
    np.testing.assert_allclose(out, expected, rtol=ULPS[dtype], atol=ULPS[dtype])
    np.testing.assert_allclose(grad_x, grad_out * slope, rtol=ULPS[dtype], atol=ULPS[dtype])


def test_gelu_of_special_numbers():
    x = np.array([np.nan, np.inf, 0.0, -0.0, 1.0], np.float64)
    np.testing.assert_allclose(gelu.gelu_forward(x), [np.nan, np.inf, 0, 0, 0.8413447460685429], rtol=1e-15)
    grad_x = gelu.gelu_backward(np.ones(3), np.array([np.nan, 0.0, 1.0]))
    np.testing.assert_allclose(grad_x, [np.nan, 0.5, 1.083315470587686], rtol=1e-14)



def test_all_magnitudes_of_float32_to_a_few_units_in_the_last_place():
    bits = np.arange(0, 1 << 32, 40_009, dtype=np.uint64).astype(np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x) & (x > -12.9)]  # further down the result has fewer digits, because it is subnormal
    exact = x * normal_below(x.astype(np.float64))
    unit = np.spacing(np.maximum(np.abs(exact).astype(np.float32), np.finfo(np.float32).tiny))
    assert np.all(np.abs(gelu.gelu_forward(x) - exact) <= np.where(x > 0, 4, 8) * unit)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_subnormal_numbers(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    got = gelu.gelu_forward(np.array([-1e30, -13.5, tiny, np.inf, -np.inf, np.nan], dtype))
    np.testing.assert_allclose(got, [0, 0, tiny / 2, np.inf, np.nan, np.nan], rtol=0, atol=1e-37)
    np.testing.assert_array_equal(gelu.gelu_backward(np.ones(2, dtype), np.array([-40, 40], dtype)), [0, 1])


def everything(hold=np.ascontiguousarray):
    """Return the results of both passes on some arrays."""
    results = []
    for dtype in DTYPES:
        for count in (0, 1, 10, 5001):
            x, grad = (hold(np.sin(np.arange(count) + shift).astype(dtype)) for shift in (0, 1))
            results += [gelu.gelu_forward(x), gelu.gelu_backward(grad, x)]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
