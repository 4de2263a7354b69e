"""Convolution by Winograd's F(4x4, 3x3) and F(2x2, 5x5): forward and input gradient.

For 3 x 3 and 5 x 5 filters with stride 1; `weight` has the third product. The output is cut into
patches of 4 x 4 or 2 x 2 pixels; each of the 36 elements of the transformed patches (see `transform`)
is then a matrix product of its own,

    patches x channels  times  channels x filters,

which the register tile computes. A quarter of the multiplications of the definition are left, or 36 of 100, and the
transforms are cheap where there are many channels to share them. A block of patches goes through all
three stages before the next one begins, so its numbers stay in the second-level cache; `panels` cuts
the filters instead, where patches are few.

Sums in other terms than the definition's lose about two more digits: errors of 1e-5 to 1e-4 on outputs of
unit scale in float32. Images whose elements are too far apart for that are left to the definition, see `outliers`.
"""

import numpy as np

from minitorch_kernels.conv import indirect
from minitorch_kernels.conv.winograd import outliers
from minitorch_kernels.conv.winograd import panels as winograd_panels
from minitorch_kernels.conv.winograd.tiles import (
    ELEMENTS,
    NO_SEGMENTS,
    RUN,
    patches_of,
    place,
    plane,
    transform_back,
    transform_patch,
    transform_run,
    whole_vectors,
    with_channels,
    worth,
)
from minitorch_kernels.conv.winograd.transform import KERNELS, PATCH
from minitorch_kernels.gemm.matmul import whole_tiles
from minitorch_kernels.gemm.microkernel import BLOCK, ROWS, tile
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.simd import panel_width
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel

_BLOCK_BYTES = 1 << 20  # patches and products of a block, which shall stay in the second-level cache
_SHARE = 4
_FILTERS_WEIGH = 6  # patches, see `worth`


def fits(kernel_size, stride, dilation, groups):
    """Return True for what this algorithm computes: 3 x 3 or 5 x 5 filters, stride 1, no dilation, one group."""
    square = kernel_size[0] == kernel_size[1] and kernel_size[0] in KERNELS
    return square and (stride, dilation, groups) == ((1, 1), (1, 1), 1)


def pays(images, out_size, channels, out_channels, kernel):
    """Return True where this algorithm is faster than `direct`, see `tiles.worth`."""
    return worth(images, out_size, channels, out_channels, kernel, _FILTERS_WEIGH)


@parallel_kernel(
    tasks=lambda weight, turned, padded, width: -(-weight.shape[1 if turned else 0] // width) * -(-padded // RUN)
)
def _transform_filters(first_task, end_task, weight, turned, filters, padded, width, lanes, taps):
    """Transform weight (columns, inner, KH, KW) into filters (36, plane of P * inner padded * width).

    ``turned``: from weight (inner, columns, KH, KW), each filter by 180 degrees; one compiled function does for both.
    Parallel over panels and runs of a few channels: these lie side by side in ``weight``, while the columns of a
    panel are far apart.
    """
    step, flat = filters.shape[1], filters.reshape(-1)
    runs, sizes = -(-padded // RUN), (padded, width, lanes)
    for task in range(first_task, end_task):
        p, first = task // runs, task % runs * RUN
        transform_run(weight, turned, flat, (p, first), (p * padded + first) * width, step, sizes, taps)


@parallel_kernel(tasks=lambda scratch: len(scratch))
def _patches(first_task, end_task, x, filters, start, out, rows, columns, segments, scratch, numbers, taps):
    """Compute out (N, OH, OW, O) block by block of patches; C and O are multiples of a vector.

    ``start`` holds a panel of zeros, then the bias; ``scratch`` (threads, S) a block of transformed
    patches, their products and a pixel.
    """
    top, left, block, lanes, panel = numbers
    images, out_height, out_width, out_channels = out.shape
    channels, panels, side = x.shape[3], -(-out_channels // panel), PATCH + 1 - len(taps)
    down, across = -(-out_height // side), -(-out_width // side)
    total = images * down * across
    blocks, threads = -(-total // block), len(scratch)
    x_flat, out_flat, filters_flat = x.reshape(-1), out.reshape(-1), filters.reshape(-1)
    in_step, product_step = plane(block * channels, lanes), plane(panels * block * panel, lanes)
    for thread in range(first_task, end_task):
        inputs = scratch[thread, : ELEMENTS * in_step]
        products = scratch[thread, ELEMENTS * in_step : ELEMENTS * (in_step + product_step)]
        aside = scratch[thread, ELEMENTS * (in_step + product_step) :]
        for part in range(thread, blocks, threads):
            first = part * block
            count = min(block, total - first)
            aside[:] = 0
            for t in range(count):
                patch, steps = place(first + t, down, across, side), (top, left, in_step, lanes)
                transform_patch(x_flat, x.shape, inputs, aside, patch, t * channels, steps, taps)
            for task in range(ELEMENTS * panels):
                e, p = task // panels, task % panels
                # Element (1, 1) joins every output, times 1: there the bias is added, once.
                begin = (p + 1) * panel if e == PATCH + 1 else 0
                for c in range(0, channels, BLOCK):  # a part of the filters that stays in the first-level cache
                    terms, go_on = min(BLOCK, channels - c), min(c, 1)
                    a, b = e * in_step + c, e * filters.shape[1] + (p * channels + c) * panel
                    target = e * product_step + p * block * panel
                    for i in range(0, count, ROWS):
                        call = (i, 0, 1, terms, a, 1, b, panel, target, begin, go_on, panel)
                        tile(inputs, filters_flat, products, start, rows, columns, segments, call)
            for t in range(count):
                patch = place(first + t, down, across, side)
                for p in range(panels):
                    steps = (product_step, p, panel, lanes)
                    transform_back(products, out_flat, out.shape, aside, patch, (p * block + t) * panel, steps, taps)


def _block_size(most, channels, out_channels, itemsize):
    """Return how many patches to take at a time, whole tiles of them.

    As many as fit into the second-level cache, but not so few that the filters, read once for each block, are
    more than what is read and written for the patches. The result does not depend on it.
    """
    fitting = _BLOCK_BYTES // (ELEMENTS * (channels + out_channels) * itemsize)
    return -(-min(max(fitting, channels // _SHARE), most) // ROWS) * ROWS


def _correlate_blocks(x, weight, turned, start, out, before, panel, taps):
    """Fill ``out`` with all filters transformed first, then block by block of patches."""
    (images, out_height, out_width, _), channels, lanes = out.shape, x.shape[3], vector_lanes(x.dtype)
    panels = len(start) // panel - 1
    filters = memory.empty((ELEMENTS, plane(panels * channels * panel, lanes)), x.dtype)
    _transform_filters(weight, turned, filters, channels, panel, lanes, taps)
    threads, total = get_num_threads(), images * patches_of(out_height, out_width, len(taps))
    block = _block_size(-(-total // threads), channels, panels * panel, x.itemsize)
    rows, columns = whole_tiles(np.arange(block) * channels), whole_tiles(np.arange(block) * panel)
    planes = plane(block * channels, lanes) + plane(block * panels * panel, lanes)
    scratch = memory.empty((threads, ELEMENTS * planes + max(channels, panel)), x.dtype)
    numbers = (*before, block, lanes, panel)
    _patches(x, filters, start, out, rows, columns, NO_SEGMENTS, scratch, numbers, taps)


def _correlate(x, weight, bias, out_size, padding, turned=False):
    """Cross-correlate x (N, H, W, C) with weight (O, C, KH, KW), or turned (C, O, KH, KW), into (N, *out_size, O)."""
    out_channels, lanes = weight.shape[1] if turned else len(weight), vector_lanes(x.dtype)
    panel, taps = panel_width(x.dtype, out_channels), (0,) * weight.shape[2]
    panels = -(-out_channels // panel)
    x = whole_vectors(x, lanes)
    images, channels = len(x), x.shape[3]
    out = memory.empty((images, *out_size, -(-out_channels // lanes) * lanes), x.dtype)
    if x.size and out.size:
        weight, start = np.ascontiguousarray(weight), np.zeros((panels + 1) * panel, x.dtype)
        if bias is not None:
            start[panel : panel + out_channels] = bias
        if winograd_panels.pays(images * patches_of(*out_size, len(taps)), channels, out_channels):
            winograd_panels.correlate(x, weight, turned, start, out, padding[::2], panel, taps)
        else:
            _correlate_blocks(x, weight, turned, start, out, padding[::2], panel, taps)
    return with_channels(out, out_channels)


def conv2d_forward_winograd(x, weight, bias=None, *, stride, padding, dilation, groups):
    """Cross-correlate images with 3 x 3 or 5 x 5 filters.

    out[n, i, j, o] = bias[o] + sum over u, v, c of x[n, i + u - top, j + v - left, c] * weight[o, c, u, v]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in, KH, KW), 3 x 3 or 5 x 5
    bias : ndarray, shape (C_out,), or None
    stride, dilation : (1, 1)
    padding : (top, bottom, left, right), pixels of zeros
    groups : 1

    Returns
    -------
    ndarray, shape (N, OH, OW, C_out)

    Notes
    -----
    Cost: 2*36*C_in*C_out flop for each 4 x 4 outputs, with 5 x 5 filters 2 x 2, and the transforms. Parallel over
    blocks of patches; the same bits for any number of threads.
    """
    top, bottom, left, right = padding
    _, height, width, _ = x.shape
    out_size = height + top + bottom - weight.shape[2] + 1, width + left + right - weight.shape[3] + 1
    out = _correlate(x, weight, bias, out_size, padding)
    if len(apart := outliers.find(x, weight, x.shape[3] * weight.shape[2] ** 2)):
        hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        out[apart] = indirect.conv2d_forward_direct(x[apart], weight, bias, **hyper)
    return out


def conv2d_backward_input_winograd(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of the images: the output's, cross-correlated with the filters turned by 180 degrees.

    grad_x[n, h, w, c] = sum over u, v, o of grad_out[n, h - u + top, w - v + left, o] * weight[o, c, u, v]

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous, float32 or float64
    weight : ndarray, shape (C_out, C_in, KH, KW), 3 x 3 or 5 x 5
    input_size : (H, W)
    stride, padding, dilation, groups
        As in `conv2d_forward_winograd`.

    Returns
    -------
    ndarray, shape (N, H, W, C_in)

    Notes
    -----
    Cost: as forward.
    """
    around = tuple(weight.shape[2] - 1 - p for p in padding)
    grad_x = _correlate(grad_out, weight, None, input_size, around, turned=True)
    if len(apart := outliers.find(grad_out, weight, grad_out.shape[3] * weight.shape[2] ** 2)):
        hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        grad_x[apart] = indirect.conv2d_backward_input_direct(grad_out[apart], weight, input_size=input_size, **hyper)
    return grad_x
