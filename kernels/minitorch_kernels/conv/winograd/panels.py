"""Winograd's convolution of few patches by many filters: panel by panel of filters.

Transformed 3 x 3 filters are four times as large as the filters: 19 MB for 256 channels and 512 filters. Where few
patches share them, it takes long to write these to memory and to read them again. So here the patches are
transformed first, all of them; then each task transforms a panel of filters, some channels at a time, and multiplies
by them while they are in the second-level cache. The bits are those of `winograd._correlate_blocks`.
"""

import numpy as np

from minitorch_kernels.conv.winograd.tiles import (
    ELEMENTS,
    NO_SEGMENTS,
    RUN,
    patches_of,
    place,
    plane,
    transform_back,
    transform_patch,
    transform_run,
)
from minitorch_kernels.conv.winograd.transform import PATCH
from minitorch_kernels.gemm.matmul import whole_tiles
from minitorch_kernels.gemm.microkernel import ROWS, tile
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.threads import get_num_threads, team_kernel

_TERMS = 128  # channels whose filters are transformed, then multiplied
_SHARE = 8  # patches that a task transforms
_MOST = 256  # patches, whose products with a panel of filters stay in the second-level cache, too


def pays(patches, channels, out_channels):
    """Return True where this is faster than block by block: few patches, and filters that are more than these.

    Measured on AVX-512: 1.1 to 1.6 times as fast there, with 32 to 128 patches and 128 to 512 channels.
    """
    return patches <= _MOST and patches * (channels + out_channels) <= channels * out_channels


@parallel_task
def _transform_patches(first_task, end_task, x, inputs, zeros, size, numbers, taps):
    """Transform all patches, some in each task."""
    (top, left, lanes, _, total), (down, across, side) = numbers, size
    steps = (top, left, len(inputs) // ELEMENTS, lanes)
    for t in range(first_task * _SHARE, min(total, end_task * _SHARE)):
        patch = place(t, down, across, side)
        transform_patch(x.reshape(-1), x.shape, inputs, zeros, patch, t * x.shape[3], steps, taps)


@parallel_task
def _multiply_panels(
    first_task,
    end_task,
    weight,
    turned,
    inputs,
    start,
    out,
    rows,
    columns,
    segments,
    scratch,
    channels,
    size,
    numbers,
    taps,
):
    """Compute some panels of filters in each task, as many tasks as there is scratch memory for."""
    (_, _, lanes, panel, total), (down, across, side) = numbers, size
    panels, threads, out_flat = -(-out.shape[3] // panel), len(scratch), out.reshape(-1)
    in_step, filter_step = len(inputs) // ELEMENTS, plane(min(_TERMS, channels) * panel, lanes)
    product_step, sizes = plane(total * panel, lanes), (channels, panel, lanes)
    for thread in range(first_task, end_task):
        filters = scratch[thread, : ELEMENTS * filter_step]
        products = scratch[thread, ELEMENTS * filter_step : ELEMENTS * (filter_step + product_step)]
        aside = scratch[thread, ELEMENTS * (filter_step + product_step) :]
        for p in range(thread, panels, threads):
            for c in range(0, channels, _TERMS):
                terms, go_on = min(_TERMS, channels - c), min(c, 1)
                for first in range(c, c + terms, RUN):
                    to = (first - c) * panel
                    transform_run(weight, turned, filters, (p, first), to, filter_step, sizes, taps)
                for e in range(ELEMENTS):
                    # Element (1, 1) joins every output, times 1: there the bias is added, once.
                    begin = (p + 1) * panel if e == PATCH + 1 else 0
                    a, b, target = e * in_step + c, e * filter_step, e * product_step
                    for i in range(0, total, ROWS):
                        call = (i, 0, 1, terms, a, 1, b, panel, target, begin, go_on, panel)
                        tile(inputs, filters, products, start, rows, columns, segments, call)
            for t in range(total):
                patch, steps = place(t, down, across, side), (product_step, p, panel, lanes)
                transform_back(products, out_flat, out.shape, aside, patch, t * panel, steps, taps)


@team_kernel
def _panels(team, x, weight, turned, inputs, start, out, rows, columns, segments, scratch, numbers, taps):
    """Compute out (N, OH, OW, O) panel by panel of filters; C and O are multiples of a vector.

    ``inputs`` (36 planes of T * C) is filled with the transformed patches; ``start`` holds a panel of zeros, then the
    bias; ``scratch`` (threads, S) some channels' transformed filters, a panel's products and a pixel.
    """
    channels, side, total = x.shape[3], PATCH + 1 - len(taps), numbers[4]
    size = -(-out.shape[1] // side), -(-out.shape[2] // side), side
    _transform_patches(team, -(-total // _SHARE), (x, inputs, np.zeros(channels, x.dtype), size, numbers, taps))
    tables = weight, turned, inputs, start, out, rows, columns, segments, scratch
    _multiply_panels(team, len(scratch), (*tables, channels, size, numbers, taps))


def correlate(x, weight, turned, start, out, before, panel, taps):
    """Fill out (N, OH, OW, O) with the cross-correlation of x (N, H, W, C) and weight, see `winograd._correlate`."""
    (images, out_height, out_width, _), channels, lanes = out.shape, x.shape[3], vector_lanes(x.dtype)
    total, panels = images * patches_of(out_height, out_width, len(taps)), len(start) // panel - 1
    inputs = memory.empty((ELEMENTS * plane(total * channels, lanes),), x.dtype)
    planes = plane(min(_TERMS, channels) * panel, lanes) + plane(total * panel, lanes)
    scratch = memory.empty((min(get_num_threads(), panels), ELEMENTS * planes + panel), x.dtype)
    rows, columns = whole_tiles(np.arange(total) * channels), whole_tiles(np.arange(total) * panel)
    numbers = (*before, lanes, panel, total)
    _panels(x, weight, turned, inputs, start, out, rows, columns, NO_SEGMENTS, scratch, numbers, taps)
