"""The micro-kernel of a depthwise input gradient with nine taps, a stride of two and one pixel of padding.

Two by two pixels of the images see two by two outputs, and each tap occurs once, at one of them:

    dx[2a,   2b] = w11 g00                dx[2a,   2b+1] = w12 g00 + w10 g01
    dx[2a+1, 2b] = w21 g00 + w01 g10      dx[2a+1, 2b+1] = w22 g00 + w20 g01 + w02 g10 + w00 g11

with g the gradients of the outputs (a, b), (a, b+1), (a+1, b), (a+1, b+1). For one vector of channels all nine
weights stay in registers while b runs along two rows; g01 and g11 are the next g00 and g10. Memory bandwidth
limits the speed: see `forward3x3` about prefetching.
"""

import itertools
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import VectorIR

# Which tap joins which gradient, for each of the four pixels: [(row and column of the tap, index of the gradient)].
_PIXELS = (
    [((1, 1), 0)],
    [((1, 2), 0), ((1, 0), 1)],
    [((2, 1), 0), ((0, 1), 2)],
    [((2, 2), 0), ((2, 0), 1), ((0, 2), 2), ((0, 0), 3)],
)


class RowPair(NamedTuple):
    """Two rows of input gradients, offsets those of channel 0; all int64."""

    upper: int  # in grad_out: row a
    lower: int  # and row a+1; below 0 where there is none
    width: int  # OW
    first: int  # in out: row 2a
    second: int  # and row 2a+1; the same as ``first`` where there is none
    even: int  # 1 where W is even
    ahead: int  # how far ahead in ``out`` the rows to prefetch lie


@intrinsic
def spread(typingctx, grad_out, filters, out, pair, channel, channels):
    """Write two rows of input gradients, for one vector of channels; called from compiled kernels alone.

    Parameters
    ----------
    grad_out, filters, out : ndarray, 1-D, the same dtype
        ``filters`` (3, 3, C).
    pair : RowPair
    channel, channels : int64
        The vector's first channel, and C.
    """
    signature = types.void(grad_out, filters, out, pair, channel, channels)
    return signature, _emit_rows


def _emit_rows(context, builder, signature, arguments):
    emit = VectorIR(context, builder, signature.args[0].dtype)
    number = emit.int64
    grad_out, filters, out = (array.data for array in emit.arrays(signature, arguments, 3))
    pair = emit.fields(signature.args[3], arguments[3])
    lower, width = pair["lower"], pair["width"]
    channel, channels = arguments[4:]

    def moved(pointer, times):
        return emit.at(pointer, builder.mul(channels, times))

    taps = emit.at(filters, channel)
    weights = {(u, v): emit.load_vector(moved(taps, number(3 * u + v)), 0) for u in range(3) for v in range(3)}
    inputs = [emit.at(grad_out, builder.add(row, channel)) for row in (pair["upper"], lower)]
    rows = [emit.at(out, builder.add(row, channel)) for row in (pair["first"], pair["second"])]
    # What to fetch lies side by side for all vectors of a row, and each takes its share of it.
    share = builder.add(pair["ahead"], builder.mul(channel, builder.shl(width, number(1))))
    fetched = [emit.at(emit.at(out, row), share) for row in (pair["first"], pair["second"])]
    last = builder.sub(width, number(1))

    def store(b, gradients, columns):
        """Write the pixels of window b from the gradients that it sees, by index."""
        # The second row first: where there is none, its values go to the first row, which then overwrites them.
        for row, v in itertools.product((1, 0), range(columns)):
            (tap, g), *more = [(tap, g) for tap, g in _PIXELS[2 * row + v] if g in gradients]
            total = builder.fmul(weights[tap], gradients[g])
            for tap, g in more:
                total = emit.fma(weights[tap], gradients[g], total)
            column = builder.add(builder.shl(b, number(1)), number(v))
            emit.store_vector(total, moved(rows[row], column), 0)

    def run_along(seen):
        """Write two rows that see one or two rows of gradients."""

        def load(b):
            return [emit.load_vector(moved(row, b), 0) for row in inputs[:seen]]

        def window(b, carried):
            following = load(builder.add(b, number(1)))
            pairs = zip(carried, following, strict=True)
            store(b, dict(enumerate(itertools.chain.from_iterable(pairs))), 2)
            for row in fetched:
                emit.prefetch_share(row, builder.shl(b, number(1)), 2)
            return following

        carried = emit.loop_if_any(number(0), last, load(number(0)), window)
        gradients = {2 * k: value for k, value in enumerate(carried)}
        with builder.if_else(builder.icmp_signed("!=", pair["even"], number(0))) as (both, single):
            with both:
                store(last, gradients, 2)
            with single:
                store(last, gradients, 1)

    with builder.if_else(builder.icmp_signed("<", lower, number(0))) as (one, two):
        with one:
            run_along(1)
        with two:
            run_along(2)
    return context.get_dummy_value()


def spread_numpy(grad_out, filters, out, pair, channel, channels, width):
    """The pixels of `spread` in NumPy, for reading and for tests; ``width`` channels."""
    outputs = pair.width
    vector = channel + np.arange(width)
    weights = filters[np.arange(9)[:, None] * channels + vector].reshape(3, 3, width)
    for b in range(outputs):
        seen = {
            2 * k + c: grad_out[row + (b + c) * channels + vector]
            for k, row in enumerate((pair.upper, pair.lower))
            for c in (0, 1)
            if row >= 0 and b + c < outputs
        }
        for row in (1, 0):
            for v in range(2 if pair.even or b + 1 < outputs else 1):
                total = sum(weights[tap] * seen[g] for tap, g in _PIXELS[2 * row + v] if g in seen)
                out[(pair.first, pair.second)[row] + (2 * b + v) * channels + vector] = total
