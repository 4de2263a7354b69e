"""Winograd's convolution of few patches by many filters: panel by panel of filters.

Transformed 3 x 3 filters are four times as large as the filters: 19 MB for 256 channels and 512 filters. Where few
patches share them, it takes long to write these to memory and to read them again. So here the patches are
transformed first, all of them; then each task transforms a panel of filters, some channels at a time, and multiplies
by them while they are in the second-level cache. The bits are those of `winograd._correlate_blocks`.
"""

import numpy as np
from numba import prange

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
from minitorch_kernels.runtime.jit import get_num_threads, kernel
from minitorch_kernels.runtime.simd import lanes as vector_lanes

_TERMS = 128  # channels whose filters are transformed, then multiplied
_SHARE = 8  # patches that a task transforms
_MOST = 256  # patches, whose products with a panel of filters stay in the second-level cache, too


def pays(patches, channels, out_channels):
    """Return True where this is faster than block by block: few patches, and filters that are more than these.

    Measured on AVX-512: 1.1 to 1.6 times as fast there, with 32 to 128 patches and 128 to 512 channels.
    """
    return patches <= _MOST and patches * (channels + out_channels) <= channels * out_channels


@kernel
def _panels(x, weight, turned, inputs, start, out, rows, columns, segments, scratch, numbers, taps):
    """Compute out (N, OH, OW, O) panel by panel of filters; C and O are multiples of a vector.

    ``inputs`` (36 planes of T * C) is filled with the transformed patches; ``start`` holds a panel of zeros, then the
    bias; ``scratch`` (threads, S) some channels' transformed filters, a panel's products and a pixel.
    """
    top, left, lanes, panel, total = numbers
    _, out_height, out_width, out_channels = out.shape
    channels, panels, side, threads = x.shape[3], -(-out_channels // panel), PATCH + 1 - len(taps), len(scratch)
    down, across, x_flat, out_flat = -(-out_height // side), -(-out_width // side), x.reshape(-1), out.reshape(-1)
    in_step, filter_step = len(inputs) // ELEMENTS, plane(min(_TERMS, channels) * panel, lanes)
    product_step, sizes = plane(total * panel, lanes), (channels, panel, lanes)
    zeros = np.zeros(channels, x.dtype)
    for task in prange(-(-total // _SHARE)):
        for t in range(task * _SHARE, min(total, (task + 1) * _SHARE)):
            patch, steps = place(t, down, across, side), (top, left, in_step, lanes)
            transform_patch(x_flat, x.shape, inputs, zeros, patch, t * channels, steps, taps)
    for thread in prange(threads):
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
