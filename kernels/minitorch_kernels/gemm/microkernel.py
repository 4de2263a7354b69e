"""The micro-kernel: an MR x NR tile of C whose sums stay in the processor's vector registers.

A processor core multiplies and adds whole vectors (16 float32 with AVX-512), two of them per clock.
But it can load only about as many from its first-level cache, and a sum can take its next term only after
some four clock cycles. A fast matrix product therefore (1) works on many independent sums at a time and (2)
uses every loaded element for many of them. The micro-kernel does both. It holds MR x NR accumulators,

                      vector 0            vector 1
    row 0      [ acc acc ... acc ] [ acc acc ... acc ]
    row 1      [ acc acc ... acc ] [ acc acc ... acc ]
    ...
    row 7      [ acc acc ... acc ] [ acc acc ... acc ]

and for every term k of the sums it loads NR elements of B as vectors and MR single elements of A, each
copied into all lanes, for MR * NR multiply-adds:

    C[row, :] += A[row, k] * B[k, :]

8 x 2 vectors take 16 of the 32 registers of AVX-512 and NEON. AVX2 and older processors have 16, so MR is 6 there.
A larger tile would load less, but its row pointers would not fit into the integer registers. Where one
vector holds all columns of B, the tile is one vector wide.

Convolution, its two gradients and the matrix product differ only in where the elements of A lie, which
the caller specifies: each row has an offset of its own, and the terms come as runs, equally long sequences
of elements with a fixed step, which begin anywhere.

In a depthwise convolution each channel has a filter of its own. There the elements of A are not copied
into all lanes but loaded as vectors, and `microkernel_depthwise` multiplies channel by channel.

Sources: Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS, section 1 (an inner
kernel on packed blocks that stay in the caches); Van Zee and van de Geijn 2015, "BLIS: A Framework for Rapidly
Instantiating BLAS Functionality", ACM TOMS 41(3), abstract (everything else in terms of very simple kernels).
"""

import contextlib
from collections import namedtuple
from functools import partial
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import REGISTERS, VECTOR_BYTES, VECTORS, VectorIR

MR = 8 if REGISTERS == 32 else 6  # rows of a tile of C
HALF_MR = MR // 2
ROWS = (4, 6, 8) if MR == 8 else (3, 6)  # of the tiles that there is code for, where a tile says how many it has
KC = 192  # terms between two loads of the accumulators: KC rows of B, NR wide, stay in the first-level cache


class Tile(NamedTuple):
    """Which tile of C a call of the micro-kernel computes, and where its operands lie. All are int64.

    With ``accumulate`` the sums are added to what C holds (beta = 1 in a GEMM), without it they begin with ``init``
    (beta = 0). They do not begin with what C holds: a float32 sum that has grown large rounds each further term away,
    and stops growing after 2**24 equal ones. So a long sum is one of blocks, each of which began at 0.
    """

    row: int  # index of the tile's first row in a_row_offsets and c_row_offsets
    first_run: int  # it sums over these runs of terms, from the first ...
    end_run: int  # ... up to but not including the end
    k_terms: int  # terms in each run, >= 1
    a_offset: int
    a_step: int  # from one term to the next
    b_offset: int
    b_step: int
    c_offset: int
    init_offset: int
    accumulate: int  # 1 or 0
    width: int  # NR: elements in a row of the tile


class ShortTile(namedtuple("ShortTile", [*Tile._fields, "rows"])):
    """A `Tile` of 1 to MR ``rows``: LeNet-5's six filters take six rows' time, and not that of eight.

    Rows after these are computed and written up to the next number in ROWS.
    """


class PrefetchingTile(namedtuple("PrefetchingTile", [*ShortTile._fields, "prefetch_offset", "prefetch_step"])):
    """A `ShortTile` that also prefetches a part of B, which later tiles read, into the first-level cache.

    That part begins at ``prefetch_offset``, and has a row of B each ``prefetch_step`` elements, one for each term.
    """


class ContinuedTile(Tile):
    """A `Tile` whose sums begin with what is in C, if ``accumulate`` is 1, and not with zeros.

    So a sum that is computed in parts has the same bits as in one tile.
    """


class ReLUTile(namedtuple("ReLUTile", [*Tile._fields, "relu"])):
    """A `Tile` that stores 0 for negative sums if ``relu`` is 1: the ReLU after a layer costs no pass over memory.

    Of the parts of a long sum, only the last may have it.
    """


@intrinsic
def microkernel(typingctx, a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile):
    """Compute one tile of C; called from compiled kernels alone.

    C[c_row_offsets[row + m] + c_offset, :] = init or C  +  sum over runs s, terms k of
        A[a_row_offsets[row + m] + k_runs[0, s] + k * a_step] * B[b_offset + k_runs[1, s] + k * b_step, :]

    Parameters
    ----------
    a, b, c, init : ndarray, 1-D, the same dtype; or a and b pairs of bf16, see `gemm.bf16`, c and init float32
        B, C and init are read and written NR elements at a time.
    a_row_offsets, c_row_offsets : int64 ndarray, 1-D
        Offsets into A and C. A row may occur twice in a tile: C is read before any of it is written.
    k_runs : int64 ndarray, shape (2, S)
        Offsets into A and B of the first term of each run.
    tile : Tile, ShortTile, PrefetchingTile, ContinuedTile or ReLUTile
    """
    signature = types.void(a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile)
    return signature, partial(_emit_both_widths, _broadcast_element)


@intrinsic
def microkernel_packed_a(typingctx, a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile):
    """Compute one tile whose A is packed: the MR elements of a term side by side, term after term.

    C[c_row_offsets[row + m] + c_offset, :] = init or C  +  sum over runs s, terms k of
        A[a_offset + ((s - first_run) * k_terms + k) * a_step + m] * B[b_offset + k_runs[1, s] + k * b_step, :]

    Parameters as `microkernel`; ``a_row_offsets`` and ``k_runs[0]`` are not read. With a step that is known only at
    run time, `microkernel` keeps a pointer for each row, more than there are integer registers; here one is enough.
    """
    signature = types.void(a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile)
    return signature, partial(_emit_both_widths, _broadcast_element, packed_a=True)


@intrinsic
def microkernel_half_vector(typingctx, a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile):
    """Compute one tile of `microkernel` whose rows, of NR elements, are half as long as a vector.

    Zen 4 multiplies 64 bytes in two halves. Where a half holds all columns, the other one would be in vain.
    """

    def emit(context, builder, signature, arguments):
        emit = VectorIR(context, builder, signature.args[0].dtype, VECTOR_BYTES // 2)
        arrays, tile = _operands(emit, signature, arguments)
        _Tile(emit, _broadcast_element, arrays, tile, False, 1, MR).emit()
        return context.get_dummy_value()

    return types.void(a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile), emit


@intrinsic
def microkernel_depthwise(typingctx, a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile):
    """Compute one tile in which each lane has its own element of A; parameters as `microkernel`.

    C[c_row_offsets[row + m] + c_offset, :] = init or C  +  sum over runs s, terms k of
        A[a_row_offsets[row + m] + k_runs[0, s] + k * a_step, :] * B[b_offset + k_runs[1, s] + k * b_step, :]
    """
    signature = types.void(a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile)
    return signature, partial(_emit_both_widths, _load_vectors)


# ------------------------------------------------------------------------- the instructions


def _broadcast_element(emit, pointer, vectors):
    """Load one element of A and copy it into all lanes."""
    return [emit.broadcast(emit.load_element(pointer))] * vectors


def _load_vectors(emit, pointer, vectors):
    """Load an element of A for every lane."""
    return [emit.load_vector(pointer, q) for q in range(vectors)]


def _emit_both_widths(load_a, context, builder, signature, arguments, packed_a=False):
    """Emit the micro-kernel for one vector a row and for VECTORS, and the choice between them."""
    emit = VectorIR(context, builder, signature.args[0].dtype)
    arrays, tile = _operands(emit, signature, arguments)
    with builder.if_else(builder.icmp_signed("==", tile["width"], emit.int64(emit.lanes))) as (narrow, wide):
        for branch, vectors in ((narrow, 1), (wide, VECTORS)):
            with branch:
                _emit_by_rows(emit, tile, partial(_Tile, emit, load_a, arrays, tile, packed_a, vectors))
    return context.get_dummy_value()


def _emit_by_rows(emit, tile, with_rows):
    """Emit the tile with each number of ROWS, if it says how many it has, and the choice of the first that is enough.

    ``with_rows(rows)`` is a `_Tile`.
    """
    builder, (*fewer, most) = emit.builder, ROWS if "rows" in tile else (MR,)
    with contextlib.ExitStack() as branches:
        for rows in fewer:
            enough = builder.icmp_signed("<=", tile["rows"], emit.int64(rows))
            this, others = branches.enter_context(builder.if_else(enough))
            with this:
                with_rows(rows).emit()
            branches.enter_context(others)
        with_rows(most).emit()


def _operands(emit, signature, arguments):
    """Return the arrays of a micro-kernel, and the fields of its tile by name."""
    kind = signature.args[7]
    tile = emit.fields(kind, arguments[7]) | {"continued": kind.instance_class is ContinuedTile}
    return emit.arrays(signature, arguments, 7), tile


class _Tile:
    """Emits one tile: begin the accumulators, loop over runs and terms, store or add the accumulators."""

    def __init__(self, emit, load_a, arrays, tile, packed_a, vectors, rows):
        self.ir, self.builder, self.load_a = emit, emit.builder, load_a
        data = [array.data for array in arrays]
        self.a, self.b, self.c, self.init, self.a_row_offsets, self.c_row_offsets, self.k_runs = data
        self.run_count = emit.builder.extract_value(arrays[6].shape, 1)
        self.tile, self.packed_a, self.rows, self.vectors = tile, packed_a, rows, vectors
        self.prefetched = [tile["prefetch_offset"]] if "prefetch_offset" in tile else []

    def emit(self):
        """Emit the whole tile."""
        ir, tile, first = self.ir, self.tile, len(self.prefetched)
        c_rows = self._row_pointers(self.c_row_offsets, self.c, tile["c_offset"])
        if self.packed_a:
            packed = ir.at(self.a, tile["a_offset"])
            self.a_rows = [ir.at(packed, ir.int64(m)) for m in range(self.rows)]
        else:
            self.a_rows = self._row_pointers(self.a_row_offsets, self.a, tile["a_offset"])
        places = [(row, q) for row in c_rows for q in range(self.vectors)]
        carried = [*self.prefetched, *self._first_accumulators(places)]
        accumulators = ir.loop(tile["first_run"], tile["end_run"], carried, self._run)[first:]
        self._store(accumulators, places)

    def _row_pointers(self, offsets, base, offset):
        """Return a pointer to each row of the tile."""
        ir, builder, first = self.ir, self.builder, self.tile["row"]
        rows = [builder.load(ir.at(offsets, builder.add(first, ir.int64(m)))) for m in range(self.rows)]
        return [ir.at(base, builder.add(row, offset)) for row in rows]

    def _first_accumulators(self, places):
        """Return the accumulators as they begin: ``init``, or zeros for a sum that is added to C, or C itself."""
        ir, builder = self.ir, self.builder
        init = ir.at(self.init, self.tile["init_offset"])
        from_init = builder.icmp_signed("==", self.tile["accumulate"], ir.int64(0))
        loaded = [ir.load_vector(init, q) for q in range(self.vectors)] * self.rows
        others = [ir.load_vector(*place) if self.tile["continued"] else ir.constant(0) for place in places]
        return [builder.select(from_init, *pair) for pair in zip(loaded, others, strict=True)]

    def _store(self, accumulators, places):
        """Store the accumulators in C, or add them to it; all of C is read first, as a row may occur twice."""
        ir, builder = self.ir, self.builder
        adds = ir.int64(0) if self.tile["continued"] else self.tile["accumulate"]
        with builder.if_else(builder.icmp_signed("!=", adds, ir.int64(0))) as (to_c, alone):
            with to_c:
                pairs = zip(accumulators, places, strict=True)
                sums = [builder.fadd(value, ir.load_vector(*place)) for value, place in pairs]
                for value, place in zip(self._finished(sums), places, strict=True):
                    ir.store_vector(value, *place)
            with alone:
                for value, place in zip(self._finished(accumulators), places, strict=True):
                    ir.store_vector(value, *place)

    def _finished(self, sums):
        """Return the sums as they are stored: after the ReLU that a `ReLUTile` may ask for."""
        if "relu" not in self.tile:
            return sums
        floor = self.ir.relu_floor(self.builder.icmp_signed("!=", self.tile["relu"], self.ir.int64(0)))
        return [self.ir.relu(value, floor) for value in sums]

    def _run(self, s, carried):
        """Emit the loop over the terms of run s."""
        ir, builder, tile = self.ir, self.builder, self.tile
        if self.packed_a:
            before = builder.mul(builder.sub(s, tile["first_run"]), tile["k_terms"])
            a_start = builder.mul(before, tile["a_step"])
        else:
            a_start = builder.load(ir.at(self.k_runs, s))
        b_start = builder.load(ir.at(self.k_runs, builder.add(self.run_count, s)))
        rows = [ir.at(row, a_start) for row in self.a_rows]
        b_run = ir.at(self.b, builder.add(tile["b_offset"], b_start))
        # One index serves all rows: a pointer each would cost MR additions a term.
        indices = [ir.int64(0), ir.int64(0)]
        body = partial(self._term, rows, b_run)
        return ir.loop(ir.int64(0), tile["k_terms"], [*indices, *carried], body)[2:]

    def _term(self, rows, b_run, k, carried):
        """Emit one term: C[m, :] += A[m, k] * B[k, :] for all rows m."""
        ir, builder, tile, vectors = self.ir, self.builder, self.tile, self.vectors
        a_index, b_index, *carried = carried
        count = len(self.prefetched)
        prefetched, accumulators = carried[:count], carried[count:]
        for index in prefetched:
            ir.prefetch(ir.at(self.b, index))
        b_row = ir.at(b_run, b_index)
        columns = [ir.load_vector(b_row, q) for q in range(vectors)]
        updated = []
        for m, row in enumerate(rows):
            factors = self.load_a(ir, ir.at(row, a_index), vectors)
            sums = accumulators[m * vectors : (m + 1) * vectors]
            updated += [ir.multiply_add(*terms) for terms in zip(factors, columns, sums, strict=True)]
        prefetched = [builder.add(index, tile["prefetch_step"]) for index in prefetched]
        return [builder.add(a_index, tile["a_step"]), builder.add(b_index, tile["b_step"]), *prefetched, *updated]


def microkernel_numpy(a, b, c, init, a_row_offsets, c_row_offsets, k_runs, tile, by_channel=False):
    """Compute the tile of `microkernel`, or of `microkernel_depthwise`, in NumPy, for reading and for tests."""
    k, columns = np.arange(tile.k_terms), np.arange(tile.width)
    count = next(rows for rows in ROWS if rows >= getattr(tile, "rows", MR))
    rows = range(tile.row, tile.row + count)
    begin = [c[c_row_offsets[i] + tile.c_offset + columns] for i in rows]
    sums = begin if tile.accumulate else [init[tile.init_offset + columns]] * count
    for s in range(tile.first_run, tile.end_run):
        b_rows = b[(tile.b_offset + k_runs[1, s] + k * tile.b_step)[:, None] + columns]  # (k_terms, NR)
        for m, i in enumerate(rows):
            at = a_row_offsets[i] + tile.a_offset + k_runs[0, s] + k * tile.a_step
            if by_channel:
                sums[m] = sums[m] + (a[at[:, None] + columns] * b_rows).sum(axis=0)
            else:
                sums[m] = sums[m] + a[at] @ b_rows
    for m, i in enumerate(rows):
        negative = getattr(tile, "relu", 0) * (sums[m] <= 0)
        c[c_row_offsets[i] + tile.c_offset + columns] = np.where(negative, 0, sums[m])
