"""Winograd's convolution of few tiles by many filters: panel by panel of filters.

Transformed 3 x 3 filters are four times as large as the filters: 19 MB for 256 channels and 512 filters. Where few
tiles share them, it takes long to write these to memory and to read them again. So here the tiles are
transformed first, all of them; then each task transforms a panel of filters, some channels at a time, and multiplies
by them while they are in the second-level cache. The bits are those of `correlate`'s other order.
"""

import numpy as np

from minitorch_kernels.conv.winograd.correlate import conv2d_backward_input_winograd, conv2d_forward_winograd
from minitorch_kernels.conv.winograd.tiles import (
    ONE_RUN,
    RUN,
    TILE_AREA,
    FilterBlock,
    Grid,
    place,
    plane,
    tiles_of,
    transform_back,
    transform_run,
    transform_tile,
)
from minitorch_kernels.conv.winograd.transform import TILE
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel
from minitorch_kernels.gemm.pack import whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.simd import nr
from minitorch_kernels.runtime.threads import get_num_threads, team_kernel

_K_TERMS = 128  # channels whose filters are transformed, then multiplied
_SHARE = 8  # tiles that a task transforms
_MOST = 256  # tiles: with more, their products with a panel of filters no longer stay in the second-level cache


def is_faster(tiles, channels, out_channels):
    """Return True where this order is faster than block by block: few tiles, and filters that take more memory.

    Measured on AVX-512: 1.1 to 1.6 times as fast there, with 32 to 128 tiles and 128 to 512 channels.
    """
    return tiles <= _MOST and tiles * (channels + out_channels) <= channels * out_channels


@compiled
def _multiply(inputs, filters, products, init, rows, columns, k_runs, panel, first, channels, grid):
    """Multiply all tiles by some channels, from ``first`` on, of one panel of filters."""
    in_step, filter_step = plane(grid.tiles * channels, grid.lanes), len(filters) // TILE_AREA
    product_step, width = plane(grid.tiles * grid.width, grid.lanes), grid.width
    for e in range(TILE_AREA):
        for i in range(0, grid.tiles, MR):
            tile = Tile(
                row=i,
                first_run=0,
                end_run=1,
                k_terms=min(_K_TERMS, channels - first),
                a_offset=e * in_step + first,
                a_step=1,
                b_offset=e * filter_step,
                b_step=width,
                c_offset=e * product_step,
                # Element (1, 1) takes part in every output, times 1: there the bias is added, once.
                init_offset=(panel + 1) * width if e == TILE + 1 else 0,
                accumulate=min(first, 1),
                width=width,
            )
            microkernel(inputs, filters, products, init, rows, columns, k_runs, tile)


@parallel_task
def _transform_tiles(first_task, end_task, x, inputs, zeros, down, across, grid, static_kernel_size):
    """Transform all tiles, some in each task."""
    channels, side = x.shape[3], TILE + 1 - len(static_kernel_size)
    step, flat = plane(grid.tiles * channels, grid.lanes), x.reshape(-1)
    for t in range(first_task * _SHARE, min(grid.tiles, end_task * _SHARE)):
        origin = place(t, down, across, side)
        transform_tile(flat, x.shape, inputs, zeros, origin, t * channels, step, grid, static_kernel_size)


@parallel_task
def _multiply_panels(
    first_task, end_task, weight, transposed_filter, inputs, init, out, rows, columns, k_runs, scratch, channels,
    down, across, grid, static_kernel_size,
):  # fmt: skip
    """Compute some panels of filters in each task; there are as many tasks as there is scratch memory for."""
    width, total, side = grid.width, grid.tiles, TILE + 1 - len(static_kernel_size)
    panels, threads, flat = -(-out.shape[3] // width), len(scratch), out.reshape(-1)
    filter_step = plane(min(_K_TERMS, channels) * width, grid.lanes)
    product_step = plane(total * width, grid.lanes)
    for thread in range(first_task, end_task):
        filters = scratch[thread, : TILE_AREA * filter_step]
        products = scratch[thread, TILE_AREA * filter_step : TILE_AREA * (filter_step + product_step)]
        aside = scratch[thread, TILE_AREA * (filter_step + product_step) :]
        for p in range(thread, panels, threads):
            for c in range(0, channels, _K_TERMS):
                for first in range(c, min(c + _K_TERMS, channels), RUN):
                    block = FilterBlock(panel=p, channel=first, channels=channels, lanes=grid.lanes, width=width)
                    to = (first - c) * width
                    transform_run(weight, transposed_filter, filters, block, to, filter_step, static_kernel_size)
                _multiply(inputs, filters, products, init, rows, columns, k_runs, p, c, channels, grid)
            for t in range(total):
                origin, start = place(t, down, across, side), t * width
                transform_back(
                    products, flat, out.shape, aside, origin, p, start, product_step, grid, static_kernel_size
                )


@team_kernel
def _by_panels(
    team, x, weight, transposed_filter, inputs, init, out, rows, columns, k_runs, scratch, grid, static_kernel_size
):
    """Compute out (N, OH, OW, O) panel by panel of filters; C and O are multiples of a vector.

    ``inputs`` (36 planes of T * C) is filled with the transformed tiles; ``init`` holds a panel of zeros, then the
    bias; ``scratch`` (threads, S) holds some channels' transformed filters, a panel's products and a pixel.
    """
    channels, side = x.shape[3], TILE + 1 - len(static_kernel_size)
    down, across, zeros = -(-out.shape[1] // side), -(-out.shape[2] // side), np.zeros(channels, x.dtype)
    tiles = x, inputs, zeros, down, across, grid, static_kernel_size
    _transform_tiles(team, -(-grid.tiles // _SHARE), tiles)
    tables = weight, transposed_filter, inputs, init, out, rows, columns, k_runs, scratch
    _multiply_panels(team, len(scratch), (*tables, channels, down, across, grid, static_kernel_size))


def fill_by_panels(x, weight, transposed_filter, init, out, before, static_kernel_size):
    """Fill out (N, OH, OW, O) with the cross-correlation of x (N, H, W, C) and weight, see `correlate.correlate`."""
    (images, out_height, out_width, out_channels), channels, lanes = out.shape, x.shape[3], vector_lanes(x.dtype)
    width, total = nr(x.dtype, out_channels), images * tiles_of(out_height, out_width, len(static_kernel_size))
    panels = len(init) // width - 1
    inputs = memory.empty((TILE_AREA * plane(total * channels, lanes),), x.dtype)
    planes = plane(min(_K_TERMS, channels) * width, lanes) + plane(total * width, lanes)
    scratch = memory.empty((min(get_num_threads(), panels), TILE_AREA * planes + width), x.dtype)
    rows, columns = whole_tiles(np.arange(total) * channels), whole_tiles(np.arange(total) * width)
    grid = Grid(*before, total, lanes, width)
    _by_panels(
        x, weight, transposed_filter, inputs, init, out, rows, columns, ONE_RUN, scratch, grid, static_kernel_size
    )


def conv2d_forward_panels(x, weight, bias=None, **hyper):
    """Do what `correlate.conv2d_forward_winograd` does, panel by panel."""
    return conv2d_forward_winograd(x, weight, bias, **hyper, fill=fill_by_panels)


def conv2d_backward_input_panels(grad_out, weight, **hyper):
    """Do what `correlate.conv2d_backward_input_winograd` does, panel by panel."""
    return conv2d_backward_input_winograd(grad_out, weight, **hyper, fill=fill_by_panels)
