"""Transposing a block of a matrix in the vector registers.

Element by element, a transpose costs a load and a store each. A block of as many rows as a register has lanes is read
row by row, a vector at a time; log2(lanes) rounds of exchanges between registers turn its rows into columns.
"""

from minitorch_kernels.runtime.compiler import intrinsic, ir, types
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.simd import VectorIR


@intrinsic
def _transpose_block(typingctx, source, start, row_step, size, target, to, column_step):
    """Do what `transpose` does, for at least 1 and at most a vector's lanes rows and columns."""

    def emit(context, builder, signature, arguments):
        emitter = VectorIR(context, builder, signature.args[0].dtype)
        arrays = [context.make_array(signature.args[k])(context, builder, arguments[k]).data for k in (0, 4)]
        read, write = (emitter.at(array, arguments[k]) for array, k in zip(arrays, (1, 5), strict=True))
        rows, columns = (builder.extract_value(arguments[3], i) for i in range(2))
        lanes = [emitter.int64(k) for k in range(emitter.lanes)]
        sources = [emitter.at(read, builder.mul(r, arguments[2])) for r in lanes]
        targets = [emitter.at(write, builder.mul(k, arguments[6])) for k in lanes]
        full = emitter.int64(emitter.lanes)
        is_whole = builder.and_(*(builder.icmp_signed("==", side, full) for side in (rows, columns)))
        with builder.if_else(is_whole) as (whole, part):
            with whole:  # without masks, which processors before AVX-512 are slow with
                vectors = _exchanged(builder, [emitter.load_vector(source, 0) for source in sources])
                for vector, target in zip(vectors, targets, strict=True):
                    emitter.store_vector(vector, target, 0)
            with part:
                counts = [builder.select(builder.icmp_signed("<", r, rows), columns, lanes[0]) for r in lanes]
                vectors = _exchanged(builder, list(map(emitter.load_lanes, sources, counts)))
                counts = [builder.select(builder.icmp_signed("<", k, columns), rows, lanes[0]) for k in lanes]
                for vector, target, count in zip(vectors, targets, counts, strict=True):
                    emitter.store_lanes(vector, target, count)
        return context.get_dummy_value()

    return types.void(source, start, row_step, size, target, to, column_step), emit


@compiled
def transpose(source, start, row_step, size, target, to, column_step, lanes):
    """Compute ``target[to + k * column_step + r] = source[start + r * row_step + k]``, on 1-D arrays.

    For r below ``size[0]`` and k below ``size[1]``, integers, block by block of ``lanes`` rows and columns. The last
    block ends with the matrix, and overlaps the one before, so that it is whole too where the matrix is large enough.
    """
    rows, columns = size
    of_block = min(rows, lanes), min(columns, lanes)
    for i in range(0, rows, lanes):
        r = max(0, min(i, rows - lanes))
        for j in range(0, columns, lanes):
            k = max(0, min(j, columns - lanes))
            first, place = start + r * row_step + k, to + k * column_step + r
            _transpose_block(source, first, row_step, of_block, target, place, column_step)


def _exchanged(builder, vectors):
    """Return the columns of a square block of row vectors.

    Each round exchanges the upper right and the lower left quarter of all squares of a size, beginning with the whole.
    """
    lanes, side = len(vectors), len(vectors) // 2
    while side:
        result = list(vectors)
        for i in range(lanes):
            if not i & side:
                pair = vectors[i], vectors[i + side]
                upper = [k if not k & side else lanes + k - side for k in range(lanes)]
                lower = [k + side if not k & side else lanes + k for k in range(lanes)]
                for to, mask in ((i, upper), (i + side, lower)):
                    indices = ir.Constant(ir.VectorType(ir.IntType(32), lanes), mask)
                    result[to] = builder.shuffle_vector(*pair, indices)
        vectors, side = result, side // 2
    return vectors
