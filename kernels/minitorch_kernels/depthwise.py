"""Depthwise convolution: each channel has a filter of its own, and no sum runs over channels.

    out[n, i, j, c] = bias[c] + sum over u, v of x[n, i*sh + u*dh - top, j*sw + v*dw - left, c] * weight[c, u, v]

There is nothing to share between channels, so vectors of channels are multiplied lane by lane
(`channel_tile`), KH * KW products a number: what takes time is loading. `direct` plans where the numbers
lie, as for any convolution, and hands over here.
"""

from functools import lru_cache

import numpy as np
from numba import prange

from minitorch_kernels import buffers
from minitorch_kernels._jit import kernel
from minitorch_kernels.gemm import whole_tiles
from minitorch_kernels.register_tile import ROWS, channel_tile
from minitorch_kernels.vectors import panel_width

_CHUNK = 8 * ROWS  # rows of a task
_PIXELS = 64  # that one tile of a weight gradient sums up at least
_SPLITS = 16  # ranges of images in a weight gradient, whatever the number of threads


def fits(channels, filters, groups, dtype):
    """Return True for one filter a channel, where a panel of channels is full at least once."""
    return groups == channels == filters and channels >= panel_width(dtype)


@lru_cache(maxsize=256)
def _first_channels(channels, width):
    """Return where panels of ``width`` channels begin; the last begins early enough to be full."""
    return np.minimum(np.arange(0, channels, width), channels - width)


@kernel
def _filter_pixels(a, filters, out, start, a_rows, c_rows, segments, panels):
    """Compute rows of out from rows of a, flat arrays; filters (taps, C), ``panels`` their first channels.

    Parallel over chunks of rows, each with all panels: where two overlap they write the same numbers.
    """
    taps, flat = len(filters), filters.reshape(-1)
    for task in prange(-(-len(a_rows) // _CHUNK)):
        for i in range(task * _CHUNK, min((task + 1) * _CHUNK, len(a_rows)), ROWS):
            for channel in panels:
                call = (i, 0, taps, 1, channel, 0, channel, 0, channel, channel, 0)
                channel_tile(a, flat, out, start, a_rows, c_rows, segments, call)


def correlate(a, weight, taps, tap_offsets, bias, out, a_rows, c_rows):
    """Compute rows of out from rows of a with some taps of weight (C, 1, 1, KH, KW); parameters as in `direct`."""
    channels = len(weight)
    filters = np.ascontiguousarray(np.stack([weight[:, 0, 0, u, v] for u, v in taps]))
    start = np.zeros(channels, a.dtype) if bias is None else bias
    segments = np.array([tap_offsets, np.arange(len(taps)) * channels], np.int64)
    panels = _first_channels(channels, panel_width(a.dtype))
    _filter_pixels(a.reshape(-1), filters, out.reshape(-1), start, a_rows, c_rows, segments, panels)


@kernel
def _sum_pixels(x, grad_out, sums, zeros, tap_rows, sum_rows, segments, bounds, panels, numbers):
    """Sum up products over output pixels, a segment each output row; sums (splits, panels, taps, width).

    Parallel over splits of the output rows and panels of channels; each task owns its part of ``sums``.
    """
    a_step, length, channels, together = numbers
    splits, _, taps, width = sums.shape
    flat = sums.reshape(-1)
    for task in prange(splits * len(panels)):
        split, channel = task // len(panels), panels[task % len(panels)]
        for first in range(bounds[split], bounds[split + 1], together):  # a few rows, still near for all taps
            end, go_on = min(first + together, bounds[split + 1]), min(first - bounds[split], 1)
            for i in range(0, len(tap_rows), ROWS):
                offsets = (channel, a_step, channel, channels, task * taps * width, 0)
                call = (i, first, end, length, *offsets, go_on)
                channel_tile(x, grad_out, flat, zeros, tap_rows, sum_rows, segments, call)


def backward_weight(padded, grad_out, kernel_size, stride, dilation):
    """Return the gradient of the filters, shape (C, 1, KH, KW).

    Parameters
    ----------
    padded : ndarray, shape (N, PH, PW, C), C-contiguous, float32 or float64
        The images with their padding.
    grad_out : ndarray, shape (N, OH, OW, C), C-contiguous
    kernel_size, stride, dilation : (int, int)
    """
    images, height, width, channels = padded.shape
    _, out_height, out_width, _ = grad_out.shape
    (sh, sw), (dh, dw) = stride, dilation
    taps = [(u * dh * width + v * dw) * channels for u, v in np.ndindex(*kernel_size)]
    panel = panel_width(padded.dtype)
    n, i = np.divmod(np.arange(images * out_height), out_height)
    rows_of_x, rows_of_grad = (n * height + i * sh) * width, (n * out_height + i) * out_width
    segments = np.stack([rows_of_x, rows_of_grad]) * channels
    splits = min(_SPLITS, len(n))
    bounds = np.linspace(0, len(n), splits + 1).astype(np.int64)
    panels = _first_channels(channels, panel)
    sums = buffers.empty((splits, len(panels), len(taps), panel), padded.dtype)
    tap_rows, sum_rows = whole_tiles(np.array(taps)), whole_tiles(np.arange(len(taps)) * panel)
    numbers = (sw * channels, out_width, channels, max(1, _PIXELS // out_width))
    zeros = np.zeros(panel, padded.dtype)
    x, grads = padded.reshape(-1), grad_out.reshape(-1)
    _sum_pixels(x, grads, sums, zeros, tap_rows, sum_rows, segments, bounds, panels, numbers)
    grad_weight = np.empty((channels, len(taps)), padded.dtype)
    for p, channel in enumerate(panels):
        grad_weight[channel : channel + panel] = sums[:, p].sum(axis=0).T
    return grad_weight.reshape(channels, 1, *kernel_size)
