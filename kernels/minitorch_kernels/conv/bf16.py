"""Convolution in bf16, with sums in float32: the indirect convolution on pairs of bf16, see `gemm.bf16`.

Each product pairs both operands along an axis that it sums over, and is then the product of `indirect` as it stands:

    forward            sums over input channels     pair x and weight along C_in
    input gradient     sums over output channels    pair grad_out and weight along C_out
    weight gradient    sums over images and pixels  pair x and grad_out along N: two images become one
"""

from minitorch_kernels.conv import indirect, indirect_weight
from minitorch_kernels.gemm.bf16 import pair


def conv2d_forward_bf16(x, weight, bias=None, **hyper):
    """Cross-correlate images with filters; parameters and result as `indirect.conv2d_forward_indirect`, one group."""
    return indirect.conv2d_forward_indirect(pair(x, 3), pair(weight, 1), bias, **hyper)


def conv2d_backward_input_bf16(grad_out, weight, **hyper):
    """Return the gradient of the images; parameters as `indirect.conv2d_backward_input_indirect`, one group."""
    return indirect.conv2d_backward_input_indirect(pair(grad_out, 3), pair(weight, 0), **hyper)


def conv2d_backward_weight_bf16(x, grad_out, **hyper):
    """Return the gradient of the filters; parameters as `indirect_weight.conv2d_backward_weight_indirect`, one group.

    With an odd number of images, the last is paired with zeros.
    """
    return indirect_weight.conv2d_backward_weight_indirect(pair(x, 0), pair(grad_out, 0), **hyper)
