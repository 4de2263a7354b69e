"""Borders: runs of outputs that read the same taps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch_kernels.conv import borders


def test_a_filter_of_three_taps_with_padding_one_has_two_ends_and_an_inside():
    left, inside, right = borders.output_axis(5, 5, 3, 1, 1, 1).regions()
    assert left == (0, 1, [(1, 0), (2, 1)])
    assert inside == (1, 4, [(0, -1), (1, 0), (2, 1)])
    assert right == (4, 5, [(0, -1), (1, 0)])


def test_stride_two_has_two_classes_of_inputs():
    """Odd inputs lie under two windows, even ones under the middle of one; with padding 1 also the first."""
    even, odd = borders.input_axes(3, 6, 3, 2, 1, 1)
    assert (even.first, odd.first, even.step) == (0, 1, 2)
    assert even.regions() == [(0, 3, [(1, 0)])]
    assert odd.regions() == [(0, 2, [(2, 0), (0, 1)]), (2, 3, [(2, 0)])]


@given(data=st.data())
def test_regions_hold_every_meeting_of_input_output_and_tap_once(data):
    size, kernel, stride, dilation = (data.draw(st.integers(1, n)) for n in (9, 4, 3, 3))
    before, after = (data.draw(st.integers(0, 4)) for _ in range(2))
    out_size = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
    if out_size < 1:
        return
    expected = sorted(
        (h, i, u)
        for i in range(out_size)
        for u in range(kernel)
        if 0 <= (h := i * stride + u * dilation - before) < size
    )
    outputs = borders.output_axis(out_size, size, kernel, stride, before, dilation)
    got = [
        (i * stride + shift, i, u)
        for first, end, taps in outputs.regions()
        for i in range(first, end)
        for u, shift in taps
    ]
    assert sorted(got) == expected
    got, written = [], []
    for axis in borders.input_axes(out_size, size, kernel, stride, before, dilation):
        for first, end, taps in axis.regions():
            for i in range(first, end):
                written.append(axis.first + i * axis.step)
                got += [(written[-1], i + shift, u) for u, shift in taps]
    assert sorted(got) == expected and sorted(written) == list(range(size))


@pytest.mark.parametrize(("numbers", "step"), [((4,), 0), ((4, 2, 0), -2)])
def test_step_between(numbers, step):
    assert borders.step_between(numbers) == step


def test_grid():
    np.testing.assert_array_equal(borders.grid([0, 10], [1, 2]), [1, 2, 11, 12])
