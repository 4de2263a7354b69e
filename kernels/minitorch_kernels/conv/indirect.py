"""Convolution without an im2col buffer: forward and input gradient; `indirect_weight` has the third product.

In memory that is channels-last, the numbers under one window of one image row are contiguous: KW
pixels of C channels. A convolution is then a product of rows that overlap, and `gathered_product`
takes rows from anywhere:

- forward: row = output pixel, terms = the KH runs of KW * C numbers under its window;
- input gradient: row = input pixel, terms = the output gradients that its window positions received,
  with the kernel transposed. With stride s, pixels of the s * s residue classes see different taps, so
  each class is a product of its own, and no zeros are stuffed between the gradients.

The images are copied once into a zero-padded buffer, unless there is no padding.
"""

from functools import lru_cache

import numpy as np

from minitorch_kernels.conv import small_cin, small_cout
from minitorch_kernels.conv.borders import residue_taps
from minitorch_kernels.conv.depthwise import depthwise
from minitorch_kernels.gemm.matmul import available, cut_segments, gathered_product, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.simd import panel_width
from minitorch_kernels.runtime.threads import parallel_kernel

__all__ = ["available", "conv2d_backward_input_direct", "conv2d_forward_direct", "pad"]


# ------------------------------------------------------------------------------------ padding


@parallel_kernel(tasks=lambda x: len(x))
def _pad_rows(first_task, end_task, x, out, top, left):
    """Copy x (N, H, W*C) into out (N, PH, PW*C) at (top, left), zeros around; parallel over images."""
    images, height, width = x.shape
    _, padded_height, padded_width = out.shape
    for n in range(first_task, end_task):
        for h in range(padded_height):
            row = out[n, h]
            if h < top or h >= top + height:
                row[:] = 0
            else:
                row[:left] = 0
                row[left : left + width] = x[n, h - top]
                row[left + width :] = 0


def pad(x, padding):
    """Return x (N, H, W, C) with zeros around it: (top, bottom, left, right) pixels; x itself for none."""
    top, bottom, left, right = padding
    if not any(padding):
        return x
    images, height, width, channels = x.shape
    out = memory.empty((images, top + height + bottom, left + width + right, channels), x.dtype)
    rows = (array.reshape(*array.shape[:2], array.shape[2] * channels) for array in (x, out))  # -1 fails on no images
    _pad_rows(*rows, top, left * channels)
    return out


# --------------------------------------------------------------------- forward, input gradient


@parallel_kernel(tasks=lambda packed: packed.shape[0] * packed.shape[1])
def _pack_weight(first_task, end_task, weight, taps, packed):
    """Copy weight (G, columns, inner, KH, KW) into packed (G, P, T*inner, width), term = (tap, inner).

    Zeros stand behind the last column; parallel over panels.
    """
    groups, columns, inner, _, _ = weight.shape
    _, panels, _, width = packed.shape
    for task in range(first_task, end_task):
        g, p = task // panels, task % panels
        valid = min(width, columns - p * width)
        for t in range(len(taps)):
            u, v = taps[t]
            for i in range(inner):
                for j in range(valid):
                    packed[g, p, t * inner + i, j] = weight[g, p * width + j, i, u, v]
                for j in range(valid, width):
                    packed[g, p, t * inner + i, j] = 0


@lru_cache(maxsize=512)
def _pixel_offsets(images, rows, columns, image_step, row_step, column_step, offset=0):
    """Return the offsets of a grid of pixels, image by image, padded to whole tiles."""
    grid = (
        np.arange(images, dtype=np.int64)[:, None, None] * image_step
        + np.arange(rows, dtype=np.int64)[:, None] * row_step
        + np.arange(columns, dtype=np.int64) * column_step
    )
    return whole_tiles(grid.reshape(-1) + offset)


@lru_cache(maxsize=512)
def _tap_segments(offsets, inner, width):
    """Return `cut_segments` for taps at ``offsets``, joined where neighbours lie side by side."""
    starts, lengths = [offsets[0]], [inner]
    for previous, offset in zip(offsets, offsets[1:], strict=False):
        if offset == previous + inner:
            lengths[-1] += inner
        else:
            starts.append(offset)
            lengths.append(inner)
    if len(set(lengths)) > 1:
        starts, lengths = offsets, [inner] * len(offsets)
    return cut_segments(starts, np.arange(len(starts)) * lengths[0] * width, lengths[0], 1, width)


@lru_cache(maxsize=512)
def _panels(groups, columns, inner, terms, width):
    """Return the ``panels`` of `gathered_product` for all groups."""
    per_group = -(-columns // width)
    return np.array(
        [
            (
                (g * per_group + p) * terms * width,
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


def _correlate(a, weight, taps, tap_offsets, bias, out, a_rows, c_rows):
    """Compute rows of out from rows of a with one set of taps; weight (G, columns, inner, KH, KW)."""
    groups, columns, inner = weight.shape[:3]
    width, terms = panel_width(a.dtype, columns), len(taps) * inner
    per_group = -(-columns // width)
    packed = memory.empty((groups, per_group, terms, width), a.dtype)
    _pack_weight(weight, np.array(taps, np.int64), packed)
    start = np.zeros((groups, per_group * width), a.dtype)
    if bias is not None:
        start[:, :columns] = bias.reshape(groups, columns)
    segments, blocks = _tap_segments(tuple(tap_offsets), inner, width)
    panels = _panels(groups, columns, inner, terms, width)
    packed = packed.reshape(-1, terms, width)
    arrays = a.reshape(-1), packed, width, out.reshape(-1), start.reshape(-1)
    gathered_product(*arrays, a_rows, c_rows, segments, blocks, panels, False)


def conv2d_forward_direct(x, weight, bias=None, *, stride, padding, dilation, groups):
    """Cross-correlate images with filters.

    out[n, i, j, o] = bias[o] + sum over u, v, c of x[n, i*sh + u*dh - top, j*sw + v*dw - left, c] * weight[o, c, u, v]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in/groups, KH, KW)
    bias : ndarray, shape (C_out,), or None
    stride, dilation : (int, int)
    padding : (top, bottom, left, right), pixels of zeros
    groups : int

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
    height, width = height + padding[0] + padding[1], width + padding[2] + padding[3]
    out_height, out_width = (
        (height - dh * (kernel_height - 1) - 1) // sh + 1,
        (width - dw * (kernel_width - 1) - 1) // sw + 1,
    )
    if depthwise.fits(channels, out_channels, groups, x.dtype):
        size = out_height, out_width
        return depthwise.forward(x, weight, bias, size, stride=stride, padding=padding, dilation=dilation)
    out = memory.empty((images, out_height, out_width, out_channels), x.dtype)
    if out.size == 0:
        return out
    if small_cout.pays(weight.shape, stride, groups, x.dtype):
        return small_cout.forward(x, weight, bias, (out_height, out_width), padding=padding, dilation=dilation)
    padded = pad(x, padding)
    taps = [(u, v) for u in range(kernel_height) for v in range(kernel_width)]
    offsets = [(u * dh * width + v * dw) * channels for u, v in taps]
    row = width * channels
    a_rows = _pixel_offsets(images, out_height, out_width, height * row, sh * row, sw * channels)
    c_rows = _pixel_offsets(1, 1, images * out_height * out_width, 0, 0, out_channels)
    grouped = weight.reshape(groups, out_channels // groups, *weight.shape[1:])
    _correlate(padded, grouped, taps, offsets, bias, out, a_rows, c_rows)
    return out


def conv2d_backward_input_direct(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of the images: every output's gradient, spread over its window times the kernel.

    grad_x[n, h, w, c] = sum over u, v, o of grad_out[n, i, j, o] * weight[o, c, u, v]
                         where i*sh + u*dh - top = h and j*sw + v*dw - left = w

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in/groups, KH, KW)
    input_size : (H, W)
    stride, padding, dilation, groups
        As in `conv2d_forward_direct`.

    Returns
    -------
    ndarray, shape (N, H, W, C_in)

    Notes
    -----
    Cost: as forward. Parallel over blocks of input pixels and panels of input channels; images with few
    channels take `small_cin` or, with stride 1, `small_cout`.
    """
    (sh, sw), (dh, dw), (height, width) = stride, dilation, input_size
    images, out_height, out_width, out_channels = grad_out.shape
    group_channels, kernel_height, kernel_width = weight.shape[1:]
    channels = group_channels * groups
    if depthwise.fits(channels, out_channels, groups, grad_out.dtype):
        around = {"stride": stride, "padding": padding, "dilation": dilation}
        return depthwise.backward_input(grad_out, weight, input_size, **around)
    grad_x = memory.empty((images, height, width, channels), grad_out.dtype)
    if grad_x.size == 0:
        return grad_x
    if grad_out.size and small_cin.pays(channels, groups, grad_out.dtype):
        return small_cin.conv2d_backward_input_spread(
            grad_out, weight, input_size=input_size, stride=stride, padding=padding, dilation=dilation
        )
    reach = dh * (kernel_height - 1), dw * (kernel_width - 1)
    around = tuple(reach[i // 2] - padding[i] for i in range(4))
    if stride == (1, 1) and min(around) >= 0:  # the gradients, filtered by the filters turned by 180 degrees
        turned, sizes = weight[:, :, ::-1, ::-1], {"padding": around, "dilation": dilation}
        swapped = turned.transpose(1, 0, 2, 3)  # (C_in, C_out, KH, KW)
        if grad_out.size and small_cout.pays(swapped.shape, stride, groups, grad_out.dtype):
            return small_cout.forward(grad_out, swapped, None, input_size, **sizes)
    rows = [residue_taps(r, padding[0], kernel_height, sh, dh) for r in range(min(sh, height))]
    columns = [residue_taps(r, padding[2], kernel_width, sw, dw) for r in range(min(sw, width))]
    if not (all(rows) and all(columns)):
        grad_x[...] = 0  # some pixels lie between the windows
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
            a_rows = _pixel_offsets(images, *count, padded.shape[1] * row, row, out_channels)
            c_rows = _pixel_offsets(images, *count, height * line, sh * line, sw * channels, r * line + q * channels)
            _correlate(padded, swapped, taps, shifts, None, grad_x, a_rows, c_rows)
    return grad_x


def _overhang(classes, size, stride, out_size):
    """Return by how many pixels the taps reach over the two ends of the output."""
    reaches = [
        (shift, (size - 1 - residue) // stride + shift) for residue, taps in enumerate(classes) for _, shift in taps
    ]
    first, last = min((r[0] for r in reaches), default=0), max((r[1] for r in reaches), default=0)
    return max(0, -first), max(0, last - out_size + 1)
