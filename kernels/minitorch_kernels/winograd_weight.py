"""The weight gradient by Winograd's F(4x4, 3x3) or F(2x2, 5x5): patches of images against patches of output gradients.

    gradient of g[o, c] = G^T [ sum over patches of (B^T d_c B) * (A dy_o A^T) ] G

Per element of the transformed patches this is one product, channels x patches times patches x filters,
on the register tile. Chunk by chunk of patches, few enough that both sides stay in the cache.
"""

import numpy as np
from numba import prange

from minitorch_kernels import buffers
from minitorch_kernels._jit import kernel
from minitorch_kernels.register_tile import ROWS, adjacent_tile
from minitorch_kernels.vectors import lanes as vector_lanes
from minitorch_kernels.vectors import panel_width
from minitorch_kernels.winograd import ELEMENTS, NO_SEGMENTS, patches_of, place, plane, whole_vectors
from minitorch_kernels.winograd_transform import PATCH, from_filter, from_outputs, to_inputs

_SHARE = 8  # patches that a task transforms
_CHUNK = 64  # patches whose transforms stay in the second-level cache; fewer would touch the sums more often


@kernel
def _sum_products(x, grad_out, inputs, grads, sums, rows, segments, numbers, taps):
    """Fill sums (36, plane of P * rows * panel) from the images and the output's gradients.

    ``inputs`` (36, plane of T * C) and ``grads`` (36, plane of P * T * panel) hold the transformed patches
    of a chunk. All patches of a chunk are transformed in parallel, then all products computed in parallel, each task
    owning its part of ``sums``.
    """
    top, left, lanes, chunk, panel = numbers
    images, out_height, out_width, out_channels = grad_out.shape
    _, height, width, channels = x.shape
    panels = -(-out_channels // panel)
    side = PATCH + 1 - len(taps)
    down, across = -(-out_height // side), -(-out_width // side)
    total = images * down * across
    x_flat, grad_flat, inputs_flat, grads_flat = (
        x.reshape(-1),
        grad_out.reshape(-1),
        inputs.reshape(-1),
        grads.reshape(-1),
    )
    sums_flat = sums.reshape(-1)
    in_step, grad_step, sum_step = inputs.shape[1], grads.shape[1], sums.shape[1]
    zeros = np.zeros(max(channels, panel), x.dtype)
    for first in range(0, total, chunk):
        count = min(chunk, total - first)
        for task in prange(-(-count // _SHARE)):
            for t in range(task * _SHARE, min(count, (task + 1) * _SHARE)):
                n, i, j = place(first + t, down, across, side)
                begin = ((n * out_height + i) * out_width + j) * out_channels
                bounds = (0, out_height - i, 0, out_width - j)
                for p in range(panels):
                    to = (p * chunk + t) * panel
                    vectors = min(panel, out_channels - p * panel) // lanes
                    where = (
                        begin + p * panel,
                        out_width * out_channels,
                        out_channels,
                        to,
                        PATCH * grad_step,
                        grad_step,
                    )
                    from_outputs(grad_flat, grads_flat, zeros, where, bounds, vectors, taps)
                i, j = i - top, j - left
                begin = ((n * height + i) * width + j) * channels
                where = (begin, width * channels, channels, t * channels, PATCH * in_step, in_step)
                to_inputs(x_flat, inputs_flat, zeros, where, (-i, height - i, -j, width - j), channels // lanes, taps)
        go_on = min(first, 1)
        for task in prange(ELEMENTS * panels):
            e, p = task // panels, task % panels
            a, b, target = e * in_step, e * grad_step + p * chunk * panel, e * sum_step + p * len(rows) * panel
            for i in range(0, len(rows), ROWS):
                call = (i, 0, 1, count, a + i, channels, b, panel, target, 0, go_on, panel)
                adjacent_tile(inputs_flat, grads_flat, sums_flat, zeros, rows, rows, segments, call)


@kernel
def _transform_sums(sums, grad_weight, rows, panel, lanes, taps):
    """Transform sums (36, plane of P * rows * panel) into grad_weight (O, C, KH, KW); parallel over both channels."""
    (out_channels, inner, _, _), side = grad_weight.shape, len(taps)
    panels, step, flat = -(-out_channels // panel), sums.shape[1], sums.reshape(-1)
    for task in prange(panels * inner):
        p, c = task // inner, task % inner
        patch = np.empty(side * side * panel, sums.dtype)
        where = ((p * rows + c) * panel, PATCH * step, step, 0, side * panel, panel)
        from_filter(flat, patch, patch, where, (0, 0, 0, 0), panel // lanes, taps)
        for j in range(min(panel, out_channels - p * panel)):
            for u in range(side):
                for v in range(side):
                    grad_weight[p * panel + j, c, u, v] = patch[(u * side + v) * panel + j]


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
    Cost: as forward. Parallel over patches, then over products.
    """
    out_channels, inner, lanes = grad_out.shape[3], x.shape[3], vector_lanes(x.dtype)
    panel, taps = panel_width(x.dtype, out_channels), (0,) * kernel_size[0]
    panels = -(-out_channels // panel)
    grad_weight = np.zeros((out_channels, inner, *kernel_size), x.dtype)
    if x.size and grad_out.size:
        x, grad_out = whole_vectors(x, lanes), whole_vectors(grad_out, lanes)
        channels = x.shape[3]
        chunk = min(_CHUNK, len(x) * patches_of(*grad_out.shape[1:3], len(taps)))
        count = -(-channels // ROWS) * ROWS  # rows behind the last channel are sums of what follows, and not read
        inputs = buffers.empty((ELEMENTS, plane(chunk * channels, -(-ROWS // lanes) * lanes)), x.dtype)
        sizes = panels * chunk * panel, panels * count * panel
        grads, sums = (buffers.empty((ELEMENTS, plane(size, lanes)), x.dtype) for size in sizes)
        rows = np.arange(count) * panel
        _sum_products(x, grad_out, inputs, grads, sums, rows, NO_SEGMENTS, (*padding[::2], lanes, chunk, panel), taps)
        _transform_sums(sums, grad_weight, count, panel, lanes, taps)
    return grad_weight
