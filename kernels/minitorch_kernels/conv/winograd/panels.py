"""Winograd's convolution of few tiles by many filters: panel by panel of filters.

Transformed 3 x 3 filters are four times as large as the filters: 19 MB for 256 channels and 512 filters. Where few
tiles share them, writing them to memory and reading them again takes too long. So here all tiles are transformed
first. Then each task transforms a panel of filters, some channels at a time, and multiplies by them while they are in
the second-level cache. The result has the same bits as with `correlate`'s order of the loops.
"""

import numpy as np

from minitorch_kernels.conv.winograd.correlate import conv2d_backward_input_winograd, conv2d_forward_winograd
from minitorch_kernels.conv.winograd.tiles import (
    FILTER_AREA,
    K_TERMS,
    RUN,
    filter_plane,
    offsets_of,
    place,
    plane,
    plane_step,
    read_rows_of_tiles,
    transform_back,
    transform_run,
    transform_tile,
    zeros_beside,
)
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.threads import get_num_threads, team_kernel
from minitorch_kernels.runtime.views import flat

_SHARE = 8  # tiles that a task transforms
_MOST = 256  # tiles: with more, their products with a panel of filters no longer stay in the second-level cache


def is_faster(tiles, channels, out_channels):
    """Return True where this order is faster than block by block: few tiles, and filters that take more memory.

    Measured on AVX-512: 1.1 to 1.6 times as fast there, with 32 to 128 tiles and 128 to 512 channels.
    """
    return tiles <= _MOST and tiles * (channels + out_channels) <= channels * out_channels


@compiled
def _multiply(inputs, filters, products, zeros, offsets, first, grid):
    """Multiply all tiles by some channels, from ``first`` on, of one panel of filters."""
    in_step, filter_step = plane_step(inputs, grid), len(filters) // FILTER_AREA
    product_step, points, width = plane_step(products, grid), len(grid.static_form.points), grid.width
    for e in range(points**2):
        for i in range(0, grid.tiles, MR):
            tile = Tile(
                row=i,
                first_run=0,
                end_run=1,
                k_terms=min(K_TERMS, grid.channels - first),
                a_offset=e * in_step + first,
                a_step=1,
                b_offset=filter_plane(e, points) * filter_step,
                b_step=width,
                c_offset=e * product_step,
                init_offset=0,
                accumulate=min(first, 1),
                width=width,
            )
            a_rows, c_rows, k_runs = offsets
            microkernel(inputs, filters, products, zeros, a_rows, c_rows, k_runs, tile)


@parallel_task
def _transform_tiles(first_task, end_task, images, inputs, zeros, grid):
    """Transform all tiles, some in each task."""
    x, first, end = flat(images.pixels), first_task * _SHARE, min(grid.tiles, end_task * _SHARE)
    read_rows_of_tiles(images, first, end, len(grid.static_form.in_step), grid)
    for t in range(first, end):
        transform_tile(x, images.pixels.shape, inputs, zeros, place(t, grid), t * grid.channels, grid)


@parallel_task
def _multiply_panels(first_task, end_task, filters, inputs, outputs, offsets, scratch, grid):
    """Compute some panels of filters in each task; there are as many tasks as there is scratch memory for."""
    width, channels = grid.width, grid.channels
    threads, zeros = len(scratch), np.zeros(width, inputs.dtype)
    filter_size = FILTER_AREA * plane(min(K_TERMS, channels) * width, grid.lanes)
    product_size = len(grid.static_form.points) ** 2 * plane(grid.tiles * width, grid.lanes)
    for thread in range(first_task, end_task):
        transformed = scratch[thread, :filter_size]
        products = scratch[thread, filter_size : filter_size + product_size]
        for p in range(thread, grid.panels, threads):
            for c in range(0, channels, K_TERMS):
                for first in range(c, min(c + K_TERMS, channels), RUN):
                    transform_run(filters, transformed, p, first, (first - c) * width, grid)
                _multiply(inputs, transformed, products, zeros, offsets, c, grid)
            for t in range(grid.tiles):
                transform_back(products, outputs, place(t, grid), p, t * width, grid)


@team_kernel
def _by_panels(team, images, filters, inputs, outputs, offsets, scratch, grid):
    """Compute `Outputs` panel by panel of filters; C and O are multiples of a vector.

    ``inputs`` (planes of T * C) is filled with the transformed tiles; ``scratch`` (threads, S) holds some channels'
    transformed filters and a panel's products.
    """
    zeros = zeros_beside(grid, inputs.dtype)
    _transform_tiles(team, -(-grid.tiles // _SHARE), (images, inputs, zeros, grid))
    _multiply_panels(team, len(scratch), (filters, inputs, outputs, offsets, scratch, grid))


def fill_by_panels(images, filters, outputs, grid):
    """Fill `Outputs` with the cross-correlation of images and filters, see `correlate.correlate`."""
    channels, total, lanes, dtype = grid.channels, grid.tiles, grid.lanes, outputs.maps.dtype
    area = len(grid.static_form.points) ** 2
    inputs = memory.empty((area * plane(total * channels, lanes),), dtype)
    size = FILTER_AREA * plane(min(K_TERMS, channels) * grid.width, lanes) + area * plane(total * grid.width, lanes)
    scratch = memory.empty((min(get_num_threads(), grid.panels), size), dtype)
    _by_panels(images, filters, inputs, outputs, offsets_of(total, channels, grid.width), scratch, grid)


def conv2d_forward_panels(x, weight, bias=None, **hyper):
    """Do what `correlate.conv2d_forward_winograd` does, panel by panel."""
    return conv2d_forward_winograd(x, weight, bias, **hyper, fill=fill_by_panels)


def conv2d_backward_input_panels(grad_out, weight, **hyper):
    """Do what `correlate.conv2d_backward_input_winograd` does, panel by panel."""
    return conv2d_backward_input_winograd(grad_out, weight, **hyper, fill=fill_by_panels)
