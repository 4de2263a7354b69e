"""The input gradient of a convolution of images with few channels, such as a first layer's.

`direct` gives each input pixel its sum of products, its channels side by side in a vector register; of
three channels most lanes would be empty. Here the vectors hold all KH * KW * C numbers of a window:

- a product, output gradients (pixels, C_out) @ filters (C_out, KH*KW*C), gives each output pixel's window;
- the windows are added to the image where they came from, while they are in the nearest cache.
"""

import numpy as np

from minitorch_kernels.gemm.matmul import cut_segments, pack_panels, whole_tiles
from minitorch_kernels.gemm.microkernel import ROWS, tile
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.simd import panel_width
from minitorch_kernels.runtime.threads import parallel_kernel

_PIXELS = 8 * ROWS  # windows between two additions to the image


def pays(channels, groups, dtype):
    """Return True where direct would leave at least 7 of 8 lanes empty; with 3 of 4 both take the same time."""
    return groups == 1 and 8 * channels <= panel_width(dtype)


@parallel_kernel(tasks=lambda image_sums: len(image_sums))
def _spread_windows(first_task, end_task, grads, packed, image_sums, zeros, a_rows, segments, blocks, numbers):
    """Add the windows of all output pixels to image_sums (N, PH, PW*C); parallel over images."""
    pixels, out_width, out_channels, channels, row_step, column_step, row_dilation, dilation, height, width = numbers
    runs, run = (1, width * channels) if dilation == 1 else (width, channels)  # numbers of a window side by side
    panels, _, lanes = packed.shape
    line = panels * lanes
    packed_flat = packed.reshape(-1)
    for n in range(first_task, end_task):
        image = image_sums[n]
        image[:] = 0
        windows = np.empty(_PIXELS * line, grads.dtype)
        window_rows = np.arange(_PIXELS) * line
        for first in range(0, len(a_rows), _PIXELS):
            count = min(_PIXELS, len(a_rows) - first)
            for p in range(panels):
                for block in range(len(blocks)):
                    begin, end, terms = blocks[block]
                    for i in range(0, count, ROWS):
                        offsets = (n * pixels * out_channels, 1, p * packed.shape[1] * lanes, lanes, p * lanes, 0)
                        call = (0, begin, end, terms, *offsets, min(block, 1), lanes)
                        rows, c_rows = a_rows[first + i :], window_rows[i:]
                        tile(grads, packed_flat, windows, zeros, rows, c_rows, segments, call)
            for pixel in range(first, min(first + count, pixels)):  # whole_tiles repeats the last pixel
                i, j = pixel // out_width, pixel % out_width
                source = (pixel - first) * line
                for u in range(height):
                    target = image[i * row_step + u * row_dilation]
                    for v in range(runs):
                        start = (j * column_step + v * dilation) * channels
                        for k in range(run):
                            target[start + k] += windows[source + k]
                        source += run


def conv2d_backward_input_spread(grad_out, weight, *, input_size, stride, padding, dilation):
    """Return the gradient of images with few channels; see `direct.conv2d_backward_input_direct`.

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in, KH, KW)
    input_size : (H, W)
    stride, dilation : (int, int)
    padding : (top, bottom, left, right)

    Returns
    -------
    ndarray, shape (N, H, W, C_in)

    Notes
    -----
    Cost: 2*N*OH*OW*C_out*C_in*KH*KW flop, and an addition for each number of each window.
    """
    images, out_height, out_width, out_channels = grad_out.shape
    (height, width), (top, bottom, left, right) = input_size, padding
    _, channels, kernel_height, kernel_width = weight.shape
    matrix = weight.transpose(0, 2, 3, 1).reshape(out_channels, -1)  # (C_out, KH*KW*C_in)
    lanes = panel_width(grad_out.dtype, matrix.shape[1])
    packed = memory.empty((-(-matrix.shape[1] // lanes), out_channels, lanes), grad_out.dtype)
    pack_panels(matrix, packed)
    sums = memory.empty((images, top + height + bottom, (left + width + right) * channels), grad_out.dtype)
    segments, blocks = cut_segments([0], [0], out_channels, 1, lanes)
    pixels = out_height * out_width
    a_rows = whole_tiles(np.arange(pixels) * out_channels)
    numbers = (pixels, out_width, out_channels, channels, *stride, *dilation, kernel_height, kernel_width)
    zeros = np.zeros(lanes, grad_out.dtype)
    _spread_windows(grad_out.reshape(-1), packed, sums, zeros, a_rows, segments, blocks, numbers)
    whole = sums.reshape(images, top + height + bottom, left + width + right, channels)
    return np.ascontiguousarray(whole[:, top : top + height, left : left + width])
