"""Sizes and layouts."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitorch_cnn import shapes
from minitorch_cnn.shapes import ShapeError, conv_output_size, nchw, nhwc, on_flat, padding4, pair

small = st.integers(1, 12)


@given(size=small, kernel=small, stride=small, before=st.integers(0, 4), after=st.integers(0, 4), dilation=small)
def test_output_size_is_the_number_of_windows_that_fit(size, kernel, stride, before, after, dilation):
    padded, extent = before + size + after, dilation * (kernel - 1) + 1
    windows = len([start for start in range(0, padded, stride) if start + extent <= padded])
    if windows:
        assert conv_output_size(size, kernel, stride, before, after, dilation) == windows
    else:
        with pytest.raises(ShapeError, match=re.escape(f"at least {extent} padded pixels")):
            conv_output_size(size, kernel, stride, before, after, dilation)


def test_output_size_names_who_asked_and_the_numbers():
    message = "conv2d: height - expected at least 5 padded pixels for a window of 3 with dilation 2, got 4 (1 + 2 + 1)"
    with pytest.raises(ShapeError, match=re.escape(message)):
        conv_output_size(2, 3, 1, 1, 1, 2, "conv2d: height")


@given(size=small, kernel=small, stride=small, dilation=small)
def test_same_padding_gives_the_rounded_up_quotient(size, kernel, stride, dilation):
    top, bottom, left, right = padding4("same", "p", (size, size), (kernel, kernel), (stride, 1), (dilation, dilation))
    assert conv_output_size(size, kernel, stride, top, bottom, dilation) == -(-size // stride)
    assert conv_output_size(size, kernel, 1, left, right, dilation) == size
    assert 0 <= bottom - top <= 1 and 0 <= right - left <= 1


def test_padding_forms():
    assert padding4(1, "p") == (1, 1, 1, 1)
    assert padding4((1, 2), "p") == (1, 1, 2, 2)
    assert padding4((1, 2, 3, 4), "p") == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("full", ValueError, "p - expected an int, two or four ints, 'same' or 'valid', got 'full'"),
        (-1, ValueError, "p - expected at least 0, got -1"),
        ((1, 2, 3), TypeError, "p - expected an int or two ints, got (1, 2, 3)"),
        (1.0, TypeError, "p - expected an int or two ints, got 1.0"),
        (True, TypeError, "p - expected an int or two ints, got True"),
    ],
)
def test_padding_errors(value, error, message):
    with pytest.raises(error, match=re.escape(message)):
        padding4(value, "p")


def test_pair():
    assert pair(3, "k") == (3, 3) and pair([1, 2], "k") == (1, 2) and pair(np.int64(2), "k") == (2, 2)
    with pytest.raises(ValueError, match="k - expected at least 1, got 0"):
        pair(0, "k")


def test_nhwc_is_a_view_of_channels_last_memory_and_a_counted_copy_of_other_memory():
    memory = np.arange(2 * 4 * 5 * 3.0).reshape(2, 4, 5, 3)
    before = shapes.layout_copies
    assert np.shares_memory(nhwc(nchw(memory)), memory) and shapes.layout_copies == before
    plain = np.ascontiguousarray(nchw(memory))
    np.testing.assert_array_equal(nhwc(plain), memory)
    assert shapes.layout_copies == before + 1


def test_one_channel_is_both_layouts():
    x = np.zeros((2, 1, 4, 5))
    before = shapes.layout_copies
    assert nhwc(x).flags.c_contiguous and shapes.layout_copies == before


@given(order=st.permutations(range(3)))
def test_a_kernel_of_flat_arrays_gets_views_in_the_memory_order_of_the_last_one(order):
    x = np.arange(24.0).reshape(2, 3, 4).transpose(order)
    other = -np.ascontiguousarray(x)

    def kernel(*flat):
        assert np.shares_memory(flat[1], x) and all(array.flags.c_contiguous for array in flat)
        np.testing.assert_array_equal(flat[1], np.arange(24.0))
        return 3 * flat[0] + flat[1]

    got = on_flat(kernel, other, x)
    np.testing.assert_array_equal(got, -2 * x)
    assert got.strides == x.strides


def test_only_shapes_makes_feature_maps_contiguous():
    """A hidden copy of a feature map costs more than most operations on it."""
    import pathlib

    import minitorch_cnn

    folder = pathlib.Path(minitorch_cnn.__file__).parent / "ops"
    for file in ("adaptive_pool.py", "conv.py", "norm.py", "pool.py", "activation.py"):
        assert "ascontiguousarray" not in (folder / file).read_text(), file
