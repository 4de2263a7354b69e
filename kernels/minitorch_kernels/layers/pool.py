"""Maximum and mean over windows of channels-last maps.

Each output pixel takes one pass over its window, all channels of a pixel together, so that the innermost
loop runs over contiguous elements. Forward is parallel over images and rows of the output. Backward is
parallel over images alone, because overlapping windows add to the same pixels.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel


class Window(NamedTuple):
    """Windows of maximum pooling, in pixels; all int64."""

    height: int
    width: int
    row_stride: int
    column_stride: int
    top: int  # padding
    left: int


class Lines(NamedTuple):
    """Windows of average pooling along a row of W*C elements; all int64."""

    height: int  # pixels
    width: int  # pixels
    row_stride: int  # pixels
    top: int  # pixels of padding
    left: int  # elements of padding
    padded: int  # elements of a row with its padding
    channels: int


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


@parallel_kernel(tasks=lambda x: len(x))
def _average_forward(first_task, end_task, x, lines, starts, shares, out):
    """Average x (N, H, W*C) into out (N, OH, OW*C): first down the columns, then along the row of sums.

    ``starts`` (OW*C,) are the first elements of the windows in a padded row, ``shares`` (OH, OW*C) their weights.
    """
    images, out_height, line = out.shape
    _, height, width = x.shape
    for n in range(first_task, end_task):
        sums, total = np.zeros(lines.padded), np.empty(line)  # float64: windows may be large
        inside = sums[lines.left : lines.left + width]
        for i in range(out_height):
            row_above = i * lines.row_stride - lines.top
            first, end = max(0, row_above), min(height, row_above + lines.height)
            for h in range(first, end):
                _add_line(x[n, h], inside, h == first)
            result, share = out[n, i], shares[i]
            for k in range(line):
                total[k] = sums[starts[k]]
            for v in range(1, lines.width):
                shifted = sums[v * lines.channels :]
                for k in range(line):
                    total[k] += shifted[starts[k]]
            for k in range(line):
                result[k] = total[k] * share[k]


@parallel_kernel(tasks=lambda grad_x: len(grad_x))
def _average_backward(first_task, end_task, grad_out, window, sources, shares, grad_x):
    """The backward pass: each element of a row adds up the shares of the windows over it, for all rows of the windows.

    ``sources`` (T, W*C) are the indices of those windows' outputs in a row, or of a zero where there are fewer than T.
    """
    kernel_height, sh, top = window
    images, out_height, out_line = grad_out.shape
    _, height, width = grad_x.shape
    for n in range(first_task, end_task):
        parts, line = np.zeros(out_line + 1), np.empty(width)
        written = 0  # rows of this image that hold a gradient
        for i in range(out_height):
            grad, share = grad_out[n, i], shares[i]
            for k in range(out_line):
                parts[k] = grad[k] * share[k]
            for t in range(len(sources)):
                source = sources[t]
                for k in range(width):
                    line[k] = parts[source[k]] + (line[k] if t else 0.0)
            first, end = max(0, i * sh - top), min(height, i * sh - top + kernel_height)
            grad_x[n, written:first] = 0
            for h in range(first, end):
                _add_line(line, grad_x[n, h], h >= written)
            written = max(written, end)
        grad_x[n, written:] = 0


def _channels(pixels, channels):
    """Return the indices of all elements of some pixels of a row; unsigned, so that none can count from the end."""
    return (
        (np.asarray(pixels)[..., None] * channels + np.arange(channels))
        .reshape(*pixels.shape[:-1], -1)
        .astype(np.uintp)
    )


@lru_cache(maxsize=256)
def _window_sources(width, out_width, channels, kernel, stride, before):
    """Return ``sources`` of `_average_backward`; all sizes along a row."""
    most = -(-kernel // stride)
    columns = np.arange(width) + before
    windows = columns // stride - np.arange(most)[::-1, None]
    over = (windows >= 0) & (windows < out_width) & (columns - windows * stride < kernel)
    return np.where(np.repeat(over, channels, 1), _channels(windows, channels), out_width * channels).astype(np.uintp)


@lru_cache(maxsize=256)
def _average_plan(size, out_size, channels, kernel_size, stride, padding, count_include_pad):
    """Return lines, starts and shares of `_average_forward`."""
    top, bottom, left, right = padding
    starts = _channels(np.arange(out_size[1]) * stride[1], channels)
    inside = []
    for axis, before in enumerate((top, left)):
        first = np.arange(out_size[axis]) * stride[axis] - before
        inside.append(np.minimum(first + kernel_size[axis], size[axis]) - np.maximum(first, 0))
    counts = np.outer(*inside) if not count_include_pad else np.full(out_size, kernel_size[0] * kernel_size[1])
    shares = np.repeat(1 / counts, channels, axis=1)
    padded = (left + size[1] + right) * channels
    return Lines(*kernel_size, stride[0], top, left * channels, padded, channels), starts, shares


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
        plan = _average_plan(*sizes, kernel_size, stride, padding, count_include_pad)
        _average_forward(_lines(x), *plan, _lines(out))
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
    sizes = input_size, grad_out.shape[1:3], grad_out.shape[3]
    *_, shares = _average_plan(*sizes, kernel_size, stride, padding, count_include_pad)
    sources = _window_sources(input_size[1], sizes[1][1], sizes[2], kernel_size[1], stride[1], padding[2])
    window = kernel_size[0], stride[0], padding[0]
    _average_backward(_lines(grad_out), window, sources, shares, _lines(grad_x))
    return grad_x
