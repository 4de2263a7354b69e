"""What the three products of Winograd's convolutions share: where patches lie, whole vectors of channels, filters.

Patches are numbered image by image, row by row. Transformed, they are 36 planes, one for each element; filters
likewise.
"""

import numpy as np

from minitorch_kernels.conv.winograd.transform import PATCH, to_filter, to_inputs, to_outputs
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import helper
from minitorch_kernels.runtime.threads import RANGES, parallel_kernel

ELEMENTS = PATCH * PATCH
RUN = 8  # channels whose filters are transformed together
NO_SEGMENTS = np.zeros((2, 1), np.int64)
_FEWEST_CHANNELS = {3: 12, 5: 32}  # on both sides


@helper
def plane(size, lanes):
    """Return the offset from one element of the patches to the next, for ``size`` numbers each.

    A cache line more than these take: a transform touches all 36 planes at once, and at a power of two
    apart they would all want the same few places in the cache.
    """
    return size + lanes


@helper
def place(t, down, across, side):
    """Return image, first row and first column of the outputs of patch t, ``side`` apart."""
    n, rest = t // (down * across), t % (down * across)
    return n, rest // across * side, rest % across * side


@helper
def transform_patch(x, shape, inputs, zeros, patch, to, numbers, taps):
    """Transform a patch of x, flat of ``shape`` (N, H, W, C), into 36 vectors of C numbers, from ``inputs[to]`` on.

    ``patch`` names it by its `place`; ``numbers`` are the pixels of padding above and to the left, the step from one
    vector to the next, and the lanes.
    """
    (_, height, width, channels), (n, i, j), (top, left, step, lanes) = shape, patch, numbers
    i, j = i - top, j - left
    where = (((n * height + i) * width + j) * channels, width * channels, channels, to, PATCH * step, step)
    to_inputs(x, inputs, zeros, where, (-i, height - i, -j, width - j), channels // lanes, taps)


@helper
def transform_back(products, out, shape, aside, patch, start, numbers, taps):
    """Transform a patch's products with panel p, 36 vectors from ``products[start]`` on, into ``out``.

    ``out`` is flat, of ``shape`` (N, OH, OW, O), ``patch`` the `place` in it; ``numbers`` are the step from one vector
    to the next, p, the width of a panel, and the lanes.
    """
    (_, height, width, channels), (n, i, j), (step, p, panel, lanes) = shape, patch, numbers
    to, vectors = ((n * height + i) * width + j) * channels + p * panel, min(panel, channels - p * panel) // lanes
    where = (start, PATCH * step, step, to, width * channels, channels)
    to_outputs(products, out, aside, where, (0, height - i, 0, width - j), vectors, taps)


def patches_of(height, width, kernel):
    """Return how many patches of outputs an image has."""
    side = PATCH + 1 - kernel
    return -(-height // side) * -(-width // side)


def worth(images, out_size, channels, out_channels, kernel, filters):
    """Return True where Winograd's algorithm is faster than `direct`.

    Measured on AVX-512: from 12 channels on both sides, with 5 x 5 filters 32, and where the definition's
    products, KERNEL^2 for each output pixel, are more than 42 * (patches + ``filters``). So patches must be
    well filled, and enough of them must share the filters, whose transform takes as long as so many patches.
    """
    patches = images * patches_of(*out_size, kernel)
    many = min(channels, out_channels) >= _FEWEST_CHANNELS[kernel]
    return many and images * out_size[0] * out_size[1] * kernel**2 > 42 * (patches + filters)


@parallel_kernel(tasks=lambda: RANGES)
def _copy_channels(first_task, end_task, x, out):
    """Copy pixels x (M, C) into out (M, C'): the first channels, or all and zeros behind them."""
    count, kept = len(x), min(x.shape[1], out.shape[1])
    for part in range(first_task, end_task):
        for i in range(part * count // RANGES, (part + 1) * count // RANGES):
            source, target = x[i], out[i]
            for c in range(kept):
                target[c] = source[c]
            for c in range(kept, len(target)):
                target[c] = 0


def with_channels(x, channels):
    """Return x (N, H, W, C) itself, or a copy with fewer channels, or with zero channels behind the last one."""
    if x.shape[3] == channels:
        return x
    out = memory.empty((*x.shape[:3], channels), x.dtype)
    _copy_channels(x.reshape(-1, x.shape[3]), out.reshape(-1, channels))
    return out


def whole_vectors(x, lanes):
    """Return x (N, H, W, C) with C rounded up to a multiple of ``lanes``."""
    return with_channels(x, -(-x.shape[3] // lanes) * lanes)


@helper
def transform_run(weight, turned, filters, which, to, step, sizes, taps):
    """Transform the filters of a panel of columns for up to RUN channels, from ``filters[to]`` on, ``step`` apart.

    ``weight`` is (columns, inner, KH, KW), or ``turned`` (inner, columns, KH, KW), each filter by 180 degrees.
    ``which`` names the panel and the first channel, ``sizes`` the padded channels, the width of a panel and the lanes.
    """
    (p, first), (padded, width, lanes), side = which, sizes, len(taps)
    columns, inner = (weight.shape[1], weight.shape[0]) if turned else (weight.shape[0], weight.shape[1])
    last = side - 1
    patch = np.zeros(RUN * side * side * width, filters.dtype)
    for j in range(min(width, columns - p * width)):
        for c in range(min(RUN, inner - first)):
            for u in range(side):
                for v in range(side):
                    if turned:
                        number = weight[first + c, p * width + j, last - u, last - v]
                    else:
                        number = weight[p * width + j, first + c, u, v]
                    patch[((c * side + u) * side + v) * width + j] = number
    for c in range(min(RUN, padded - first)):
        where = (c * side * side * width, side * width, width, to + c * width, PATCH * step, step)
        to_filter(patch, filters, patch, where, (0, 0, 0, 0), width // lanes, taps)
