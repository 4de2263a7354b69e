"""Winograd's convolution, one panel of filters at a time: the bits of the other loop order, and when it is taken."""

import types

import numpy as np
import pytest

from minitorch_kernels.conv.winograd import correlate as winograd
from minitorch_kernels.conv.winograd import panels
from minitorch_kernels.conv.winograd.tiles import form_of
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

FUNCTIONS = {
    "forward": (winograd.conv2d_forward_winograd, panels.conv2d_forward_panels),
    "input_gradient": (winograd.conv2d_backward_input_winograd, panels.conv2d_backward_input_panels),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("product", FUNCTIONS)
def test_both_orders_give_the_same_bits(large_winograd, product, dtype):
    for problem in large_winograd:
        by_tiles, by_panels = (getattr(problem, product)(function, dtype) for function in FUNCTIONS[product])
        np.testing.assert_array_equal(by_tiles, by_panels)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 7), (13, 14), (8, 6), (4, 12)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1)])
def test_products_for_outputs_outside_the_image_alone_are_left_out(monkeypatch, size, kernel, stride):
    """The memory for them holds NaN here, which no output may see."""
    normal, around = np.random.default_rng(0).standard_normal, kernel // 2
    x, w = (normal(shape).astype(np.float32) for shape in ((2, *size, 48), (20, 48, kernel, kernel)))
    hyper = {"stride": (stride, stride), "padding": (around,) * 4, "dilation": (1, 1), "groups": 1}
    out = winograd.conv2d_forward_winograd(x, w, None, **hyper)
    grad = winograd.conv2d_backward_input_winograd(out, w, input_size=size, **hyper)
    full = types.SimpleNamespace(empty=lambda shape, dtype: np.full(shape, np.nan, dtype))
    monkeypatch.setattr(panels, "memory", full)
    np.testing.assert_array_equal(panels.conv2d_forward_panels(x, w, None, **hyper), out)
    np.testing.assert_array_equal(panels.conv2d_backward_input_panels(out, w, input_size=size, **hyper), grad)


@pytest.mark.parametrize(
    ("kernel", "stride", "transposed", "size", "products", "of"),
    [
        (3, 1, False, (8, 8), 4 * 36, 4 * 36),
        (3, 1, False, (7, 7), 36 + 2 * 30 + 25, 4 * 36),  # one tile with all outputs, three without the last
        (3, 1, False, (9, 4), 2 * 36 + 30, 3 * 36),
        (5, 1, False, (3, 2), 36 + 30, 2 * 36),
        (3, 2, False, (7, 4), 81 + 7 * 9, 2 * 81),  # without infinity, and without the middle tap of the last output
        (3, 2, True, (15, 8), 81 + 8 * 9, 2 * 81),  # without infinity
        (3, 2, True, (14, 8), 81 + 7 * 9, 2 * 81),
    ],
)
def test_how_many_products_are_left(kernel, stride, transposed, size, products, of):
    order = panels.in_order(form_of(kernel, stride, transposed), 3, size)
    assert np.diff(order.needed).sum() == 3 * products and len(order.needed) * len(order.tiles) == 3 * of
    assert sorted(order.tiles) == list(range(len(order.tiles)))


@pytest.mark.parametrize(("patches", "channels", "filters"), [(128, 256, 512), (128, 256, 256), (4, 512, 512)])
def test_it_is_taken_for_few_patches_and_many_filters(patches, channels, filters):
    assert panels.is_faster(patches, channels, filters)


@pytest.mark.parametrize(("patches", "channels", "filters"), [(257, 1024, 1024), (129, 256, 256), (128, 64, 512)])
def test_it_is_not_taken_for_many_patches_or_few_filters(patches, channels, filters):
    assert not panels.is_faster(patches, channels, filters)
