"""DenseNet's block in one buffer: each layer reads the first channels of every pixel and writes its own after them.

A layer that concatenates old and new maps copies all that the block holds, once a layer, and the batch norm
after it writes all of it once more. Here the maps of a block lie in one buffer (N, H, W, all channels of the
block) from the beginning. Batch norm and ReLU of a 1 x 1 convolution run while it fetches its rows: a chunk of
pixels is normalised into scratch that stays in the second-level cache, and the micro-kernel multiplies it
from there. So a layer reads its input from memory once and writes only its own few maps.

Source: Huang et al. 2016, section 3, https://arxiv.org/abs/1608.06993.
"""

import numpy as np

from minitorch_kernels.gemm.matmul import matmul
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel
from minitorch_kernels.gemm.pack import cut_k_runs, pack_b
from minitorch_kernels.layers.batch_norm_relu import (
    activate,
    activate_pixels,
    batch_norm_backward_coefficients,
    input_gradient,
)
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import copy_channels, flatten_pixels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import nr, supports
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel

_CHUNK = 16 * MR  # pixels that are normalised, then multiplied


@compiled
def _multiply(activated, packed, flat, init, rows, columns, k_runs, blocks, count, start):
    """Multiply ``count`` activated pixels by all panels of B, into ``flat[start]`` and so on."""
    panels, rows_of_b, width = packed.shape
    for p in range(panels):
        for block in range(len(blocks)):
            first_run, end_run, k_terms = blocks[block]
            for i in range(0, count, MR):
                tile = Tile(
                    row=i,
                    first_run=first_run,
                    end_run=end_run,
                    k_terms=k_terms,
                    a_offset=0,
                    a_step=1,
                    b_offset=p * rows_of_b * width,
                    b_step=width,
                    c_offset=start + p * width,
                    init_offset=p * width,
                    accumulate=min(block, 1),
                    width=width,
                )
                microkernel(activated, packed.reshape(-1), flat, init, rows, columns, k_runs, tile)


@parallel_kernel(tasks=lambda scratch: len(scratch))
def _activated_product(
    first_task, end_task, x, scale, shift, packed, init, rows, columns, k_runs, blocks, relu, scratch, out
):
    """out = max(x * scale + shift, 0) B + init for the first channels of x; negative results become 0 with ``relu``.

    ``rows`` and ``columns`` are the offsets of the pixels of a chunk in ``scratch`` (threads, chunk * C) and
    in ``out`` (M in whole tiles, panels of B).
    """
    count, channels, step = len(x), len(scale), out.shape[1]
    chunks, threads, flat = -(-count // _CHUNK), len(scratch), out.reshape(-1)
    for thread in range(first_task, end_task):
        activated = scratch[thread]
        for chunk in range(thread, chunks, threads):
            first, end = chunk * _CHUNK, min((chunk + 1) * _CHUNK, count)
            for i in range(first, end):
                activate(x[i], scale, shift, activated[(i - first) * channels : (i - first + 1) * channels])
            _multiply(activated, packed, flat, init, rows, columns, k_runs, blocks, end - first, first * step)
            if relu:
                for i in range(first * step, end * step):
                    flat[i] = 0 if flat[i] <= 0 else flat[i]


def put_channels(maps, block, first):
    """Write maps (N, H, W, C) into a block (N, H, W, more), from channel ``first`` on."""
    count = maps.shape[3]
    copy_channels(flatten_pixels(maps), 0, flatten_pixels(block), first, count, first + count)


def take_channels(block, first, count):
    """Return ``count`` channels of a block (N, H, W, more), from channel ``first`` on, as (N, H, W, count)."""
    maps = memory.empty((*block.shape[:3], count), block.dtype)
    copy_channels(flatten_pixels(block), first, flatten_pixels(maps), 0, count, count)
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
    activate_pixels(flatten_pixels(block), scale, shift, flatten_pixels(out))
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
        Replace negative elements of ``out`` by 0.

    Returns
    -------
    ndarray, shape (N, H, W, O)

    Notes
    -----
    Cost: 2*N*H*W*C*O flop, and one pass over the block. Parallel over chunks of pixels; the same bits for any
    number of threads. Where nothing is compiled, one operation runs after the other.
    """
    filters, channels = weight.shape
    pixels = flatten_pixels(block)
    bias = np.zeros(filters, block.dtype) if bias is None else bias
    if not supports(block.dtype):
        out = matmul(flatten_pixels(activated(block, scale, shift)), weight.T) + bias
        out = np.maximum(out, 0) if relu else out
        return out.reshape(*block.shape[:3], filters)
    width = nr(block.dtype, filters)
    panels = -(-filters // width)
    packed = memory.empty((panels, channels, width), block.dtype)
    pack_b(weight.T, packed)
    init = np.zeros(panels * width, block.dtype)
    init[:filters] = bias
    out = memory.empty((-(-len(pixels) // MR) * MR, panels * width), block.dtype)
    scratch = memory.empty((get_num_threads(), _CHUNK * channels), block.dtype)
    rows, columns = np.arange(_CHUNK) * channels, np.arange(_CHUNK) * panels * width
    tables = rows, columns, *cut_k_runs([0], [0], channels, 1, width)
    _activated_product(pixels, scale, shift, packed, init, *tables, relu, scratch, out)
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
        As in `batch_norm_relu.batch_norm_relu_backward`, whose formula this is.

    Returns
    -------
    grad_gamma, grad_beta : ndarray, shape (C,)
    """
    grad_out, out, block = map(flatten_pixels, (grad_out, out, block))
    coefficients, *gradients = batch_norm_backward_coefficients(
        grad_out, out, block, mean, inv_std, gamma, len(block), training
    )
    input_gradient(grad_out, out, block, mean, *coefficients, training, True, flatten_pixels(grad_block))
    return tuple(gradients)
