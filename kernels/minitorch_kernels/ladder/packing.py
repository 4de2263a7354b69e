"""Packing: the copies that step 6 and step 7 make. im2col's matrix is made block by block, never as a whole.

BLIS packs A and B in such a way that the micro-kernel reads both from their first number to their last. Ours reads
MR + NR rows at once, so in a micro-panel these rows lie one after the other.
"""

import numpy as np

from minitorch_kernels.ladder.step3_channels_last import channels_last
from minitorch_kernels.runtime.jit import compiled


def operands(x, weight, stride, padding):
    """Return A (N, OH, OW, KH, KW*C), all windows of x, and B (O, 1, 1, KH, KW*C), all filters.

    Nothing but the padding and the change of layout is copied: the windows are a view, and share their pixels.
    """
    x, (filters, channels, kernel_height, kernel_width) = channels_last(x, padding), weight.shape
    run = kernel_width * channels  # the numbers of one row of a window, which are neighbours in memory
    windows = np.lib.stride_tricks.sliding_window_view(x.reshape(*x.shape[:2], -1), (kernel_height, run), (1, 2))
    return windows[:, ::stride, :: stride * channels], channels_last(weight).reshape(filters, 1, 1, kernel_height, run)


@compiled
def pack(rows, first, most, height):
    """Copy rows first, first + 1, ... of A or B, at most ``most``, into micro-panels (P, height, terms)."""
    images, out_height, out_width, taps, run = rows.shape
    count = min(most, images * out_height * out_width - first)
    panels = -(-count // height)  # the last one may have rows that mean nothing
    memory = np.empty(panels * height * taps * run + 64 // rows.itemsize, rows.dtype)
    first_line = -np.int64(memory.ctypes.data) % 64 // rows.itemsize  # no vector in two cache lines
    packed = memory[first_line : first_line + panels * height * taps * run].reshape(panels, height, taps, run)
    for m in range(count):
        n, i = (first + m) // (out_height * out_width), (first + m) // out_width % out_height
        for u in range(taps):
            for k in range(run):
                packed[m // height, m % height, u, k] = rows[n, i, (first + m) % out_width, u, k]
    return packed.reshape(panels, height, taps * run)
