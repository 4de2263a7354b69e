"""Convolution in bf16: the textbook's results for rounded factors, for any number of threads and images."""

import numpy as np
import pytest

from minitorch_kernels import reference
from minitorch_kernels.conv import bf16
from minitorch_kernels.runtime import simd
from tests.kernels.conftest import nchw, nhwc
from tests.kernels.gemm.test_bf16 import rounded

pytestmark = pytest.mark.skipif(not simd.supports(simd.PAIR), reason="no AVX512_BF16, or nothing is compiled")
FUNCTIONS = {
    "forward": bf16.conv2d_forward_bf16,
    "input_gradient": bf16.conv2d_backward_input_bf16,
    "weight_gradient": bf16.conv2d_backward_weight_bf16,
}


def layer(images, channels, filters, kernel, stride, padding, size=9):
    """Return images, filters, bias, gradient of the output, and the keywords of a convolution."""
    rng, hyper = np.random.default_rng(0), {"stride": (stride,) * 2, "padding": (padding,) * 4}
    hyper |= {"dilation": (1, 1), "groups": 1}
    out = (size + 2 * padding - kernel) // stride + 1
    shapes = (images, channels, size, size), (filters, channels, kernel, kernel), (filters,)
    shapes += ((images, filters, out, out),)
    return *(rng.standard_normal(shape).astype(np.float32) for shape in shapes), hyper


def results(x, weight, bias, grad, hyper):
    """Return output, input gradient and weight gradient."""
    pixels, grads, size = nhwc(x), nhwc(grad), {"input_size": x.shape[2:]}
    return (
        nchw(FUNCTIONS["forward"](pixels, weight, bias, **hyper)),
        nchw(FUNCTIONS["input_gradient"](grads, weight, **size, **hyper)),
        FUNCTIONS["weight_gradient"](pixels, grads, kernel_size=weight.shape[2:], **hyper),
    )


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("sizes", [(4, 6, 1, 1, 0), (3, 5, 1, 2, 0), (5, 7, 3, 2, 1), (2, 33, 3, 3, 2)], ids=str)
def test_small_convolutions_agree_with_the_textbook(images, sizes):
    x, weight, bias, grad, hyper = layer(images, *sizes)
    x16, weight16, grad16 = (rounded(array).astype(np.float64) for array in (x, weight, grad))
    kernel = {"kernel_size": weight.shape[2:]}
    want = (
        reference.conv2d_forward(x16, weight16, bias, **hyper),
        reference.conv2d_backward_input(grad16, weight16, input_size=x.shape[2:], **hyper),
        reference.conv2d_backward_weight(x16, grad16, **kernel, **hyper),
    )
    for got, expected in zip(results(x, weight, bias, grad, hyper), want, strict=True):
        assert got.dtype == np.float32 and got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    arguments = layer(5, 40, 70, 3, 2, 1, size=33)
    same_bits_for_any_threads(lambda: results(*arguments))


def test_a_pixel_that_no_window_reads_cannot_spoil_a_gradient():
    """Three images: the last is paired with zeros, and zero times infinity would be NaN."""
    x, weight, bias, grad, hyper = layer(3, 4, 6, 1, 2, 0, size=8)
    x[:, :, 7, 7] = np.inf
    assert all(np.isfinite(result).all() for result in results(x, weight, bias, grad, hyper))
