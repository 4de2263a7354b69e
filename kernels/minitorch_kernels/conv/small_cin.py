"""The input gradient of a convolution of images with few channels, such as a first layer's.

`indirect` gives each input pixel its sum of products, its channels side by side in a vector register; of
three channels most lanes would be empty. Here the vectors hold all KH * KW * C numbers of a window:

- a product, output gradients (pixels, C_out) @ filters (C_out, KH*KW*C), gives each output pixel's window;
- the windows are added to the image where they came from, while they are in the nearest cache.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel
from minitorch_kernels.gemm.pack import cut_k_runs, pack_b, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import nr
from minitorch_kernels.runtime.threads import parallel_kernel

_PIXELS = 8 * MR  # windows between two additions to the image


class Windows(NamedTuple):
    """The windows of a convolution; all int64."""

    out_height: int
    out_width: int
    out_channels: int
    channels: int
    row_step: int  # pixels from window to window (stride)
    column_step: int
    row_dilation: int
    column_dilation: int
    height: int  # KH
    width: int  # KW


def is_faster(channels, groups, dtype):
    """Return True where `indirect` would leave at least 7 of 8 lanes empty; with 3 of 4 both take the same time."""
    return groups == 1 and 8 * channels <= nr(dtype)


@compiled
def _multiply(grads, packed, windows, zeros, a_row_offsets, window_rows, k_runs, blocks, start):
    """Compute windows (pixels, KH*KW*C) of some output pixels from their gradients, which begin at ``start``."""
    panels, rows_of_b, width = packed.shape
    flat = packed.reshape(-1)
    for p in range(panels):
        for block in range(len(blocks)):
            first_run, end_run, k_terms = blocks[block]
            for i in range(0, len(a_row_offsets), MR):
                tile = Tile(
                    row=i,
                    first_run=first_run,
                    end_run=end_run,
                    k_terms=k_terms,
                    a_offset=start,
                    a_step=1,
                    b_offset=p * rows_of_b * width,
                    b_step=width,
                    c_offset=p * width,
                    init_offset=0,
                    accumulate=min(block, 1),
                    width=width,
                )
                microkernel(grads, flat, windows, zeros, a_row_offsets, window_rows, k_runs, tile)


@compiled
def _add_window(windows, source, image, i, j, shape):
    """Add the window of output pixel (i, j), which begins at ``windows[source]``, to the image (PH, PW*C)."""
    row = shape.width * shape.channels
    # With dilation 1 a row of the window is contiguous in the image.
    pieces, piece = (1, row) if shape.column_dilation == 1 else (shape.width, shape.channels)
    for u in range(shape.height):
        target = image[i * shape.row_step + u * shape.row_dilation]
        for v in range(pieces):
            start = (j * shape.column_step + v * shape.column_dilation) * shape.channels
            for k in range(piece):
                target[start + k] += windows[source + k]
            source += piece


@parallel_kernel(tasks=lambda image_sums: len(image_sums))
def _spread_windows(first_task, end_task, grads, packed, image_sums, zeros, a_row_offsets, k_runs, blocks, shape):
    """Add the windows of all output pixels to image_sums (N, PH, PW*C); parallel over images."""
    line, pixels = packed.shape[0] * packed.shape[2], shape.out_height * shape.out_width
    for n in range(first_task, end_task):
        image = image_sums[n]
        image[:] = 0
        windows = np.empty(_PIXELS * line, grads.dtype)
        window_rows = np.arange(_PIXELS) * line
        for first in range(0, len(a_row_offsets), _PIXELS):
            rows = a_row_offsets[first : first + _PIXELS]
            start = n * pixels * shape.out_channels
            _multiply(grads, packed, windows, zeros, rows, window_rows, k_runs, blocks, start)
            for pixel in range(first, min(first + len(rows), pixels)):  # whole_tiles repeats the last pixel
                i, j = pixel // shape.out_width, pixel % shape.out_width
                _add_window(windows, (pixel - first) * line, image, i, j, shape)


def conv2d_backward_input_small_cin(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of images with few channels; see `indirect.conv2d_backward_input_indirect`.

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in, KH, KW)
    input_size : (H, W)
    stride, dilation : (int, int)
    padding : (top, bottom, left, right)
    groups : 1

    Returns
    -------
    ndarray, shape (N, H, W, C_in)

    Notes
    -----
    Cost: 2*N*OH*OW*C_out*C_in*KH*KW flop, and an addition for each element of each window.
    """
    images, out_height, out_width, out_channels = grad_out.shape
    (height, width), (top, bottom, left, right) = input_size, padding
    _, channels, kernel_height, kernel_width = weight.shape
    matrix = weight.transpose(0, 2, 3, 1).reshape(out_channels, -1)  # (C_out, KH*KW*C_in)
    lanes = nr(grad_out.dtype, matrix.shape[1])
    packed = memory.empty((-(-matrix.shape[1] // lanes), out_channels, lanes), grad_out.dtype)
    pack_b(matrix, packed)
    sums = memory.empty((images, top + height + bottom, (left + width + right) * channels), grad_out.dtype)
    k_runs, blocks = cut_k_runs([0], [0], out_channels, 1, lanes)
    a_row_offsets = whole_tiles(np.arange(out_height * out_width) * out_channels)
    shape = Windows(out_height, out_width, out_channels, channels, *stride, *dilation, kernel_height, kernel_width)
    zeros = np.zeros(lanes, grad_out.dtype)
    _spread_windows(grad_out.reshape(-1), packed, sums, zeros, a_row_offsets, k_runs, blocks, shape)
    whole = sums.reshape(images, top + height + bottom, left + width + right, channels)
    return np.ascontiguousarray(whole[:, top : top + height, left : left + width])
