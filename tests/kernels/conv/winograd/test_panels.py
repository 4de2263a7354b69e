"""Winograd's convolution, one panel of filters at a time: the bits of the other loop order, and when it is taken."""

import numpy as np
import pytest

from minitorch_kernels.conv.winograd import correlate as winograd
from minitorch_kernels.conv.winograd import panels
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


@pytest.mark.parametrize(("patches", "channels", "filters"), [(128, 256, 512), (128, 256, 256), (4, 512, 512)])
def test_it_is_taken_for_few_patches_and_many_filters(patches, channels, filters):
    assert panels.is_faster(patches, channels, filters)


@pytest.mark.parametrize(("patches", "channels", "filters"), [(257, 1024, 1024), (129, 256, 256), (128, 64, 512)])
def test_it_is_not_taken_for_many_patches_or_few_filters(patches, channels, filters):
    assert not panels.is_faster(patches, channels, filters)
