"""Maximum and mean over windows of channels-last maps.

Each output pixel is the work of one pass over its window, all channels of a pixel together, so the
innermost loop runs over contiguous numbers. Parallel over images and rows of the output, which
overlapping windows do not share; backward runs over images, whose gradients they do not share.
"""

import numpy as np
from numba import prange

from minitorch_kernels import buffers
from minitorch_kernels._jit import kernel


@kernel
def _max_forward(x, window, out, argmax):
    kernel_height, kernel_width, sh, sw, top, left = window
    images, out_height, out_width, channels = out.shape
    _, height, width, _ = x.shape
    for task in prange(images * out_height):
        n, i = task // out_height, task % out_height
        for j in range(out_width):
            best, where = out[n, i, j], argmax[n, i, j]
            empty = True
            for u in range(max(0, top - i * sh), min(kernel_height, height + top - i * sh)):
                for v in range(max(0, left - j * sw), min(kernel_width, width + left - j * sw)):
                    pixel, position = x[n, i * sh + u - top, j * sw + v - left], u * kernel_width + v
                    if empty:
                        for c in range(channels):
                            best[c], where[c] = pixel[c], position
                        empty = False
                    else:
                        for c in range(channels):
                            # A NaN beats every number and no later value beats a NaN.
                            wins = (pixel[c] > best[c]) | ((pixel[c] != pixel[c]) & (best[c] == best[c]))
                            best[c] = pixel[c] if wins else best[c]
                            where[c] = position if wins else where[c]


@kernel
def _max_backward(grad_out, argmax, window, grad_x):
    kernel_height, kernel_width, sh, sw, top, left = window
    images, out_height, out_width, channels = grad_out.shape
    _, height, width, _ = grad_x.shape
    for n in prange(images):
        grad_x[n] = 0
        for i in range(out_height):
            for j in range(out_width):
                grad, where = grad_out[n, i, j], argmax[n, i, j]
                for u in range(max(0, top - i * sh), min(kernel_height, height + top - i * sh)):
                    for v in range(max(0, left - j * sw), min(kernel_width, width + left - j * sw)):
                        pixel, position = grad_x[n, i * sh + u - top, j * sw + v - left], u * kernel_width + v
                        for c in range(channels):
                            pixel[c] += grad[c] if where[c] == position else 0


@kernel
def _average_forward(x, window, count_include_pad, out):
    kernel_height, kernel_width, sh, sw, top, left = window
    images, out_height, out_width, channels = out.shape
    _, height, width, _ = x.shape
    for task in prange(images * out_height):
        n, i = task // out_height, task % out_height
        u_first, u_end = max(0, top - i * sh), min(kernel_height, height + top - i * sh)
        for j in range(out_width):
            v_first, v_end = max(0, left - j * sw), min(kernel_width, width + left - j * sw)
            total = out[n, i, j]
            total[:] = 0
            for u in range(u_first, u_end):
                for v in range(v_first, v_end):
                    pixel = x[n, i * sh + u - top, j * sw + v - left]
                    for c in range(channels):
                        total[c] += pixel[c]
            count = kernel_height * kernel_width if count_include_pad else (u_end - u_first) * (v_end - v_first)
            for c in range(channels):
                total[c] /= count


@kernel
def _average_backward(grad_out, window, count_include_pad, grad_x):
    kernel_height, kernel_width, sh, sw, top, left = window
    images, out_height, out_width, channels = grad_out.shape
    _, height, width, _ = grad_x.shape
    for n in prange(images):
        grad_x[n] = 0
        for i in range(out_height):
            u_first, u_end = max(0, top - i * sh), min(kernel_height, height + top - i * sh)
            for j in range(out_width):
                v_first, v_end = max(0, left - j * sw), min(kernel_width, width + left - j * sw)
                count = kernel_height * kernel_width if count_include_pad else (u_end - u_first) * (v_end - v_first)
                for u in range(u_first, u_end):
                    for v in range(v_first, v_end):
                        pixel = grad_x[n, i * sh + u - top, j * sw + v - left]
                        for c in range(channels):
                            pixel[c] += grad_out[n, i, j, c] / count


def _prepare(x, kernel_size, stride, padding):
    """Return the numbers of a window, and the output array."""
    top, bottom, left, right = padding
    images, height, width, channels = x.shape
    out_height = (height + top + bottom - kernel_size[0]) // stride[0] + 1
    out_width = (width + left + right - kernel_size[1]) // stride[1] + 1
    out = buffers.empty((images, out_height, out_width, channels), x.dtype)
    return (*kernel_size, *stride, top, left), out


def max_pool2d_forward(x, *, kernel_size, stride, padding):
    """Return the largest value of each window and its place in the window.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
    kernel_size, stride : (int, int)
    padding : (top, bottom, left, right), less than the kernel, so that no window lies in it wholly

    Returns
    -------
    out : ndarray, shape (N, OH, OW, C)
    argmax : ndarray, shape (N, OH, OW, C), uint8, or int32 for windows of more than 256
        u * KW + v of the first largest value in row-major order, or of the first NaN.
    """
    window, out = _prepare(x, kernel_size, stride, padding)
    argmax = buffers.empty(out.shape, np.uint8 if kernel_size[0] * kernel_size[1] <= 256 else np.int32)
    _max_forward(x, window, out, argmax)
    return out, argmax


def max_pool2d_backward(grad_out, argmax, *, input_size, kernel_size, stride, padding):
    """Return the gradient of x, shape (N, H, W, C): each output's goes to the place in ``argmax``.

    Parameters
    ----------
    grad_out, argmax : ndarray, shape (N, OH, OW, C), C-contiguous
    input_size : (H, W)
    kernel_size, stride, padding
        As in `max_pool2d_forward`.

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    grad_x = buffers.empty((len(grad_out), *input_size, grad_out.shape[3]), grad_out.dtype)
    _max_backward(grad_out, argmax, (*kernel_size, *stride, padding[0], padding[2]), grad_x)
    return grad_x


def avg_pool2d_forward(x, *, kernel_size, stride, padding, count_include_pad=True):
    """Return the mean of each window, (N, OH, OW, C); zeros of the padding count unless told not to.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
    kernel_size, stride, padding
        As in `max_pool2d_forward`.
    count_include_pad : bool

    Returns
    -------
    ndarray, shape (N, OH, OW, C)
    """
    window, out = _prepare(x, kernel_size, stride, padding)
    _average_forward(x, window, count_include_pad, out)
    return out


def avg_pool2d_backward(grad_out, *, input_size, kernel_size, stride, padding, count_include_pad=True):
    """Return the gradient of x, shape (N, H, W, C): each output's is shared out over its window.

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C), C-contiguous
    input_size : (H, W)
    kernel_size, stride, padding, count_include_pad
        As in `avg_pool2d_forward`.

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    grad_x = buffers.empty((len(grad_out), *input_size, grad_out.shape[3]), grad_out.dtype)
    _average_backward(grad_out, (*kernel_size, *stride, padding[0], padding[2]), count_include_pad, grad_x)
    return grad_x
