"""Matrix product: the loops around the micro-kernel, and the general product that convolution is a case of.

    for MC rows and one panel of NR columns of C        shared out over threads
        for KC terms                                    the part of B that they read stays in the first-level cache
            for MR rows                                 one call of the micro-kernel, whose sums stay in registers

Where A has few rows, memory decides, and B is read where it lies (`_multiply_in_place`). Where sums have few terms, a
task computes several panels, row by row, so that it writes each row of C as one long piece.

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
from minitorch_kernels.gemm.microkernel import (
    KC,
    MR,
    ContinuedTile,
    ReLUTile,
    Tile,
    microkernel,
    microkernel_half_vector,
)
from minitorch_kernels.gemm.pack import cut_k_runs, pack_b, panel_table, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import VECTOR_BYTES, nr, sum_dtype, supports
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel
from minitorch_kernels.runtime.views import flat

MC = 32 * MR  # rows of C in a task: their packed or gathered A stays in the second-level cache
_HALF_VECTOR = VECTOR_BYTES // 2 if VECTOR_BYTES == 64 else 0  # bytes; shorter vectors are multiplied as a whole
_MOST_TOGETHER = 64  # panels of a task whose sums have few terms
_FEW = 8 * MR  # rows of A for which reading B in place is faster than packing it
_LONGEST = 64  # panels of a piece of a row of B that is read in place
_ROWS = 16  # of B read at once, at most; memory delivers more of them more slowly


class Offsets(NamedTuple):
    """Where the rows of A and C begin, and the terms of the sums; arrays of int64."""

    a_rows: np.ndarray  # (M,), M a multiple of MR, see `whole_tiles`
    c_rows: np.ndarray  # (M,)
    k_runs: np.ndarray  # (2, S) and
    blocks: np.ndarray  # (B, 3), from `cut_k_runs`


@parallel_kernel(
    tasks=lambda offsets, panels, together: -(-len(offsets.a_rows) // MC) * -(-len(panels) // together)
)
def indirect_gemm(first_task, end_task, a, packed, c, init, offsets, panels, together, rows_first, relu):
    """Compute rows of C from rows of A that lie anywhere, and from packed panels of B.

    C[c_rows[i] + column] = init[column] + sum over runs s and terms k of
        A[a_rows[i] + a_offset + k_runs[0, s] + k] * B[k_runs[1, s] + k, column]

    Parameters
    ----------
    a, c, init : ndarray, 1-D, the same dtype; or a and ``packed`` pairs of bf16, c and init float32
        ``init`` holds what the sums begin with, one panel of columns after the other.
    packed : ndarray, shape (panels, K, NR)
    offsets : Offsets
    panels : int64 ndarray, shape (P, 5)
        For each panel: offset in ``packed``, offset in ``init``, offset in A, offset in C, columns to write.
    together : int
        Panels of a task, >= 1. The tiles of a row of C are computed one after the other for these panels, because
        memory takes a long piece faster. More than one only if all panels have NR columns to write.
    rows_first : bool
        Finish one tile before the next one, instead of one block of terms. Where A is long and read once, its rows
        are then read from memory contiguously, and B from the second-level cache.
    relu : bool
        Write 0 for negative elements of C.

    Notes
    -----
    Parallel over chunks of MC rows and groups of panels; each task owns its part of C.
    """
    (a_rows, c_rows, k_runs, blocks), width = offsets, packed.shape[2]
    rows, groups = len(a_rows), -(-len(panels) // together)
    for task in range(first_task, end_task):
        first, first_panel = task // groups * MC, task % groups * together
        last, count = min(first + MC, rows), min(together, len(panels) - first_panel)
        c_offset, columns = panels[first_panel, 3], panels[first_panel, 4]
        narrow = columns < width  # the last columns of C: a whole tile would overwrite its neighbours
        scratch, scratch_rows = np.empty(MC * width if narrow else 0, c.dtype), np.empty(MC, np.int64)
        for i in range(MC):
            scratch_rows[i] = i * width
        target, target_rows = (scratch, scratch_rows) if narrow else (c, c_rows[first:last])
        own_rows = a_rows[first:last]
        tiles = (last - first) // MR
        outer, inner = (tiles, len(blocks)) if rows_first else (len(blocks), tiles)
        for step in range(outer * inner * count):  # one loop for all orders, so that the micro-kernel is compiled once
            turn, p = step // count, first_panel + step % count
            block, index = (turn % inner, turn // inner) if rows_first else (turn // inner, turn % inner)
            first_run, end_run, k_terms = blocks[block]
            b_offset, init_offset, a_offset, panel_offset, _ = panels[p]
            tile = ReLUTile(
                row=index * MR,
                first_run=first_run,
                end_run=end_run,
                k_terms=k_terms,
                a_offset=a_offset,
                a_step=1,
                b_offset=b_offset,
                b_step=width,
                c_offset=0 if narrow else panel_offset,
                init_offset=init_offset,
                accumulate=min(block, 1),
                width=width,
                relu=int(relu and block == len(blocks) - 1),
            )
            microkernel(a, packed, target, init, own_rows, target_rows, k_runs, tile)
        if narrow:
            for i in range(first, last):
                for column in range(columns):
                    c[c_rows[i] + c_offset + column] = scratch[(i - first) * width + column]


@compiled
def multiply_rows(a, packed, c, init, offsets, rows, a_offset, c_offset):
    """Compute the first ``rows`` rows of C, all columns, on the thread that calls it.

    The sum is `indirect_gemm`'s, where a task is a part of a larger loop: C is read just after, while it is in the
    cache. Rows of C are as long as all panels of ``packed`` (panels, K, NR), and ``init`` (panels * NR,) is too;
    ``a_offset`` and ``c_offset`` are added to the offsets of the rows.
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


@parallel_kernel(tasks=lambda offsets: -(-len(offsets.a_rows) // MC))
def _multiply_half_vectors(first_task, end_task, a, packed, c, init, offsets):
    """Compute C = A B, flat, for B of a single panel (1, K, NR) whose NR columns are half a vector.

    Each row of A is read from its first element to the last.
    """
    flat_packed, width = flat(packed), packed.shape[2]
    for i in range(first_task * MC, min(end_task * MC, len(offsets.a_rows)), MR):
        for block in range(len(offsets.blocks)):
            tile = Tile(
                row=i,
                first_run=block,
                end_run=block + 1,
                k_terms=offsets.blocks[block, 2],
                a_offset=0,
                a_step=1,
                b_offset=0,
                b_step=width,
                c_offset=0,
                init_offset=0,
                accumulate=min(block, 1),
                width=width,
            )
            a_rows, c_rows, k_runs, _ = offsets
            microkernel_half_vector(a, flat_packed, c, init, a_rows, c_rows, k_runs, tile)


class Piece(NamedTuple):
    """Some columns of B, and the rows of a block of terms; all int64."""

    block: int
    first: int
    columns: int


@compiled
def _multiply_piece(a, b, sums, init, offsets, piece):
    """Fill sums, flat, with the products of A and a `Piece` of B, a few rows of B at a time."""
    step, k_terms = b.shape[1], offsets.blocks[piece.block, 2]
    for k in range(0, k_terms, _ROWS):
        for row in range(0, len(offsets.a_rows), MR):
            for column in range(0, piece.columns, len(init)):
                tile = ContinuedTile(
                    row=row,
                    first_run=piece.block,
                    end_run=piece.block + 1,
                    k_terms=min(_ROWS, k_terms - k),
                    a_offset=k,
                    a_step=1,
                    b_offset=k * step + piece.first + column,
                    b_step=step,
                    c_offset=column,
                    init_offset=0,
                    accumulate=min(k, 1),
                    width=len(init),
                )
                microkernel(a, flat(b), sums, init, offsets.a_rows, offsets.c_rows, offsets.k_runs, tile)


@compiled
def _add_piece(sums, c, piece):
    """Add the sums of a `Piece` to those of the blocks before it, if there are any."""
    for i in range(len(c)):
        own, row = sums[i], c[i, piece.first : piece.first + piece.columns]
        for j in range(len(row)):
            row[j] = own[j] + row[j] if piece.block else own[j]


@parallel_kernel(tasks=lambda scratch: len(scratch))
def _multiply_in_place(first_task, end_task, a, b, c, init, offsets, scratch):
    """Compute C = A B for few rows of A, with B where it lies; its columns are whole panels.

    Each thread takes pieces of B with as many columns as its part of ``scratch`` (threads, rows, columns), which holds
    the sums of a block. B comes from memory, which delivers long pieces of few rows faster than the short ones, of many
    rows, that a panel consists of. ``offsets`` are the rows of A and of a part of scratch, and the blocks.
    """
    threads, _, longest = scratch.shape
    for thread in range(first_task, end_task):
        for first in range(thread * longest, b.shape[1], threads * longest):
            for block in range(len(offsets.blocks)):
                piece = Piece(block, first, min(longest, b.shape[1] - first))
                _multiply_piece(a, b, flat(scratch[thread]), init, offsets, piece)
                _add_piece(scratch[thread], c, piece)


@lru_cache(maxsize=64)
def _product_plan(rows, k_terms, columns, width):
    """Return `Offsets`, panels and how many are together in `indirect_gemm`'s plain product."""
    a_rows, c_rows = (whole_tiles(np.arange(rows) * n) for n in (k_terms, columns))
    offsets = Offsets(a_rows, c_rows, *cut_k_runs([0], [0], k_terms, 1, width))
    together = min(_MOST_TOGETHER, max(1, KC // k_terms))  # what a task reads of B stays in the first-level cache
    return offsets, panel_table(columns, k_terms, width), 1 if columns % width else together


@lru_cache(maxsize=64)
def _offsets_in_place(rows, k_terms, length, columns):
    """Return the `Offsets` of `_multiply_in_place`, for pieces of some length."""
    a_rows, c_rows = (whole_tiles(np.arange(rows) * n) for n in (k_terms, length))
    return Offsets(a_rows, c_rows, *cut_k_runs([0], [0], k_terms, 1, columns))


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
    Cost: 2*M*K*N flop, and one copy of B (and of A unless it is C-contiguous). B is read in place if A has few rows,
    as in a linear layer's input gradient for a small batch: a third of the time for 8 rows and 4096 x 4096. The weights
    of a linear layer come as a transposed view; where they are larger than the result, B^T A^T is computed, which
    copies A instead.
    """
    (rows, k_terms), columns = a.shape, b.shape[1]
    if not supports(a.dtype):
        return product(a, b)
    if rows < min(k_terms, columns) and b.T.flags.c_contiguous and not b.flags.c_contiguous:
        return np.ascontiguousarray(matmul(b.T, a.T).T)
    if 0 in (rows, k_terms, columns):
        return np.zeros((rows, columns), sum_dtype(a.dtype))
    width, dtype = nr(a.dtype, columns), sum_dtype(a.dtype)
    panels, a, init = -(-columns // width), np.ascontiguousarray(a).reshape(-1), np.zeros(width, dtype)
    if rows <= _FEW and columns % width == 0 and b.flags.c_contiguous:
        c, threads = memory.empty((rows, columns), dtype), get_num_threads()
        length = min(_LONGEST, -(-panels // threads)) * width
        scratch = memory.empty((threads, rows, length), dtype)
        offsets = _offsets_in_place(rows, k_terms, length, columns)
        _multiply_in_place(a, b, c, init, offsets, scratch)
        return c
    if columns <= _HALF_VECTOR // b.itemsize:
        width = _HALF_VECTOR // b.itemsize
        packed, c = memory.empty((1, k_terms, width), a.dtype), memory.empty((rows, width), dtype)
        pack_b(b, packed)
        offsets, *_ = _product_plan(rows, k_terms, width, width)
        _multiply_half_vectors(a, packed, c.reshape(-1), init, offsets)
        return np.ascontiguousarray(c[:, :columns])
    packed, c = memory.empty((panels, k_terms, width), a.dtype), memory.empty((rows, columns), dtype)
    pack_b(b, packed)
    plan = _product_plan(rows, k_terms, columns, width)
    indirect_gemm(a, packed, c.reshape(-1), init, *plan, columns <= width, False)
    return c
