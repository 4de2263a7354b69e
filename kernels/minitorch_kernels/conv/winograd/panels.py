"""Winograd's convolution of few tiles by many filters: panel by panel of filters.

Transformed 3 x 3 filters are four times as large as the filters: 19 MB for 256 channels and 512 filters. Where few
tiles share them, writing them to memory and reading them again takes too long. So here all tiles are transformed
first. Then each task transforms a panel of filters, some channels at a time, and multiplies by them while they are in
the second-level cache. The result has the same bits as with `correlate`'s order of the loops.

A map of 7 x 7 outputs has 2 x 2 tiles, and three of them end outside it. The point at infinity counts for the last
output of a tile alone, so these tiles do without it: 121 products instead of 144. `in_order` sorts the tiles so that
those which need an element are neighbours. Forward, that takes 15 % off the time of 512 filters for 512 channels of 8
images with 7 x 7 pixels, and 16 % off that of 512 filters with stride 2 for 256 channels with 14 x 14 pixels.
"""

from functools import lru_cache
from typing import NamedTuple

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
    tiles_along,
    transform_back,
    transform_run,
    transform_tile,
    zeros_beside,
)
from minitorch_kernels.conv.winograd.transform import MATRICES
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


class Order(NamedTuple):
    """An order of the tiles in which those that need the same element are neighbours."""

    tiles: np.ndarray  # (T,), int64: the index of each tile, image by image and row by row
    needed: np.ndarray  # (points * points, 2), int64: the first tile that needs an element, and the end


@lru_cache(maxsize=256)
def in_order(form, images, out_size):
    """Return the `Order` of the tiles of images with (OH, OW) outputs.

    Of a tile at the bottom or at the right, some outputs may lie outside. It does not need the elements that count for
    these alone, whose rows of A are zero for the others. Tiles at the bottom come first, then those at no edge, those
    at the right, and those at both.
    """
    side, needed, at_edge = len(form.out_step), [], []
    for size, count in zip(out_size, tiles_along(*out_size, side), strict=True):
        inside = MATRICES[tuple(map(len, form))].a[:, : size - (count - 1) * side]
        needed.append(inside.any(axis=1))
        at_edge.append((np.arange(count) == count - 1) & ~needed[-1].all())
    bottom, right = at_edge[0][:, None], at_edge[1]
    kinds = np.where(bottom, np.where(right, 3, 0), np.where(right, 2, 1))
    kinds = np.tile(kinds.reshape(-1), images)
    ends = np.cumsum(np.bincount(kinds, minlength=4))
    at_bottom, at_right = needed[0][:, None], needed[1]
    begin = np.where(at_bottom, 0, ends[0])
    end = np.where(at_right, np.where(at_bottom, ends[3], ends[2]), ends[1])
    ranges = np.stack(np.broadcast_arrays(begin, end), axis=-1)
    return Order(np.argsort(kinds, kind="stable"), np.ascontiguousarray(ranges.reshape(-1, 2)))


@compiled
def _multiply(inputs, filters, products, zeros, offsets, order, first, grid):
    """Multiply all tiles by some channels, from ``first`` on, of one panel of filters."""
    in_step, filter_step = plane_step(inputs, grid), len(filters) // FILTER_AREA
    product_step, points, width = plane_step(products, grid), len(grid.static_form.points), grid.width
    for e in range(points**2):
        begin, end = order.needed[e]
        for i in range(begin // MR * MR, end, MR):
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
def _transform_tiles(first_task, end_task, images, inputs, zeros, order, grid):
    """Transform all tiles, some in each task."""
    x, first, end = flat(images.pixels), first_task * _SHARE, min(grid.tiles, end_task * _SHARE)
    read_rows_of_tiles(images, first, end, len(grid.static_form.in_step), grid)
    for t in range(first, end):
        origin = place(order.tiles[t], grid)
        transform_tile(x, images.pixels.shape, inputs, zeros, origin, t * grid.channels, grid)


@parallel_task
def _multiply_panels(first_task, end_task, filters, inputs, outputs, offsets, scratch, order, grid):
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
                _multiply(inputs, transformed, products, zeros, offsets, order, c, grid)
            for t in range(grid.tiles):
                transform_back(products, outputs, place(order.tiles[t], grid), p, t * width, grid)


@team_kernel
def _by_panels(team, images, filters, inputs, outputs, offsets, scratch, order, grid):
    """Compute `Outputs` panel by panel of filters; C and O are multiples of a vector.

    ``inputs`` (planes of T * C) is filled with the transformed tiles; ``scratch`` (threads, S) holds some channels'
    transformed filters and a panel's products.
    """
    zeros = zeros_beside(grid, inputs.dtype)
    _transform_tiles(team, -(-grid.tiles // _SHARE), (images, inputs, zeros, order, grid))
    _multiply_panels(team, len(scratch), (filters, inputs, outputs, offsets, scratch, order, grid))


def fill_by_panels(images, filters, outputs, grid):
    """Fill `Outputs` with the cross-correlation of images and filters, see `correlate.correlate`."""
    channels, total, lanes, dtype = grid.channels, grid.tiles, grid.lanes, outputs.maps.dtype
    area = len(grid.static_form.points) ** 2
    inputs = memory.empty((area * plane(total * channels, lanes),), dtype)
    size = FILTER_AREA * plane(min(K_TERMS, channels) * grid.width, lanes) + area * plane(total * grid.width, lanes)
    scratch = memory.empty((min(get_num_threads(), grid.panels), size), dtype)
    order = in_order(grid.static_form, len(outputs.maps), outputs.maps.shape[1:3])
    _by_panels(images, filters, inputs, outputs, offsets_of(total, channels, grid.width), scratch, order, grid)


def conv2d_forward_panels(x, weight, bias=None, **hyper):
    """Do what `correlate.conv2d_forward_winograd` does, panel by panel."""
    return conv2d_forward_winograd(x, weight, bias, **hyper, fill=fill_by_panels)


def conv2d_backward_input_panels(grad_out, weight, **hyper):
    """Do what `correlate.conv2d_backward_input_winograd` does, panel by panel."""
    return conv2d_backward_input_winograd(grad_out, weight, **hyper, fill=fill_by_panels)
