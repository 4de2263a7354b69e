"""Convolution by Winograd's algorithm: forward and input gradient.

For 3 x 3 filters with stride 1 or 2 and 5 x 5 filters with stride 1; `weight` has the third product. The output is cut
into tiles of 4 x 4 or, with 5 x 5 filters, 2 x 2 pixels; the gradient of the images has tiles of 8 x 8 with stride 2.
Each of the 36 or, with stride 2, 81 elements of the transformed tiles (see `transform`) is then a matrix product,

    tiles x channels  times  channels x filters,

which the micro-kernel computes. Of the multiplications of the definition 36 of 144 are left, with 5 x 5 filters 36 of
100, with stride 2 81 of 144. The transforms are cheap where many channels share them. A block of tiles goes through all
three stages before the next one begins, so it stays in the second-level cache; `panels` cuts the filters instead, where
tiles are few.

Measured with stride 2 on AVX-512, two threads, beside the indirect algorithm: 96 filters for 96 channels of 128 images
of 32 x 32 pixels take 17 ms instead of 31, their input gradient 18 instead of 33, their weight gradient 20 instead of
41. A training step of All-CNN-C takes 15 % less time, one of ResNet-18 with images of 224 pixels 3 %.

Winograd's sums have other terms than the definition's. Their rounding errors are up to twice as large: 1.1e-6 against
0.6e-6 (root mean square, 3 x 3 filters, 128 channels, outputs of unit scale, float32).
Images and weights that differ too much in size are left to the definition, see `outliers`.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv import indirect
from minitorch_kernels.conv.borders import output_size
from minitorch_kernels.conv.winograd import outliers, tiles
from minitorch_kernels.conv.winograd.tiles import (
    FILTER_AREA,
    K_TERMS,
    RUN,
    Filters,
    Grid,
    Images,
    Outputs,
    filter_plane,
    form_of,
    offsets_of,
    place,
    plane,
    plane_step,
    read_rows_of_tiles,
    transform_back,
    transform_run,
    transform_tile,
    whole_vectors,
    zeros_beside,
)
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel
from minitorch_kernels.layers.elementwise import relu_in_place
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import chunk_bounds, with_channels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.prefetch import fetch_to_write
from minitorch_kernels.runtime.simd import LINE, nr
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel
from minitorch_kernels.runtime.views import flat

_BLOCK_BYTES = 1 << 19  # tiles and products of a block; with its pixels they should stay in the second-level cache
_SHARE = 4  # a block has at least a tile for every 4 channels
_SUPPORTED = ((3, 3), (1, 1)), ((5, 5), (1, 1)), ((3, 3), (2, 2))  # sizes of filters and strides
_FILTERS_WEIGH = 6  # tiles: what transforming the filters costs, see `tiles.is_faster`


def supports(kernel_size, stride, dilation, groups):
    """Return True for 3 x 3 filters with stride 1 or 2 and 5 x 5 filters with stride 1, no dilation, one group."""
    return (kernel_size, stride) in _SUPPORTED and (dilation, groups) == ((1, 1), 1)


def is_faster(images, out_size, channels, out_channels, kernel, stride=1):
    """Return True where forward and input gradient are faster than with the indirect algorithm."""
    return tiles.is_faster(images, out_size, channels, out_channels, kernel, stride, _FILTERS_WEIGH)


@parallel_kernel(tasks=lambda grid: grid.panels * -(-grid.channels // RUN))
def _transform_filters(first_task, end_task, filters, transformed, grid):
    """Transform `Filters` into 36 planes of P * C * NR, flat.

    Parallel over panels and runs of a few channels: these lie side by side in the weights, while the columns of a
    panel are far apart.
    """
    runs = -(-grid.channels // RUN)
    for task in range(first_task, end_task):
        panel, first = task // runs, task % runs * RUN
        transform_run(filters, transformed, panel, first, (panel * grid.channels + first) * grid.width, grid)


class Written(NamedTuple):
    """The part of the maps, flat, that a block of tiles writes."""

    maps: np.ndarray
    first: int
    end: int


@compiled
def _written_by(outputs, first, end, grid):
    """Return the `Written` part for the tiles first .. end - 1; their rows of tiles begin and end it."""
    shape, (n, i, _), (end_n, end_i, _) = outputs.maps.shape, place(first, grid), place(end, grid)
    row, side = shape[2] * shape[3], len(grid.static_form.out_step)
    return Written(flat(outputs.maps), (n * shape[1] + i * side) * row, (end_n * shape[1] + end_i * side) * row)


@compiled
def _multiply(inputs, filters, products, zeros, offsets, count, written, grid):
    """Multiply a block of ``count`` transformed tiles by all filters: a matrix product for each element e.

    Meanwhile, memory is idle. So the lines that will be `Written` are fetched, some with each tile of C. That takes a
    quarter of the time off 16 filters for 16 channels, 7 % off 96 for 96, in maps of 32 x 32 pixels.
    """
    width, channels, panels = grid.width, grid.channels, grid.panels
    maps, at, line = written.maps, written.first, LINE // written.maps.itemsize
    area = len(grid.static_form.points) ** 2
    calls = area * panels * -(-channels // K_TERMS) * -(-count // MR)
    lines = -(-(written.end - written.first) // (line * calls))
    k_step, in_step, product_step = len(filters) // FILTER_AREA, plane_step(inputs, grid), plane_step(products, grid)
    for task in range(area * panels):
        e, p = task // panels, task % panels
        for c in range(0, channels, K_TERMS):  # a part of the filters that stays in the first-level cache
            for i in range(0, count, MR):
                tile = Tile(
                    row=i,
                    first_run=0,
                    end_run=1,
                    k_terms=min(K_TERMS, channels - c),
                    a_offset=e * in_step + c,
                    a_step=1,
                    b_offset=filter_plane(e, len(grid.static_form.points)) * k_step + (p * channels + c) * width,
                    b_step=width,
                    c_offset=e * product_step + p * grid.tiles * width,
                    init_offset=0,
                    accumulate=min(c, 1),
                    width=width,
                )
                a_rows, c_rows, k_runs = offsets
                microkernel(inputs, filters, products, zeros, a_rows, c_rows, k_runs, tile)
                for _ in range(lines):
                    fetch_to_write(maps, at)
                    at += line


@parallel_kernel(tasks=lambda scratch: len(scratch))
def _by_tiles(first_task, end_task, images, filters, outputs, offsets, scratch, grid):
    """Compute `Outputs` block by block of tiles; C and O are multiples of a vector.

    ``scratch`` (threads, S) holds a block of transformed tiles and their products. Each thread has as many
    tiles as the others, side by side, so that it reads few pixels that another one reads too.
    """
    width, total = grid.width, len(outputs.maps) * grid.down * grid.across
    x, zeros = flat(images.pixels), zeros_beside(grid, outputs.maps.dtype)
    in_step = plane(grid.tiles * grid.channels, grid.lanes)
    product_step, area = plane(grid.panels * grid.tiles * width, grid.lanes), len(grid.static_form.points) ** 2
    for thread in range(first_task, end_task):
        inputs = scratch[thread, : area * in_step]
        products = scratch[thread, area * in_step : area * (in_step + product_step)]
        begin, end = chunk_bounds(thread, len(scratch), total)
        for first in range(begin, end, grid.tiles):
            count = min(grid.tiles, end - first)
            read_rows_of_tiles(images, first, first + count, len(grid.static_form.in_step), grid)
            for t in range(count):
                transform_tile(x, images.pixels.shape, inputs, zeros, place(first + t, grid), t * grid.channels, grid)
            written = _written_by(outputs, first, first + count, grid)
            _multiply(inputs, filters, products, zeros, offsets, count, written, grid)
            for t in range(count):
                origin = place(first + t, grid)
                for p in range(grid.panels):
                    start = (p * grid.tiles + t) * width
                    transform_back(products, outputs, origin, p, start, grid)


def _block_size(most, area, channels, out_channels, itemsize):
    """Return how many tiles to take at a time, a multiple of MR.

    As many as fit the second-level cache, but enough that reading the filters, once for each block, costs less than
    reading and writing the tiles. The result does not depend on it.
    """
    fitting = _BLOCK_BYTES // (area * (channels + out_channels) * itemsize)
    return -(-min(max(fitting, channels // _SHARE), most) // MR) * MR


def fill_by_tiles(images, filters, outputs, grid):
    """Fill `Outputs`: transform all filters first, then go block by block of tiles."""
    threads, channels, lanes, dtype = get_num_threads(), grid.channels, grid.lanes, outputs.maps.dtype
    panel_width, area = grid.panels * grid.width, len(grid.static_form.points) ** 2
    grid = grid._replace(tiles=_block_size(-(-grid.tiles // threads), area, channels, panel_width, dtype.itemsize))
    planes = plane(grid.tiles * channels, lanes) + plane(grid.tiles * panel_width, lanes)
    transformed = memory.empty((FILTER_AREA * plane(channels * panel_width, lanes),), dtype)
    scratch = memory.empty((threads, area * planes), dtype)
    _transform_filters(filters, transformed, grid)
    offsets = offsets_of(grid.tiles, channels, grid.width)
    _by_tiles(images, transformed, outputs, offsets, scratch, grid)


def correlate(x, split, bias, out_size, stride, padding, measures, *, transposed=False, relu=False, fill=fill_by_tiles):
    """Cross-correlate x (N, H, W, C) with 3 x 3 or 5 x 5 filters, into (N, *out_size, O).

    ``split`` is the `outliers.Split` of filters (O, C, KH, KW) that fit; if ``transposed``, they are (C, O, KH, KW),
    each is rotated by 180 degrees, and with stride 2 the pixels of x have zeros between them. ``fill`` chooses the
    order of the loops: `fill_by_tiles` or `panels.fill_by_panels`. ``relu`` replaces negative sums by 0. ``measures``,
    those of x, are filled.
    """
    filters, lanes = split.rest, vector_lanes(x.dtype)
    out_channels, kernel = filters.shape[1] if transposed else len(filters), filters.shape[2]
    width, later = nr(x.dtype, out_channels), len(split.large) > 0  # sums are not complete without the large weights
    pixels = whole_vectors(x, lanes)
    out = memory.empty((len(x), *out_size, -(-out_channels // lanes) * lanes), x.dtype)
    if x.size and out.size:
        form, source_step = form_of(kernel, stride, transposed), stride if transposed else 1
        down, across = tiles.tiles_along(*out_size, len(form.out_step))
        grid = Grid(
            top=padding[0] // source_step,
            left=padding[2] // source_step,
            down=down,
            across=across,
            channels=pixels.shape[3],
            tiles=len(x) * down * across,
            panels=-(-out_channels // width),
            width=width,
            lanes=lanes,
            static_form=form,
        )
        added = np.zeros(grid.panels * width, x.dtype)
        if bias is not None:
            added[:out_channels] = bias
        images, outputs = Images(pixels, measures, np.arange(len(x))), Outputs(out, added, relu and not later)
        fill(images, Filters(filters, transposed), outputs, grid)
    else:
        measures.clear()
    out = with_channels(out, out_channels)
    outliers.add_large(x, split, out, stride, padding, transposed)
    if relu and later:
        relu_in_place(out)
    return out


def conv2d_forward_winograd(
    x, weight, bias=None, *, stride, padding, dilation, groups, relu=False, memo=None, fill=fill_by_tiles
):
    """Cross-correlate images with 3 x 3 or 5 x 5 filters.

    out[n, i, j, o] = bias[o] + sum over u, v, c of x[n, i + u - top, j + v - left, c] * weight[o, c, u, v]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in, KH, KW), 3 x 3 or 5 x 5
    bias : ndarray, shape (C_out,), or None
    stride : (1, 1), with 3 x 3 filters also (2, 2)
    dilation : (1, 1)
    padding : (top, bottom, left, right), pixels of zeros
    groups : 1
    relu : bool
        Replace negative elements of ``out`` by 0.
    memo : outliers.Memo or None
        Measures of the operands, shared by the three products of a convolution.
    fill : callable
        The order of the loops, see `correlate`.

    Returns
    -------
    ndarray, shape (N, OH, OW, C_out)

    Notes
    -----
    Cost: 2*36*C_in*C_out flop for each 4 x 4 outputs, with 5 x 5 filters 2 x 2, and the transforms; with stride 2
    2*81*C_in*C_out flop. Parallel over blocks of tiles; the same bits for any number of threads.
    """
    out_size = output_size(x.shape[1:3], weight.shape[2:], stride, padding, dilation)
    memo = memo or outliers.Memo()
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "relu": relu}
    split = memo.of(weight, outliers.split_filters)
    if not split.fits:
        return indirect.conv2d_forward_indirect(x, weight, bias, **hyper)
    measures = memo.to_fill(x)
    out = correlate(x, split, bias, out_size, stride[0], padding, measures, relu=relu, fill=fill)
    apart = outliers.find(x, measures, split, x.shape[3] * weight.shape[2] ** 2)
    for part, images in outliers.parts(apart, x):
        out[part] = indirect.conv2d_forward_indirect(images, weight, bias, **hyper)
    return out


def conv2d_backward_input_winograd(
    grad_out, weight, *, input_size, stride, padding, dilation, groups, memo=None, fill=fill_by_tiles
):
    """Return the gradient of the images: the output's, cross-correlated with the filters rotated by 180 degrees.

    grad_x[n, h, w, c] = sum over u, v, o of grad_out[n, h - u + top, w - v + left, o] * weight[o, c, u, v]

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in, KH, KW), 3 x 3 or 5 x 5
    input_size : (H, W)
    stride, padding, dilation, groups, memo, fill
        As in `conv2d_forward_winograd`.

    Returns
    -------
    ndarray, shape (N, H, W, C_in)

    Notes
    -----
    Cost: as forward.
    """
    memo = memo or outliers.Memo()
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    sizes = {"input_size": input_size, **hyper}
    split = memo.of(weight, outliers.split_filters)
    if not split.fits:
        return indirect.conv2d_backward_input_indirect(grad_out, weight, **sizes)
    # With stride 2, a tile begins with a pixel under the middle tap. Where padding is even, that is the pixel before.
    before = [(p + 1) % stride[0] for p in padding[::2]]
    around = [weight.shape[2] - 1 - p for p in padding]
    around[::2] = [p + skipped for p, skipped in zip(around[::2], before, strict=True)]
    size = tuple(n + skipped for n, skipped in zip(input_size, before, strict=True))
    measures = memo.to_fill(grad_out)
    grad_x = correlate(grad_out, split, None, size, stride[0], around, measures, transposed=True, fill=fill)
    grad_x = np.ascontiguousarray(grad_x[:, before[0] :, before[1] :])
    apart = outliers.find(grad_out, measures, split, grad_out.shape[3] * weight.shape[2] ** 2)
    for part, grads in outliers.parts(apart, grad_out):
        grad_x[part] = indirect.conv2d_backward_input_indirect(grads, weight, **sizes)
    return grad_x
