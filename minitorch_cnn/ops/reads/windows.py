"""Windows over maps, and maps of another size."""

import math
from dataclasses import dataclass
from typing import Any

from minitorch_cnn.ops.reads.base import ALL, Along, Reads


@dataclass(frozen=True)
class Windows(Reads):
    """A window over the axes after the channels; ``Windows(3)`` is 3 x 3 with stride 1.

    Output index i reads i * stride - padding + dilation * u for u = 0 .. kernel - 1.

    Parameters
    ----------
    kernel, stride, dilation : int, tuple, name of a keyword, or callable
        A callable takes the `Call`.
    padding : the same; with twice as many elements as axes it holds (before, after) of each axis in turn
    groups : the same
        1: an output channel reads all channels; g: those of its group; None: only the channel of its own index.
    over : tuple of int or None
        The axes that the window moves along; None means all after the channels.
    """

    kernel: object
    stride: object = 1
    padding: object = 0
    dilation: object = 1
    groups: object = 1
    over: tuple[Any, ...] | None = None

    def window(self, call):
        """Return (kernel, stride, padding before, dilation), each a tuple with one element for each window axis."""
        count = len(self._over(call))
        padding = self.all_padding(call)
        return (
            _each(call.value(self.kernel), count),
            _each(call.value(self.stride), count),
            padding if len(padding) == count else padding[::2],
            _each(call.value(self.dilation), count),
        )

    def all_padding(self, call):
        """Return the padding as declared: one element for each window axis, or before and after of each."""
        return _each(call.value(self.padding), len(self._over(call)))

    def _over(self, call):
        return self.over or tuple(range(2, len(call.shapes[0])))

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        if number > 0:
            return [ALL] * len(call.shapes[number])  # a kernel that is computed from data
        found = [Along(axis) for axis in range(len(call.shapes[0]))]
        groups = call.value(self.groups)
        if groups is not None and 1 not in self._over(call):
            inside, outside = call.shapes[0][1] // groups, call.shape[1] // groups
            found[1] = ALL if groups == 1 else Along(1, (tuple(range(inside)),) * outside, inside)
        for axis, kernel, stride, padding, dilation in zip(self._over(call), *self.window(call), strict=True):
            taps = tuple(dilation * u - padding for u in range(kernel))
            found[axis] = Along(axis, (taps,), stride)
        return found


@dataclass(frozen=True)
class TransposedWindows(Reads):
    """A transposed convolution: output index o reads the input indices i with i * stride - padding + dilation * u = o.

    It takes the keywords ``stride``, ``padding``, ``dilation`` and ``groups``, and the kernel from the second input.
    """

    groups = "groups"

    def window(self, call):
        """Return (kernel, stride, padding before, dilation), each a tuple with one element for each window axis."""
        hyper = call.hyper
        return call.shapes[1][2:], hyper["stride"], hyper["padding"][::2], hyper["dilation"]

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        groups = call.value(self.groups)
        inside, outside = call.shapes[0][1] // groups, call.shape[1] // groups
        channels = ALL if groups == 1 else Along(1, (tuple(range(inside)),) * outside, inside)
        sides = zip(*self.window(call), strict=True)
        return [Along(0), channels, *(Along(2 + i, _inverse_taps(*side), 1) for i, side in enumerate(sides))]


def _inverse_taps(kernel, stride, padding, dilation):
    """Return for ``stride`` output indices in turn the input indices whose windows contain them.

    Where there is none, as between windows that do not meet, the nearest one to the left stands for it.
    """
    found = []
    for index in range(stride):
        reached = [divmod(index + padding - dilation * u, stride) for u in range(kernel)]
        exact = tuple(sorted(quotient for quotient, rest in reached if rest == 0))
        found.append(exact or ((index + padding) // stride,))
    return tuple(found)


def kernel_of_weight(call):
    """Return the size of the windows of a convolution, whose second input is its weight."""
    return call.shapes[1][2:]


def convolution_macs(call):
    """Return the multiply-adds of a convolution: an output element sums over all but the first axis of the weight."""
    return math.prod(call.shape) * math.prod(call.shapes[1][1:])


def transposed_macs(call):
    """Return the multiply-adds of a transposed convolution: every input element spreads over a part of the weight."""
    return math.prod(call.shapes[0]) * math.prod(call.shapes[1][1:])


def _each(value, count):
    """Return a value as a tuple with one element for each of ``count`` axes."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


@dataclass(frozen=True)
class Resampled(Reads):
    """Maps of another size.

    Parameters
    ----------
    taps : callable
        Takes the index of an axis after the channels, its length in the input and in the output, and the keywords of
        the operation. Returns the input indices that one period of output indices reads, and the step from one period
        to the next.
    """

    taps: object

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        found = [Along(0), Along(1)]
        for axis in range(2, len(call.shape)):
            length, out_length = call.shapes[0][axis], call.shape[axis]
            taps, step = self.taps(axis - 2, length, out_length, call.hyper)
            whole = out_length == 1 < length and len(taps[0]) == length
            found.append(ALL if whole else Along(axis, taps, step))
        return found


def bins(axis, length, out_length, hyper):
    """Return `Resampled` taps for adaptive pooling: bin i covers floor(i*H/I) up to ceil((i+1)*H/I)."""
    common = math.gcd(length, out_length)
    period, step = out_length // common, length // common
    return tuple(tuple(range(i * step // period, -(-(i + 1) * step // period))) for i in range(period)), step
