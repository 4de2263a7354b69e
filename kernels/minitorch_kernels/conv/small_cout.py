"""A convolution to few output channels, such as LeNet's six: the lanes hold neighbouring pixels.

`indirect` holds the output channels of a pixel in a vector register; six of them leave lanes empty and give
too few sums to keep the multipliers busy. Here the operands of the product swap roles:

- an image is laid out as lines (H, C, W), where neighbours in a row are neighbours in memory;
- row of the tile = output channel, whose filter is a row of A; column = pixel of an output row. The
  taps (u, c) of one v are consecutive lines, so a run of terms is KH * C long;
- a finished row is copied back to channels-last order, and the bias is added on the way.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.borders import output_size
from minitorch_kernels.gemm.matmul import Offsets
from minitorch_kernels.gemm.microkernel import MR, ShortTile, microkernel
from minitorch_kernels.gemm.pack import cut_k_runs, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import lanes, nr
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.views import flat


class Lines(NamedTuple):
    """The image in lines (PH, C, PW), and a row of sums; all int64."""

    height: int  # PH, with padding
    width: int  # PW, with padding
    top: int  # pixels of padding above
    left: int
    panel: int  # NR: pixels of a tile
    row: int  # pixels in a row of sums, >= OW


def is_faster(weight_shape, stride, groups, dtype):
    """Return True where one tile holds all filters, which would not fill a vector."""
    filters, _, kernel_height, kernel_width = weight_shape
    few = filters <= MR and filters < lanes(dtype)
    return few and groups == 1 and stride == (1, 1) and kernel_height * kernel_width > 1


@compiled
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
def _filter_lines(first_task, end_task, x, filters, bias, out, zeros, offsets, firsts, lines, relu):
    """Filter images x (N, H, W, C) into out (N, OH, OW, C_out); ``firsts`` are the first pixels of a row's panels.

    Parallel over images.
    """
    images, out_height, out_width, out_channels = out.shape
    channels, line, (a_rows, c_rows, k_runs, blocks) = x.shape[3], lines.width, offsets
    size = lines.height * channels * line
    for n in range(first_task, end_task):
        image = np.empty(size + lines.panel, x.dtype)  # the last panel may end after the last line
        _lay_lines(x[n], lines.top, lines.left, image[:size].reshape((lines.height, channels, line)))
        sums = np.empty(out_channels * lines.row, x.dtype)
        for i in range(out_height):
            for first in firsts:
                for block in range(len(blocks)):
                    first_run, end_run, k_terms = blocks[block]
                    tile = ShortTile(
                        row=0,
                        first_run=first_run,
                        end_run=end_run,
                        k_terms=k_terms,
                        a_offset=0,
                        a_step=1,
                        b_offset=i * channels * line + first,
                        b_step=line,
                        c_offset=first,
                        init_offset=0,
                        accumulate=min(block, 1),
                        width=lines.panel,
                        rows=out_channels,
                    )
                    microkernel(filters, image, sums, zeros, a_rows, c_rows, k_runs, tile)
            row = flat(out[n, i])
            for o in range(out_channels):
                finished, shift = sums[o * lines.row : o * lines.row + out_width], bias[o]
                for j in range(out_width):
                    value = finished[j] + shift
                    row[j * out_channels + o] = 0 if relu and value <= 0 else value


@lru_cache(maxsize=256)
def _plan(filters, channels, kernel_size, dilation, padded_width, out_width, width):
    """Return the `Offsets` and first pixels of `_filter_lines`, and the pixels in a row of sums."""
    kernel_height, kernel_width = kernel_size
    runs, run = (1, kernel_height * channels) if dilation[0] == 1 else (kernel_height, channels)  # lines side by side
    starts = (
        np.arange(kernel_width)[:, None] * dilation[1] + np.arange(runs) * dilation[0] * channels * padded_width
    ).reshape(-1)
    k_runs, blocks = cut_k_runs(np.arange(len(starts)) * run, starts, run, 1, padded_width)
    line = max(out_width, width)
    firsts = np.minimum(np.arange(0, out_width, width), line - width)  # the last panel begins where it is still full
    rows = np.arange(filters)
    a_rows, c_rows = whole_tiles(rows * channels * kernel_height * kernel_width), whole_tiles(rows * line)
    return Offsets(a_rows, c_rows, k_runs, blocks), firsts, line


def conv2d_forward_small_cout(x, weight, bias=None, *, stride, padding, dilation, groups, relu=False):
    """Filter images x (N, H, W, C) by few filters (C_out, C, KH, KW); parameters as in `indirect`, stride 1."""
    out_size = output_size(x.shape[1:3], weight.shape[2:], stride, padding, dilation)
    images, height, width, channels = x.shape
    filters, _, *kernel_size = weight.shape
    top, bottom, left, right = padding
    padded = top + height + bottom, left + width + right
    panel = nr(x.dtype, out_size[1])
    offsets, firsts, row = _plan(filters, channels, tuple(kernel_size), dilation, padded[1], out_size[1], panel)
    out = memory.empty((images, *out_size, filters), x.dtype)
    zeros = np.zeros(max(panel, filters), x.dtype)
    lines = Lines(*padded, top=top, left=left, panel=panel, row=row)
    packed = np.ascontiguousarray(weight.transpose(0, 3, 2, 1)).reshape(-1)  # (C_out, KW, KH, C)
    arrays = x, packed, zeros if bias is None else bias, out, zeros
    _filter_lines(*arrays, offsets, firsts, lines, relu)
    return out


def input_gradient_padding(kernel_size, padding, dilation):
    """Return the padding of the convolution that computes an input gradient; negative where none does."""
    reach = [dilation[k] * (kernel_size[k] - 1) for k in (0, 1)]
    return tuple(reach[i // 2] - padding[i] for i in range(4))


def conv2d_backward_input_small_cout(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of images with few channels; parameters as in `indirect`, stride 1.

    It is a convolution of the output gradients with the filters rotated by 180 degrees.
    """
    around = input_gradient_padding(weight.shape[2:], padding, dilation)
    turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)  # (C_in, C_out, KH, KW)
    return conv2d_forward_small_cout(grad_out, turned, stride=stride, padding=around, dilation=dilation, groups=groups)
