"""The spreading window: the same pixels as its NumPy twin, written to the right elements and to no others."""

import re

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv.depthwise import depthwise, input3x3
from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.simd import lanes
from tests.kernels.assembly import compiled_loops, reads_x86

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no vectors are known of this machine")
DTYPES = [np.float32, np.float64]
BAR = {np.float32: 1e-5, np.float64: 1e-12}


@pytest.fixture(scope="module")
def spread():
    """Return a compiled function that spreads one row of gradients."""
    return numba.njit(lambda g, f, out, place, c, channels: input3x3.spread(g, f, out, place, c, channels))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_two_rows_are_their_numpy_twin(spread, dtype, data):
    def integer(low, high):
        return data.draw(st.integers(low, high))

    width, rng = lanes(dtype), np.random.default_rng(integer(0, 1000))
    channels, outputs, right = width + integer(0, 9), integer(1, 6), integer(0, 1)
    channel, line = integer(0, channels - width), (2 * outputs + 1) * channels
    grad_out = rng.standard_normal(2 * outputs * channels + 5).astype(dtype)
    filters = rng.standard_normal(9 * channels).astype(dtype)
    out = rng.standard_normal(2 * line + 3).astype(dtype)
    lower, second = (data.draw(st.sampled_from(pair)) for pair in ((-1, 5 + outputs * channels), (3, 3 + line)))
    ahead = data.draw(st.sampled_from([0, 10**6, -(10**6)]))
    place = input3x3.RowPair(5, lower, outputs, 3, second, right, ahead)
    expected = out.copy()
    spread(grad_out, filters, out, place, channel, channels)
    input3x3.spread_numpy(grad_out, filters, expected, place, channel, channels, width)
    np.testing.assert_allclose(out, expected, rtol=0, atol=BAR[dtype] * 3)
    pixels = np.arange(2 * outputs - 1 + right)[:, None] * channels + channel + np.arange(width)
    written = np.concatenate([first + pixels.reshape(-1) for first in (3, second)])
    np.testing.assert_array_equal(np.delete(out, written), np.delete(expected, written))


@reads_x86
def test_no_weight_leaves_its_register_inside_the_loop():
    f, i = numba.float32, numba.int64
    loops = compiled_loops(
        depthwise._spread_rows, (f[::1], f[::1], f[:, :, :, ::1], i[::1], numba.types.UniTuple(i, 3))
    )
    assert max(len(re.findall("vfmadd", block)) for block in loops) >= 5  # four of the nine products begin a sum
    for loop in loops:
        assert not re.search(r"%[xyz]mm\d+, -?\d*\(%rsp", loop)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_tap_that_a_pixel_does_not_see_has_no_say(value):
    """A tap in the first row of the filter meets no pixel of the image's last row."""
    grad_out, weight = np.ones((1, 2, 2, 64), np.float32), np.ones((64, 1, 3, 3), np.float32)
    weight[5, 0, 0, 1] = weight[6, 0, 1, 0] = value
    grad = depthwise.conv2d_backward_input_depthwise(
        grad_out, weight, input_size=(4, 4), stride=(2, 2), padding=(1,) * 4, dilation=(1, 1), groups=64
    )
    finite = np.isfinite(grad[0])
    assert not finite[1, ::2, 5].any() and finite[[0, 2, 3], :, 5].all() and finite[:, 1::2, 5][[0, 2, 3]].all()
    assert not finite[::2, 1, 6].any() and finite[:, [0, 2, 3], 6].all()
    assert np.delete(finite, (5, 6), axis=2).all()
