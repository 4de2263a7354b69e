"""The transforms of Winograd's convolutions F(4x4, 3x3) and F(2x2, 5x5), and the micro-kernel that applies them.

Winograd computes a patch of 4 x 4 outputs of a 3 x 3 filter with 36 products where the definition
takes 144, and one of 2 x 2 outputs of a 5 x 5 filter with 36 where it takes 100. Image patches d (6 x 6),
filters g and outputs y are transformed by small fixed matrices, and in between there are only
element-by-element products, summed over the channels:

    y = A^T [ sum over c of (G g_c G^T) * (B^T d_c B) ] A

It is the product of two polynomials by evaluation at the points 0, 1, -1, 2, -2 and infinity, in two
dimensions; the points are those of the patch, so filters of both sizes share B. Backward needs the
transposes of the same three matrices:

    gradient of g_c = G^T [ (B^T d_c B) * (A dy A^T) ] G

Each of these is M x M^T with a small matrix M. `sandwich` writes it out for one vector of channels at a time;
the entries of M stand in the instructions.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks",
https://arxiv.org/abs/1509.09308, section 4.3.
"""

import numpy as np
from numba import types
from numba.extending import intrinsic

from minitorch_kernels.runtime.simd import Emitter

PATCH = 6  # pixels along the side of an input patch; PATCH + 1 - KERNEL outputs along the side of an output patch
KERNELS = (3, 5)  # sides of the filters
_POINTS = (0, 1, -1, 2, -2)
_SCALES = 1 / np.array([4, -6, -6, 24, 24, 1.0])


def _powers(count):
    """Return (6, count): the powers 0 to count - 1 of each point; infinity sees the highest alone."""
    return np.array([[point**k for k in range(count)] for point in _POINTS] + [[0] * (count - 1) + [1]], float)


A = {side: _powers(PATCH + 1 - side) for side in KERNELS}  # (6, OUT): the transpose of what the paper calls A^T
G = {side: _SCALES[:, None] * _powers(side) for side in KERNELS}  # (6, KERNEL)
B = np.array(  # (6, 6)
    [
        [4, 0, 0, 0, 0, 0],
        [0, -4, 4, -2, 2, 4],
        [-5, -4, -4, -1, -1, 0],
        [0, 1, -1, 2, -2, -5],
        [1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ],
    float,
)


def sandwich(matrices, edge=None):
    """Return an intrinsic for compiled kernels: Y = M X M^T, for vector after vector of channels.

    Parameters
    ----------
    matrices : dict
        M, an ndarray of shape (rows, size), by the side of the filters.
    edge : "source", "target" or None
        The side that may reach over the edge of an image. A pixel of the source that lies outside is
        read from ``aside``, which holds zeros; one of the target is written there, and lost.

    Returns
    -------
    intrinsic
        ``f(source, target, aside, where, bounds, vectors, taps)`` on 1-D arrays of the same dtype. Element
        (i, j) of X, size x size, is the channels from ``source[offset + i * row_step + j * column_step]``
        on; Y, rows x rows, lies in ``target`` likewise. ``where`` is a tuple of 6 int64, these numbers
        of the source and of the target; ``bounds`` of 4: the rows i and columns j from the first up to
        but not including the second, and likewise the third and fourth, lie inside; ``vectors`` of
        channels (>= 1); ``taps`` a tuple of int64 as long as the filters' side, so that a kernel is compiled
        for each side that it meets.
    """

    @intrinsic
    def transform(typingctx, source, target, aside, where, bounds, vectors, taps):
        def emit(context, builder, signature, arguments):
            emitter = Emitter(context, builder, signature.args[0].dtype)
            _emit_sandwich(matrices[len(taps)], edge, emitter, signature, arguments)
            return context.get_dummy_value()

        return types.void(source, target, aside, where, bounds, vectors, taps), emit

    return transform


def _emit_sandwich(matrix, edge, emit, signature, arguments):
    builder = emit.builder
    source, target, aside = (array.data for array in emit.arrays(signature, arguments, 3))
    where = [builder.extract_value(arguments[3], i) for i in range(6)]
    rows, size = matrix.shape

    def places(side, base, offset, row_step, column_step, count):
        """Return a count x count table of pointers."""
        table = []
        for i in range(count):
            row = builder.add(offset, builder.mul(row_step, emit.number(i)))
            table.append(
                [emit.at(base, builder.add(row, builder.mul(column_step, emit.number(j)))) for j in range(count)]
            )
        if side == edge:
            bounds = [builder.extract_value(arguments[4], i) for i in range(4)]
            row_inside, column_inside = (
                [_between(builder, emit.number(k), *ends) for k in range(count)] for ends in (bounds[:2], bounds[2:])
            )
            for i, j in np.ndindex(count, count):
                inside = builder.and_(row_inside[i], column_inside[j])
                table[i][j] = builder.select(inside, table[i][j], aside)
        return table

    read, write = places("source", source, *where[:3], size), places("target", target, *where[3:], rows)

    def one_vector(v, carried):
        shift = builder.mul(v, emit.number(emit.lanes))
        halfway = []  # column by column of M X, so that few columns of X are in registers at a time
        for j in range(size):
            column = [emit.load_vector(emit.at(read[i][j], shift), 0) for i in range(size)]
            halfway.append([emit.combination(row, column) for row in matrix])
        for i in range(rows):
            for j, row in enumerate(matrix):
                value = emit.combination(row, [column[i] for column in halfway])
                emit.store_vector(value, emit.at(write[i][j], shift), 0)
        return []

    emit.loop(emit.number(0), arguments[5], [], one_vector)


def _between(builder, value, first, end):
    return builder.and_(builder.icmp_signed("<=", first, value), builder.icmp_signed("<", value, end))


def _transposed(matrices):
    return {side: matrix.T for side, matrix in matrices.items()}


to_inputs = sandwich(dict.fromkeys(KERNELS, B.T), "source")  # 6 x 6 pixels -> 6 x 6
to_outputs = sandwich(_transposed(A), "target")  # 6 x 6 -> outputs
from_outputs = sandwich(A, "source")  # gradients of outputs -> 6 x 6
to_filter = sandwich(G)  # weights -> 6 x 6
from_filter = sandwich(_transposed(G))  # 6 x 6 -> gradients of weights
