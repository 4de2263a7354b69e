"""Packing: the copies that steps 6 and 7 make. The matrix of im2col never exists as a whole, only block by block.

BLIS packs A and B so that its micro-kernel reads both from the first element to the last. The micro-kernel of step 5
reads MR + NR rows at the same time, so the rows of a micro-panel lie one after the other.
"""

import numpy as np

from minitorch_kernels.ladder.step3_channels_last import channels_last
from minitorch_kernels.runtime.jit import compiled


def operands(x, weight, stride, padding):
    """Return A (N, OH, OW, KH, KW*C), all windows of x, and B (O, 1, 1, KH, KW*C), all filters.

    Only the padding and the change of layout make a copy: the windows are a view, and share their pixels.
    """
    x, (filters, channels, kernel_height, kernel_width) = channels_last(x, padding), weight.shape
    run = kernel_width * channels  # the elements of one row of a window, which are neighbours in memory
    windows = np.lib.stride_tricks.sliding_window_view(x.reshape(*x.shape[:2], -1), (kernel_height, run), (1, 2))
    return windows[:, ::stride, :: stride * channels], channels_last(weight).reshape(filters, 1, 1, kernel_height, run)


@compiled
def pack(rows, first, most, height):
    """Copy rows first, first + 1, ... of A or B, at most ``most``, into micro-panels (P, height, terms)."""
    images, out_height, out_width, taps, run = rows.shape
    count = min(most, images * out_height * out_width - first)
    panels = -(-count // height)  # the last one may have rows that nobody reads
    memory = np.empty(panels * height * taps * run + 64 // rows.itemsize, rows.dtype)
    first_line = -np.int64(memory.ctypes.data) % 64 // rows.itemsize  # so that no vector lies in two cache lines
    packed = memory[first_line : first_line + panels * height * taps * run].reshape(panels, height, taps, run)
    for m in range(count):
        n, i = (first + m) // (out_height * out_width), (first + m) // out_width % out_height
        for u in range(taps):
            for k in range(run):
                packed[m // height, m % height, u, k] = rows[n, i, (first + m) % out_width, u, k]
    return packed.reshape(panels, height, taps * run)
