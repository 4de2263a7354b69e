"""A dense block in one buffer: each layer reads the first channels of every pixel, and its new ones go behind them.

A layer that joins old and new maps by a copy moves all that the block holds, once a layer, and the batch norm
behind it writes all of it once more. Here the maps of a block lie in one buffer (N, H, W, all channels of the
block) from the beginning. Batch norm and ReLU of a 1 x 1 convolution run while it fetches its rows: a chunk of
pixels is normalised into scratch that stays in the second-level cache, and the register tile multiplies it
from there. So a layer reads its input from memory once and writes nothing but its own few maps.
"""

import numpy as np

from minitorch_kernels.gemm.matmul import available, cut_segments, matmul, pack_panels
from minitorch_kernels.gemm.microkernel import ROWS, tile
from minitorch_kernels.layers.batch_norm import as_pixels, bounds
from minitorch_kernels.layers.batch_norm_relu import activate, activate_pixels, gradient_numbers, input_gradient
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.simd import panel_width
from minitorch_kernels.runtime.threads import RANGES, get_num_threads, parallel_kernel

_CHUNK = 16 * ROWS  # pixels that are normalised before they are multiplied


@parallel_kernel(tasks=lambda: RANGES)
def _copy_channels(first_task, end_task, source, first, target, start, count):
    """target[:, start : start + count] = source[:, first : first + count]; parallel over ranges of pixels."""
    pixels = len(source)
    for part in range(first_task, end_task):
        begin, end = bounds(part, RANGES, pixels)
        for i in range(begin, end):
            for c in range(count):
                target[i, start + c] = source[i, first + c]


@parallel_kernel(tasks=lambda scratch: len(scratch))
def _activated_product(
    first_task, end_task, x, scale, shift, packed, start, rows, columns, segments, blocks, relu, scratch, out
):
    """out = max(x * scale + shift, 0) B + start for the first channels of x, not below 0 with ``relu``.

    ``rows`` and ``columns`` are the offsets of the pixels of a chunk in ``scratch`` (threads, chunk * C) and
    in ``out`` (M in whole tiles, panels of B).
    """
    count, channels, step = len(x), len(scale), out.shape[1]
    panels, terms_of_panel, width = packed.shape
    chunks, threads, flat = -(-count // _CHUNK), len(scratch), out.reshape(-1)
    for thread in range(first_task, end_task):
        activated = scratch[thread]
        for part in range(thread, chunks, threads):
            first, end = part * _CHUNK, min((part + 1) * _CHUNK, count)
            for i in range(first, end):
                activate(x[i], scale, shift, activated[(i - first) * channels : (i - first + 1) * channels])
            for p in range(panels):
                b, c = p * terms_of_panel * width, first * step + p * width
                for block in range(len(blocks)):
                    begin, last, terms = blocks[block]
                    for i in range(0, end - first, ROWS):
                        numbers = (i, begin, last, terms, 0, 1, b, width, c, p * width, min(block, 1), width)
                        tile(activated, packed, flat, start, rows, columns, segments, numbers)
            if relu:
                for i in range(first * step, end * step):
                    flat[i] = 0 if flat[i] <= 0 else flat[i]


def put_channels(maps, block, first):
    """Write maps (N, H, W, C) into a block (N, H, W, more), from channel ``first`` on."""
    _copy_channels(as_pixels(maps), 0, as_pixels(block), first, maps.shape[3])


def take_channels(block, first, count):
    """Return ``count`` channels of a block (N, H, W, more), from channel ``first`` on, as (N, H, W, count)."""
    maps = memory.empty((*block.shape[:3], count), block.dtype)
    _copy_channels(as_pixels(block), first, as_pixels(maps), 0, count)
    return maps


def activated(block, scale, shift):
    """Return max(x * scale + shift, 0) of the first channels x of a block.

    Parameters
    ----------
    block : ndarray, shape (N, H, W, C or more), C-contiguous, float32 or float64
    scale, shift : ndarray, shape (C,)

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    out = memory.empty((*block.shape[:3], len(scale)), block.dtype)
    activate_pixels(as_pixels(block), scale, shift, as_pixels(out))
    return out


def activated_product(block, scale, shift, weight, bias=None, *, relu=False):
    """Run batch norm, ReLU and a 1 x 1 convolution on the first channels of a block.

    out[n, h, w, o] = bias[o] + sum over c of max(block[n, h, w, c] * scale[c] + shift[c], 0) * weight[o, c]

    Parameters
    ----------
    block : ndarray, shape (N, H, W, C or more), C-contiguous, float32 or float64
    scale, shift : ndarray, shape (C,)
    weight : ndarray, shape (O, C)
    bias : ndarray, shape (O,), or None
    relu : bool
        Cut off what is negative in ``out``, too.

    Returns
    -------
    ndarray, shape (N, H, W, O)

    Notes
    -----
    Cost: 2*N*H*W*C*O flop, and one pass over the block. Parallel over chunks of pixels; the same bits for any
    number of threads. Where no register tile fits the machine, one operation runs after the other.
    """
    filters, channels = weight.shape
    pixels = as_pixels(block)
    bias = np.zeros(filters, block.dtype) if bias is None else bias
    if not available(block.dtype):
        out = matmul(as_pixels(activated(block, scale, shift)), weight.T) + bias
        out = np.maximum(out, 0) if relu else out
        return out.reshape(*block.shape[:3], filters)
    width = panel_width(block.dtype, filters)
    panels = -(-filters // width)
    packed = memory.empty((panels, channels, width), block.dtype)
    pack_panels(weight.T, packed)
    start = np.zeros(panels * width, block.dtype)
    start[:filters] = bias
    out = memory.empty((-(-len(pixels) // ROWS) * ROWS, panels * width), block.dtype)
    scratch = memory.empty((get_num_threads(), _CHUNK * channels), block.dtype)
    rows, columns = np.arange(_CHUNK) * channels, np.arange(_CHUNK) * panels * width
    tables = rows, columns, *cut_segments([0], [0], channels, 1, width)
    _activated_product(pixels, scale, shift, packed, start, *tables, relu, scratch, out)
    out = out[: len(pixels)].reshape(*block.shape[:3], panels * width)
    return out if panels * width == filters else take_channels(out, 0, filters)


def add_batch_norm_relu_gradient(grad_out, out, block, mean, inv_std, gamma, grad_block, *, training):
    """Add the gradient of the first channels of a block, through batch norm and ReLU, to what is there.

    Parameters
    ----------
    grad_out, out : ndarray, shape (N, H, W, C), C-contiguous
        ``out`` as from `activated`.
    block : ndarray, shape (N, H, W, C or more), C-contiguous
    mean, inv_std, gamma : ndarray, shape (C,)
    grad_block : ndarray, the shape of the block, C-contiguous
        The gradient of its other channels stays.
    training : bool
        As in `fused.batch_norm_relu_backward`, whose formula this is.

    Returns
    -------
    grad_gamma, grad_beta : ndarray, shape (C,)
    """
    grad_out, out, block = map(as_pixels, (grad_out, out, block))
    numbers, *gradients = gradient_numbers(grad_out, out, block, mean, inv_std, gamma, len(block), training)
    input_gradient(grad_out, out, block, mean, *numbers, True, as_pixels(grad_block))
    return tuple(gradients)
