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

import math
from functools import lru_cache

import numpy as np

from minitorch_kernels.conv.depthwise.forward3x3 import TAPS, along_1, along_2
from minitorch_kernels.conv.depthwise.input3x3 import spread
from minitorch_kernels.conv.depthwise.plan import forward_plan, input_plan, row_sum_plan, weight_plan
from minitorch_kernels.conv.depthwise.weight3x3 import sums_1, sums_2
from minitorch_kernels.gemm.microkernel import ROWS, channel_tile
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.simd import lanes, panel_width
from minitorch_kernels.runtime.threads import parallel_kernel

_PIECES = 16  # of rows, in a task
_TILES = 16  # in a task
_PIECE_BYTES = 1 << 17  # of image rows that a weight gradient goes through tap by tap, while they are in the cache
_SPLITS = 16  # ranges of images in a weight gradient, whatever the number of threads


def fits(channels, filters, groups, dtype):
    """Return True for one filter a channel, where a panel of channels is full at least once."""
    return groups == channels == filters and channels >= panel_width(dtype)


@lru_cache(maxsize=256)
def _first_channels(channels, width):
    """Return where panels of ``width`` channels begin; the last begins early enough to be full."""
    return np.minimum(np.arange(0, channels, width), channels - width)


@parallel_kernel(tasks=lambda places, numbers: numbers[0] * -(-len(places) // _PIECES))
def _filter_rows(first_task, end_task, x, filters, out, start, places, windows, vectors, numbers):
    """Slide windows along rows of x into rows of out, flat arrays; ``vectors`` are the first channels of each.

    Parallel over images and some pieces of rows, each with all channels: where two vectors overlap they write the
    same numbers.
    """
    images, image, out_image, channels = numbers
    tasks = -(-len(places) // _PIECES)
    for task in range(first_task, end_task):
        n, first = task // tasks, task % tasks * _PIECES
        for piece in range(first, min(first + _PIECES, len(places))):
            x_first, out_first, count, x_ahead, out_ahead = places[piece]
            stride, line, filter_first, filter_row, filter_column, out_step = windows[piece]
            place = (n * image + x_first, n * out_image + out_first, count, x_ahead, out_ahead)
            window = (line, filter_first, filter_row, filter_column, out_step)
            for channel in vectors:
                if stride == 1:
                    along_1(x, filters, start, out, place, window, channel, channels)
                else:
                    along_2(x, filters, start, out, place, window, channel, channels)


@parallel_kernel(tasks=lambda tiles, numbers: numbers[0] * -(-len(tiles) // _TILES))
def _filter_tiles(first_task, end_task, x, filters, out, start, a_rows, c_rows, segments, tiles, panels, numbers):
    """Compute the pixels of out from pixels of x in tiles; ``panels`` are their first channels.

    Parallel over images and some tiles.
    """
    images, image, out_image, width = numbers
    tasks = -(-len(tiles) // _TILES)
    for task in range(first_task, end_task):
        n, first = task // tasks, task % tasks * _TILES
        for t in range(first, min(first + _TILES, len(tiles))):
            begin, end, terms, a_step, b_step = tiles[t]
            for channel in panels:
                a, c = n * image + channel, n * out_image + channel
                call = (t * ROWS, begin, end, terms, a, a_step, channel, b_step, c, channel, 0, width)
                channel_tile(x, filters, out, start, a_rows, c_rows, segments, call)


def _by_channel(weight):
    """Return the filters (C, 1, KH, KW) as vectors of channels, flat (KH*KW*C,)."""
    return np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0)).reshape(-1)


def _filter(x, weight, bias, out_size, plan, whole):
    """Run a plan on x (N, H, W, C) with filters (C, 1, KH, KW)."""
    images, *size, channels = x.shape
    out = memory.empty((images, *out_size, channels), x.dtype)
    start = np.zeros(channels, x.dtype) if bias is None else bias
    if not whole:
        out[...] = start  # what pixels that see no tap keep
    arrays, (places, windows, *tables) = (x.reshape(-1), _by_channel(weight), out.reshape(-1), start), plan
    numbers, width = (images, size[0] * size[1] * channels, out_size[0] * out_size[1] * channels), panel_width(x.dtype)
    if len(places):
        _filter_rows(*arrays, places, windows, _first_channels(channels, lanes(x.dtype)), (*numbers, channels))
    if len(tables[-1]):
        _filter_tiles(*arrays, *tables, _first_channels(channels, width), (*numbers, width))
    return out


def forward(x, weight, bias, out_size, *, stride, padding, dilation):
    """Filter images x (N, H, W, C) by weight (C, 1, KH, KW); parameters as in `direct`."""
    plan = forward_plan(x.shape[1:3], out_size, x.shape[3], weight.shape[2:], stride, padding, dilation)
    return _filter(x, weight, bias, out_size, *plan)


@parallel_kernel(tasks=lambda out: out.shape[0] * -(-out.shape[1] // 2))
def _spread_rows(first_task, end_task, grad_out, filters, out, vectors, sizes):
    """Fill out (N, H, W, C) from gradients of (N, OH, OW, C), flat, by `spread`; parallel over pairs of rows."""
    (_, height, width, channels), (out_height, out_width, _) = out.shape, sizes
    pairs, line, out_line, flat = -(-height // 2), width * channels, out_width * channels, out.reshape(-1)
    for task in range(first_task, end_task):
        n, a = task // pairs, task % pairs
        upper, first = (n * out_height + a) * out_line, (n * height + 2 * a) * line
        lower = upper + out_line if a + 1 < out_height else -1
        second = first + line if 2 * a + 1 < height else first
        place = (upper, lower, out_width, first, second, 1 - width % 2, 2 * line)
        for channel in vectors:
            spread(grad_out, filters, flat, place, channel, channels)


def _spreads(kernel_size, stride, padding, dilation):
    """Return whether an input gradient is one that `spread` computes."""
    return (*kernel_size, *stride, *dilation) == (3, 3, 2, 2, 1, 1) and padding[0] == padding[2] == 1


def backward_input(grad_out, weight, input_size, *, stride, padding, dilation):
    """Return the gradient of the images, shape (N, H, W, C); parameters as in `direct`."""
    out_size, channels = grad_out.shape[1:3], grad_out.shape[3]
    if _spreads(weight.shape[2:], stride, padding, dilation) and out_size == tuple(-(-n // 2) for n in input_size):
        out = memory.empty((len(grad_out), *input_size, channels), grad_out.dtype)
        vectors = _first_channels(channels, lanes(out.dtype))
        _spread_rows(grad_out.reshape(-1), _by_channel(weight), out, vectors, grad_out.shape[1:])
        return out
    plan = input_plan(input_size, out_size, channels, weight.shape[2:], stride, padding, dilation)
    return _filter(grad_out, weight, None, input_size, *plan)


# -------------------------------------------------------------------------------- weight gradient


@parallel_kernel(tasks=lambda sums: len(sums))
def _sum_images(
    first_task, end_task, x, grad_out, sums, zeros, tap_rows, sum_rows, segments, pieces, bounds, panels, numbers
):
    """Sum up products over output pixels; x and grad_out flat, sums (splits, panels, KH*KW, width).

    Parallel over splits of the images' pieces; each task owns its part of ``sums``.
    """
    image, out_image, a_step, channels = numbers
    splits, _, taps, width = sums.shape
    flat = sums.reshape(-1)
    for split in range(first_task, end_task):
        sums[split] = 0
        for share in range(bounds[split], bounds[split + 1]):
            n = share // len(pieces)
            first_tap, tap_end, begin, end, pixels = pieces[share % len(pieces)]
            for p in range(len(panels)):
                a, b, c = n * image + panels[p], n * out_image + panels[p], (split * len(panels) + p) * taps * width
                for m in range(first_tap, tap_end, ROWS):
                    call = (m, begin, end, pixels, a, a_step, b, channels, c, 0, 1, width)
                    channel_tile(x, grad_out, flat, zeros, tap_rows, sum_rows, segments, call)


@parallel_kernel(tasks=lambda sums: len(sums))
def _sum_rows(first_task, end_task, x, grad_out, sums, places, x_rows, row_sums, bounds, vectors, numbers):
    """Sum up products over rows of output pixels; x and grad_out flat, sums (splits, vectors, (TAPS+1)*TAPS, lanes).

    Parallel over splits of the images' rows; each task owns its part of ``sums``.
    """
    image, out_image, stride, channels = numbers
    flat, size = sums.reshape(-1), sums.shape[2] * sums.shape[3]
    for split in range(first_task, end_task):
        sums[split] = 0
        for share in range(bounds[split], bounds[split + 1]):
            n, row = share // len(places), share % len(places)
            first, count, left, right, x_ahead, out_ahead = places[row]
            place = (n * out_image + first, count, left, right, x_ahead, out_ahead)
            inputs = (n * image + x_rows[row, 0], n * image + x_rows[row, 1], n * image + x_rows[row, 2])
            targets = (row_sums[row, 0], row_sums[row, 1], row_sums[row, 2])
            for k in range(len(vectors)):
                to = (split * len(vectors) + k) * size
                if stride == 1:
                    sums_1(x, grad_out, flat, place, inputs, targets, to, vectors[k], channels)
                else:
                    sums_2(x, grad_out, flat, place, inputs, targets, to, vectors[k], channels)


def backward_weight(x, grad_out, kernel_size, *, stride, padding, dilation):
    """Return the gradient of the filters, shape (C, 1, KH, KW), for x (N, H, W, C) and grad_out (N, OH, OW, C)."""
    (images, height, width, channels), out_size, taps = x.shape, grad_out.shape[1:3], kernel_size[0] * kernel_size[1]
    arrays, sizes = (x.reshape(-1), grad_out.reshape(-1)), (height * width * channels, math.prod(out_size) * channels)
    shape = (height, width), out_size, channels, tuple(kernel_size), stride, padding, dilation
    by_rows = row_sum_plan(*shape, lanes(x.dtype))
    if by_rows:
        panel, pieces, room = lanes(x.dtype), by_rows.places, (TAPS + 1) * TAPS
    else:
        panel = panel_width(x.dtype)
        plan = weight_plan(*shape, panel, max(1, _PIECE_BYTES // (width * channels * x.itemsize * stride[0])))
        pieces, room = plan.pieces, taps
    shares = images * len(pieces)
    splits, panels = max(1, min(_SPLITS, shares)), _first_channels(channels, panel)
    bounds = np.arange(splits + 1) * shares // splits
    sums = memory.empty((splits, len(panels), room, panel), x.dtype)
    if by_rows:
        _sum_rows(*arrays, sums, *by_rows, bounds, panels, (*sizes, stride[1], channels))
    else:
        numbers = (*sizes, stride[1] * channels, channels)
        _sum_images(*arrays, sums, np.zeros(panel, x.dtype), *plan, bounds, panels, numbers)
    grad_weight, whole = np.empty((channels, taps), x.dtype), channels // panel * panel
    totals = sums[:, :, :taps].sum(axis=0).transpose(0, 2, 1)  # (panels, width, KH*KW)
    grad_weight[:whole] = totals[: whole // panel].reshape(-1, taps)
    grad_weight[channels - panel :] = totals[-1]
    return grad_weight.reshape(channels, 1, *kernel_size)
