"""Winograd's convolution, forward and input gradient: the textbook's results within its own bar, on any threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv.winograd import correlate as winograd
from minitorch_kernels.conv.winograd import panels
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

FUNCTIONS = {
    "forward": winograd.conv2d_forward_winograd,
    "input_gradient": winograd.conv2d_backward_input_winograd,
}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_convolution_agrees_with_the_textbook(small_winograd, check_winograd, data):
    check_winograd(data.draw(small_winograd), **FUNCTIONS)


def test_large_convolutions(large_winograd, check_winograd):
    for problem in large_winograd:
        check_winograd(problem, **FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_threads_do_not_change_a_bit(same_bits_for_any_threads, large_winograd, function):
    same_bits_for_any_threads(
        lambda: [
            getattr(problem, function)(FUNCTIONS[function], dtype)
            for problem in large_winograd
            for dtype in (np.float32, np.float64)
        ]
    )


def test_nothing_is_read_or_written_outside_the_arrays(guarded, large_winograd):
    for problem in large_winograd:
        for dtype in (np.float32, np.float64):
            for function, kernel in FUNCTIONS.items():
                assert np.isfinite(getattr(problem, function)(kernel, dtype, guarded.hold)).all(), repr(problem)
        guarded.check()
        guarded.blocks.clear()
    problem.forward(FUNCTIONS["forward"], np.float32)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_never_lost(value, stride):
    """They may spread over the whole tile of 4 x 4 outputs, but no further."""
    x, weight = np.ones((2, 12 * stride, 12 * stride, 16), np.float32), np.ones((16, 16, 3, 3), np.float32)
    x[0, 5 * stride, 5 * stride, 3] = value
    keywords = {"stride": (stride, stride), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    out = winograd.conv2d_forward_winograd(x, weight, **keywords)
    spoilt = ~np.isfinite(out).all(3)
    seen = slice(4, 7) if stride == 1 else slice(5, 6)
    assert spoilt[0, seen, seen].all() and not spoilt[1].any()
    assert not spoilt[0, 8:].any() and not spoilt[0, :, 8:].any()


def test_the_bias_is_added_once():
    x, weight = np.zeros((2, 6, 7, 3), np.float32), np.ones((35, 3, 3, 3), np.float32)
    bias = np.arange(35, dtype=np.float32)
    for stride, size in ((1, (6, 7)), (2, (3, 4))):
        keywords = {"stride": (stride, stride), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
        out = winograd.conv2d_forward_winograd(x, weight, bias, **keywords)
        np.testing.assert_array_equal(out, np.broadcast_to(bias, (2, *size, 35)))


def test_no_images_and_no_pixels():
    weight = np.ones((4, 3, 3, 3), np.float32)
    keywords = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    assert winograd.conv2d_forward_winograd(np.ones((0, 5, 5, 3), np.float32), weight, **keywords).shape == (0, 3, 3, 4)
    grad = winograd.conv2d_backward_input_winograd(
        np.ones((0, 3, 3, 4), np.float32), weight, input_size=(5, 5), **keywords
    )
    assert grad.shape == (0, 5, 5, 3)


def test_what_fits():
    assert winograd.supports((3, 3), (1, 1), (1, 1), 1)
    assert winograd.supports((5, 5), (1, 1), (1, 1), 1)
    assert not winograd.supports((7, 7), (1, 1), (1, 1), 1)
    assert not winograd.supports((5, 3), (1, 1), (1, 1), 1)
    assert not winograd.supports((3, 1), (1, 1), (1, 1), 1)
    assert winograd.supports((3, 3), (2, 2), (1, 1), 1)
    assert not winograd.supports((5, 5), (2, 2), (1, 1), 1)
    assert not winograd.supports((3, 3), (2, 1), (1, 1), 1)
    assert not winograd.supports((3, 3), (3, 3), (1, 1), 1)
    assert not winograd.supports((3, 3), (1, 1), (1, 2), 1)
    assert not winograd.supports((3, 3), (1, 1), (1, 1), 2)


def test_it_is_taken_where_patches_are_many_and_well_filled():
    assert winograd.is_faster(128, (16, 16), 64, 128, 3)
    assert winograd.is_faster(128, (4, 4), 256, 512, 3)
    assert not winograd.is_faster(64, (2, 2), 512, 512, 3)  # a quarter of each tile is used
    assert winograd.is_faster(1, (7, 7), 512, 512, 3)
    assert not winograd.is_faster(1, (5, 5), 512, 512, 3)  # transforming the filters would cost more than it saves
    assert winograd.is_faster(128, (32, 32), 100, 12, 3)  # a layer of DenseNet
    assert not winograd.is_faster(128, (32, 32), 3, 64, 3)  # too few channels share a transformed tile
    assert winograd.is_faster(128, (16, 16), 96, 192, 5)  # the costliest layer of All-CNN-A
    assert winograd.is_faster(8, (27, 27), 64, 192, 5)  # the second of AlexNet
    assert not winograd.is_faster(128, (1, 1), 256, 256, 5)  # a quarter of each tile is used
    assert not winograd.is_faster(128, (16, 16), 16, 32, 5)  # too few channels share a transformed tile
    assert winograd.is_faster(128, (16, 16), 16, 32, 3, 2)  # a layer of ResNet-20
    assert not winograd.is_faster(128, (16, 16), 12, 32, 3, 2)
    assert winograd.is_faster(1, (14, 14), 128, 256, 3, 2)
    assert not winograd.is_faster(1, (7, 7), 256, 512, 3, 2)


@pytest.mark.parametrize(("side", "stride", "bar"), [(3, 1, 1.3e-6), (5, 1, 1.6e-6), (3, 2, 0.7e-6)])
def test_the_points_keep_rounding_errors_small(side, stride, bar):
    # Relative to the root of the number of terms; with the points 0, 1, -1, 2 and -2 they are above 1.9e-6.
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 16, 16, 128)).astype(np.float32)
    weight = rng.standard_normal((32, 128, side, side)).astype(np.float32)
    hyper = {"stride": (stride, stride), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    got, exact = (winograd.conv2d_forward_winograd(x.astype(t), weight.astype(t), **hyper) for t in ("f4", "f8"))
    assert np.sqrt(np.mean((got - exact) ** 2)) < bar * np.sqrt(128 * side * side)


def test_a_bias_is_added_exactly():
    bias = np.array([0.1, np.inf, -np.inf, np.nan, 3e38] + [0] * 11, np.float32)
    hyper = {"stride": (1, 1), "padding": (1,) * 4, "dilation": (1, 1), "groups": 1}
    x, weight = np.zeros((1, 9, 9, 16), np.float32), np.ones((16, 16, 3, 3), np.float32)
    for function in (winograd.conv2d_forward_winograd, panels.conv2d_forward_panels):
        np.testing.assert_array_equal(function(x, weight, bias, **hyper), np.broadcast_to(bias, x.shape))
