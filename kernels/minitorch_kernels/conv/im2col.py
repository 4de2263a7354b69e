"""Convolution as one matrix product: write every window as a row, multiply by the filters.

    columns (N*OH*OW, KH*KW*C_in)  @  weights (KH*KW*C_in, C_out)  =  out (N*OH*OW, C_out)

The gradients are the two other products of the same three matrices; `col2im` adds the rows of the
input's gradient back to where the windows came from. Arrays are channels-last; NumPy alone.
"""

import numpy as np

from minitorch_kernels.gemm.blas import product


def _windows(padded, kernel_size, out_size, stride, dilation):
    """Return the view (N, OH, OW, KH, KW, C) of all windows; overlapping ones share memory."""
    image_step, row_step, column_step, channel_step = padded.strides
    shape = (padded.shape[0], *out_size, *kernel_size, padded.shape[3])
    strides = (
        image_step,
        row_step * stride[0],
        column_step * stride[1],
        row_step * dilation[0],
        column_step * dilation[1],
        channel_step,
    )
    return np.lib.stride_tricks.as_strided(padded, shape, strides)


def _pad(x, padding):
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))


def _out_size(size, kernel_size, stride, dilation):
    """Return (OH, OW) for a padded image of (H, W)."""
    axes = zip(size, kernel_size, stride, dilation, strict=True)
    return tuple((length - d * (k - 1) - 1) // s + 1 for length, k, s, d in axes)


def im2col(x, *, kernel_size, stride, padding, dilation):
    """Return every window of the images as a row.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C)
    kernel_size, stride, dilation : (int, int)
    padding : (top, bottom, left, right)

    Returns
    -------
    ndarray, shape (N*OH*OW, KH*KW*C)
    """
    padded = _pad(x, padding)
    out_size = _out_size(padded.shape[1:3], kernel_size, stride, dilation)
    rows = x.shape[0] * out_size[0] * out_size[1]
    # (N, OH, OW, KH, KW, C) -> (N*OH*OW, KH*KW*C)
    return _windows(padded, kernel_size, out_size, stride, dilation).reshape(
        rows, kernel_size[0] * kernel_size[1] * x.shape[3]
    )


def col2im(columns, *, x_shape, kernel_size, stride, padding, dilation):
    """Add every row back to the window that it came from: the adjoint of `im2col`.

    Parameters
    ----------
    columns : ndarray, shape (N*OH*OW, KH*KW*C)
    x_shape : (N, H, W, C)
    kernel_size, stride, padding, dilation
        As in `im2col`.

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    images, height, width, channels = x_shape
    top, bottom, left, right = padding
    padded = np.zeros((images, top + height + bottom, left + width + right, channels), columns.dtype)
    out_size = _out_size(padded.shape[1:3], kernel_size, stride, dilation)
    windows = _windows(padded, kernel_size, out_size, stride, dilation)
    rows = columns.reshape(windows.shape)
    for u, v in np.ndindex(*kernel_size):  # one place of the window at a time: there no two windows overlap
        windows[:, :, :, u, v] += rows[:, :, :, u, v]
    return padded[:, top : top + height, left : left + width]


def _filter_matrix(weight):
    """Return weight (C_out, C_in, KH, KW) as (KH*KW*C_in, C_out)."""
    return weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])


def _group(array, g, groups, axis=-1):
    """Return part g of ``groups`` equal parts along an axis."""
    return np.split(array, groups, axis)[g]


def conv2d_forward_im2col(x, weight, bias=None, *, stride, padding, dilation, groups, relu=False):
    """Cross-correlate images (N, H, W, C_in) with filters (C_out, C_in/groups, KH, KW).

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in)
    weight : ndarray, shape (C_out, C_in/groups, KH, KW)
    bias : ndarray, shape (C_out,), or None
    stride, dilation : (int, int)
    padding : (top, bottom, left, right)
    groups : int
    relu : bool
        Replace negative elements of ``out`` by 0.

    Returns
    -------
    ndarray, shape (N, OH, OW, C_out)

    Notes
    -----
    Needs N*OH*OW*KH*KW*C_in/groups elements for the columns.
    """
    kernel_size, top, bottom, left, right = weight.shape[2:], *padding
    size = x.shape[1] + top + bottom, x.shape[2] + left + right
    out = np.empty((x.shape[0], *_out_size(size, kernel_size, stride, dilation), weight.shape[0]), x.dtype)
    for g in range(groups):
        columns = im2col(
            _group(x, g, groups), kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation
        )
        maps = product(columns, _filter_matrix(_group(weight, g, groups, 0)))  # (N*OH*OW, C_out/groups)
        _group(out, g, groups)[...] = maps.reshape(*out.shape[:3], -1 if out.size else weight.shape[0] // groups)
    out = out if bias is None else out + bias
    return np.where(out <= 0, 0, out) if relu else out


def conv2d_backward_input_im2col(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of x, (N, H, W, C_in): grad_out times the filters, each row back to its window.

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C_out)
    weight : ndarray, shape (C_out, C_in/groups, KH, KW)
    input_size : (H, W)
    stride, padding, dilation, groups
        As in `conv2d_forward_im2col`.

    Returns
    -------
    ndarray, shape (N, H, W, C_in)
    """
    x_shape = (grad_out.shape[0], *input_size, weight.shape[1])
    grads = []
    for g in range(groups):
        filters = _group(weight, g, groups, 0)
        rows = _group(grad_out, g, groups).reshape(-1, filters.shape[0])
        columns = product(rows, _filter_matrix(filters).T)  # (N*OH*OW, C_out/g) @ (C_out/g, KH*KW*C_in/g)
        grads.append(
            col2im(
                columns,
                x_shape=x_shape,
                kernel_size=weight.shape[2:],
                stride=stride,
                padding=padding,
                dilation=dilation,
            )
        )
    return np.concatenate(grads, 3)


def conv2d_backward_weight_im2col(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of weight, (C_out, C_in/groups, KH, KW): the columns, transposed, times grad_out.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in)
    grad_out : ndarray, shape (N, OH, OW, C_out)
    kernel_size : (KH, KW)
    stride, padding, dilation, groups
        As in `conv2d_forward_im2col`.

    Returns
    -------
    ndarray, shape (C_out, C_in/groups, KH, KW)
    """
    grads = []
    for g in range(groups):
        part, grad = _group(x, g, groups), _group(grad_out, g, groups)
        columns = im2col(part, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
        rows = grad.reshape(-1, grad.shape[3])
        gradient = product(columns.T, rows)  # (KH*KW*C_in/g, N*OH*OW) @ (N*OH*OW, C_out/g)
        grads.append(gradient.reshape(*kernel_size, part.shape[3], -1).transpose(3, 2, 0, 1))
    return np.ascontiguousarray(np.concatenate(grads))
