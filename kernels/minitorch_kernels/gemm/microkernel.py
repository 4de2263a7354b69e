"""The micro-kernel: a block of sums that stays in the processor's vector registers.

A processor core multiplies and adds whole vectors (16 float32 with AVX-512), two of them per clock,
but it can load only about as many from its nearest cache, and a sum can take its next term only after
some four clocks. A fast matrix product therefore (1) works on many independent sums at a time and (2)
uses every loaded number for many of them. The tile does both. It holds ROWS x VECTORS accumulators,

                      vector 0            vector 1
    row 0      [ acc acc ... acc ] [ acc acc ... acc ]
    row 1      [ acc acc ... acc ] [ acc acc ... acc ]
    ...
    row 7      [ acc acc ... acc ] [ acc acc ... acc ]

and with every term r of the sums it loads VECTORS vectors of B and ROWS single numbers of A, each
copied into all lanes, for ROWS * VECTORS multiply-adds:

    C[row, :] += A[row, r] * B[r, :]

8 x 2 vectors take 16 of the 32 registers of AVX-512 and NEON; AVX2 has 16 registers, so 6 x 2 there.
A larger tile would load less, but its row pointers no longer fit into the integer registers. Where one
vector holds all columns there is, the tile is one vector wide.

Convolution, its two gradients and the matrix product differ only in where the numbers of A lie, and
that is the caller's to say: each row has its own offset, and the terms come as segments, equally
long runs of numbers with a fixed step, that begin anywhere.

In a depthwise convolution each channel has a filter of its own. There the numbers of A are not copied
into all lanes but loaded as vectors, and `channel_tile` multiplies channel by channel.
"""

from functools import partial

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minitorch_kernels.runtime.simd import REGISTERS, VECTORS, Emitter

ROWS = 8 if REGISTERS == 32 else 6
HALF = ROWS // 2
BLOCK = 192  # terms between two loads of the accumulators: BLOCK rows of B stay in the first-level cache


@intrinsic
def tile(typingctx, a, b, c, start, a_rows, c_rows, segments, numbers):
    """Add up one tile; called from compiled kernels alone.

    C[c_rows[i0 + m] + c_offset, :] = start or C  +  sum over segments s, terms k of
        A[a_rows[i0 + m] + segments[0, s] + k * a_step] * B[b_offset + segments[1, s] + k * b_step, :]

    Parameters
    ----------
    a, b, c, start : ndarray, 1-D, the same dtype
        B, C and start are read and written a panel (`panel_width`) at a time.
    a_rows, c_rows : int64 ndarray, 1-D
        Offsets into A and C. A row may occur twice in a tile: C is read before any of it is written.
    segments : int64 ndarray, shape (2, S)
        Offsets into A and B of the first term of each segment.
    numbers : tuple of 12 or 14 int64
        i0, first segment, end of segments, terms in a segment (>= 1), a_offset, a_step, b_offset, b_step,
        c_offset, start_offset, whether to go on from C (1) or from ``start`` (0), and the panel's width.
        Two more name a part of B to fetch from memory meanwhile: its offset, and how far to go with every
        term.
    """
    signature = types.void(a, b, c, start, a_rows, c_rows, segments, numbers)
    return signature, partial(_emit_tile, _one_for_all_lanes)


@intrinsic
def adjacent_tile(typingctx, a, b, c, start, a_rows, c_rows, segments, numbers):
    """Add up one tile whose rows of A lie side by side, term behind term; parameters as `tile`.

    C[c_rows[i0 + m] + c_offset, :] = start or C  +  sum over segments s, terms k of
        A[a_offset + ((s - first) * terms + k) * a_step + m] * B[b_offset + segments[1, s] + k * b_step, :]

    ``a_rows`` and ``segments[0]`` are not read. With a step that is known only when it runs, `tile` keeps a pointer
    for each row, more than there are integer registers; here a single one is enough.
    """
    signature = types.void(a, b, c, start, a_rows, c_rows, segments, numbers)
    return signature, partial(_emit_tile, _one_for_all_lanes, adjacent=True)


@intrinsic
def half_tile(typingctx, a, b, c, start, a_rows, c_rows, segments, numbers):
    """Add up the first HALF rows of what is an `adjacent_tile` in all else, where there are no more."""
    signature = types.void(a, b, c, start, a_rows, c_rows, segments, numbers)
    return signature, partial(_emit_tile, _one_for_all_lanes, adjacent=True, count=HALF)


@intrinsic
def channel_tile(typingctx, a, b, c, start, a_rows, c_rows, segments, numbers):
    """Add up one tile in which each lane has its own number of A; parameters as `tile`.

    C[c_rows[i0 + m] + c_offset, :] = start or C  +  sum over segments s, terms k of
        A[a_rows[i0 + m] + segments[0, s] + k * a_step, :] * B[b_offset + segments[1, s] + k * b_step, :]
    """
    signature = types.void(a, b, c, start, a_rows, c_rows, segments, numbers)
    return signature, partial(_emit_tile, _one_a_lane)


def _copier(count):
    """Return an intrinsic for compiled kernels: target[j : j + count] = source[i : i + count]; None: one vector."""

    @intrinsic
    def copy(typingctx, source, i, target, j):
        def emit(context, builder, signature, arguments):
            emit = Emitter(context, builder, signature.args[0].dtype)
            numbers = ir.VectorType(emit.element, count or emit.lanes).as_pointer()
            arrays = [context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 2)]
            places = [builder.bitcast(emit.at(arrays[k], arguments[2 * k + 1]), numbers) for k in (0, 1)]
            value = builder.load(places[0])
            value.align = 4
            builder.store(value, places[1]).align = 4
            return context.get_dummy_value()

        return types.void(source, i, target, j), emit

    return copy


copy_rows = _copier(ROWS)  # what a term of a tile takes from A, where it lies side by side
copy_vector = _copier(None)


def _gatherer(count):
    """Return an intrinsic for compiled kernels: target[j + m] = source[i + offsets[k + m]], m in 0 .. count - 1."""

    @intrinsic
    def gather(typingctx, source, i, offsets, k, target, j):
        def emit(context, builder, signature, arguments):
            emit = Emitter(context, builder, signature.args[0].dtype)
            places = [context.make_array(signature.args[n])(context, builder, arguments[n]).data for n in (0, 2, 4)]
            first, table, to = (emit.at(place, arguments[2 * n + 1]) for n, place in enumerate(places))
            for m in range(count):
                number = builder.load(emit.at(first, builder.load(emit.at(table, emit.number(m)))))
                builder.store(number, emit.at(to, emit.number(m)))
            return context.get_dummy_value()

        return types.void(source, i, offsets, k, target, j), emit

    return gather


gather_rows, gather_half = _gatherer(ROWS), _gatherer(HALF)  # the same, where it does not


def _one_for_all_lanes(emit, pointer, vectors):
    return [emit.broadcast(emit.builder.load(pointer))] * vectors


def _one_a_lane(emit, pointer, vectors):
    return [emit.load_vector(pointer, q) for q in range(vectors)]


def _emit_tile(load_a, context, builder, signature, arguments, adjacent=False, count=ROWS):
    """Emit the tile with one vector and that with VECTORS, and the choice between them."""
    emit = Emitter(context, builder, signature.args[0].dtype)
    width = builder.extract_value(arguments[7], 11)
    with builder.if_else(builder.icmp_signed("==", width, emit.number(emit.lanes))) as (narrow, wide):
        with narrow:
            _emit_tile_of(count, 1, emit, load_a, adjacent, signature, arguments)
        with wide:
            _emit_tile_of(count, VECTORS, emit, load_a, adjacent, signature, arguments)
    return context.get_dummy_value()


def _emit_tile_of(count, vectors, emit, load_a, adjacent, signature, arguments):
    builder = emit.builder
    arrays = emit.arrays(signature, arguments, 7)
    a, b, c, start, a_rows, c_rows, segments = (array.data for array in arrays)
    segment_count = builder.extract_value(arrays[6].shape, 1)
    numbers = [builder.extract_value(arguments[7], i) for i in range(len(signature.args[7]))]
    first_row, first, end, terms, a_offset, a_step, b_offset, b_step, c_offset, start_offset, go_on, _, *ahead = numbers

    def row_pointers(table, base, offset):
        rows = [builder.load(emit.at(table, builder.add(first_row, emit.number(m)))) for m in range(count)]
        return [emit.at(base, builder.add(row, offset)) for row in rows]

    c_pointers = row_pointers(c_rows, c, c_offset)
    if adjacent:
        a_pointers = [emit.at(emit.at(a, a_offset), emit.number(m)) for m in range(count)]
    else:
        a_pointers = row_pointers(a_rows, a, a_offset)
    start_pointer = emit.at(start, start_offset)

    # The accumulators begin as C or as the start vector, chosen by one branch per tile.
    with builder.if_else(builder.icmp_signed("!=", go_on, emit.number(0))) as (from_c, from_start):
        with from_c:
            loaded_c = [emit.load_vector(p, q) for p in c_pointers for q in range(vectors)]
            block_c = builder.basic_block
        with from_start:
            loaded_start = [emit.load_vector(start_pointer, q) for q in range(vectors)]
            block_start = builder.basic_block
    sums = []
    for i, value in enumerate(loaded_c):
        phi = builder.phi(emit.vector)
        phi.add_incoming(value, block_c)
        phi.add_incoming(loaded_start[i % vectors], block_start)
        sums.append(phi)

    def segment(s, carried):
        if adjacent:
            a_start = builder.mul(builder.mul(builder.sub(s, first), terms), a_step)
        else:
            a_start = builder.load(emit.at(segments, s))
        b_start = builder.load(emit.at(segments, builder.add(segment_count, s)))
        rows = [emit.at(p, a_start) for p in a_pointers]
        b_segment = emit.at(b, builder.add(b_offset, b_start))

        def term(k, carried):
            a_index, b_index, *carried = carried  # one index for all rows, a pointer each would be ROWS additions
            fetched, carried = carried[: len(ahead[:1])], carried[len(ahead[:1]) :]
            for index in fetched:
                emit.prefetch(emit.at(b, index))
            b_row = emit.at(b_segment, b_index)
            columns = [emit.load_vector(b_row, q) for q in range(vectors)]
            updated = []
            for m, row in enumerate(rows):
                factors = load_a(emit, emit.at(row, a_index), vectors)
                updated += [emit.fma(factors[q], columns[q], carried[m * vectors + q]) for q in range(vectors)]
            fetched = [builder.add(index, ahead[1]) for index in fetched]
            return [builder.add(a_index, a_step), builder.add(b_index, b_step), *fetched, *updated]

        return emit.loop(emit.number(0), terms, [emit.number(0), emit.number(0), *carried], term)[2:]

    sums = emit.loop(first, end, [*ahead[:1], *sums], segment)[len(ahead[:1]) :]
    for m, pointer in enumerate(c_pointers):
        for q in range(vectors):
            emit.store_vector(sums[m * vectors + q], pointer, q)


def tile_numpy(a, b, c, start, a_rows, c_rows, segments, numbers, by_channel=False):
    """The sums of `tile`, or of `channel_tile`, in NumPy, for reading and for tests."""
    first_row, first, end, terms, a_offset, a_step, b_offset, b_step, c_offset, start_offset, go_on, width = numbers[
        :12
    ]
    k = np.arange(terms)
    columns = np.arange(width)
    rows = range(first_row, first_row + ROWS)
    sums = [c[c_rows[i] + c_offset + columns] if go_on else start[start_offset + columns] for i in rows]
    for s in range(first, end):
        b_rows = b[(b_offset + segments[1, s] + k * b_step)[:, None] + columns]  # (terms, width)
        for m, i in enumerate(rows):
            places = a_rows[i] + a_offset + segments[0, s] + k * a_step
            sums[m] = sums[m] + (
                (a[places[:, None] + columns] * b_rows).sum(axis=0) if by_channel else a[places] @ b_rows
            )
    for m, i in enumerate(rows):
        c[c_rows[i] + c_offset + columns] = sums[m]
