"""Where a window meets an image: which taps each place of a convolution's result sees, without a padded copy.

Places along an axis come in runs that see the same taps: nearly all of them all taps, those at the two
ends fewer, because the others lie outside. With a stride, the input gradient has ``stride`` classes of
places, and each meets taps of its own.
"""

import itertools
from typing import NamedTuple

import numpy as np


class Axis(NamedTuple):
    """Places along an axis: number i is written to ``first + i*step``, and meets each tap at ``i*source_step + shift``.

    ``taps`` is [(tap, shift)], taps and shifts in equal steps; what can be read are the places 0 to ``size - 1``.
    """

    first: int
    step: int
    count: int
    source_step: int
    taps: list
    size: int

    def regions(self):
        """Return [(first, end, taps)] of the runs of places that see the same taps."""
        places = np.arange(self.count)[:, None] * self.source_step + [shift for _, shift in self.taps]
        seen = np.stack([(places < 0).sum(1), (places < self.size).sum(1)], 1)  # first tap, end of taps
        cuts = [0, *(np.flatnonzero(np.diff(seen, axis=0).any(1)) + 1), self.count]
        return [(int(i), int(end), self.taps[slice(*seen[i])]) for i, end in itertools.pairwise(cuts) if end > i]


def output_axis(out_size, size, kernel, stride, before, dilation):
    """Return the axis of outputs, which read inputs; ``before`` is the padding at the first end."""
    return Axis(0, 1, out_size, stride, [(u, u * dilation - before) for u in range(kernel)], size)


def input_axes(out_size, size, kernel, stride, before, dilation):
    """Return the axes of input gradients, which read the outputs', one for each residue of the stride."""
    return [
        Axis(r, stride, -(-(size - r) // stride), 1, residue_taps(r, before, kernel, stride, dilation), out_size)
        for r in range(min(stride, size))
    ]


def residue_taps(residue, before, kernel, stride, dilation):
    """Return [(tap, shift)]: input pixels ``residue + i*stride`` meet this tap in output pixel ``i + shift``."""
    found = [(u, residue + before - u * dilation) for u in range(kernel)]
    return sorted(((u, reach // stride) for u, reach in found if reach % stride == 0), key=lambda pair: pair[1])


def step_between(numbers):
    """Return the step between equally spaced numbers; 0 for a single one."""
    return numbers[1] - numbers[0] if len(numbers) > 1 else 0


def grid(rows, columns):
    """Return all sums of a row's and a column's number, row by row."""
    return (np.asarray(rows)[:, None] + columns).reshape(-1)
