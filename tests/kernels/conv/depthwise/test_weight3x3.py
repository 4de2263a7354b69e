"""The sliding sums: the same as those of their NumPy twin, added to the right elements and to no others."""

import re

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv.depthwise import depthwise, weight3x3
from minitorch_kernels.conv.depthwise.forward3x3 import TAPS
from minitorch_kernels.conv.depthwise.weight3x3 import PIXELS
from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.simd import lanes
from tests.kernels.assembly import compiled_loops, reads_x86

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no vectors are known of this machine")
DTYPES = [np.float32, np.float64]
BAR = {np.float32: 1e-5, np.float64: 1e-12}


@pytest.fixture(scope="module")
def slides():
    """Return compiled functions that sum along one row, by stride."""
    one, two = weight3x3.sums_1, weight3x3.sums_2
    return {
        1: numba.njit(lambda x, g, s, place, rows, to, first, c: one(x, g, s, place, rows, to, first, c)),
        2: numba.njit(lambda x, g, s, place, rows, to, first, c: two(x, g, s, place, rows, to, first, c)),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_row_is_its_numpy_twin(slides, dtype, data):
    def integer(low, high):
        return data.draw(st.integers(low, high))

    stride, width, rng = integer(1, 2), lanes(dtype), np.random.default_rng(integer(0, 1000))
    channels, count, left, right = width + integer(0, 9), integer(0, 2 * PIXELS + 3), integer(0, 1), integer(0, 1)
    channel, before = integer(0, channels - width), stride * channels
    line = ((count + 1) * stride + TAPS) * channels
    x = rng.standard_normal(before + TAPS * line).astype(dtype)
    grad_out = rng.standard_normal((count + 2) * channels).astype(dtype)
    sums_first, size = integer(0, 5), (TAPS + 1) * TAPS * width
    sums = rng.standard_normal(sums_first + size + 3).astype(dtype)
    x_rows = tuple(before + integer(0, TAPS - 1) * line for _ in range(TAPS))
    row_sums = tuple(row * TAPS * width for row in data.draw(st.permutations(range(TAPS + 1)))[:TAPS])
    place = weight3x3.SumRow(
        channels, count, left, right, 10**6, -(10**6), channels
    )  # prefetching far away changes nothing
    expected = sums.copy()
    call = place, x_rows, row_sums, sums_first, channel
    slides[stride](x, grad_out, sums, *call)
    weight3x3.sums_numpy(stride, x, grad_out, expected, *call, width)
    np.testing.assert_allclose(sums, expected, rtol=0, atol=BAR[dtype] * 4)
    written = (sums_first + np.asarray(row_sums)[:, None] + np.arange(TAPS * width)).reshape(-1)
    np.testing.assert_array_equal(np.delete(sums, written), np.delete(expected, written))


@reads_x86
def test_no_sum_leaves_its_register_inside_a_loop():
    f, i = numba.float32, numba.int64
    tables = i[:, ::1], i[:, ::1], i[:, ::1], i[::1], i[::1], numba.types.NamedUniTuple(i, 4, depthwise.Images), i
    loops = compiled_loops(depthwise._sum_rows, (f[::1], f[::1], f[:, :, :, ::1], *tables))
    assert max(len(re.findall("vfmadd", block)) for block in loops) >= PIXELS * TAPS**2
    for loop in loops:
        assert not re.search(r"%[xyz]mm\d+, -?\d*\(%rsp", loop)
