"""The micro-kernel of a depthwise weight gradient with nine taps: the sums stay in the vector registers.

    dw[c, u, v] = sum over outputs i, j of x[i*stride + u, j*stride + v, c] * grad_out[i, j, c]

For one vector of channels all nine sums stay in registers while a window of three rows slides along the
outputs of a row, two at a time, with stride 1

    inputs     x0 x1 x2 x3      x1 meets the gradient of output 0 in the middle tap and that of output 1
    gradients  g0 g1            in the left one: it is loaded once, for each row of the filter

The outputs at both ends of a row whose left or right tap lies outside the image are summed without it,
and a row of taps that lies outside is added to sums that nobody reads. Memory bandwidth limits the speed:
`forward3x3` says what is prefetched.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.depthwise.forward3x3 import TAPS
from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import VectorIR

PIXELS = 2  # outputs at a time; with three or four, AVX2's 16 registers overflow


class SumRow(NamedTuple):
    """A row of outputs, offsets those of channel 0; all int64."""

    offset: int  # in grad_out, of the first output that sees all three columns of taps
    count: int  # of these outputs, >= 0
    left: int  # 1 where an output before them sees the columns 1 and 2
    right: int  # 1 where one after them sees the columns 0 and 1
    x_ahead: int  # how far ahead in x the row to prefetch lies
    out_ahead: int
    channels: int  # C


def sliding_sums(stride):
    """Return an intrinsic for compiled kernels: the sums of a row of outputs, for one vector of channels.

    sums[sums_first + row_sums[u] + v*lanes + lane] +=
        sum over outputs j of x[x_rows[u] + (j*stride + v)*channels + channel] * grad_out[offset + j*channels + channel]

    Parameters
    ----------
    stride : int

    Returns
    -------
    intrinsic
        ``f(x, grad_out, sums, row, x_rows, row_sums, sums_first, channel)`` on 1-D arrays of one dtype, with a
        `SumRow`; ``x_rows`` and ``row_sums`` are tuples of TAPS int64, offsets those of channel 0; ``channel`` is the
        first channel of the vector.
    """

    @intrinsic
    def slide(typingctx, x, grad_out, sums, row, x_rows, row_sums, sums_first, channel):
        def emit(context, builder, signature, arguments):
            _emit_row(stride, VectorIR(context, builder, signature.args[0].dtype), signature, arguments)
            return context.get_dummy_value()

        return types.void(x, grad_out, sums, row, x_rows, row_sums, sums_first, channel), emit

    return slide


def _emit_row(stride, emit, signature, arguments):
    builder, number, taps = emit.builder, emit.int64, range(TAPS)
    x, grad_out, sums = (array.data for array in emit.arrays(signature, arguments, 3))
    row = emit.fields(signature.args[3], arguments[3])
    first, count, channels = row["offset"], row["count"], row["channels"]
    x_rows, row_sums = ([builder.extract_value(argument, u) for u in taps] for argument in arguments[4:6])
    sums_first, channel = arguments[6:]

    def moved(pointer, times):
        times = number(times) if isinstance(times, int) else times
        return emit.at(pointer, builder.mul(channels, times))

    rows = [emit.at(x, builder.add(offset, channel)) for offset in x_rows]
    targets = [emit.at(emit.at(sums, sums_first), offset) for offset in row_sums]
    gradients = emit.at(grad_out, builder.add(first, channel))
    part = builder.mul(channel, count)
    g_fetch = emit.at(emit.at(grad_out, builder.add(first, row["out_ahead"])), part)
    x_ahead = [emit.at(x, builder.add(offset, row["x_ahead"])) for offset in x_rows]
    x_fetch = [emit.at(pointer, builder.mul(part, number(stride))) for pointer in x_ahead]

    def add(j, totals, pixels, columns):
        """Add the products of ``pixels`` outputs from j on in these columns of taps."""
        totals, corner = list(totals), builder.mul(j, number(stride))
        values = [emit.load_vector(moved(gradients, builder.add(j, number(m))), 0) for m in range(pixels)]
        for u in taps:
            for k in range((pixels - 1) * stride + TAPS):
                met = [(m, k - m * stride) for m in range(pixels) if k - m * stride in columns]
                if met:
                    value = emit.load_vector(moved(moved(rows[u], corner), k), 0)
                for m, v in met:
                    totals[u * TAPS + v] = emit.fma(value, values[m], totals[u * TAPS + v])
        return totals

    def group(g, totals):
        j = builder.mul(g, number(PIXELS))
        emit.prefetch_share(g_fetch, j, PIXELS)
        for u in range(TAPS - min(stride, TAPS), TAPS):  # the rows that the window below reads first
            emit.prefetch_share(x_fetch[u], builder.mul(j, number(stride)), PIXELS * stride)
        return add(j, totals, PIXELS, taps)

    zero, groups = number(0), builder.sdiv(count, number(PIXELS))
    totals = [emit.constant(0)] * TAPS**2  # not what lies in the targets: see `microkernel.Tile`
    totals = emit.loop_if_any(builder.neg(row["left"]), zero, totals, lambda j, sums: add(j, sums, 1, taps[1:]))
    totals = emit.loop_if_any(zero, groups, totals, group)
    rest = builder.mul(groups, number(PIXELS))
    totals = emit.loop_if_any(rest, count, totals, lambda j, sums: add(j, sums, 1, taps))
    end = builder.add(count, row["right"])
    totals = emit.loop_if_any(count, end, totals, lambda j, sums: add(j, sums, 1, taps[:-1]))
    for k, total in enumerate(totals):
        before = emit.load_vector(targets[k // TAPS], k % TAPS)
        emit.store_vector(builder.fadd(before, total), targets[k // TAPS], k % TAPS)


sums_1, sums_2 = sliding_sums(1), sliding_sums(2)


def sums_numpy(stride, x, grad_out, sums, row, x_rows, row_sums, sums_first, channel, width):
    """The sums of `sliding_sums` in NumPy, for reading and for tests; ``width`` channels."""
    vector, channels = np.arange(width), row.channels
    for j in range(-row.left, row.count + row.right):
        gradient = grad_out[row.offset + j * channels + channel + vector]
        for u in range(TAPS):
            for v in range(1 if j < 0 else 0, TAPS - 1 if j >= row.count else TAPS):
                value = x[x_rows[u] + (j * stride + v) * channels + channel + vector]
                sums[sums_first + row_sums[u] + v * width + vector] += value * gradient
