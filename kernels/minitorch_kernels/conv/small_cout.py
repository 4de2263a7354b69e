"""A convolution to few output channels, such as LeNet's six: the lanes hold neighbouring pixels.

`direct` holds the output channels of a pixel in a vector register; six of them leave lanes empty, and
too few sums to keep the multipliers busy. Here the two sides of the product change places:

- an image is laid out as lines (H, C, W), where neighbours in a row are neighbours in memory;
- row of the tile = output channel, its numbers of A the filter; column = pixel of an output row. The
  taps (u, c) of one v are lines that follow one another, so that a sum runs over KH * C terms at a stretch;
- a finished row goes back to channels-last, and the bias is added on the way.
"""

from functools import lru_cache

import numpy as np

from minitorch_kernels.gemm.matmul import cut_segments, whole_tiles
from minitorch_kernels.gemm.microkernel import ROWS, tile
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import helper
from minitorch_kernels.runtime.simd import lanes, panel_width
from minitorch_kernels.runtime.threads import parallel_kernel


def pays(weight_shape, stride, groups, dtype):
    """Return True where one tile holds all filters and their channels would not fill a vector."""
    filters, _, kernel_height, kernel_width = weight_shape
    few = filters <= ROWS and filters < lanes(dtype)
    return few and groups == 1 and stride == (1, 1) and kernel_height * kernel_width > 1


@helper
def _lay_lines(image, top, left, lines):
    """Copy an image (H, W, C) into lines (PH, C, PW) with zeros around."""
    height, width, channels = image.shape
    lines[:] = 0
    for h in range(height):
        for c in range(channels):
            line = lines[top + h, c, left:]
            for w in range(width):
                line[w] = image[h, w, c]


@parallel_kernel(tasks=lambda out: len(out))
def _filter_lines(
    first_task, end_task, x, filters, bias, out, zeros, a_rows, c_rows, segments, blocks, firsts, numbers
):
    """Filter images x (N, H, W, C) into out (N, OH, OW, C_out); ``firsts`` are the first pixels of a row's panels.

    Parallel over images.
    """
    padded_height, padded_width, top, left, width, line = numbers
    images, out_height, out_width, out_channels = out.shape
    channels = x.shape[3]
    size = padded_height * channels * padded_width
    for n in range(first_task, end_task):
        memory = np.empty(size + width, x.dtype)  # the last panel may end behind the last line
        _lay_lines(x[n], top, left, memory[:size].reshape((padded_height, channels, padded_width)))
        sums = np.empty(out_channels * line, x.dtype)
        for i in range(out_height):
            for first in firsts:
                for block in range(len(blocks)):
                    begin, end, terms = blocks[block]
                    offsets = (0, 1, i * channels * padded_width + first, padded_width, first, 0)
                    call = (0, begin, end, terms, *offsets, min(block, 1), width)
                    tile(filters, memory, sums, zeros, a_rows, c_rows, segments, call)
            row = out[n, i].reshape(-1)
            for o in range(out_channels):
                finished, start = sums[o * line : o * line + out_width], bias[o]
                for j in range(out_width):
                    row[j * out_channels + o] = finished[j] + start


@lru_cache(maxsize=256)
def _plan(filters, channels, kernel_size, dilation, padded_width, out_width, width):
    """Return a_rows, c_rows, segments, blocks and first pixels of `_filter_lines`, and the numbers in a row of sums."""
    kernel_height, kernel_width = kernel_size
    runs, run = (1, kernel_height * channels) if dilation[0] == 1 else (kernel_height, channels)  # lines side by side
    starts = (
        np.arange(kernel_width)[:, None] * dilation[1] + np.arange(runs) * dilation[0] * channels * padded_width
    ).reshape(-1)
    segments, blocks = cut_segments(np.arange(len(starts)) * run, starts, run, 1, padded_width)
    line = max(out_width, width)
    firsts = np.minimum(np.arange(0, out_width, width), line - width)  # the last panel begins early enough to be full
    a_rows = whole_tiles(np.arange(filters) * channels * kernel_height * kernel_width)
    return a_rows, whole_tiles(np.arange(filters) * line), segments, blocks, firsts, line


def forward(x, weight, bias, out_size, *, padding, dilation):
    """Filter images x (N, H, W, C) by weight (C_out, C, KH, KW); parameters as in `direct`, stride 1."""
    images, height, width, channels = x.shape
    filters, _, *kernel_size = weight.shape
    top, bottom, left, right = padding
    padded = top + height + bottom, left + width + right
    panel = panel_width(x.dtype, out_size[1])
    *tables, line = _plan(filters, channels, tuple(kernel_size), dilation, padded[1], out_size[1], panel)
    out = memory.empty((images, *out_size, filters), x.dtype)
    zeros = np.zeros(max(panel, filters), x.dtype)
    numbers = (*padded, top, left, panel, line)
    packed = np.ascontiguousarray(weight.transpose(0, 3, 2, 1)).reshape(-1)  # (C_out, KW, KH, C)
    _filter_lines(x, packed, zeros if bias is None else bias, out, zeros, *tables, numbers)
    return out
