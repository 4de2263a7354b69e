"""The input gradient of a convolution of images with few channels, such as a first layer's.

`indirect` sums up each input pixel with its channels side by side in a vector register; three channels would leave
most lanes empty. Here the vectors hold all KH * KW * C elements of a window:

- a matrix product, output gradients (pixels, C_out) @ filters (C_out, KH*KW*C), gives the window of each output pixel;
- the windows are added to the image at the places they came from, while they are in the first-level cache.
"""

import math
from typing import NamedTuple

import numpy as np

from minitorch_kernels.gemm.matmul import Offsets, multiply_rows
from minitorch_kernels.gemm.microkernel import MR
from minitorch_kernels.gemm.pack import cut_k_runs, pack_b, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import VectorIR, lanes, nr
from minitorch_kernels.runtime.threads import parallel_kernel

_PIXELS = 8 * MR  # windows that are computed before they are added to the image
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

    Counted in multiply-adds of vectors, and measured on AVX-512. ``problem`` is a `select.Problem`.
    """
    (kernel_height, kernel_width), one = problem.kernel_size, lanes(problem.dtype)
    taps, window = kernel_height * kernel_width, kernel_height * kernel_width * problem.in_channels
    width = nr(problem.dtype, window)
    vectors, runs = -(-window // width) * width // one, kernel_height if problem.dilation[1] == 1 else taps
    here = math.prod(problem.output_size) * (problem.out_channels * vectors + _RUN_UNITS * runs)
    for_a_tap = MR / one if small_cout else -(-problem.in_channels // one)
    pixels = math.prod(problem.input_size) / math.prod(problem.stride)  # of each phase of the stride
    return problem.groups == 1 and here < pixels * taps * problem.out_channels * for_a_tap


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
    panel = nr(grad_out.dtype, matrix.shape[1])
    packed = memory.empty((-(-matrix.shape[1] // panel), out_channels, panel), grad_out.dtype)
    pack_b(matrix, packed)
    grad_x = memory.empty((images, height, width, channels), grad_out.dtype)
    offsets = Offsets(
        whole_tiles(np.arange(out_height * out_width) * out_channels),
        np.arange(_PIXELS) * packed.shape[0] * panel,
        *cut_k_runs([0], [0], out_channels, 1, panel),
    )
    shape = Windows(
        out_height=out_height,
        out_width=out_width,
        out_channels=out_channels,
        channels=channels,
        row_step=stride[0],
        column_step=stride[1],
        row_dilation=dilation[0],
        column_dilation=dilation[1],
        height=kernel_height,
        width=kernel_width,
        padded_height=top + height + bottom,
        line=(left + width + right) * channels,
        top=top,
        left=left,
    )
    arrays = grad_out.reshape(-1), packed, grad_x.reshape(images, height, width * channels)
    _spread_windows(*arrays, np.zeros(packed.shape[0] * panel, grad_out.dtype), offsets, shape)
    return grad_x
