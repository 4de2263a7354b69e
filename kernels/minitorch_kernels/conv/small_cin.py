"""The gradients of a convolution of images with few channels, such as a first layer's.

`indirect` sums up each input pixel with its channels side by side in a vector register; three channels would leave
most lanes empty. Here the vectors hold all KH * KW * C elements of a window. The input gradient:

- a matrix product, output gradients (pixels, C_out) @ filters (C_out, KH*KW*C), gives the window of each output pixel;
- the windows are added to the image at the places they came from, while they are in the first-level cache.

The weight gradient is the matrix product, output gradients (C_out, pixels) @ windows (pixels, KH*KW*C). The windows of
some pixels are copied side by side just before they are multiplied.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.borders import pad
from minitorch_kernels.gemm.matmul import Offsets, multiply_rows
from minitorch_kernels.gemm.microkernel import KC, MR, Tile, microkernel_packed_a
from minitorch_kernels.gemm.pack import copy_mr, cut_k_runs, pack_b, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import chunk_bounds
from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import VectorIR, lanes, nr
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.views import flat

_PIXELS = 8 * MR  # windows that are computed before they are added to the image
_SPLITS = 16  # of the images in a weight gradient; a constant, so that the threads change nothing
_RUN_UNITS = 22  # cost of adding a row of a window, in multiply-adds of vectors


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
    padded_height: int  # of the image
    line: int  # elements of a padded row, PW*C
    top: int  # pixels of padding above
    left: int


def is_faster(problem, small_cout):
    """Return True where this takes less time than `indirect`, or than the algorithm `small_cout` if that would run.

    Counted in multiply-adds of vectors, and measured on AVX-512. ``problem`` is a `selection.Problem`.
    """
    (kernel_height, kernel_width), one = problem.kernel_size, lanes(problem.dtype)
    taps, window = kernel_height * kernel_width, kernel_height * kernel_width * problem.in_channels
    width = nr(problem.dtype, window)
    vectors, runs = -(-window // width) * width // one, kernel_height if problem.dilation[1] == 1 else taps
    here = math.prod(problem.output_size) * (problem.out_channels * vectors + _RUN_UNITS * runs)
    for_a_tap = MR / one if small_cout else -(-problem.in_channels // one)
    pixels = math.prod(problem.input_size) / math.prod(problem.stride)  # of each phase of the stride
    return problem.groups == 1 and here < pixels * taps * problem.out_channels * for_a_tap


def weight_is_faster(problem, in_place):
    """Return True where the weight gradient takes less time here than by `indirect_weight`, measured on x86.

    One copy holds a row of a window, or a panel all of it. Many filters would be faster ``in_place`` there.
    """
    row = problem.kernel_size[1] * problem.in_channels
    small = row <= MR or problem.kernel_size[0] * row <= nr(problem.dtype)
    return small and (problem.out_channels <= lanes(problem.dtype) or not in_place)


@intrinsic
def _add_run(typingctx, source, i, target, j, count):
    """Do target[j : j + count] += source[i : i + count], a vector at a time; called from compiled kernels alone.

    Whole vectors are read and written, so both arrays must extend one vector past the last element. Lanes after
    ``count`` add zero.
    """

    def emit(context, builder, signature, arguments):
        ir = VectorIR(context, builder, signature.args[0].dtype)
        pointers = [context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 2)]
        first, to = (ir.at(pointer, arguments[2 * k + 1]) for k, pointer in enumerate(pointers))

        def one_vector(v, carried):
            start = builder.mul(v, ir.int64(ir.lanes))
            values = ir.first_lanes(ir.load_vector(ir.at(first, start), 0), builder.sub(arguments[4], start))
            place = ir.at(to, start)
            ir.store_vector(builder.fadd(ir.load_vector(place, 0), values), place, 0)
            return []

        vectors = builder.sdiv(builder.add(arguments[4], ir.int64(ir.lanes - 1)), ir.int64(ir.lanes))
        ir.loop(ir.int64(0), vectors, [], one_vector)
        return context.get_dummy_value()

    return types.void(source, i, target, j, count), emit


@compiled
def _add_window(windows, source, image, i, j, shape):
    """Add the window of output pixel (i, j), which begins at ``windows[source]``, to the image, flat of (PH, PW, C)."""
    row = shape.width * shape.channels
    # With dilation 1 a row of the window is contiguous in the image.
    pieces, piece = (1, row) if shape.column_dilation == 1 else (shape.width, shape.channels)
    for u in range(shape.height):
        line = (i * shape.row_step + u * shape.row_dilation) * shape.line
        for v in range(pieces):
            start = (j * shape.column_step + v * shape.column_dilation) * shape.channels
            _add_run(windows, source, image, line + start, piece)
            source += piece


@parallel_kernel(tasks=lambda grad_x: len(grad_x))
def _spread_windows(first_task, end_task, grads, packed, grad_x, init, offsets, shape):
    """Add up the windows of all output pixels, and copy what lies in the image to grad_x (N, H, W*C).

    Parallel over images.
    """
    width, line, pixels = packed.shape[2], packed.shape[0] * packed.shape[2], shape.out_height * shape.out_width
    _, height, row = grad_x.shape
    for n in range(first_task, end_task):
        image = np.zeros(shape.padded_height * shape.line + width, grads.dtype)
        windows = np.empty(_PIXELS * line + width, grads.dtype)
        for first in range(0, len(offsets.a_rows), _PIXELS):
            a_rows = offsets.a_rows[first : first + _PIXELS]
            part = Offsets(a_rows, offsets.c_rows, offsets.k_runs, offsets.blocks)
            multiply_rows(grads, packed, windows, init, part, len(a_rows), n * pixels * shape.out_channels, 0)
            for pixel in range(first, min(first + len(a_rows), pixels)):  # whole_tiles repeats the last pixel
                i, j = pixel // shape.out_width, pixel % shape.out_width
                _add_window(windows, (pixel - first) * line, image, i, j, shape)
        for h in range(height):
            start = (shape.top + h) * shape.line + shape.left * shape.channels
            grad_x[n, h] = image[start : start + row]


def _windows(out, input_size, channels, kernel_size, stride, padding, dilation):
    """Return the `Windows` of a convolution whose output has the shape ``out``, (N, OH, OW, C_out)."""
    (height, width), (top, bottom, left, right) = input_size, padding
    return Windows(
        out_height=out[1],
        out_width=out[2],
        out_channels=out[3],
        channels=channels,
        row_step=stride[0],
        column_step=stride[1],
        row_dilation=dilation[0],
        column_dilation=dilation[1],
        height=kernel_size[0],
        width=kernel_size[1],
        padded_height=top + height + bottom,
        line=(left + width + right) * channels,
        top=top,
        left=left,
    )


@lru_cache(maxsize=512)
def _pixel_offsets(pixels, out_channels, panels, panel):
    """Return the `Offsets` of the product that computes the windows of an image."""
    a_rows, c_rows = whole_tiles(np.arange(pixels) * out_channels), np.arange(_PIXELS) * panels * panel
    return Offsets(a_rows, c_rows, *cut_k_runs([0], [0], out_channels, 1, panel))


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
    height, width = input_size
    channels = weight.shape[1]
    matrix = weight.transpose(0, 2, 3, 1).reshape(out_channels, -1)  # (C_out, KH*KW*C_in)
    panel = nr(grad_out.dtype, matrix.shape[1])
    packed = memory.empty((-(-matrix.shape[1] // panel), out_channels, panel), grad_out.dtype)
    pack_b(matrix, packed)
    grad_x = memory.empty((images, height, width, channels), grad_out.dtype)
    offsets = _pixel_offsets(out_height * out_width, out_channels, packed.shape[0], panel)
    shape = _windows(grad_out.shape, input_size, channels, weight.shape[2:], stride, padding, dilation)
    arrays = grad_out.reshape(-1), packed, grad_x.reshape(images, height, width * channels)
    _spread_windows(*arrays, np.zeros(packed.shape[0] * panel, grad_out.dtype), offsets, shape)
    return grad_x


# ---------------------------------------------------------------------------- the weight gradient


@compiled
def _pack_gradients(grad_out, first, count, shape, packed):
    """Pack the gradients of ``count`` pixels as the A of a product: tiles (count, MR), one after the other.

    The rows of the last tile that have no channel hold the next pixel's, and nobody reads their sums.
    """
    for channel in range(0, shape.out_channels, MR):
        for k in range(count):
            source, target = (first + k) * shape.out_channels + channel, channel * count + k * MR
            if source + MR <= len(grad_out):
                copy_mr(grad_out, source, packed, target)
            else:
                for m in range(MR):
                    packed[target + m] = grad_out[min(source + m, len(grad_out) - 1)]


@compiled
def _pack_windows(x, start, packed, target, step, shape):
    """Copy the windows of a row of outputs, the first of which begins at ``x[start]``, ``step`` elements apart.

    MR elements are copied at a time. Those too many are overwritten by the next row of the window or by the next
    window, or lie in columns whose sums nobody reads.
    """
    row, line = shape.width * shape.channels, shape.row_dilation * shape.line
    last = start + (shape.out_width - 1) * shape.column_step * shape.channels + (shape.height - 1) * line
    inside = last + row + MR <= len(x)
    for _ in range(shape.out_width):
        for u in range(shape.height):
            source, to = start + u * line, target + u * row
            if inside:
                copy_mr(x, source, packed, to)  # one is often enough
                for q in range(MR, row, MR):
                    copy_mr(x, source + q, packed, to + q)
            else:
                for q in range(row):
                    packed[to + q] = x[source + q]
        start += shape.column_step * shape.channels
        target += step


@parallel_kernel(tasks=lambda sums: len(sums))
def _sum_products(first_task, end_task, x, grad_out, sums, init, c_row_offsets, shape):
    """Fill sums (S, C_out, KH*KW*C), both rounded up to whole tiles, with the products of S ranges of the images."""
    splits, rows, step = sums.shape
    height, width, panel = shape.out_height, shape.out_width, len(init)
    images, together = len(grad_out) // (height * width * shape.out_channels), max(1, KC // width)
    packed_a = np.empty(together * width * rows, x.dtype)
    packed_b = np.zeros(together * width * step + panel, x.dtype)  # not arbitrary ones, slow to multiply
    flat_sums, no_jump = flat(sums), np.zeros((2, 1), np.int64)
    for split in range(first_task, end_task):
        begin, end = chunk_bounds(split, splits, images)
        for first in range(begin * height, end * height, together):
            last = min(first + together, end * height)
            count = (last - first) * width
            _pack_gradients(grad_out, first * width, count, shape, packed_a)
            for line in range(first, last):
                start = (line // height * shape.padded_height + line % height * shape.row_step) * shape.line
                _pack_windows(x, start, packed_b, (line - first) * width * step, step, shape)
            for index in range(rows // MR * (step // panel)):
                row, column = index % (rows // MR) * MR, index // (rows // MR) * panel
                tile = Tile(
                    row=row,
                    first_run=0,
                    end_run=1,
                    k_terms=count,
                    a_offset=row * count,
                    a_step=MR,
                    b_offset=column,
                    b_step=step,
                    c_offset=split * rows * step + column,
                    init_offset=0,
                    accumulate=0 if first == begin * height else 1,
                    width=panel,
                )
                microkernel_packed_a(packed_a, packed_b, flat_sums, init, c_row_offsets, c_row_offsets, no_jump, tile)


def conv2d_backward_weight_small_cin(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of filters of few channels; see `indirect_weight.conv2d_backward_weight_indirect`.

    The columns have no dilation, and there is one group.
    """
    padded, out_channels = pad(x, padding), grad_out.shape[3]
    channels = x.shape[3]
    window = kernel_size[0] * kernel_size[1] * channels
    panel = nr(x.dtype, window)
    rows, step = -(-out_channels // MR) * MR, -(-window // panel) * panel
    shape = _windows(grad_out.shape, x.shape[1:3], channels, kernel_size, stride, padding, dilation)
    sums = memory.empty((min(len(x), _SPLITS), rows, step), x.dtype)
    arrays = padded.reshape(-1), grad_out.reshape(-1), sums, np.zeros(panel, x.dtype)
    _sum_products(*arrays, np.arange(rows) * step, shape)
    total = sums.sum(axis=0)[:out_channels, :window].reshape(out_channels, *kernel_size, channels)
    return np.ascontiguousarray(total.transpose(0, 3, 1, 2))
