"""Packing: how the operands of the micro-kernel are laid out in memory before it runs.

The micro-kernel reads B as panels, NR columns wide, row after row, so that its loads walk through contiguous memory.
It reads A through an indirection buffer, a table of row offsets, or packed too: MR elements for each term. The terms
of a sum are described by runs, sequences of terms with a fixed step. Runs are cut into blocks of at most KC terms, so
that the part of B that a block reads stays in the first-level cache.

Source: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS, section 1.
"""

import numpy as np

from minitorch_kernels.gemm.microkernel import HALF_MR, KC, MR
from minitorch_kernels.runtime.compiler import intrinsic, ir, types
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import VectorIR, lanes
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.transpose import transpose
from minitorch_kernels.runtime.views import flat

# ------------------------------------------------------------------------------- tables of offsets


def whole_tiles(offsets):
    """Return row offsets padded to whole tiles by repeating the last row, which is then computed twice."""
    missing = -len(offsets) % MR
    return np.concatenate([offsets, np.repeat(offsets[-1:], missing)]).astype(np.int64)


def cut_k_runs(starts_a, starts_b, length, step_a, step_b):
    """Cut runs of ``length`` terms into blocks of at most KC terms.

    Parameters
    ----------
    starts_a, starts_b : sequence of int, S
        Offsets into A and B of the first term of each run.
    length : int
        Terms of each run.
    step_a, step_b : int
        Offset from one term to the next.

    Returns
    -------
    k_runs : int64 ndarray, shape (2, S or more)
    blocks : int64 ndarray, shape (B, 3)
        First run, end of runs, terms of a run.
    """
    starts = np.stack([np.asarray(starts_a, np.int64), np.asarray(starts_b, np.int64)])
    if length <= KC:  # several runs a block
        count, together = starts.shape[1], KC // length
        blocks = [(i, min(i + together, count), length) for i in range(0, count, together)]
        return starts, np.array(blocks, np.int64).reshape(-1, 3)
    pieces, blocks = [np.empty((2, 0), np.int64)], []  # several blocks a run; there may be no run
    steps = np.array([[step_a], [step_b]], np.int64)
    for i in range(starts.shape[1]):
        for first in range(0, length, KC):
            pieces.append(starts[:, i : i + 1] + first * steps)
            blocks.append((len(blocks), len(blocks) + 1, min(KC, length - first)))
    return np.concatenate(pieces, 1), np.array(blocks, np.int64).reshape(-1, 3)


def panel_table(columns, k_terms, width):
    """Return the ``panels`` of `indirect_gemm` for B of ``k_terms`` rows and ``columns`` columns."""
    firsts = range(0, columns, width)
    table = [(first * k_terms, 0, 0, first, min(width, columns - first)) for first in firsts]
    return np.array(table, np.int64).reshape(-1, 5)


# --------------------------------------------------------------------------------- packing B


@compiled
def _pack_line(elements, line):
    """Copy a part of a row of B, and put zeros after the last column."""
    for j in range(len(elements)):
        line[j] = elements[j]
    for j in range(len(elements), len(line)):
        line[j] = 0


@parallel_kernel(tasks=lambda packed: len(packed))
def _pack_b(first_task, end_task, b, transposed, packed, lanes):
    """Copy B (K, N), or its transpose (N, K), into panels (P, K, NR); parallel over panels."""
    _, k_terms, width = packed.shape
    for p in range(first_task, end_task):
        first, end, panel = p * width, (p + 1) * width, packed[p]  # the slices end with the last column
        if transposed:
            columns = min(width, len(b) - first)
            transpose(flat(b), first * k_terms, k_terms, (columns, k_terms), flat(panel), 0, width, lanes)
            for k in range(k_terms):
                for j in range(columns, width):
                    panel[k, j] = 0
        else:
            for k in range(k_terms):
                _pack_line(b[k, first:end], panel[k])


def pack_b(b, packed):
    """Copy B (K, N) into panels (P, K, NR), with zeros after the last column.

    A transposed view is copied along its own rows, which lie in order in memory.
    """
    transposed = b.T.flags.c_contiguous and not b.flags.c_contiguous  # one compiled function for both
    _pack_b(np.ascontiguousarray(b.T if transposed else b), transposed, packed, lanes(b.dtype))


# --------------------------------------------------------------------------------- packing A


def _copier(count):
    """Return an intrinsic for compiled kernels: target[j : j + count] = source[i : i + count]; None: one vector."""

    @intrinsic
    def copy(typingctx, source, i, target, j):
        def emit(context, builder, signature, arguments):
            emit = VectorIR(context, builder, signature.args[0].dtype)
            vector = ir.VectorType(emit.element, count or emit.lanes).as_pointer()
            arrays = [context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 2)]
            pointers = [builder.bitcast(emit.at(arrays[k], arguments[2 * k + 1]), vector) for k in (0, 1)]
            value = builder.load(pointers[0])
            value.align = 4  # arrays are aligned to their elements only
            builder.store(value, pointers[1]).align = 4
            return context.get_dummy_value()

        return types.void(source, i, target, j), emit

    return copy


def _gatherer(count):
    """Return an intrinsic for compiled kernels: target[j + m] = source[i + offsets[k + m]], m in 0 .. count - 1."""

    @intrinsic
    def gather(typingctx, source, i, offsets, k, target, j):
        def emit(context, builder, signature, arguments):
            emit = VectorIR(context, builder, signature.args[0].dtype)
            arrays = [context.make_array(signature.args[n])(context, builder, arguments[n]).data for n in (0, 2, 4)]
            first, table, to = (emit.at(array, arguments[2 * n + 1]) for n, array in enumerate(arrays))
            for m in range(count):
                element = builder.load(emit.at(first, builder.load(emit.at(table, emit.int64(m)))))
                builder.store(element, emit.at(to, emit.int64(m)))
            return context.get_dummy_value()

        return types.void(source, i, offsets, k, target, j), emit

    return gather


copy_mr, copy_vector = _copier(MR), _copier(None)  # where the MR elements of a term lie side by side in A
gather_mr, gather_half_mr = _gatherer(MR), _gatherer(HALF_MR)  # where they do not
