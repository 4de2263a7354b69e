"""A convolution to few output channels: the textbook's results, inside its own memory, on any threads."""

import numpy as np
import pytest

from minitorch_kernels.conv import small_cout
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

DTYPES = np.float32, np.float64


forward = small_cout.conv2d_forward_small_cout


@pytest.fixture(scope="module")
def problems(many_convolutions, large_convolutions):
    """Those of stride 1 with at most MR filters: the algorithm never has several tiles of rows."""
    found = [
        p
        for p in (*many_convolutions, *large_convolutions)
        if p.hyper["groups"] == 1
        and p.hyper["stride"] == (1, 1)
        and p.weight_shape[0] <= small_cout.MR
        and p.grad_out.size
    ]
    assert len(found) > 10
    assert any(p.hyper["dilation"] != (1, 1) for p in found)
    assert any(any(p.hyper["padding"]) for p in found)
    return found


def test_the_textbook_agrees(problems):
    for problem in problems:
        problem.check(forward=forward)


@pytest.mark.parametrize("width", [11, 24, 40])  # a row of one panel, of two that overlap, of several
def test_long_sums_and_wide_rows(width):
    """More terms than a block: each output counts the channels and taps that it saw."""
    x, weight = np.ones((2, 5, width, 40), np.float32), np.ones((3, 40, 3, 3), np.float32)
    got = forward(x, weight, None, stride=(1, 1), padding=(0,) * 4, dilation=(1, 1), groups=1)
    np.testing.assert_array_equal(got, np.full((2, 3, width - 2, 3), 360))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads, problems):
    same_bits_for_any_threads(lambda: [p.forward(forward, dtype) for p in problems[-12:] for dtype in DTYPES])


def test_nothing_is_read_or_written_outside_the_arrays(guarded, problems):
    for problem in problems[-60:]:
        for dtype in DTYPES:
            assert np.isfinite(problem.forward(forward, dtype, guarded.hold)).all(), repr(problem)


def test_direct_takes_it_for_few_filters_of_stride_1_alone():
    few = min(small_cout.MR, small_cout.lanes(np.float32) - 1)
    assert small_cout.is_faster((few, 3, 5, 5), (1, 1), 1, np.float32)
    assert not small_cout.is_faster((few + 2, 3, 5, 5), (1, 1), 1, np.float32)
    assert not small_cout.is_faster((few, 3, 5, 5), (2, 1), 1, np.float32)
    assert not small_cout.is_faster((few, 3, 1, 1), (1, 1), 1, np.float32)
    assert not small_cout.is_faster((few, 1, 5, 5), (1, 1), few, np.float32)
