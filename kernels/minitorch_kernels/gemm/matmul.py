"""Matrix product on the register tile, and the general product that convolution is a case of.

A product ``C = A B`` is cut three times:

- C into tasks of CHUNK rows by one panel of columns, which threads share out;
- the sums into blocks of at most BLOCK terms, so that the part of B that a block reads stays in the
  first-level cache while all rows of the chunk pass by;
- the rows of a chunk into tiles, whose sums stay in registers.

No sum is split between threads, so the bits of the result do not depend on their number.
"""

from functools import lru_cache

import numpy as np

from minitorch_kernels.gemm.microkernel import BLOCK, ROWS, tile
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import jit_enabled
from minitorch_kernels.runtime.simd import VECTOR_BYTES, panel_width
from minitorch_kernels.runtime.threads import parallel_kernel

CHUNK = 32 * ROWS


def available(dtype):
    """Return True where a register tile fits this machine and the dtype is float32 or float64."""
    return bool(VECTOR_BYTES) and jit_enabled() and np.dtype(dtype) in (np.float32, np.float64)


def whole_tiles(offsets):
    """Return row offsets padded to whole tiles by repeating the last one, which then is computed twice."""
    missing = -len(offsets) % ROWS
    return np.concatenate([offsets, np.repeat(offsets[-1:], missing)]).astype(np.int64)


def cut_segments(starts_a, starts_b, length, step_a, step_b):
    """Cut segments of ``length`` terms into blocks of at most BLOCK terms.

    Parameters
    ----------
    starts_a, starts_b : sequence of int, S
        Offsets into A and B of the first term of each segment.
    length : int
        Terms of each segment.
    step_a, step_b : int
        Offset from one term to the next.

    Returns
    -------
    segments : int64 ndarray, shape (2, S or more)
    blocks : int64 ndarray, shape (B, 3)
        First segment, end of segments, terms of a segment.
    """
    starts = np.stack([np.asarray(starts_a, np.int64), np.asarray(starts_b, np.int64)])
    if length <= BLOCK:  # several segments a block
        count, together = starts.shape[1], BLOCK // length
        blocks = [(i, min(i + together, count), length) for i in range(0, count, together)]
        return starts, np.array(blocks, np.int64).reshape(-1, 3)
    pieces, blocks = [], []  # several blocks a segment
    steps = np.array([[step_a], [step_b]], np.int64)
    for i in range(starts.shape[1]):
        for first in range(0, length, BLOCK):
            pieces.append(starts[:, i : i + 1] + first * steps)
            blocks.append((len(blocks), len(blocks) + 1, min(BLOCK, length - first)))
    return np.concatenate(pieces, 1), np.array(blocks, np.int64)


@parallel_kernel(tasks=lambda a_rows, panels: -(-len(a_rows) // CHUNK) * len(panels))
def gathered_product(
    first_task, end_task, a, packed, b_step, c, start, a_rows, c_rows, segments, blocks, panels, rows_first
):
    """Compute rows of C from rows of A that lie anywhere, and from packed panels of B.

    C[c_rows[i] + column] = start[column] + sum over segments s and terms k of
        A[a_rows[i] + a_offset + segments[0, s] + k] * B[segments[1, s] + k, column]

    Parameters
    ----------
    a, c, start : ndarray, 1-D, the same dtype
        ``start`` holds what the sums begin with, a panel of columns after the other.
    packed : ndarray, shape (panels, K, panel width), or (K, panels, panel width): B where it lies
    b_step : int
        Numbers from one row of a panel to the next: the panel width, or all columns of B.
    a_rows, c_rows : int64 ndarray, shape (M,)
        M a multiple of ROWS, see `whole_tiles`.
    segments, blocks : int64 ndarray
        From `cut_segments`.
    panels : int64 ndarray, shape (P, 5)
        Per panel: offset in ``packed``, offset in ``start``, offset in A, offset in C, columns to write.
    rows_first : bool
        Finish a tile before the next one, instead of a block of terms: where A is long and read once,
        its rows then come from memory without a jump, and B from the second-level cache.

    Notes
    -----
    Parallel over chunks of rows and panels; each task owns its part of C.
    """
    width = packed.shape[2]
    rows = len(a_rows)
    for task in range(first_task, end_task):
        first = task // len(panels) * CHUNK
        last = min(first + CHUNK, rows)
        b_offset, start_offset, a_offset, c_offset, columns = panels[task % len(panels)]
        narrow = columns < width
        scratch = np.empty(CHUNK * width if narrow else 0, a.dtype)
        scratch_rows = np.arange(CHUNK) * width
        tiles = (last - first) // ROWS
        for step in range(tiles * len(blocks)):
            block = step % len(blocks) if rows_first else step // tiles
            i = first + ROWS * (step // len(blocks) if rows_first else step % tiles)
            begin, end, terms = blocks[block]
            go_on = min(block, 1)
            row, c_first = (0, 0) if narrow else (i, c_offset)
            numbers = (row, begin, end, terms, a_offset, 1, b_offset, b_step, c_first, start_offset, go_on, width)
            if narrow:  # the last columns of C: a whole tile would write over its neighbours
                tile(a, packed, scratch, start, a_rows[i:], scratch_rows[i - first :], segments, numbers)
            else:
                tile(a, packed, c, start, a_rows, c_rows, segments, numbers)
        if narrow:
            for i in range(first, last):
                for column in range(columns):
                    c[c_rows[i] + c_offset + column] = scratch[(i - first) * width + column]


@parallel_kernel(tasks=lambda packed: len(packed))
def _pack(first_task, end_task, b, transposed, packed):
    """Copy B (K, N), or its transpose (N, K), into panels (P, K, width); parallel over panels."""
    terms, columns = (b.shape[1], b.shape[0]) if transposed else (b.shape[0], b.shape[1])
    panels, _, width = packed.shape
    for p in range(first_task, end_task):
        first, panel = p * width, packed[p]
        valid = min(width, columns - first)
        for k in range(terms):
            for j in range(width):
                if j >= valid:
                    panel[k, j] = 0
                elif transposed:
                    panel[k, j] = b[first + j, k]
                else:
                    panel[k, j] = b[k, first + j]


def pack_panels(b, packed):
    """Copy B (K, N), any strides, into panels (P, K, width), zeros behind the last column."""
    transposed = b.T.flags.c_contiguous and not b.flags.c_contiguous  # one compiled function does for both
    _pack(b.T if transposed else b, transposed, packed)


@lru_cache(maxsize=64)
def _product_plan(rows, terms, columns, width, in_place):
    """Return a_rows, c_rows, segments, blocks and panels of `gathered_product` for a plain product."""
    a_rows, c_rows = (whole_tiles(np.arange(rows) * n) for n in (terms, columns))
    segments, blocks = cut_segments([0], [0], terms, 1, columns if in_place else width)
    return a_rows, c_rows, segments, blocks, panel_table(columns, terms, width, in_place)


def panel_table(columns, terms, width, in_place=False):
    """Return the ``panels`` of `gathered_product` for B of ``terms`` rows and ``columns`` columns."""
    apart = width if in_place else terms * width
    table = [(p * apart, 0, 0, p * width, min(width, columns - p * width)) for p in range(-(-columns // width))]
    return np.array(table, np.int64).reshape(-1, 5)


def matmul(a, b):
    """Multiply two matrices.

    Parameters
    ----------
    a : ndarray, shape (M, K), float32 or float64, any strides
    b : ndarray, shape (K, N), the same dtype, any strides

    Returns
    -------
    ndarray, shape (M, N)
        The same bits for any number of threads; where no tile fits, NumPy's product.

    Notes
    -----
    Cost: 2*M*K*N flop, and one copy of B (and of A unless it is C-contiguous); B is read where it lies
    if all rows of A fit one tile, as in a linear layer's input gradient for a small batch. The weights of a linear
    layer come as a transposed view; where they are larger than the result, B^T A^T copies A instead.
    """
    (rows, terms), columns = a.shape, b.shape[1]
    if not available(a.dtype):
        return a @ b
    if rows < min(terms, columns) and b.T.flags.c_contiguous and not b.flags.c_contiguous:
        return np.ascontiguousarray(matmul(b.T, a.T).T)
    if 0 in (rows, terms, columns):
        return np.zeros((rows, columns), a.dtype)
    width = panel_width(a.dtype, columns)
    in_place = rows <= ROWS and columns % width == 0 and b.flags.c_contiguous  # each number of B is read once
    if in_place:
        packed, b_step = b.reshape(terms, columns // width, width), columns
    else:
        packed, b_step = memory.empty((-(-columns // width), terms, width), a.dtype), width
        pack_panels(b, packed)
    c = memory.empty((rows, columns), a.dtype)
    flat_a, start = np.ascontiguousarray(a).reshape(-1), np.zeros(width, a.dtype)
    plan = _product_plan(rows, terms, columns, width, in_place)
    gathered_product(flat_a, packed, b_step, c.reshape(-1), start, *plan, columns <= width)
    return c
