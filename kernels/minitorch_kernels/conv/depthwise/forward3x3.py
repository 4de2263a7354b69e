"""The micro-kernel of a depthwise convolution with nine taps: the filter stays in the vector registers.

`microkernel_depthwise` loads two vectors for every multiply-add. With nine taps, even the 16 registers of AVX2 allow
better: for one vector of channels, all nine weights and the sums of PIXELS outputs stay in registers while a window
of three rows slides along,

    inputs    x0 x1 x2 x3 x4 x5        of each of the three rows; with stride 2, nine of them
              |     |  |     |         x2 is the right tap of output 0, the middle one of output 1,
    outputs   y0    y1 y2    y3        and the left one of output 2: one load, three products

so each input is loaded once for each row of the filter. Meanwhile, the data of the next row of outputs is prefetched:
the processor predicts well what follows along a row, but not where the next row begins. Each vector of channels
prefetches a contiguous share of that row instead of its own channels of every pixel, because memory delivers
contiguous data faster.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import VectorIR

PIXELS = 4  # outputs at a time: 9 weights, 4 sums, an input and the start make 15
TAPS = 3  # along each side


class Row(NamedTuple):
    """A row of outputs, offsets those of channel 0; all int64."""

    x_offset: int  # of the first output's window
    out_offset: int
    count: int  # outputs, >= PIXELS; where it is not a multiple of PIXELS, some are computed twice
    x_ahead: int  # how far ahead in x the row to prefetch lies
    out_ahead: int


class Window(NamedTuple):
    """Steps in x, in the filters and in the outputs; all int64."""

    line: int  # in x, from row to row of the window
    filter_offset: int
    filter_row: int
    filter_column: int
    out_step: int  # from output to output


def sliding_window(stride):
    """Return an intrinsic for compiled kernels: outputs along a row, for one vector of channels.

    out[out_offset + j*out_step] = init[channel] + sum over taps u, v of
        x[x_offset + u*line + (j*stride + v)*channels] * filters[filter_offset + u*filter_row + v*filter_column]

    Parameters
    ----------
    stride : int

    Returns
    -------
    intrinsic
        ``f(x, filters, init, out, row, window, channel, channels)`` on 1-D arrays of one dtype, with a `Row` and a
        `Window`; ``channel`` is the first channel of the vector.
    """

    @intrinsic
    def slide(typingctx, x, filters, init, out, row, window, channel, channels):
        def emit(context, builder, signature, arguments):
            _emit_row(stride, VectorIR(context, builder, signature.args[0].dtype), signature, arguments)
            return context.get_dummy_value()

        return types.void(x, filters, init, out, row, window, channel, channels), emit

    return slide


def _emit_row(stride, emit, signature, arguments):
    builder, number = emit.builder, emit.int64
    x, filters, init, out = (array.data for array in emit.arrays(signature, arguments, 4))
    row = emit.fields(signature.args[4], arguments[4])
    window = emit.fields(signature.args[5], arguments[5])
    channel, channels = arguments[6:]
    count, out_step = row["count"], window["out_step"]

    def moved(pointer, step, times):
        return emit.at(pointer, builder.mul(step, number(times)))

    taps = range(TAPS)
    first_weight = emit.at(filters, builder.add(window["filter_offset"], channel))
    filter_rows = [moved(first_weight, window["filter_row"], u) for u in taps]
    weights = [[emit.load_vector(moved(first, window["filter_column"], v), 0) for v in taps] for first in filter_rows]
    init_vector = emit.load_vector(emit.at(init, channel), 0)
    first_input = emit.at(x, builder.add(row["x_offset"], channel))
    first_output = emit.at(out, builder.add(row["out_offset"], channel))
    last = builder.sub(count, number(PIXELS))
    groups = builder.sdiv(builder.add(count, number(PIXELS - 1)), number(PIXELS))
    seen = (PIXELS - 1) * stride + TAPS
    x_fetch, out_fetch = (
        emit.at(emit.at(array, builder.add(begin, ahead)), builder.mul(channel, builder.mul(count, number(pixels))))
        for array, begin, ahead, pixels in (
            (x, row["x_offset"], row["x_ahead"], stride),
            (out, row["out_offset"], row["out_ahead"], 1),
        )
    )

    def group(g, carried):
        j = builder.mul(g, number(PIXELS))
        j = builder.select(builder.icmp_signed("<", j, last), j, last)
        corner = emit.at(first_input, builder.mul(j, builder.mul(channels, number(stride))))
        target = emit.at(first_output, builder.mul(j, out_step))
        sums = [init_vector] * PIXELS
        for u in taps:
            line = moved(corner, window["line"], u)
            for k in range(seen):
                value = emit.load_vector(moved(line, channels, k), 0)
                for m in range(PIXELS):
                    if 0 <= k - m * stride < TAPS:
                        sums[m] = emit.fma(value, weights[u][k - m * stride], sums[m])
        for m in range(PIXELS):
            emit.store_vector(sums[m], moved(target, out_step, m), 0)
        emit.prefetch_share(out_fetch, j, PIXELS)
        for u in range(TAPS - min(stride, TAPS), TAPS):  # the rows that the window below reads first
            emit.prefetch_share(moved(x_fetch, window["line"], u), builder.mul(j, number(stride)), PIXELS * stride)
        return []

    emit.loop(number(0), groups, [], group)


along_1, along_2 = sliding_window(1), sliding_window(2)


def slide_numpy(stride, x, filters, init, out, row, window, channel, channels, width):
    """The sums of `sliding_window` in NumPy, for reading and for tests; ``width`` channels."""
    vector = channel + np.arange(width)
    for j in range(row.count):
        total = init[vector].copy()
        for u, v in np.ndindex(TAPS, TAPS):
            weight = filters[window.filter_offset + u * window.filter_row + v * window.filter_column + vector]
            total += x[row.x_offset + u * window.line + (j * stride + v) * channels + vector] * weight
        out[row.out_offset + j * window.out_step + vector] = total
