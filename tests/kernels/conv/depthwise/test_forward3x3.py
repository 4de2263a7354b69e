"""The sliding window: the same sums as its NumPy twin, written to the right elements and to no others."""

import re

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv.depthwise import depthwise, forward3x3
from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.simd import VECTOR_BYTES, lanes
from tests.kernels.assembly import compiled_loops

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no vectors are known of this machine")
DTYPES = [np.float32, np.float64]
BAR = {np.float32: 1e-5, np.float64: 1e-12}


@pytest.fixture(scope="module")
def slides():
    """Return compiled functions that slide a window along one row, by stride."""
    along_1, along_2 = forward3x3.along_1, forward3x3.along_2
    return {
        1: numba.njit(lambda x, f, s, o, place, window, c, channels: along_1(x, f, s, o, place, window, c, channels)),
        2: numba.njit(lambda x, f, s, o, place, window, c, channels: along_2(x, f, s, o, place, window, c, channels)),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_row_is_its_numpy_twin(slides, dtype, data):
    def integer(low, high):
        return data.draw(st.integers(low, high))

    stride, width, rng = integer(1, 2), lanes(dtype), np.random.default_rng(integer(0, 1000))
    channels, count, channel = width + integer(0, 9), integer(forward3x3.PIXELS, 11), 0
    channel = integer(0, channels - width)
    line = ((count - 1) * stride + 3) * channels + integer(0, 5)
    transposed_filter, out_step = data.draw(st.booleans()), channels * integer(1, 2)
    x, filters, start = (rng.standard_normal(n).astype(dtype) for n in (3 * line + 7, 9 * channels, channels))
    out = rng.standard_normal(count * out_step + 3).astype(dtype)
    steps = (8 * channels, -3 * channels, -channels) if transposed_filter else (0, 3 * channels, channels)
    row = forward3x3.Row(7, 3, count, 10**6, -(10**6))  # prefetching far away changes nothing
    window = forward3x3.Window(line, *steps, out_step)
    expected = out.copy()
    slides[stride](x, filters, start, out, row, window, channel, channels)
    forward3x3.slide_numpy(stride, x, filters, start, expected, row, window, channel, channels, width)
    np.testing.assert_allclose(out, expected, rtol=0, atol=BAR[dtype] * 3)
    written = (3 + np.arange(count)[:, None] * out_step + channel + np.arange(width)).reshape(-1)
    untouched = np.delete(np.arange(len(out)), written)
    np.testing.assert_array_equal(out[untouched], expected[untouched])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_channel_and_windows(slides, value):
    width = lanes(np.float32)
    x, filters, start = np.ones(3 * 8 * width, np.float32), np.ones(9 * width, np.float32), np.zeros(width, np.float32)
    x[(8 + 3) * width + 1] = value  # row 1, pixel 3, channel 1
    out = np.zeros((6, width), np.float32)
    row, window = forward3x3.Row(0, 0, 6, 0, 0), forward3x3.Window(8 * width, 0, 3 * width, width, width)
    slides[1](x, filters, start, out.reshape(-1), row, window, 0, width)
    expected = np.full((6, width), 9.0)
    expected[1:4, 1] = value
    np.testing.assert_array_equal(out, expected)


@pytest.mark.skipif(VECTOR_BYTES != 32, reason="reads AVX2 assembly: 16 registers, where it is tightest")
def test_no_sum_leaves_its_register_inside_the_loop():
    f, i = numba.float32, numba.int64
    tables = i[:, ::1], i[:, ::1], i[::1], numba.types.NamedUniTuple(i, 4, depthwise.Images)
    loops = compiled_loops(depthwise._filter_rows, (f[::1], f[::1], f[::1], f[::1], *tables))
    assert len(loops) >= 2
    for loop in loops:
        assert len(re.findall("vfmadd", loop)) == 9 * forward3x3.PIXELS
        assert not re.search(r"%[yz]mm\d+, -?\d*\(%rsp", loop)
