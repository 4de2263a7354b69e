"""Indirect convolution: a matrix product whose rows are read through an indirection buffer, without an im2col copy.

In channels-last memory, the elements that a window covers in one row of an image are contiguous: KW pixels of C
channels. A convolution is then a matrix product whose rows overlap, and `indirect_gemm` reads rows from anywhere:

- forward: row = output pixel, terms = the KH runs of KW * C elements under its window;
- input gradient: row = input pixel, terms = the output gradients of the windows that cover the pixel, with the kernel
  transposed. With stride s there are s * s phases of pixels, which meet different taps. Each phase is a product of its
  own, so no zeros are inserted between the gradients.

The images are copied once into a zero-padded buffer, unless there is no padding. `indirect_weight` has the third
product, the gradient of the filters.

Source: Dukhan 2019, "The Indirect Convolution Algorithm", https://arxiv.org/abs/1907.02129, abstract: an indirection
buffer in place of im2col's copy, for any kernel size, padding, stride and dilation.
"""

from functools import lru_cache

import numpy as np

from minitorch_kernels.conv.borders import output_size, pad, taps_of_phase
from minitorch_kernels.gemm.matmul import Offsets, indirect_gemm
from minitorch_kernels.gemm.pack import cut_k_runs, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.simd import nr, sum_dtype
from minitorch_kernels.runtime.threads import parallel_kernel


@parallel_kernel(tasks=lambda packed: packed.shape[0] * packed.shape[1])
def _pack_weight(first_task, end_task, weight, taps, packed):
    """Pack B: weight (G, columns, inner, KH, KW) into (G, P, T*inner, NR), term = (tap, inner).

    Zeros fill the last panel; parallel over panels.
    """
    groups, columns, inner, _, _ = weight.shape
    _, panels, _, width = packed.shape
    for task in range(first_task, end_task):
        g, p = task // panels, task % panels
        valid = min(width, columns - p * width)
        for i in range(inner):
            for t in range(len(taps)):
                u, v = taps[t]
                for j in range(valid):
                    packed[g, p, t * inner + i, j] = weight[g, p * width + j, i, u, v]
                for j in range(valid, width):
                    packed[g, p, t * inner + i, j] = 0


@lru_cache(maxsize=512)
def pixel_offsets(images, rows, columns, image_step, row_step, column_step, offset=0):
    """Return the offsets of a grid of pixels, image by image, padded to whole tiles."""
    grid = (
        np.arange(images, dtype=np.int64)[:, None, None] * image_step
        + np.arange(rows, dtype=np.int64)[:, None] * row_step
        + np.arange(columns, dtype=np.int64) * column_step
    )
    return whole_tiles(grid.reshape(-1) + offset)


@lru_cache(maxsize=512)
def _tap_runs(offsets, inner, width):
    """Return `cut_k_runs` for taps at ``offsets``; taps that follow one another in memory become one run."""
    starts, lengths = [offsets[0]], [inner]
    for previous, offset in zip(offsets, offsets[1:], strict=False):
        if offset == previous + inner:
            lengths[-1] += inner
        else:
            starts.append(offset)
            lengths.append(inner)
    if len(set(lengths)) > 1:
        starts, lengths = offsets, [inner] * len(offsets)
    return cut_k_runs(starts, np.arange(len(starts)) * lengths[0] * width, lengths[0], 1, width)


@lru_cache(maxsize=512)
def _panel_table(groups, columns, inner, k_terms, width):
    """Return the ``panels`` of `indirect_gemm` for all groups."""
    per_group = -(-columns // width)
    return np.array(
        [
            (
                (g * per_group + p) * k_terms * width,
                (g * per_group + p) * width,
                g * inner,
                g * columns + p * width,
                min(width, columns - p * width),
            )
            for g in range(groups)
            for p in range(per_group)
        ],
        np.int64,
    ).reshape(-1, 5)


def multiply_windows(a, weight, taps, tap_offsets, bias, out, a_row_offsets, c_row_offsets, *, relu=False):
    """Compute rows of ``out`` from windows of ``a`` with one set of taps; weight (G, columns, inner, KH, KW)."""
    groups, columns, inner = weight.shape[:3]
    width, k_terms = nr(a.dtype, columns), len(taps) * inner
    per_group = -(-columns // width)
    packed = memory.empty((groups, per_group, k_terms, width), a.dtype)
    _pack_weight(weight, np.array(taps, np.int64), packed)
    init = np.zeros((groups, per_group * width), out.dtype)
    if bias is not None:
        init[:, :columns] = bias.reshape(groups, columns)
    offsets = Offsets(a_row_offsets, c_row_offsets, *_tap_runs(tuple(tap_offsets), inner, width))
    panels = _panel_table(groups, columns, inner, k_terms, width)
    packed = packed.reshape(-1, k_terms, width)
    arrays = a.reshape(-1), packed, out.reshape(-1), init.reshape(-1)
    indirect_gemm(*arrays, offsets, panels, 1, False, relu)


def conv2d_forward_indirect(x, weight, bias=None, *, stride, padding, dilation, groups, relu=False):
    """Cross-correlate images with filters.

    out[n, i, j, o] = bias[o] + sum over u, v, c of x[n, i*sh + u*dh - top, j*sw + v*dw - left, c] * weight[o, c, u, v]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32, float64 or pairs of bf16 (`conv.bf16`)
    weight : ndarray, shape (C_out, C_in/groups, KH, KW)
    bias : ndarray, shape (C_out,), or None
    stride, dilation : (int, int)
    padding : (top, bottom, left, right), pixels of zeros
    groups : int
    relu : bool
        Replace negative elements of ``out`` by 0.

    Returns
    -------
    ndarray, shape (N, OH, OW, C_out)

    Notes
    -----
    Cost: 2*N*OH*OW*C_out*(C_in/groups)*KH*KW flop and one padded copy of x. Parallel over blocks of
    output pixels and panels of output channels; the same bits for any number of threads.
    """
    (sh, sw), (dh, dw) = stride, dilation
    out_channels, _, kernel_height, kernel_width = weight.shape
    images, height, width, channels = x.shape
    out_height, out_width = output_size((height, width), weight.shape[2:], stride, padding, dilation)
    out = memory.empty((images, out_height, out_width, out_channels), sum_dtype(x.dtype))
    if out.size == 0:
        return out
    padded = pad(x, padding)
    height, width = padded.shape[1:3]
    taps = [(u, v) for u in range(kernel_height) for v in range(kernel_width)]
    offsets = [(u * dh * width + v * dw) * channels for u, v in taps]
    row = width * channels
    a_row_offsets = pixel_offsets(images, out_height, out_width, height * row, sh * row, sw * channels)
    c_row_offsets = pixel_offsets(1, 1, images * out_height * out_width, 0, 0, out_channels)
    grouped = weight.reshape(groups, out_channels // groups, *weight.shape[1:])
    multiply_windows(padded, grouped, taps, offsets, bias, out, a_row_offsets, c_row_offsets, relu=relu)
    return out


def conv2d_backward_input_indirect(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of the images: every output's gradient, spread over its window times the kernel.

    grad_x[n, h, w, c] = sum over u, v, o of grad_out[n, i, j, o] * weight[o, c, u, v]
                         where i*sh + u*dh - top = h and j*sw + v*dw - left = w

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous, float32, float64 or pairs of bf16
    weight : ndarray, shape (C_out, C_in/groups, KH, KW)
    input_size : (H, W)
    stride, padding, dilation, groups
        As in `conv2d_forward_indirect`.

    Returns
    -------
    ndarray, shape (N, H, W, C_in)

    Notes
    -----
    Cost: as forward. Parallel over blocks of input pixels and panels of input channels.
    """
    (sh, sw), (dh, dw), (height, width) = stride, dilation, input_size
    images, out_height, out_width, out_channels = grad_out.shape
    group_channels, kernel_height, kernel_width = weight.shape[1:]
    channels = group_channels * groups
    grad_x = memory.empty((images, height, width, channels), sum_dtype(grad_out.dtype))
    if grad_x.size == 0:
        return grad_x
    rows = [taps_of_phase(r, padding[0], kernel_height, sh, dh) for r in range(min(sh, height))]
    columns = [taps_of_phase(r, padding[2], kernel_width, sw, dw) for r in range(min(sw, width))]
    if not (all(rows) and all(columns)):
        grad_x[...] = 0  # no window covers some of the pixels
    top, bottom = _overhang(rows, height, sh, out_height)
    left, right = _overhang(columns, width, sw, out_width)
    padded = pad(grad_out, (top, bottom, left, right))
    row, line = padded.shape[2] * out_channels, width * channels
    swapped = weight.reshape(groups, out_channels // groups, *weight.shape[1:]).transpose(0, 2, 1, 3, 4)
    for r, row_taps in enumerate(rows):
        for q, column_taps in enumerate(columns):
            taps = [(u, v) for u, _ in row_taps for v, _ in column_taps]
            if not taps:
                continue
            shifts = [(i + top) * row + (j + left) * out_channels for _, i in row_taps for _, j in column_taps]
            count = -(-(height - r) // sh), -(-(width - q) // sw)
            a_row_offsets = pixel_offsets(images, *count, padded.shape[1] * row, row, out_channels)
            c_row_offsets = pixel_offsets(
                images, *count, height * line, sh * line, sw * channels, r * line + q * channels
            )
            multiply_windows(padded, swapped, taps, shifts, None, grad_x, a_row_offsets, c_row_offsets)
    return grad_x


def _overhang(phases, size, stride, out_size):
    """Return by how many pixels the taps of all phases reach beyond the two ends of the output."""
    reaches = [(shift, (size - 1 - phase) // stride + shift) for phase, taps in enumerate(phases) for _, shift in taps]
    first, last = min((r[0] for r in reaches), default=0), max((r[1] for r in reaches), default=0)
    return max(0, -first), max(0, last - out_size + 1)
