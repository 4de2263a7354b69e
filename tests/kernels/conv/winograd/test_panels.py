"""Winograd's convolution panel by panel of filters: the bits of the other way, and when it is taken."""

import numpy as np
import pytest

from minitorch_kernels.conv import indirect
from minitorch_kernels.conv.winograd import correlate as winograd
from minitorch_kernels.conv.winograd import panels

pytestmark = pytest.mark.skipif(not indirect.available(np.float32), reason="no register tile fits this machine")

FUNCTIONS = {
    "forward": winograd.conv2d_forward_winograd,
    "input_gradient": winograd.conv2d_backward_input_winograd,
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_both_ways_give_the_same_bits(monkeypatch, large_winograd, function, dtype):
    for problem in large_winograd:
        results = []
        for answer in (False, True):
            monkeypatch.setattr(panels, "pays", lambda *sizes, answer=answer: answer)
            results.append(getattr(problem, function)(FUNCTIONS[function], dtype))
        np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(("patches", "channels", "filters"), [(128, 256, 512), (128, 256, 256), (4, 512, 512)])
def test_it_is_taken_for_few_patches_and_many_filters(patches, channels, filters):
    assert panels.pays(patches, channels, filters)


@pytest.mark.parametrize(("patches", "channels", "filters"), [(257, 1024, 1024), (129, 256, 256), (128, 64, 512)])
def test_it_is_not_taken_for_many_patches_or_few_filters(patches, channels, filters):
    assert not panels.pays(patches, channels, filters)
