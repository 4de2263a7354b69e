"""The micro-kernel of a depthwise convolution with nine taps: the filter stays in the vector registers.

`channel_tile` loads two numbers for every product. Nine taps leave room for something better, even in the 16
registers of AVX2: for one vector of channels, all nine weights and the sums of PIXELS outputs stay in
registers, while a window of three rows slides along,

    inputs    x0 x1 x2 x3 x4 x5        of each of the three rows; with stride 2, nine of them
              |     |  |     |         x2 is the right tap of output 0, the middle one of output 1,
    outputs   y0    y1 y2    y3        and the left one of output 2: one load, three products

so each input is loaded once for each row of the filter. What the row below will read and write first is
fetched from memory meanwhile: along a row the processor guesses well what comes next, from row to row it does not.
Each vector of channels fetches a share that lies side by side, not its own channels of every pixel, since memory
gives what lies in order sooner.
"""

import numpy as np
from numba import types
from numba.extending import intrinsic

from minitorch_kernels.runtime.simd import Emitter

PIXELS = 4  # outputs at a time: 9 weights, 4 sums, an input and the start make 15
TAPS = 3  # along each side


def sliding_window(stride):
    """Return an intrinsic for compiled kernels: outputs along a row, for one vector of channels.

    out[out_first + j*out_step] = start[channel] + sum over taps u, v of
        x[x_first + u*line + (j*stride + v)*channels] * filters[filter_first + u*filter_row + v*filter_column]

    Parameters
    ----------
    stride : int

    Returns
    -------
    intrinsic
        ``f(x, filters, start, out, place, window, channel, channels)`` on 1-D arrays of one dtype, all offsets
        those of a vector's first channel. ``place`` is a tuple of 5 int64: x_first, out_first, count of outputs
        (>= PIXELS; where it is no multiple, some are computed twice), and how far the row to fetch lies ahead in x
        and in out; ``window`` of 5: line, filter_first, filter_row, filter_column, out_step.
    """

    @intrinsic
    def slide(typingctx, x, filters, start, out, place, window, channel, channels):
        def emit(context, builder, signature, arguments):
            _emit_row(stride, Emitter(context, builder, signature.args[0].dtype), signature, arguments)
            return context.get_dummy_value()

        return types.void(x, filters, start, out, place, window, channel, channels), emit

    return slide


def _emit_row(stride, emit, signature, arguments):
    builder, number = emit.builder, emit.number
    x, filters, start, out = (array.data for array in emit.arrays(signature, arguments, 4))
    x_first, out_first, count, x_ahead, out_ahead = (builder.extract_value(arguments[4], i) for i in range(5))
    line, filter_first, filter_row, filter_column, out_step = (builder.extract_value(arguments[5], i) for i in range(5))
    channel, channels = arguments[6:]

    def moved(pointer, step, times):
        return emit.at(pointer, builder.mul(step, number(times)))

    taps = range(TAPS)
    first_weight = emit.at(filters, builder.add(filter_first, channel))
    weights = [
        [emit.load_vector(moved(moved(first_weight, filter_row, u), filter_column, v), 0) for v in taps] for u in taps
    ]
    start_vector = emit.load_vector(emit.at(start, channel), 0)
    first_input = emit.at(x, builder.add(x_first, channel))
    first_output = emit.at(out, builder.add(out_first, channel))
    last = builder.sub(count, number(PIXELS))
    groups = builder.sdiv(builder.add(count, number(PIXELS - 1)), number(PIXELS))
    seen = (PIXELS - 1) * stride + TAPS
    x_fetch, out_fetch = (
        emit.at(emit.at(array, builder.add(begin, ahead)), builder.mul(channel, builder.mul(count, number(pixels))))
        for array, begin, ahead, pixels in ((x, x_first, x_ahead, stride), (out, out_first, out_ahead, 1))
    )

    def group(g, carried):
        j = builder.mul(g, number(PIXELS))
        j = builder.select(builder.icmp_signed("<", j, last), j, last)
        corner = emit.at(first_input, builder.mul(j, builder.mul(channels, number(stride))))
        target = emit.at(first_output, builder.mul(j, out_step))
        sums = [start_vector] * PIXELS
        for u in taps:
            row = moved(corner, line, u)
            for k in range(seen):
                value = emit.load_vector(moved(row, channels, k), 0)
                for m in range(PIXELS):
                    if 0 <= k - m * stride < TAPS:
                        sums[m] = emit.fma(value, weights[u][k - m * stride], sums[m])
        for m in range(PIXELS):
            emit.store_vector(sums[m], moved(target, out_step, m), 0)
        emit.prefetch_share(out_fetch, j, PIXELS)
        for u in range(TAPS - min(stride, TAPS), TAPS):  # the rows that the window below has not seen
            emit.prefetch_share(moved(x_fetch, line, u), builder.mul(j, number(stride)), PIXELS * stride)
        return []

    emit.loop(number(0), groups, [], group)


along_1, along_2 = sliding_window(1), sliding_window(2)


def slide_numpy(stride, x, filters, start, out, place, window, channel, channels, width):
    """The sums of `sliding_window` in NumPy, for reading and for tests; ``width`` channels."""
    x_first, out_first, count, _, _ = place
    line, filter_first, filter_row, filter_column, out_step = window
    vector = channel + np.arange(width)
    for j in range(count):
        total = start[vector].copy()
        for u, v in np.ndindex(TAPS, TAPS):
            weight = filters[filter_first + u * filter_row + v * filter_column + vector]
            total += x[x_first + u * line + (j * stride + v) * channels + vector] * weight
        out[out_first + j * out_step + vector] = total
