"""Depthwise convolution: each channel has a filter of its own, and no sum runs over channels.

    out[n, i, j, c] = bias[c] + sum over u, v of x[n, i*sh + u*dh - top, j*sw + v*dw - left, c] * weight[c, u, v]

Channels share nothing, so vectors of channels are multiplied lane by lane (`microkernel_depthwise`), with only KH * KW
products per element. Memory bandwidth limits the speed, so no image is copied to pad it with zeros. Instead, the output
is divided into regions whose pixels see the same taps,

    corner   top edge   corner        a corner of a 3 x 3 filter with padding 1 sees 2 x 2 taps,
    left     inside     right         an edge 2 x 3 or 3 x 2,
    corner   bottom     corner        and nearly all pixels see all nine,

and each region sums over its own taps. In the input gradient with a stride, each phase of the pixels has regions of
its own; see `borders`.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.borders import output_size
from minitorch_kernels.conv.depthwise.forward3x3 import TAPS, Row, Window, along_1, along_2
from minitorch_kernels.conv.depthwise.input3x3 import RowPair, spread
from minitorch_kernels.conv.depthwise.plan import forward_plan, input_plan, row_sum_plan, weight_plan
from minitorch_kernels.conv.depthwise.weight3x3 import SumRow, sums_1, sums_2
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel_depthwise
from minitorch_kernels.layers.elementwise import relu_in_place
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.simd import lanes, nr
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.views import flat

_PIECES = 16  # pieces of rows in a task
_TILES = 16  # tiles in a task
_PIECE_BYTES = 1 << 17  # of image rows that a weight gradient goes through tap by tap, while they are in the cache
_SPLITS = 16  # ranges of images in a weight gradient, for any number of threads


class Images(NamedTuple):
    """Sizes of flat arrays of images; all int64."""

    count: int
    image: int  # elements of an image that is read
    out_image: int  # elements of an image of the other array
    channels: int


def supports(channels, filters, groups, dtype):
    """Return True for one filter per channel, where a panel of channels is full at least once."""
    return groups == channels == filters and channels >= nr(dtype)


@lru_cache(maxsize=256)
def _first_channels(channels, width):
    """Return where panels of ``width`` channels begin; the last begins where it is still full."""
    return np.minimum(np.arange(0, channels, width), channels - width)


@parallel_kernel(tasks=lambda rows, images: images.count * -(-len(rows) // _PIECES))
def _filter_rows(first_task, end_task, x, filters, out, init, rows, windows, vectors, images):
    """Slide windows along rows of x into rows of out, flat arrays; ``vectors`` are the first channels of each vector.

    Parallel over images and some pieces of rows, each with all channels: where two vectors overlap they write the
    same values.
    """
    tasks = -(-len(rows) // _PIECES)
    for task in range(first_task, end_task):
        n, first = task // tasks, task % tasks * _PIECES
        for piece in range(first, min(first + _PIECES, len(rows))):
            x_offset, out_offset, count, x_ahead, out_ahead = rows[piece]
            stride, line, filter_offset, filter_row, filter_column, out_step = windows[piece]
            row = Row(
                x_offset=n * images.image + x_offset,
                out_offset=n * images.out_image + out_offset,
                count=count,
                x_ahead=x_ahead,
                out_ahead=out_ahead,
            )
            window = Window(line, filter_offset, filter_row, filter_column, out_step)
            for channel in vectors:
                if stride == 1:
                    along_1(x, filters, init, out, row, window, channel, images.channels)
                else:
                    along_2(x, filters, init, out, row, window, channel, images.channels)


@parallel_kernel(tasks=lambda tiles, images: images.count * -(-len(tiles) // _TILES))
def _filter_tiles(
    first_task, end_task, x, filters, out, init, a_row_offsets, c_row_offsets, k_runs, tiles, panels, images, width
):
    """Compute the pixels of out from pixels of x in tiles; ``panels`` are their first channels.

    Parallel over images and some tiles.
    """
    tasks = -(-len(tiles) // _TILES)
    for task in range(first_task, end_task):
        n, first = task // tasks, task % tasks * _TILES
        for t in range(first, min(first + _TILES, len(tiles))):
            first_run, end_run, k_terms, a_step, b_step = tiles[t]
            for channel in panels:
                tile = Tile(
                    row=t * MR,
                    first_run=first_run,
                    end_run=end_run,
                    k_terms=k_terms,
                    a_offset=n * images.image + channel,
                    a_step=a_step,
                    b_offset=channel,
                    b_step=b_step,
                    c_offset=n * images.out_image + channel,
                    init_offset=channel,
                    accumulate=0,
                    width=width,
                )
                microkernel_depthwise(x, filters, out, init, a_row_offsets, c_row_offsets, k_runs, tile)


def _by_channel(weight):
    """Return the filters (C, 1, KH, KW) as vectors of channels, flat (KH*KW*C,)."""
    return np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0)).reshape(-1)


def _filter(x, weight, bias, out_size, plan, whole):
    """Run a plan on x (N, H, W, C) with filters (C, 1, KH, KW)."""
    images, *size, channels = x.shape
    out = memory.empty((images, *out_size, channels), x.dtype)
    init = np.zeros(channels, x.dtype) if bias is None else bias
    if not whole:
        out[...] = init  # the value of pixels that see no tap
    arrays, (rows, windows, *tables) = (x.reshape(-1), _by_channel(weight), out.reshape(-1), init), plan
    sizes, width = Images(images, math.prod(size) * channels, math.prod(out_size) * channels, channels), nr(x.dtype)
    if len(rows):
        _filter_rows(*arrays, rows, windows, _first_channels(channels, lanes(x.dtype)), sizes)
    if len(tables[-1]):
        _filter_tiles(*arrays, *tables, _first_channels(channels, width), sizes, width)
    return out


def conv2d_forward_depthwise(x, weight, bias=None, *, stride, padding, dilation, groups, relu=False):
    """Filter images x (N, H, W, C) by weight (C, 1, KH, KW); parameters as in `indirect`."""
    out_size = output_size(x.shape[1:3], weight.shape[2:], stride, padding, dilation)
    plan = forward_plan(x.shape[1:3], out_size, x.shape[3], weight.shape[2:], stride, padding, dilation)
    out = _filter(x, weight, bias, out_size, *plan)
    if relu:
        relu_in_place(out)
    return out


@parallel_kernel(tasks=lambda out: out.shape[0] * -(-out.shape[1] // 2))
def _spread_rows(first_task, end_task, grad_out, filters, out, vectors, sizes):
    """Fill out (N, H, W, C) from gradients of (N, OH, OW, C), flat, by `spread`; parallel over pairs of rows."""
    (_, height, width, channels), (out_height, out_width, _) = out.shape, sizes
    pairs, line, out_line, flat_out = -(-height // 2), width * channels, out_width * channels, flat(out)
    for task in range(first_task, end_task):
        n, a = task // pairs, task % pairs
        upper, first = (n * out_height + a) * out_line, (n * height + 2 * a) * line
        lower = upper + out_line if a + 1 < out_height else -1
        second = first + line if 2 * a + 1 < height else first
        pair = RowPair(
            upper=upper,
            lower=lower,
            width=out_width,
            first=first,
            second=second,
            even=1 - width % 2,
            ahead=2 * line,
        )
        for channel in vectors:
            spread(grad_out, filters, flat_out, pair, channel, channels)


def _spreads(kernel_size, stride, padding, dilation):
    """Return whether an input gradient is one that `spread` computes."""
    nine_taps = tuple(kernel_size) == (3, 3) and stride == (2, 2) and dilation == (1, 1)
    return nine_taps and padding[0] == padding[2] == 1


def conv2d_backward_input_depthwise(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of the images, shape (N, H, W, C); parameters as in `indirect`."""
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
    first_task, end_task, x, grad_out, sums, zeros, tap_rows, sum_rows, k_runs, pieces, bounds, panels, images, a_step
):
    """Sum up products over output pixels; x and grad_out flat, sums (splits, panels, KH*KW, NR).

    Parallel over splits of the images' pieces; each task owns its part of ``sums``.
    """
    splits, _, taps, width = sums.shape
    flat_sums = flat(sums)
    for split in range(first_task, end_task):
        sums[split] = 0
        for share in range(bounds[split], bounds[split + 1]):
            n = share // len(pieces)
            first_tap, tap_end, first_run, end_run, pixels = pieces[share % len(pieces)]
            for p in range(len(panels)):
                for m in range(first_tap, tap_end, MR):
                    tile = Tile(
                        row=m,
                        first_run=first_run,
                        end_run=end_run,
                        k_terms=pixels,
                        a_offset=n * images.image + panels[p],
                        a_step=a_step,
                        b_offset=n * images.out_image + panels[p],
                        b_step=images.channels,
                        c_offset=(split * len(panels) + p) * taps * width,
                        init_offset=0,
                        accumulate=1,
                        width=width,
                    )
                    microkernel_depthwise(x, grad_out, flat_sums, zeros, tap_rows, sum_rows, k_runs, tile)


@parallel_kernel(tasks=lambda sums: len(sums))
def _sum_rows(first_task, end_task, x, grad_out, sums, rows, x_rows, row_sums, bounds, vectors, images, stride):
    """Sum up products over rows of output pixels; x and grad_out flat, sums (splits, vectors, (TAPS+1)*TAPS, lanes).

    Parallel over splits of the images' rows; each task owns its part of ``sums``.
    """
    flat_sums, size, image = flat(sums), sums.shape[2] * sums.shape[3], images.image
    for split in range(first_task, end_task):
        sums[split] = 0
        for share in range(bounds[split], bounds[split + 1]):
            n, i = share // len(rows), share % len(rows)
            offset, count, left, right, x_ahead, out_ahead = rows[i]
            row = SumRow(
                offset=n * images.out_image + offset,
                count=count,
                left=left,
                right=right,
                x_ahead=x_ahead,
                out_ahead=out_ahead,
                channels=images.channels,
            )
            inputs = (n * image + x_rows[i, 0], n * image + x_rows[i, 1], n * image + x_rows[i, 2])
            targets = (row_sums[i, 0], row_sums[i, 1], row_sums[i, 2])
            for k in range(len(vectors)):
                to = (split * len(vectors) + k) * size
                if stride == 1:
                    sums_1(x, grad_out, flat_sums, row, inputs, targets, to, vectors[k])
                else:
                    sums_2(x, grad_out, flat_sums, row, inputs, targets, to, vectors[k])


def conv2d_backward_weight_depthwise(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of the filters, shape (C, 1, KH, KW), for x (N, H, W, C) and grad_out (N, OH, OW, C)."""
    (images, height, width, channels), out_size, taps = x.shape, grad_out.shape[1:3], kernel_size[0] * kernel_size[1]
    sizes = Images(images, height * width * channels, math.prod(out_size) * channels, channels)
    arrays = x.reshape(-1), grad_out.reshape(-1)
    shape = (height, width), out_size, channels, tuple(kernel_size), stride, padding, dilation
    by_rows = row_sum_plan(*shape, lanes(x.dtype))
    if by_rows:
        panel, pieces, sum_count = lanes(x.dtype), by_rows.rows, (TAPS + 1) * TAPS
    else:
        panel = nr(x.dtype)
        plan = weight_plan(*shape, panel, max(1, _PIECE_BYTES // (width * channels * x.itemsize * stride[0])))
        pieces, sum_count = plan.pieces, taps
    shares = images * len(pieces)
    splits, panels = max(1, min(_SPLITS, shares)), _first_channels(channels, panel)
    bounds = np.arange(splits + 1) * shares // splits
    sums = memory.empty((splits, len(panels), sum_count, panel), x.dtype)
    if by_rows:
        _sum_rows(*arrays, sums, *by_rows, bounds, panels, sizes, stride[1])
    else:
        zeros = np.zeros(panel, x.dtype)
        _sum_images(*arrays, sums, zeros, *plan, bounds, panels, sizes, stride[1] * channels)
    grad_weight, whole = np.empty((channels, taps), x.dtype), channels // panel * panel
    totals = sums[:, :, :taps].sum(axis=0).transpose(0, 2, 1)  # (panels, width, KH*KW)
    grad_weight[:whole] = totals[: whole // panel].reshape(-1, taps)
    grad_weight[channels - panel :] = totals[-1]
    return grad_weight.reshape(channels, 1, *kernel_size)
