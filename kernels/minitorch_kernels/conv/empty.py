"""Convolutions without any product: no images, no channels, no filters, or no pixels. The output is the bias alone."""

import numpy as np

from minitorch_kernels.conv.borders import output_size


def conv2d_forward_empty(x, weight, bias=None, *, stride, padding, dilation, groups, relu=False):
    """Return the bias at every pixel, or zeros; arguments as in `im2col.conv2d_forward_im2col`."""
    size = output_size(x.shape[1:3], weight.shape[2:], stride, padding, dilation)
    out = np.zeros((len(x), *size, len(weight)), x.dtype)
    out = out if bias is None else out + bias
    return np.where(out <= 0, 0, out) if relu else out


def conv2d_backward_input_empty(grad_out, weight, *, input_size, groups, **window):
    """Return zeros, (N, H, W, C_in): nothing depends on the images."""
    return np.zeros((len(grad_out), *input_size, weight.shape[1] * groups), grad_out.dtype)


def conv2d_backward_weight_empty(x, grad_out, *, kernel_size, groups, **window):
    """Return zeros, (C_out, C_in/groups, KH, KW): nothing depends on the filters."""
    return np.zeros((grad_out.shape[3], x.shape[3] // groups, *kernel_size), x.dtype)
