"""The weight gradient by Winograd's F(4x4, 3x3) or F(2x2, 5x5): patches of images against patches of output gradients.

    gradient of g[o, c] = G^T [ sum over patches of (B^T d_c B) * (A dy_o A^T) ] G

Per element of the transformed patches this is one product, channels x patches times patches x filters,
on the register tile. Chunk by chunk of patches, few enough that both sides stay in the cache.

Where the sums are small, each task takes a range of the patches and has sums of its own, which are added at the
end: nothing that one core has written is read by another before that. Large sums exist once, and for each
chunk the tasks share first its patches, then the sums.
"""

import numpy as np

from minitorch_kernels.conv import indirect_weight
from minitorch_kernels.conv.winograd import outliers
from minitorch_kernels.conv.winograd.tiles import (
    ELEMENTS,
    NO_SEGMENTS,
    patches_of,
    place,
    plane,
    transform_patch,
    whole_vectors,
    worth,
)
from minitorch_kernels.conv.winograd.transform import PATCH, from_filter, from_outputs
from minitorch_kernels.gemm.microkernel import ROWS, adjacent_tile
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import helper
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.simd import panel_width
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel, team_kernel

_SHARE = 8  # patches that a task transforms
_CHUNK = 64  # patches whose transforms stay in the second-level cache; fewer would touch the sums more often
_SMALL = 1 << 20  # bytes of sums that exist once for each range
_SUMS_BYTES = 1 << 21  # of all ranges, which have to be added
_RANGES = 8, 16  # of patches, to be shared out: at least, if there are patches enough, and at most
_FEWEST = 128  # patches in a range, beside whose products the adding is cheap
_FILTERS_WEIGH = 16  # patches, see `worth`
_RUN = 8  # channels whose sums are added and transformed together


def pays(images, out_size, channels, out_channels, kernel):
    """Return True where this algorithm is faster than `indirect_weight`, see `tiles.worth`."""
    return worth(images, out_size, channels, out_channels, kernel, _FILTERS_WEIGH)


@helper
def _transform(x, grad_out, inputs, grads, zeros, patches, numbers, taps):
    """Transform images and output gradients of ``patches``: number of the first, where it goes, and the end there."""
    top, left, lanes, chunk, panel = numbers
    _, out_height, out_width, out_channels = grad_out.shape
    channels, panels = x.shape[3], -(-out_channels // panel)
    in_step, grad_step = len(inputs) // ELEMENTS, len(grads) // ELEMENTS
    side, x_flat, grad_flat, (first, begin, end) = PATCH + 1 - len(taps), x.reshape(-1), grad_out.reshape(-1), patches
    down, across = -(-out_height // side), -(-out_width // side)
    for t in range(begin, end):
        n, i, j = place(first - begin + t, down, across, side)
        start = ((n * out_height + i) * out_width + j) * out_channels
        bounds = (0, out_height - i, 0, out_width - j)
        for p in range(panels):
            to = (p * chunk + t) * panel
            vectors = min(panel, out_channels - p * panel) // lanes
            where = (start + p * panel, out_width * out_channels, out_channels, to, PATCH * grad_step, grad_step)
            from_outputs(grad_flat, grads, zeros, where, bounds, vectors, taps)
        steps = (top, left, in_step, lanes)
        transform_patch(x_flat, x.shape, inputs, zeros, (n, i, j), t * channels, steps, taps)


@helper
def _multiply(inputs, grads, sums, zeros, rows, segments, task, numbers):
    """Compute the sums of element e and panel p, which make the number of the ``task``."""
    channels, panels, chunk, panel, count, go_on = numbers
    e, p = task // panels, task % panels
    a, b = e * (len(inputs) // ELEMENTS), e * (len(grads) // ELEMENTS) + p * chunk * panel
    target = e * (len(sums) // ELEMENTS) + p * len(rows) * panel
    for i in range(0, len(rows), ROWS):
        call = (i, 0, 1, count, a + i, channels, b, panel, target, 0, go_on, panel)
        adjacent_tile(inputs, grads, sums, zeros, rows, rows, segments, call)


@parallel_task
def _transform_chunk(first_task, end_task, x, grad_out, inputs, grads, zeros, first, count, numbers, taps):
    """Transform the patches of a chunk, some in each task."""
    begin, end = first_task * _SHARE, min(count, end_task * _SHARE)
    _transform(x, grad_out, inputs, grads, zeros, (first + begin, begin, end), numbers, taps)


@parallel_task
def _multiply_chunk(first_task, end_task, inputs, grads, sums, zeros, rows, segments, shape):
    """Add the products of a chunk to the sums, those of one element and panel in each task."""
    for product in range(first_task, end_task):
        _multiply(inputs, grads, sums, zeros, rows, segments, product, shape)


@team_kernel
def _sum_together(team, x, grad_out, inputs, grads, sums, rows, segments, total, numbers, taps):
    """Fill sums (1, 36 planes of P * rows * panel) from ``total`` patches of the images and of the output's gradients.

    ``inputs`` (36 planes of T * C) and ``grads`` (36 planes of P * T * panel) hold the transformed patches
    of a chunk. All patches of a chunk are transformed in parallel, then all products computed in parallel, each task
    owning its part of ``sums``.
    """
    _, _, _, chunk, panel = numbers
    channels, panels = x.shape[3], -(-grad_out.shape[3] // panel)
    zeros, own = np.zeros(max(channels, panel), x.dtype), sums[0]
    for first in range(0, total, chunk):
        count = min(chunk, total - first)
        chunk_args = x, grad_out, inputs, grads, zeros, first, count, numbers, taps
        _transform_chunk(team, -(-count // _SHARE), chunk_args)
        shape = channels, panels, chunk, panel, count, min(first, 1)
        _multiply_chunk(team, ELEMENTS * panels, (inputs, grads, own, zeros, rows, segments, shape))


@parallel_kernel(tasks=lambda inputs: len(inputs))
def _sum_apart(first_task, end_task, x, grad_out, inputs, grads, sums, rows, segments, total, numbers, taps):
    """Fill sums (ranges, 36 planes of P * rows * panel), each from a range of the ``total`` patches.

    ``inputs`` (threads, 36 planes of T * C) and ``grads`` (threads, 36 planes of P * T * panel) hold the
    transformed patches of a chunk.
    """
    _, _, _, chunk, panel = numbers
    channels, panels = x.shape[3], -(-grad_out.shape[3] // panel)
    ranges, threads = len(sums), len(inputs)
    zeros = np.zeros(max(channels, panel), x.dtype)
    for thread in range(first_task, end_task):
        for part in range(thread, ranges, threads):
            begin, end = part * total // ranges, (part + 1) * total // ranges
            for first in range(begin, end, chunk):
                count = min(chunk, end - first)
                patches = first, 0, count
                _transform(x, grad_out, inputs[thread], grads[thread], zeros, patches, numbers, taps)
                shape = channels, panels, chunk, panel, count, min(first - begin, 1)
                for task in range(ELEMENTS * panels):
                    _multiply(inputs[thread], grads[thread], sums[part], zeros, rows, segments, task, shape)


@parallel_kernel(tasks=lambda grad_weight, panel: -(-len(grad_weight) // panel) * -(-grad_weight.shape[1] // _RUN))
def _transform_sums(first_task, end_task, sums, grad_weight, rows, panel, lanes, taps):
    """Add sums (ranges, 36 planes of P * rows * panel), transformed, into grad_weight (O, C, KH, KW).

    Parallel over panels and runs of a few channels.
    """
    (out_channels, inner, _, _), side = grad_weight.shape, len(taps)
    step = sums.shape[1] // ELEMENTS
    runs = -(-inner // _RUN)
    for task in range(first_task, end_task):
        p, first = task // runs, task % runs * _RUN
        width = min(_RUN, inner - first) * panel
        total = np.empty((ELEMENTS, _RUN * panel), sums.dtype)
        for e in range(ELEMENTS):
            start, element = e * step + (p * rows + first) * panel, total[e]
            for part in range(len(sums)):
                own = sums[part, start : start + width]
                for j in range(width):
                    element[j] = own[j] if part == 0 else element[j] + own[j]
        patch = np.empty(side * side * width, sums.dtype)
        where = (0, PATCH * _RUN * panel, _RUN * panel, 0, side * width, width)
        from_filter(total.reshape(-1), patch, patch, where, (0, 0, 0, 0), width // lanes, taps)
        for j in range(min(panel, out_channels - p * panel)):
            for c in range(width // panel):
                for u in range(side):
                    for v in range(side):
                        grad_weight[p * panel + j, first + c, u, v] = patch[(u * side + v) * width + c * panel + j]


def conv2d_backward_weight_winograd(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of 3 x 3 or 5 x 5 filters: the images, cross-correlated with the output's gradient.

    grad_weight[o, c, u, v] = sum over n, i, j of x[n, i + u - top, j + v - left, c] * grad_out[n, i, j, o]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32 or float64
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous
    kernel_size : (3, 3) or (5, 5)
    stride, padding, dilation, groups
        As in `winograd.conv2d_forward_winograd`.

    Returns
    -------
    ndarray, shape (C_out, C_in, KH, KW)

    Notes
    -----
    Cost: as forward. Parallel over ranges of patches, or over patches, then over products.
    """
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    apart = outliers.find_pairs(x, grad_out)
    if not len(apart):
        return _gradient(x, grad_out, kernel_size, padding)
    direct = indirect_weight.conv2d_backward_weight_direct
    by_definition = direct(x[apart], grad_out[apart], kernel_size=kernel_size, **hyper)
    rest = np.delete(np.arange(len(x)), apart)
    return by_definition + _gradient(x[rest], grad_out[rest], kernel_size, padding)


def _gradient(x, grad_out, kernel_size, padding):
    """Return `conv2d_backward_weight_winograd` of images that all fit Winograd's algorithm."""
    out_channels, inner, lanes = grad_out.shape[3], x.shape[3], vector_lanes(x.dtype)
    panel, taps = panel_width(x.dtype, out_channels), (0,) * kernel_size[0]
    panels = -(-out_channels // panel)
    grad_weight = np.zeros((out_channels, inner, *kernel_size), x.dtype)
    if x.size and grad_out.size:
        x, grad_out = whole_vectors(x, lanes), whole_vectors(grad_out, lanes)
        channels, total = x.shape[3], len(x) * patches_of(*grad_out.shape[1:3], len(taps))
        count = -(-channels // ROWS) * ROWS  # rows behind the last channel are sums of what follows, and not read
        rows, size = np.arange(count) * panel, ELEMENTS * plane(panels * count * panel, lanes)
        apart, ranges = size * x.itemsize <= _SMALL, 1
        if apart:
            ranges = min(max(_RANGES[0], _SUMS_BYTES // (size * x.itemsize)), _RANGES[1], -(-total // _FEWEST))
        chunk = min(_CHUNK, -(-total // ranges))
        inputs = ELEMENTS * plane(chunk * channels, -(-ROWS // lanes) * lanes)
        grads = ELEMENTS * plane(panels * chunk * panel, lanes)
        sums = memory.empty((ranges, size), x.dtype)
        numbers = *padding[::2], lanes, chunk, panel
        if apart:
            threads = min(get_num_threads(), ranges)
            inputs, grads = (memory.empty((threads, length), x.dtype) for length in (inputs, grads))
            _sum_apart(x, grad_out, inputs, grads, sums, rows, NO_SEGMENTS, total, numbers, taps)
        else:
            inputs, grads = (memory.empty((length,), x.dtype) for length in (inputs, grads))
            _sum_together(x, grad_out, inputs, grads, sums, rows, NO_SEGMENTS, total, numbers, taps)
        _transform_sums(sums, grad_weight, count, panel, lanes, taps)
    return grad_weight
