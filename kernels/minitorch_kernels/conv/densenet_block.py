"""DenseNet's block in one buffer: each layer reads the first channels of every pixel and writes its own after them.

Concatenation would copy all feature maps of the block in every layer, and the batch norm after it would write all
of them once more. Here the maps lie in one buffer (N, H, W, all channels of the block) from the beginning. Batch
norm and ReLU run inside the 1 x 1 convolution after them: a chunk of pixels is normalised into scratch memory that
stays in the second-level cache, and the micro-kernel multiplies it from there. So a layer reads its input from
memory once and writes only its own few maps. In bf16, a chunk is also rounded there.

Source: Huang et al. 2016, section 3, https://arxiv.org/abs/1608.06993.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.gemm.bf16 import pair, round_elements
from minitorch_kernels.gemm.matmul import Offsets, matmul
from minitorch_kernels.gemm.microkernel import MR, ReLUTile, microkernel
from minitorch_kernels.gemm.pack import cut_k_runs, pack_b
from minitorch_kernels.layers.batch_norm_relu import (
    Gate,
    activate,
    activate_pixels,
    batch_norm_backward_coefficients,
    input_gradient,
)
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import chunk_bounds, copy_channels, flatten_pixels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.prefetch import fetch_to_read, fetch_to_write
from minitorch_kernels.runtime.simd import LINE, nr, supports
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel
from minitorch_kernels.runtime.views import flat

_CHUNK = 16 * MR  # pixels that are normalised, then multiplied


class Layer(NamedTuple):
    """Batch norm, ReLU and a 1 x 1 convolution, and a ReLU after it or not."""

    scale: np.ndarray  # (C,)
    shift: np.ndarray  # (C,)
    packed: np.ndarray  # (panels, K, NR): the filters; K is C, or in bf16 half of it, see `gemm.bf16`
    init: np.ndarray  # (panels * NR,): the bias
    relu: bool


@compiled
def _fetch(x, channels, out, first, end):
    """Fetch the first ``channels`` of the pixels first .. end - 1 of x to read them, and those of ``out`` to write."""
    source, target, line = flat(x), flat(out), LINE // out.itemsize
    for pixel in range(first, end):
        for c in range(0, channels, line):
            fetch_to_read(source, pixel * x.shape[1] + c)
        for c in range(0, out.shape[1], line):
            fetch_to_write(target, pixel * out.shape[1] + c)


@compiled
def _multiply(activated, layer, x, out, offsets, first, following):
    """Multiply the activated pixels of a chunk, the pixels of x from ``first`` on, by all filters, into ``out``.

    Meanwhile, memory is idle. So what the chunk after it on this thread, from pixel ``following`` on, reads and writes
    is fetched, some pixels with each tile. That takes a fifth of the time off 64 channels, 5 % off 192.
    """
    (panels, k_terms_of_b, width), chunk = layer.packed.shape, len(offsets.a_rows)
    packed, flat_out = flat(layer.packed), flat(out)
    done, tiles = 0, panels * len(offsets.blocks) * (chunk // MR)
    for p in range(panels):
        for block in range(len(offsets.blocks)):
            first_run, end_run, k_terms = offsets.blocks[block]
            for i in range(0, min(chunk, len(x) - first), MR):
                tile = ReLUTile(
                    row=i,
                    first_run=first_run,
                    end_run=end_run,
                    k_terms=k_terms,
                    a_offset=0,
                    a_step=1,
                    b_offset=p * k_terms_of_b * width,
                    b_step=width,
                    c_offset=first * panels * width + p * width,
                    init_offset=p * width,
                    accumulate=min(block, 1),
                    width=width,
                    relu=int(layer.relu and block == len(offsets.blocks) - 1),
                )
                a_rows, c_rows, k_runs, _ = offsets
                microkernel(activated, packed, flat_out, layer.init, a_rows, c_rows, k_runs, tile)
                begin, end = chunk_bounds(done, tiles, chunk)
                done += 1
                _fetch(x, len(layer.scale), out, following + begin, following + end)


@parallel_kernel(tasks=lambda scratch: len(scratch))
def _activated_product(first_task, end_task, x, layer, offsets, scratch, out):
    """Compute a `Layer` on the first C channels of x, into out (M in whole tiles, panels * NR).

    ``offsets`` are those of the pixels of a chunk in ``scratch`` (threads, chunk * C) and in ``out``.
    """
    count, channels = len(x), len(layer.scale)
    chunk, threads = len(offsets.a_rows), len(scratch)
    for thread in range(first_task, end_task):
        activated = scratch[thread]
        for first in range(thread * chunk, count, threads * chunk):
            end = min(first + chunk, count)
            for i in range(first, end):
                y = activated[(i - first) * channels : (i - first + 1) * channels]
                activate(x[i], layer.scale, layer.shift, y)
            _multiply(activated, layer, x, out, offsets, first, first + threads * chunk)


@parallel_kernel(tasks=lambda scratch: len(scratch))
def _activated_product_bf16(first_task, end_task, x, layer, offsets, scratch, out):
    """Do what `_activated_product` does in bf16; ``scratch`` (threads, chunk * K) holds pairs."""
    count, channels, k_terms = len(x), len(layer.scale), layer.packed.shape[1]
    chunk, threads = len(offsets.a_rows), len(scratch)
    for thread in range(first_task, end_task):
        activated, pixel = scratch[thread], np.zeros(2 * k_terms, np.float32)  # an odd channel is paired with zero
        for first in range(thread * chunk, count, threads * chunk):
            end = min(first + chunk, count)
            for i in range(first, end):
                pairs = activated[(i - first) * k_terms : (i - first + 1) * k_terms]
                activate(x[i], layer.scale, layer.shift, pixel[:channels])
                round_elements(pixel.view(np.int32), pairs.view(np.uint16))
            _multiply(activated, layer, x, out, offsets, first, first + threads * chunk)


def _chunk_size(pixels, threads):
    """Return the pixels of a chunk: whole tiles, at most _CHUNK, and as many chunks for each thread as for the others.

    With chunks of _CHUNK, one of two threads would get 896 of 1568 pixels.
    """
    rounds = max(1, -(-pixels // (threads * _CHUNK)))
    return max(1, -(-pixels // (threads * rounds * MR))) * MR


@lru_cache(maxsize=256)
def _offsets(chunk, k_terms, panels, width):
    """Return the `Offsets` of a chunk of activated pixels, and of its part of the output."""
    rows = np.arange(chunk)
    return Offsets(rows * k_terms, rows * panels * width, *cut_k_runs([0], [0], k_terms, 1, width))


def put_channels(maps, block, first, count):
    """Write the first ``count`` channels of maps (N, H, W, C) into a block (N, H, W, more), from its ``first`` on."""
    copy_channels(flatten_pixels(maps), 0, flatten_pixels(block), first, count, first + count)


def take_channels(block, first, count, channels=None):
    """Return ``count`` channels of a block (N, H, W, more) from channel ``first`` on, and zeros up to ``channels``."""
    channels = channels or count
    maps = memory.empty((*block.shape[:3], channels), block.dtype)
    copy_channels(flatten_pixels(block), first, flatten_pixels(maps), 0, count, channels)
    return maps


def activated(block, scale, shift, channels=None):
    """Return max(x * scale + shift, 0) of the first channels x of a block.

    Parameters
    ----------
    block : ndarray, shape (N, H, W, C or more), C-contiguous, float32 or float64
    scale, shift : ndarray, shape (C,)
    channels : int or None
        Of the result: C, or more for zeros after them.

    Returns
    -------
    ndarray, shape (N, H, W, ``channels``)
    """
    out = memory.empty((*block.shape[:3], channels or len(scale)), block.dtype)
    activate_pixels(flatten_pixels(block), scale, shift, flatten_pixels(out))
    return out


def activated_product(block, scale, shift, weight, bias=None, *, relu=False, bf16=False):
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
    bf16 : bool
        Round the factors to bf16; float32 arrays, on a processor that can (`simd.supports` pairs).

    Returns
    -------
    ndarray, shape (N, H, W, O)

    Notes
    -----
    Cost: 2*N*H*W*C*O flop, and one pass over the block. Parallel over chunks of pixels; the same bits for any
    number of threads. Where nothing is compiled, one operation runs after the other.
    """
    filters, pixels = len(weight), flatten_pixels(block)
    bias = np.zeros(filters, block.dtype) if bias is None else bias
    if not supports(block.dtype):
        out = matmul(flatten_pixels(activated(block, scale, shift)), weight.T) + bias
        out = np.maximum(out, 0) if relu else out
        return out.reshape(*block.shape[:3], filters)
    width = nr(block.dtype, filters)
    panels = -(-filters // width)
    factors = pair(weight, 1) if bf16 else weight  # (O, K)
    packed = memory.empty((panels, factors.shape[1], width), factors.dtype)
    pack_b(factors.T, packed)
    init = np.zeros(panels * width, block.dtype)
    init[:filters] = bias
    out = memory.empty((-(-len(pixels) // MR) * MR, panels * width), block.dtype)
    threads = get_num_threads()
    chunk = _chunk_size(len(pixels), threads)
    scratch = memory.empty((threads, chunk * packed.shape[1]), packed.dtype)
    compute = _activated_product_bf16 if bf16 else _activated_product
    offsets = _offsets(chunk, packed.shape[1], panels, width)
    compute(pixels, Layer(scale, shift, packed, init, relu), offsets, scratch, out)
    out = out[: len(pixels)].reshape(*block.shape[:3], panels * width)
    return out if panels * width == filters else take_channels(out, 0, filters)


def add_batch_norm_relu_gradient(grad_out, block, scale, shift, mean, inv_std, gamma, grad_block, *, training):
    """Add the gradient of the first channels of a block, through batch norm and ReLU, to ``grad_block``.

    Parameters
    ----------
    grad_out : ndarray, shape (N, H, W, C or more), C-contiguous
    block : ndarray, shape (N, H, W, C or more), C-contiguous
    scale, shift, mean, inv_std, gamma : ndarray, shape (C,)
        ``scale`` and ``shift`` as for `activated`.
    grad_block : ndarray, the shape of the block, C-contiguous
        The gradient of its other channels stays.
    training : bool
        As in `batch_norm_relu.batch_norm_relu_backward`, whose formula this is.

    Returns
    -------
    grad_gamma, grad_beta : ndarray, shape (C,)
    """
    grad_out, block = flatten_pixels(grad_out), flatten_pixels(block)
    coefficients, *gradients = batch_norm_backward_coefficients(
        grad_out, Gate(block, scale, shift), block, mean, inv_std, gamma, len(block), training
    )
    vectors = scale, shift, mean, *coefficients
    input_gradient(grad_out, block, block, *vectors, training, True, flatten_pixels(grad_block))
    return tuple(gradients)
