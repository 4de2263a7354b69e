"""Winograd's weight gradient: the textbook's results within its own bar, on any threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv.winograd import weight as winograd_weight
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

gradient = winograd_weight.conv2d_backward_weight_winograd


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_convolution_agrees_with_the_textbook(small_winograd, check_winograd, data):
    check_winograd(data.draw(small_winograd), weight_gradient=gradient)


def test_large_convolutions(large_winograd, check_winograd):
    for problem in large_winograd:
        check_winograd(problem, weight_gradient=gradient)


def test_threads_do_not_change_a_bit(same_bits_for_any_threads, large_winograd):
    same_bits_for_any_threads(
        lambda: [
            problem.weight_gradient(gradient, dtype) for problem in large_winograd for dtype in (np.float32, np.float64)
        ]
    )


@pytest.mark.parametrize("stride", [1, 2])
def test_the_size_of_chunks_changes_the_last_digits_alone(monkeypatch, stride):
    """A sum is one of sums of chunks; the shapes alone decide on their size."""
    monkeypatch.setattr(winograd_weight, "_SMALL", 0)  # one set of sums
    rng = np.random.default_rng(0)
    x, grad_out = (rng.standard_normal((3, n, n, 16), np.float32) for n in (22 * stride, 22))
    keywords = {"kernel_size": (3, 3), "stride": (stride,) * 2, "padding": (1,) * 4, "dilation": (1, 1), "groups": 1}
    expected = gradient(x, grad_out, **keywords)
    monkeypatch.setattr(winograd_weight, "_AT_ONCE", 0)
    for large in (0, 1 << 40):
        monkeypatch.setattr(winograd_weight, "_LARGE", large)
        for tiles in (1, 30, 107, 108):
            monkeypatch.setattr(winograd_weight, "_CHUNK", tiles)
            got = gradient(x, grad_out, **keywords)
            np.testing.assert_allclose(got, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_nothing_is_read_or_written_outside_the_arrays(guarded, large_winograd):
    for problem in large_winograd:
        for dtype in (np.float32, np.float64):
            assert np.isfinite(problem.weight_gradient(gradient, dtype, guarded.hold)).all(), repr(problem)
        guarded.check()
        guarded.blocks.clear()
    problem.weight_gradient(gradient, np.float32)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_nan_and_infinity_are_never_lost_and_stay_in_their_channel(value, which, stride):
    arrays = np.ones((2, 8 * stride, 8 * stride, 16), np.float32), np.ones((2, 8, 8, 17), np.float32)
    arrays[which][1, 4, 4, 5] = value
    keywords = {"kernel_size": (3, 3), "stride": (stride, stride), "padding": (1,) * 4, "dilation": (1, 1), "groups": 1}
    spoilt = ~np.isfinite(gradient(*arrays, **keywords)).all((2, 3))  # (O, C)
    expected = np.zeros((17, 16), bool)
    expected[(slice(None), 5) if which == 0 else 5] = True
    np.testing.assert_array_equal(spoilt, expected)


def test_no_images_give_zeros():
    keywords = {"kernel_size": (3, 3), "stride": (1, 1), "padding": (1,) * 4, "dilation": (1, 1), "groups": 1}
    got = gradient(np.zeros((0, 5, 5, 4), np.float32), np.zeros((0, 5, 5, 6), np.float32), **keywords)
    np.testing.assert_array_equal(got, np.zeros((6, 4, 3, 3), np.float32))


def test_it_is_taken_where_enough_patches_share_the_sums():
    assert winograd_weight.is_faster(4, (7, 7), 512, 512, 3)
    assert not winograd_weight.is_faster(1, (7, 7), 512, 512, 3)
    assert not winograd_weight.is_faster(128, (2, 2), 512, 512, 3)  # a quarter of each tile is used
    assert winograd_weight.is_faster(128, (16, 16), 96, 96, 3, 2)
    assert not winograd_weight.is_faster(1, (14, 14), 128, 256, 3, 2)
