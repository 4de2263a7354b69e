"""Where a window meets the border of an image: zero padding, and which taps each output sees without it.

Along each axis, interior outputs use every filter tap; outputs near the border use fewer. With a stride, the input
gradient has ``stride`` phases of pixels, and each meets taps of its own.
"""

import itertools
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.threads import parallel_kernel


def output_size(size, kernel_size, stride, padding, dilation):
    """Return (OH, OW) = floor((H + top + bottom - d*(KH-1) - 1) / s) + 1, and likewise for the width."""
    padded = size[0] + padding[0] + padding[1], size[1] + padding[2] + padding[3]
    return tuple((padded[k] - dilation[k] * (kernel_size[k] - 1) - 1) // stride[k] + 1 for k in (0, 1))


class Axis(NamedTuple):
    """Results along an axis: the i-th goes to ``first + i*step``, and meets each tap at ``i*source_step + shift``.

    ``taps`` is [(tap, shift)], taps and shifts in equal steps; the indices 0 to ``size - 1`` can be read.
    """

    first: int
    step: int
    count: int
    source_step: int
    taps: list
    size: int

    def regions(self):
        """Return [(first, end, taps)] of the runs of results that see the same taps."""
        sources = np.arange(self.count)[:, None] * self.source_step + [shift for _, shift in self.taps]
        seen = np.stack([(sources < 0).sum(1), (sources < self.size).sum(1)], 1)  # first tap, end of taps
        cuts = [0, *(np.flatnonzero(np.diff(seen, axis=0).any(1)) + 1), self.count]
        return [(int(i), int(end), self.taps[slice(*seen[i])]) for i, end in itertools.pairwise(cuts) if end > i]


def output_axis(out_size, size, kernel, stride, before, dilation):
    """Return the axis of outputs, which read inputs; ``before`` is the padding at the first end."""
    return Axis(0, 1, out_size, stride, [(u, u * dilation - before) for u in range(kernel)], size)


def input_axes(out_size, size, kernel, stride, before, dilation):
    """Return the axes of input gradients, which read the outputs', one for each phase of the stride."""
    return [
        Axis(r, stride, -(-(size - r) // stride), 1, taps_of_phase(r, before, kernel, stride, dilation), out_size)
        for r in range(min(stride, size))
    ]


def taps_of_phase(phase, before, kernel, stride, dilation):
    """Return [(tap, shift)]: input pixels ``phase + i*stride`` meet this tap in output pixel ``i + shift``."""
    found = [(u, phase + before - u * dilation) for u in range(kernel)]
    return sorted(((u, reach // stride) for u, reach in found if reach % stride == 0), key=lambda pair: pair[1])


def step_between(values):
    """Return the step between equally spaced values; 0 for a single one."""
    return values[1] - values[0] if len(values) > 1 else 0


def grid(rows, columns):
    """Return all sums of an element of ``rows`` and one of ``columns``, row by row."""
    return (np.asarray(rows)[:, None] + columns).reshape(-1)


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
                continue
            row[:left] = 0
            inside, source = row[left : left + width], x[n, h - top]
            for k in range(width):  # Numba compiles a second for the error message of inside[:] = source
                inside[k] = source[k]
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
