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
from minitorch_kernels._jit import get_num_threads, helper, kernel
from minitorch_kernels.gemm import whole_tiles
from minitorch_kernels.register_tile import ROWS, channel_tile
from minitorch_kernels.vectors import panel_width

_CHUNK = 8 * ROWS  # rows of a task
_LOCAL_BYTES = 1 << 17  # of padded image rows that a task copies, and filters while they are in its cache
_SPLITS = 16  # ranges of images in a weight gradient, whatever the number of threads


def fits(channels, filters, groups, dtype):
    """Return True for one filter a channel, where a panel of channels is full at least once."""
    return groups == channels == filters and channels >= panel_width(dtype)


@lru_cache(maxsize=256)
def _first_channels(channels, width):
    """Return where panels of ``width`` channels begin; the last begins early enough to be full."""
    return np.minimum(np.arange(0, channels, width), channels - width)


@kernel
def _filter_pixels(a, filters, out, start, a_rows, c_rows, segments, panels, width):
    """Compute rows of out from rows of a, flat arrays; filters (taps, C), ``panels`` their first channels.

    Parallel over chunks of rows, each with all panels: where two overlap they write the same numbers.
    """
    taps, flat = len(filters), filters.reshape(-1)
    for task in prange(-(-len(a_rows) // _CHUNK)):
        for i in range(task * _CHUNK, min((task + 1) * _CHUNK, len(a_rows)), ROWS):
            for channel in panels:
                call = (i, 0, taps, 1, channel, 0, channel, 0, channel, channel, 0, width)
                channel_tile(a, flat, out, start, a_rows, c_rows, segments, call)


def correlate(a, weight, taps, tap_offsets, bias, out, a_rows, c_rows):
    """Compute rows of out from rows of a with some taps of weight (C, 1, 1, KH, KW); parameters as in `direct`."""
    channels = len(weight)
    filters = np.stack([weight[:, 0, 0, u, v] for u, v in taps])  # (taps, C)
    start = np.zeros(channels, a.dtype) if bias is None else bias
    segments = np.array([tap_offsets, np.arange(len(taps)) * channels], np.int64)
    width = panel_width(a.dtype)
    panels = _first_channels(channels, width)
    _filter_pixels(a.reshape(-1), filters, out.reshape(-1), start, a_rows, c_rows, segments, panels, width)


class _Rows:
    """How images are cut into shares: output rows that one copy of padded image rows serves."""

    def __init__(self, x, out_size, kernel_size, stride, padding, dilation):
        _, height, width, channels = x.shape
        self.taps = [dilation[0] * u for u in range(kernel_size[0])], [dilation[1] * v for v in range(kernel_size[1])]
        self.padded = (padding[2] + width + padding[3]) * channels  # numbers in a row
        fitting = _LOCAL_BYTES // (self.padded * x.itemsize * stride[0])
        self.together = max(1, min(fitting, out_size[0]))
        self.local = (self.together - 1) * stride[0] + self.taps[0][-1] + 1
        self.numbers = (self.together, self.padded, stride[0], padding[0], padding[2] * channels)

    def scratch(self, count, dtype):
        """Return memory for the rows of ``count`` shares; fresh pages for each would take more time than filtering."""
        return buffers.empty((count, self.local, self.padded), dtype)


@helper
def _copy_rows(image, first, left, local):
    """Copy rows of an image (H, W*C), from row ``first`` on, which may lie outside, into local (rows, PW*C)."""
    height, width = image.shape
    for r in range(len(local)):
        line = local[r]
        if 0 <= first + r < height:
            source, inside = image[first + r], line[left : left + width]
            for k in range(width):
                inside[k] = source[k]
            line[:left] = 0
            line[left + width :] = 0
        else:
            line[:] = 0


@kernel
def _filter_images(x, filters, out, start, a_rows, c_rows, segments, panels, scratch, rows, steps):
    """Filter images x (N, H, W*C) into out (N, OH, OW*C), by shares of output rows.

    Each thread copies the image rows of a share into its part of ``scratch`` (threads, rows, PW*C).
    """
    together, padded, row_step, top, left = rows
    a_step, length, channels, width = steps
    images, out_height, out_width = out.shape
    shares, filters_flat, out_flat = -(-out_height // together), filters.reshape(-1), out.reshape(-1)
    threads = len(scratch)
    for thread in prange(threads):
        local = scratch[thread]
        local_flat = local.reshape(-1)
        for share in range(thread, images * shares, threads):
            n, first = share // shares, share % shares * together
            _copy_rows(x[n], first * row_step - top, left, local)
            for i in range(min(together, out_height - first)):
                a, c = i * row_step * padded, (n * out_height + first + i) * out_width
                for m in range(0, len(a_rows), ROWS):
                    for channel in panels:
                        offsets = (a + channel, a_step, channel, channels, c + channel, channel)
                        call = (m, 0, segments.shape[1], length, *offsets, 0, width)
                        channel_tile(local_flat, filters_flat, out_flat, start, a_rows, c_rows, segments, call)


def forward(x, weight, bias, out_size, *, stride, padding, dilation):
    """Filter images x (N, H, W, C) by weight (C, 1, KH, KW); parameters as in `direct`, no tap outside the padding."""
    images, height, width, channels = x.shape
    kernel_height, kernel_width = weight.shape[2:]
    rows = _Rows(x, out_size, weight.shape[2:], stride, padding, dilation)
    filters = np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0)).reshape(-1, channels)  # (KH*KW, C)
    out = buffers.empty((images, *out_size, channels), x.dtype)
    start = np.zeros(channels, x.dtype) if bias is None else bias
    j = np.arange(out_size[1]) * channels
    segments = np.stack([np.array(rows.taps[0]) * rows.padded, np.arange(kernel_height) * kernel_width * channels])
    panel = panel_width(x.dtype)
    panels = _first_channels(channels, panel)
    lines = x.reshape(images, height, width * channels), out.reshape(images, out_size[0], out_size[1] * channels)
    steps = (dilation[1] * channels, kernel_width, channels, panel)
    tables = whole_tiles(j * stride[1]), whole_tiles(j), segments, panels
    scratch = rows.scratch(get_num_threads(), x.dtype)
    _filter_images(lines[0], filters, lines[1], start, *tables, scratch, rows.numbers, steps)
    return out


@kernel
def _sum_images(x, grad_out, sums, zeros, tap_rows, sum_rows, segments, bounds, panels, scratch, rows, steps):
    """Sum up products over output pixels; x (N, H, W*C), grad_out (N, OH, OW*C), sums (splits, panels, taps, width).

    Parallel over splits of the images' shares; each task owns its part of ``sums``.
    """
    together, _, row_step, top, left = rows
    a_step, length, channels = steps
    _, out_height, out_width = grad_out.shape
    splits, _, taps, width = sums.shape
    shares, grad_flat, flat = -(-out_height // together), grad_out.reshape(-1), sums.reshape(-1)
    for split in prange(splits):
        local = scratch[split]
        local_flat = local.reshape(-1)
        for share in range(bounds[split], bounds[split + 1]):
            n, first = share // shares, share % shares * together
            _copy_rows(x[n], first * row_step - top, left, local)
            b, end = (n * out_height + first) * out_width, min(together, out_height - first)
            go_on = min(share - bounds[split], 1)
            for p in range(len(panels)):
                for m in range(0, len(tap_rows), ROWS):
                    c = (split * len(panels) + p) * taps * width
                    call = (m, 0, end, length, panels[p], a_step, b + panels[p], channels, c, 0, go_on, width)
                    channel_tile(local_flat, grad_flat, flat, zeros, tap_rows, sum_rows, segments, call)


def backward_weight(x, grad_out, kernel_size, *, stride, padding, dilation):
    """Return the gradient of the filters, shape (C, 1, KH, KW), for x (N, H, W, C) and grad_out (N, OH, OW, C)."""
    images, height, width, channels = x.shape
    out_size, panel = grad_out.shape[1:3], panel_width(x.dtype)
    rows = _Rows(x, out_size, kernel_size, stride, padding, dilation)
    taps = [u * rows.padded + v * channels for u in rows.taps[0] for v in rows.taps[1]]
    i = np.arange(rows.together)
    segments = np.stack([i * stride[0] * rows.padded, i * out_size[1] * channels])
    shares = images * -(-out_size[0] // rows.together)
    splits = min(_SPLITS, shares)
    bounds = np.linspace(0, shares, splits + 1).astype(np.int64)
    panels = _first_channels(channels, panel)
    sums = buffers.empty((splits, len(panels), len(taps), panel), x.dtype)
    tables = whole_tiles(np.array(taps)), whole_tiles(np.arange(len(taps)) * panel), segments, bounds, panels
    lines = x.reshape(images, height, width * channels), grad_out.reshape(*grad_out.shape[:2], out_size[1] * channels)
    scratch, steps = rows.scratch(splits, x.dtype), (stride[1] * channels, out_size[1], channels)
    _sum_images(*lines, sums, np.zeros(panel, x.dtype), *tables, scratch, rows.numbers, steps)
    grad_weight = np.empty((channels, len(taps)), x.dtype)
    for p, channel in enumerate(panels):
        grad_weight[channel : channel + panel] = sums[:, p].sum(axis=0).T
    return grad_weight.reshape(channels, 1, *kernel_size)
