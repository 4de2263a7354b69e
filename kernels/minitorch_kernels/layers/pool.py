"""Maximum and mean over windows of channels-last maps.

Maximum: each output pixel takes one pass over its window, all channels of a pixel together, so that the innermost loop
runs over contiguous elements. Forward is parallel over images and rows of the output. Backward is parallel over images
alone, because overlapping windows add to the same pixels.

Mean: a row of outputs first adds up rows of the image, then pixels along the sums. Backward does the same with the
gradients of the windows that have a pixel. Both are parallel over images and rows of the result.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel

_MANY = 16  # channels that are worth a loop for each pixel; fewer are gathered, unless windows have many columns


class Window(NamedTuple):
    """Windows of maximum pooling, in pixels; all int64."""

    height: int
    width: int
    row_stride: int
    column_stride: int
    top: int  # padding
    left: int


class Additions(NamedTuple):
    """What is added for each row and each pixel of a result: ranges of rows, then of pixels in their sum; int64."""

    rows: np.ndarray  # (rows of the result, 2): the first, and the end
    pixels: np.ndarray  # (pixels of a row of the result, 2)
    elements: np.ndarray  # (T, elements of a row of the result), see `_elements`; T = 0 with `_MANY` channels


class Shares(NamedTuple):
    """What the sum of a window is multiplied by; rows of windows of one kind have the same number of rows of pixels."""

    values: np.ndarray  # (kinds, OW*C), float64
    kinds: np.ndarray  # (OH,), int64


@compiled
def _first_inside(padding, position):
    """Return the first index of a window that begins at ``position - padding`` and lies inside the image."""
    return max(0, padding - position)


@compiled
def _end_inside(size, padding, position, length):
    """Return the end of the indices of that window, ``length`` long, in an image of ``size`` pixels."""
    return min(length, size + padding - position)


@compiled
def _take_larger(pixel, leader, following, won, here):
    """following = max(pixel, leader) in each channel; ``won`` becomes ``here`` where the pixel is larger."""
    for c in range(len(pixel)):
        # A NaN beats every value and no later value beats a NaN.
        new, old, position = pixel[c], leader[c], won[c]  # all loaded first: a choice, not a branch
        wins = (new > old) | ((new != new) & (old == old))
        following[c] = new if wins else old
        won[c] = here if wins else position


@parallel_kernel(tasks=lambda out: out.shape[0] * out.shape[1])
def _max_forward(first_task, end_task, x, window, out, argmax):
    """Fill out (N, OH, OW, C) and argmax, a row of outputs in each task.

    argmax is kept as a float until the end, so that it has the same SIMD width as the values. The new leader goes to
    another row than the old one: in place, it would be written through a mask, which is slow.
    """
    images, out_height, out_width, channels = out.shape
    _, height, width, _ = x.shape
    for task in range(first_task, end_task):
        n, i = task // out_height, task % out_height
        leaders, won = np.empty((2, channels), x.dtype), np.empty(channels, x.dtype)
        row = i * window.row_stride
        top, bottom = _first_inside(window.top, row), _end_inside(height, window.top, row, window.height)
        for j in range(out_width):
            column = j * window.column_stride
            left, right = _first_inside(window.left, column), _end_inside(width, window.left, column, window.width)
            leader, seen = x[n, row + top - window.top, column + left - window.left], 1
            won[:] = x.dtype.type(top * window.width + left)
            for u in range(top, bottom):
                for v in range(left + 1 if u == top else left, right):
                    pixel, following = x[n, row + u - window.top, column + v - window.left], leaders[seen % 2]
                    _take_larger(pixel, leader, following, won, x.dtype.type(u * window.width + v))
                    leader = following
                    seen += 1
            best, winner = out[n, i, j], argmax[n, i, j]
            for c in range(channels):
                best[c] = leader[c]
            for c in range(channels):
                winner[c] = np.int32(won[c])


@compiled
def _add_to_winner(grad, winner, position, pixel):
    """Add the gradient of a window to one of its pixels, in the channels where that pixel was the largest."""
    for c in range(len(grad)):
        pixel[c] += grad[c] if winner[c] == position else 0


@parallel_kernel(tasks=lambda grad_x: len(grad_x))
def _max_backward(first_task, end_task, grad_out, argmax, window, grad_x):
    images, out_height, out_width, _ = grad_out.shape
    _, height, width, _ = grad_x.shape
    for n in range(first_task, end_task):
        grad_x[n] = 0
        for window_index in range(out_height * out_width):
            i, j = window_index // out_width, window_index % out_width
            row, column = i * window.row_stride, j * window.column_stride
            left, right = _first_inside(window.left, column), _end_inside(width, window.left, column, window.width)
            for u in range(_first_inside(window.top, row), _end_inside(height, window.top, row, window.height)):
                for v in range(left, right):
                    pixel, position = grad_x[n, row + u - window.top, column + v - window.left], u * window.width + v
                    _add_to_winner(grad_out[n, i, j], argmax[n, i, j], position, pixel)


@compiled
def _add_line(line, total, is_first):
    """total += line, or total = line for the first one, before which total holds arbitrary values."""
    if is_first:
        for k in range(len(total)):
            total[k] = line[k]
    else:
        for k in range(len(total)):
            total[k] += line[k]


@compiled
def _add_along(line, additions, total):
    """Fill ``total`` with sums of pixels of a line, after which there is a zero.

    Pixel by pixel, 128 channels take half the time of gathering their elements, and 6 channels three times as long.
    """
    pixels, elements = additions.pixels, additions.elements
    channels = len(total) // len(pixels)
    for t in range(len(elements)):
        source = elements[t]
        for k in range(len(total)):
            total[k] = line[source[k]] + (total[k] if t else 0.0)
    for p in range(0 if len(elements) else len(pixels)):
        (first, end), own = pixels[p], total[p * channels : (p + 1) * channels]
        if first >= end:
            own[:] = 0
        for q in range(first, end):
            _add_line(line[q * channels : (q + 1) * channels], own, q == first)


@parallel_kernel(tasks=lambda out: out.shape[0] * out.shape[1])
def _average_forward(first_task, end_task, x, additions, shares, out):
    """Average windows of x (N, H, W*C) into out (N, OH, OW*C)."""
    line, total = np.zeros(x.shape[2] + 1), np.empty(out.shape[2])  # float64: windows may be large
    sums = line[:-1]
    for task in range(first_task, end_task):
        n, i = task // out.shape[1], task % out.shape[1]
        first, end = additions.rows[i]
        for h in range(first, end):
            _add_line(x[n, h], sums, h == first)
        _add_along(line, additions, total)
        result, share = out[n, i], shares.values[shares.kinds[i]]
        for k in range(len(result)):
            result[k] = total[k] * share[k]


@compiled
def _add_shares(grad, share, parts, is_first):
    """parts += grad * share, or parts = grad * share for the first one."""
    if is_first:
        for k in range(len(parts)):
            parts[k] = grad[k] * share[k]
    else:
        for k in range(len(parts)):
            parts[k] += grad[k] * share[k]


@parallel_kernel(tasks=lambda grad_x: grad_x.shape[0] * grad_x.shape[1])
def _average_backward(first_task, end_task, grad_out, additions, shares, grad_x):
    """The backward pass, from grad_out (N, OH, OW*C) to grad_x (N, H, W*C): a pixel adds up its shares of windows.

    Rows of pixels that lie in the same windows have the same gradient.
    """
    line, total, rows = np.zeros(grad_out.shape[2] + 1), np.empty(grad_x.shape[2]), additions.rows
    parts = line[:-1]
    for task in range(first_task, end_task):
        n, h = task // grad_x.shape[1], task % grad_x.shape[1]
        first, end = rows[h]
        if task == first_task or h == 0 or first != rows[h - 1, 0] or end != rows[h - 1, 1]:
            if first >= end:
                parts[:] = 0
            for i in range(first, end):
                _add_shares(grad_out[n, i], shares.values[shares.kinds[i]], parts, i == first)
            _add_along(line, additions, total)
        _add_line(total, grad_x[n, h], True)


def _windows(size, out_size, kernel, stride, before):
    """Return the first and the end of the pixels of each window along an axis, (windows, 2)."""
    first = np.arange(out_size) * stride - before
    return np.stack([np.maximum(0, first), np.minimum(size, first + kernel)], axis=1)


def _windows_over(size, out_size, kernel, stride, before):
    """Return the first and the end of the windows that have each pixel along an axis, (pixels, 2)."""
    padded = np.arange(size) + before
    first, end = (padded - kernel) // stride + 1, padded // stride + 1
    return np.stack([np.maximum(0, first), np.minimum(out_size, end)], axis=1)


def _elements(pixels, channels, zero):
    """Return the indices of all elements that `_add_along` adds, a row for the first of each sum, and so on.

    ``zero`` is the index of a zero, for sums that have fewer elements.
    """
    most = np.max(pixels[:, 1] - pixels[:, 0], initial=1)
    added = pixels[:, :1] + np.arange(most)  # (P, T)
    indices = added[..., None] * channels + np.arange(channels)  # (P, T, C)
    indices = np.where((added < pixels[:, 1:])[..., None], indices, zero)
    return np.ascontiguousarray(indices.swapaxes(0, 1).reshape(most, -1).astype(np.uintp))


@lru_cache(maxsize=256)
def _average_plan(size, out_size, channels, kernel_size, stride, padding, count_include_pad):
    """Return the `Additions` of the forward and of the backward pass, and the `Shares`."""
    axes = list(zip(size, out_size, kernel_size, stride, padding[::2], strict=True))
    both, gathers = [], max(channels, kernel_size[1]) < _MANY
    for ranges, length in ((_windows, size[1]), (_windows_over, out_size[1])):
        rows, pixels = (ranges(*axis) for axis in axes)
        elements = _elements(pixels, channels, length * channels) if gathers else np.zeros((0, 0), np.uintp)
        both.append(Additions(rows, pixels, elements))
    rows, columns = (end - first for first, end in (both[0].rows.T, both[0].pixels.T))
    if count_include_pad:
        rows, columns = (np.full(*pair) for pair in zip(out_size, kernel_size, strict=True))
    rows, kinds = np.unique(rows, return_inverse=True)
    return *both, Shares(np.repeat(1 / np.outer(rows, columns), channels, axis=1), kinds)


def _empty_output(x, kernel_size, stride, padding):
    """Return an empty output array."""
    top, bottom, left, right = padding
    images, height, width, channels = x.shape
    out_height = (height + top + bottom - kernel_size[0]) // stride[0] + 1
    out_width = (width + left + right - kernel_size[1]) // stride[1] + 1
    return memory.empty((images, out_height, out_width, channels), x.dtype)


def _lines(maps):
    """Return maps (N, H, W, C) as (N, H, W*C)."""
    images, height, width, channels = maps.shape
    return maps.reshape(images, height, width * channels)


def max_pool2d_forward(x, *, kernel_size, stride, padding):
    """Return the largest value of each window and its index in the window.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
    kernel_size, stride : (int, int)
    padding : (top, bottom, left, right), less than the kernel, so that no window lies entirely in the padding

    Returns
    -------
    out : ndarray, shape (N, OH, OW, C)
    argmax : ndarray, shape (N, OH, OW, C), uint8, or int32 for windows of more than 256
        u * KW + v of the first largest value in row-major order, or of the first NaN.
    """
    out = _empty_output(x, kernel_size, stride, padding)
    argmax = memory.empty(out.shape, np.uint8 if kernel_size[0] * kernel_size[1] <= 256 else np.int32)
    _max_forward(x, Window(*kernel_size, *stride, padding[0], padding[2]), out, argmax)
    return out, argmax


def max_pool2d_backward(grad_out, argmax, *, input_size, kernel_size, stride, padding):
    """Return the gradient of x, shape (N, H, W, C): each output's goes to the pixel in ``argmax``.

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
    grad_x = memory.empty((len(grad_out), *input_size, grad_out.shape[3]), grad_out.dtype)
    _max_backward(grad_out, argmax, Window(*kernel_size, *stride, padding[0], padding[2]), grad_x)
    return grad_x


def avg_pool2d_forward(x, *, kernel_size, stride, padding, count_include_pad=True):
    """Return the mean of each window, (N, OH, OW, C); zeros of the padding count unless ``count_include_pad`` is False.

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
    out = _empty_output(x, kernel_size, stride, padding)
    if out.size:
        sizes = x.shape[1:3], out.shape[1:3], x.shape[3]
        additions, _, shares = _average_plan(*sizes, kernel_size, stride, padding, count_include_pad)
        _average_forward(_lines(x), additions, shares, _lines(out))
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
    grad_x = memory.empty((len(grad_out), *input_size, grad_out.shape[3]), grad_out.dtype)
    sizes = tuple(input_size), grad_out.shape[1:3], grad_out.shape[3]
    _, additions, shares = _average_plan(*sizes, kernel_size, stride, padding, count_include_pad)
    _average_backward(_lines(grad_out), additions, shares, _lines(grad_x))
    return grad_x
