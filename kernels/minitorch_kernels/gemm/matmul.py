"""Matrix product: the loops around the micro-kernel, and the general product that convolution is a case of.

    for MC rows and one panel of NR columns of C        shared out over threads
        for KC terms                                    the part of B that they read stays in the first-level cache
            for MR rows                                 one call of the micro-kernel, whose sums stay in registers

No sum is split between threads, so the bits of the result do not depend on their number.

`indirect_gemm` reads the rows of A through an indirection buffer, a table of their offsets. Rows may lie anywhere and
overlap, as the windows of a convolution do.

Sources: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS, section 1 (blocks
for each level of memory); Dukhan 2019, "The Indirect Convolution Algorithm", https://arxiv.org/abs/1907.02129, abstract
(the indirection buffer).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.gemm.blas import product
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel
from minitorch_kernels.gemm.pack import cut_k_runs, pack_b, panel_table, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import nr, sum_dtype, supports
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.views import flat

MC = 32 * MR  # rows of C in a task: their packed or gathered A stays in the second-level cache


@parallel_kernel(tasks=lambda a_row_offsets, panels: -(-len(a_row_offsets) // MC) * len(panels))
def indirect_gemm(
    first_task, end_task, a, packed, b_step, c, init, a_row_offsets, c_row_offsets, k_runs, blocks, panels, rows_first
):
    """Compute rows of C from rows of A that lie anywhere, and from packed panels of B.

    C[c_row_offsets[i] + column] = init[column] + sum over runs s and terms k of
        A[a_row_offsets[i] + a_offset + k_runs[0, s] + k] * B[k_runs[1, s] + k, column]

    Parameters
    ----------
    a, c, init : ndarray, 1-D, the same dtype; or a and ``packed`` pairs of bf16, c and init float32
        ``init`` holds what the sums begin with, one panel of columns after the other.
    packed : ndarray, shape (panels, K, NR), or (K, panels, NR): B where it lies
    b_step : int
        Elements from one row of a panel to the next: NR, or all columns of B.
    a_row_offsets, c_row_offsets : int64 ndarray, shape (M,)
        M a multiple of MR, see `whole_tiles`.
    k_runs, blocks : int64 ndarray
        From `cut_k_runs`.
    panels : int64 ndarray, shape (P, 5)
        For each panel: offset in ``packed``, offset in ``init``, offset in A, offset in C, columns to write.
    rows_first : bool
        Finish one tile before the next one, instead of one block of terms. Where A is long and read once, its rows
        are then read from memory contiguously, and B from the second-level cache.

    Notes
    -----
    Parallel over chunks of MC rows and panels; each task owns its part of C.
    """
    width, rows = packed.shape[2], len(a_row_offsets)
    for task in range(first_task, end_task):
        first = task // len(panels) * MC
        last = min(first + MC, rows)
        b_offset, init_offset, a_offset, c_offset, columns = panels[task % len(panels)]
        narrow = columns < width  # the last columns of C: a whole tile would overwrite its neighbours
        scratch, scratch_rows = np.empty(MC * width if narrow else 0, c.dtype), np.empty(MC, np.int64)
        for i in range(MC):
            scratch_rows[i] = i * width
        target, target_rows = (scratch, scratch_rows) if narrow else (c, c_row_offsets[first:last])
        own_rows = a_row_offsets[first:last]
        tiles = (last - first) // MR
        outer, inner = (tiles, len(blocks)) if rows_first else (len(blocks), tiles)
        for step in range(outer * inner):  # one loop for both orders, so that the micro-kernel is compiled once
            block, index = (step % inner, step // inner) if rows_first else (step // inner, step % inner)
            first_run, end_run, k_terms = blocks[block]
            tile = Tile(
                row=index * MR,
                first_run=first_run,
                end_run=end_run,
                k_terms=k_terms,
                a_offset=a_offset,
                a_step=1,
                b_offset=b_offset,
                b_step=b_step,
                c_offset=0 if narrow else c_offset,
                init_offset=init_offset,
                accumulate=min(block, 1),
                width=width,
            )
            microkernel(a, packed, target, init, own_rows, target_rows, k_runs, tile)
        if narrow:
            for i in range(first, last):
                for column in range(columns):
                    c[c_row_offsets[i] + c_offset + column] = scratch[(i - first) * width + column]


class Offsets(NamedTuple):
    """Where the rows of A and C begin, and the terms of the sums; arrays of int64, as `indirect_gemm` takes them."""

    a_rows: np.ndarray
    c_rows: np.ndarray
    k_runs: np.ndarray
    blocks: np.ndarray


@compiled
def multiply_rows(a, packed, c, init, offsets, rows, a_offset, c_offset):
    """Compute the first ``rows`` rows of C, all columns, on the thread that calls it.

    The sum is `indirect_gemm`'s, where a task is a part of a larger loop: A is computed just before, or C read just
    after, while it is in the cache. Rows of C are as long as all panels of ``packed`` (panels, K, NR), and ``init``
    (panels * NR,) is too; ``a_offset`` and ``c_offset`` are added to the offsets of the rows.
    """
    panels, k_terms_of_b, width = packed.shape
    flat_packed = flat(packed)
    for p in range(panels):
        for block in range(len(offsets.blocks)):
            first_run, end_run, k_terms = offsets.blocks[block]
            for i in range(0, rows, MR):
                tile = Tile(
                    row=i,
                    first_run=first_run,
                    end_run=end_run,
                    k_terms=k_terms,
                    a_offset=a_offset,
                    a_step=1,
                    b_offset=p * k_terms_of_b * width,
                    b_step=width,
                    c_offset=c_offset + p * width,
                    init_offset=p * width,
                    accumulate=min(block, 1),
                    width=width,
                )
                microkernel(a, flat_packed, c, init, offsets.a_rows, offsets.c_rows, offsets.k_runs, tile)


@lru_cache(maxsize=64)
def _product_plan(rows, k_terms, columns, width, in_place):
    """Return the offsets of rows, runs, blocks and panels of `indirect_gemm` for a plain product."""
    a_row_offsets, c_row_offsets = (whole_tiles(np.arange(rows) * n) for n in (k_terms, columns))
    k_runs, blocks = cut_k_runs([0], [0], k_terms, 1, columns if in_place else width)
    return a_row_offsets, c_row_offsets, k_runs, blocks, panel_table(columns, k_terms, width, in_place)


def matmul(a, b):
    """Multiply two matrices.

    Parameters
    ----------
    a : ndarray, shape (M, K), float32, float64 or pairs of bf16 (`gemm.bf16`), any strides
    b : ndarray, shape (K, N), the same dtype, any strides

    Returns
    -------
    ndarray, shape (M, N)
        The same bits for any number of threads. Where nothing is compiled, NumPy's product.

    Notes
    -----
    Cost: 2*M*K*N flop, and one copy of B (and of A unless it is C-contiguous). B is read in place if all rows of A
    fit one tile, as in a linear layer's input gradient for a small batch. The weights of a linear layer come as a
    transposed view; where they are larger than the result, B^T A^T is computed, which copies A instead.
    """
    (rows, k_terms), columns = a.shape, b.shape[1]
    if not supports(a.dtype):
        return product(a, b)
    if rows < min(k_terms, columns) and b.T.flags.c_contiguous and not b.flags.c_contiguous:
        return np.ascontiguousarray(matmul(b.T, a.T).T)
    if 0 in (rows, k_terms, columns):
        return np.zeros((rows, columns), sum_dtype(a.dtype))
    width = nr(a.dtype, columns)
    in_place = rows <= MR and columns % width == 0 and b.flags.c_contiguous  # each element of B is read once
    if in_place:
        packed, b_step = b.reshape(k_terms, columns // width, width), columns
    else:
        packed, b_step = memory.empty((-(-columns // width), k_terms, width), a.dtype), width
        pack_b(b, packed)
    c = memory.empty((rows, columns), sum_dtype(a.dtype))
    flat_a, init = np.ascontiguousarray(a).reshape(-1), np.zeros(width, c.dtype)
    plan = _product_plan(rows, k_terms, columns, width, in_place)
    indirect_gemm(flat_a, packed, b_step, c.reshape(-1), init, *plan, columns <= width)
    return c
