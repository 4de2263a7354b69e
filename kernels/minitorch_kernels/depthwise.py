"""Depthwise convolution: each channel has a filter of its own, and no sum runs over channels.

    out[n, i, j, c] = bias[c] + sum over u, v of x[n, i*sh + u*dh - top, j*sw + v*dw - left, c] * weight[c, u, v]

There is nothing to share between channels, so vectors of channels are multiplied lane by lane
(`channel_tile`), KH * KW products a number: what takes time is memory, and no image is copied to give it
a border of zeros. Instead the output is cut into regions whose pixels see the same taps,

    corner   top edge   corner        a corner of a 3 x 3 filter with padding 1 sees 2 x 2 taps,
    left     inside     right         an edge 2 x 3 or 3 x 2,
    corner   bottom     corner        and nearly all pixels see all nine,

and each region is a sum over its own taps. In the input gradient with a stride, the pixels between the
windows' centres are regions of their own; see `regions`.
"""

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import prange

from minitorch_kernels import buffers
from minitorch_kernels._jit import kernel
from minitorch_kernels.gemm import whole_tiles
from minitorch_kernels.regions import grid, input_axes, output_axis, step_between
from minitorch_kernels.register_tile import ROWS, channel_tile
from minitorch_kernels.vectors import panel_width

_CHUNK = 16  # tiles of a task
_PIECE_BYTES = 1 << 17  # of image rows that a weight gradient goes through tap by tap, while they are in the cache
_SPLITS = 16  # ranges of images in a weight gradient, whatever the number of threads


def fits(channels, filters, groups, dtype):
    """Return True for one filter a channel, where a panel of channels is full at least once."""
    return groups == channels == filters and channels >= panel_width(dtype)


# --------------------------------------------------------------------- forward, input gradient


class _Plan(NamedTuple):
    """What `_filter_images` reads and writes for one image; all offsets in numbers."""

    a_rows: np.ndarray  # of each pixel, in whole tiles of pixels of one region
    c_rows: np.ndarray
    segments: np.ndarray  # a row of taps each
    tiles: np.ndarray  # (T, 5): first and end of its segments, taps in a row, steps from tap to tap in a and in filters


def _plan(row_axes, column_axes, line, out_line, channels, kernel_width):
    """Return the plan, and whether each pixel sees a tap; the lines are the pixels in a row of input and output."""
    a_rows, c_rows, segments, tiles, whole = [], [], [], [], True
    for rows, columns in itertools.product(row_axes, column_axes):
        for (top, bottom, row_taps), (left, right, taps) in itertools.product(rows.regions(), columns.regions()):
            if not row_taps or not taps:
                whole = False
                continue
            i, j = np.arange(top, bottom), np.arange(left, right)
            pixels = grid(i * rows.source_step * line, j * columns.source_step)
            a_rows.append(whole_tiles(pixels * channels))
            pixels = grid((rows.first + i * rows.step) * out_line, columns.first + j * columns.step)
            c_rows.append(whole_tiles(pixels * channels))
            (first_tap, first_shift), (steps, shifts) = taps[0], map(step_between, zip(*taps, strict=True))
            begin = len(segments)
            segments += [((shift * line + first_shift), u * kernel_width + first_tap) for u, shift in row_taps]
            tile = (begin, len(segments), len(taps), shifts * channels, steps * channels)
            tiles += [tile] * (len(a_rows[-1]) // ROWS)
    segments = np.array(segments, np.int64).reshape(-1, 2).T * channels
    tables = (np.concatenate(table) if table else np.zeros(0, np.int64) for table in (a_rows, c_rows))
    return _Plan(*tables, np.ascontiguousarray(segments), np.array(tiles, np.int64).reshape(-1, 5)), whole


@lru_cache(maxsize=256)
def _forward_plan(size, out_size, channels, kernel_size, stride, padding, dilation):
    axes = [[output_axis(out_size[k], size[k], kernel_size[k], stride[k], padding[2 * k], dilation[k])] for k in (0, 1)]
    return _plan(*axes, size[1], out_size[1], channels, kernel_size[1])


@lru_cache(maxsize=256)
def _input_plan(size, out_size, channels, kernel_size, stride, padding, dilation):
    axes = [input_axes(out_size[k], size[k], kernel_size[k], stride[k], padding[2 * k], dilation[k]) for k in (0, 1)]
    return _plan(*axes, out_size[1], size[1], channels, kernel_size[1])


@lru_cache(maxsize=256)
def _first_channels(channels, width):
    """Return where panels of ``width`` channels begin; the last begins early enough to be full."""
    return np.minimum(np.arange(0, channels, width), channels - width)


@kernel
def _filter_images(x, filters, out, start, a_rows, c_rows, segments, tiles, panels, numbers):
    """Compute the pixels of out from pixels of x, flat arrays; filters (KH*KW*C,), ``panels`` their first channels.

    Parallel over images and chunks of tiles, each with all panels: where two overlap they write the same numbers.
    """
    images, image, out_image, width = numbers
    chunks = -(-len(tiles) // _CHUNK)
    for task in prange(images * chunks):
        n, first = task // chunks, task % chunks * _CHUNK
        for t in range(first, min(first + _CHUNK, len(tiles))):
            begin, end, terms, a_step, b_step = tiles[t]
            for channel in panels:
                a, c = n * image + channel, n * out_image + channel
                call = (t * ROWS, begin, end, terms, a, a_step, channel, b_step, c, channel, 0, width)
                channel_tile(x, filters, out, start, a_rows, c_rows, segments, call)


def _filter(x, weight, bias, out_size, plan, whole):
    """Run a plan on x (N, H, W, C) with filters (C, 1, KH, KW)."""
    images, *size, channels = x.shape
    filters = np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0)).reshape(-1)  # (KH*KW*C,)
    out = buffers.empty((images, *out_size, channels), x.dtype)
    start = np.zeros(channels, x.dtype) if bias is None else bias
    if not whole:
        out[...] = start  # what pixels that see no tap keep
    width = panel_width(x.dtype)
    numbers = images, size[0] * size[1] * channels, out_size[0] * out_size[1] * channels, width
    _filter_images(x.reshape(-1), filters, out.reshape(-1), start, *plan, _first_channels(channels, width), numbers)
    return out


def forward(x, weight, bias, out_size, *, stride, padding, dilation):
    """Filter images x (N, H, W, C) by weight (C, 1, KH, KW); parameters as in `direct`."""
    plan = _forward_plan(x.shape[1:3], out_size, x.shape[3], weight.shape[2:], stride, padding, dilation)
    return _filter(x, weight, bias, out_size, *plan)


def backward_input(grad_out, weight, input_size, *, stride, padding, dilation):
    """Return the gradient of the images, shape (N, H, W, C); parameters as in `direct`."""
    out_size, channels = grad_out.shape[1:3], grad_out.shape[3]
    plan = _input_plan(input_size, out_size, channels, weight.shape[2:], stride, padding, dilation)
    return _filter(grad_out, weight, None, input_size, *plan)


# -------------------------------------------------------------------------------- weight gradient


class _Pieces(NamedTuple):
    """What `_sum_images` reads and writes for one image: rows of regions, in pieces that fit the cache."""

    tap_rows: np.ndarray  # offsets in x of the taps of each region, in whole tiles
    sum_rows: np.ndarray
    segments: np.ndarray  # a row of output pixels each
    pieces: np.ndarray  # (P, 5): first and end of its taps, first and end of its segments, pixels in a row


@lru_cache(maxsize=256)
def _weight_plan(size, out_size, channels, kernel_size, stride, padding, dilation, panel, together):
    rows, columns = (
        output_axis(out_size[k], size[k], kernel_size[k], stride[k], padding[2 * k], dilation[k]) for k in (0, 1)
    )
    tap_rows, sum_rows, segments, pieces = [], [], [], []
    for (top, bottom, row_taps), (left, right, taps) in itertools.product(rows.regions(), columns.regions()):
        if not row_taps or not taps:
            continue
        tap_begin = sum(map(len, tap_rows))
        shifts = grid([shift * size[1] for _, shift in row_taps], [shift for _, shift in taps])
        places = grid([u * kernel_size[1] for u, _ in row_taps], [v for v, _ in taps])
        tap_rows.append(whole_tiles(shifts * channels))
        sum_rows.append(whole_tiles(places * panel))
        tap_end = tap_begin + len(tap_rows[-1])
        for i in range(top, bottom, together):
            piece = range(i, min(i + together, bottom))
            ends = len(segments), len(segments) + len(piece)
            segments += [(k * stride[0] * size[1] + left * stride[1], k * out_size[1] + left) for k in piece]
            pieces.append((tap_begin, tap_end, *ends, right - left))
    segments = np.array(segments, np.int64).reshape(-1, 2).T * channels
    tables = (np.concatenate(table) if table else np.zeros(0, np.int64) for table in (tap_rows, sum_rows))
    return _Pieces(*tables, np.ascontiguousarray(segments), np.array(pieces, np.int64).reshape(-1, 5))


@kernel
def _sum_images(x, grad_out, sums, zeros, tap_rows, sum_rows, segments, pieces, bounds, panels, numbers):
    """Sum up products over output pixels; x and grad_out flat, sums (splits, panels, KH*KW, width).

    Parallel over splits of the images' pieces; each task owns its part of ``sums``.
    """
    image, out_image, a_step, channels = numbers
    splits, _, taps, width = sums.shape
    flat = sums.reshape(-1)
    for split in prange(splits):
        sums[split] = 0
        for share in range(bounds[split], bounds[split + 1]):
            n = share // len(pieces)
            first_tap, tap_end, begin, end, pixels = pieces[share % len(pieces)]
            for p in range(len(panels)):
                a, b, c = n * image + panels[p], n * out_image + panels[p], (split * len(panels) + p) * taps * width
                for m in range(first_tap, tap_end, ROWS):
                    call = (m, begin, end, pixels, a, a_step, b, channels, c, 0, 1, width)
                    channel_tile(x, grad_out, flat, zeros, tap_rows, sum_rows, segments, call)


def backward_weight(x, grad_out, kernel_size, *, stride, padding, dilation):
    """Return the gradient of the filters, shape (C, 1, KH, KW), for x (N, H, W, C) and grad_out (N, OH, OW, C)."""
    (images, height, width, channels), out_size, panel = x.shape, grad_out.shape[1:3], panel_width(x.dtype)
    together = max(1, _PIECE_BYTES // (width * channels * x.itemsize * stride[0]))
    plan = _weight_plan((height, width), out_size, channels, kernel_size, stride, padding, dilation, panel, together)
    shares = images * len(plan.pieces)
    splits = max(1, min(_SPLITS, shares))
    bounds, panels = np.linspace(0, shares, splits + 1).astype(np.int64), _first_channels(channels, panel)
    taps = kernel_size[0] * kernel_size[1]
    sums = buffers.empty((splits, len(panels), taps, panel), x.dtype)
    numbers = height * width * channels, out_size[0] * out_size[1] * channels, stride[1] * channels, channels
    zeros = np.zeros(panel, x.dtype)
    _sum_images(x.reshape(-1), grad_out.reshape(-1), sums, zeros, *plan, bounds, panels, numbers)
    grad_weight = np.empty((channels, taps), x.dtype)
    for p, channel in enumerate(panels):
        grad_weight[channel : channel + panel] = sums[:, p].sum(axis=0).T
    return grad_weight.reshape(channels, 1, *kernel_size)
