"""The transforms of Winograd's convolutions F(4x4, 3x3) and F(2x2, 5x5), and the micro-kernel that applies them.

Winograd computes a tile of 4 x 4 outputs of a 3 x 3 filter with 36 products where the definition takes 144, and one of
2 x 2 outputs of a 5 x 5 filter with 36 where it takes 100. Image tiles d (6 x 6), filters g and outputs y are
transformed by small fixed matrices, and in between there are only element-by-element products, summed over the
channels:

    y = A^T [ sum over c of (G g_c G^T) * (B^T d_c B) ] A

It is the product of two polynomials by evaluation at the points 0, 1, -1, 2, -2 and infinity, in two
dimensions; the points are those of the tile, so filters of both sizes share B. Backward needs the
transposes of the same three matrices:

    gradient of g_c = G^T [ (B^T d_c B) * (A dy A^T) ] G

Each of these is M x M^T with a small matrix M. `two_sided_transform` writes it out for one vector of channels at a
time; the entries of M become constants of the instructions.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks",
https://arxiv.org/abs/1509.09308, section 4.3.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import VectorIR

TILE = 6  # pixels along the side of an input tile; an output tile has TILE + 1 - KERNEL
KERNELS = (3, 5)  # sides of the filters
_POINTS = (0, 1, -1, 2, -2)
_SCALES = 1 / np.array([4, -6, -6, 24, 24, 1.0])


def _powers(count):
    """Return (6, count): the powers 0 to count - 1 of each point; infinity picks the highest coefficient."""
    return np.array([[point**k for k in range(count)] for point in _POINTS] + [[0] * (count - 1) + [1]], float)


A = {side: _powers(TILE + 1 - side) for side in KERNELS}  # (6, OUT): the transpose of what the paper calls A^T
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


class Placement(NamedTuple):
    """Where the source X and the target Y of a transform lie; offsets and steps in elements, all int64.

    Element (i, j) of X is the channels from ``source[source_offset + i * source_row + j * source_column]`` on.
    """

    source_offset: int
    source_row: int
    source_column: int
    target_offset: int
    target_row: int
    target_column: int


class Inside(NamedTuple):
    """The rows i and columns j of a tile that lie inside the image, each up to but not including the end; int64."""

    first_row: int
    end_row: int
    first_column: int
    end_column: int


def two_sided_transform(matrices, edge=None):
    """Return an intrinsic for compiled kernels: Y = M X M^T, for vector after vector of channels.

    Parameters
    ----------
    matrices : dict
        M, an ndarray of shape (rows, size), by the side of the filters.
    edge : "source", "target" or None
        The array whose tile may extend past the edge of an image. A source pixel outside the image is read from
        ``aside``, which holds zeros; a target pixel outside is written there and discarded.

    Returns
    -------
    intrinsic
        ``f(source, target, aside, placement, inside, vectors, static_kernel_size)`` on 1-D arrays of the same dtype:
        X, size x size, and Y, rows x rows, lie where the `Placement` says; `Inside` is read at the edge alone; there
        are ``vectors`` of channels (>= 1). ``static_kernel_size`` is a tuple as long as the filters' side, with any
        elements: its length is part of its type, so that Numba compiles a kernel for each side.
    """

    @intrinsic
    def transform(typingctx, source, target, aside, placement, inside, vectors, static_kernel_size):
        def emit(context, builder, signature, arguments):
            emitter = VectorIR(context, builder, signature.args[0].dtype)
            _emit_two_sided_transform(matrices[len(static_kernel_size)], edge, emitter, signature, arguments)
            return context.get_dummy_value()

        return types.void(source, target, aside, placement, inside, vectors, static_kernel_size), emit

    return transform


def _emit_two_sided_transform(matrix, edge, emit, signature, arguments):
    builder = emit.builder
    source, target, aside = (array.data for array in emit.arrays(signature, arguments, 3))
    rows, size = matrix.shape
    at = emit.fields(signature.args[3], arguments[3])
    read = _pointers(emit, source, at["source_offset"], at["source_row"], at["source_column"], size)
    write = _pointers(emit, target, at["target_offset"], at["target_row"], at["target_column"], rows)
    if edge is not None:
        inside = emit.fields(signature.args[4], arguments[4])
        _leave_out_the_outside(emit, read if edge == "source" else write, inside, aside)

    def one_vector(v, carried):
        shift = builder.mul(v, emit.int64(emit.lanes))
        halfway = []  # column by column of M X, so that few columns of X are in registers at a time
        for j in range(size):
            column = [emit.load_vector(emit.at(read[i][j], shift), 0) for i in range(size)]
            halfway.append([emit.combination(row, column) for row in matrix])
        for i in range(rows):
            for j, row in enumerate(matrix):
                value = emit.combination(row, [column[i] for column in halfway])
                emit.store_vector(value, emit.at(write[i][j], shift), 0)
        return []

    emit.loop(emit.int64(0), arguments[5], [], one_vector)


def _pointers(emit, base, offset, row_step, column_step, count):
    """Return a count x count table of pointers to the elements of X or Y."""
    builder, table = emit.builder, []
    for i in range(count):
        row = builder.add(offset, builder.mul(row_step, emit.int64(i)))
        offsets = [builder.add(row, builder.mul(column_step, emit.int64(j))) for j in range(count)]
        table.append([emit.at(base, offset) for offset in offsets])
    return table


def _leave_out_the_outside(emit, table, inside, aside):
    """Redirect the pointers of elements outside the image to ``aside``."""
    builder, count = emit.builder, len(table)
    rows, columns = (
        [_between(builder, emit.int64(k), inside[f"first_{axis}"], inside[f"end_{axis}"]) for k in range(count)]
        for axis in ("row", "column")
    )
    for i, j in np.ndindex(count, count):
        table[i][j] = builder.select(builder.and_(rows[i], columns[j]), table[i][j], aside)


def _between(builder, value, first, end):
    return builder.and_(builder.icmp_signed("<=", first, value), builder.icmp_signed("<", value, end))


def _transposed(matrices):
    return {side: matrix.T for side, matrix in matrices.items()}


to_inputs = two_sided_transform(dict.fromkeys(KERNELS, B.T), "source")  # 6 x 6 pixels -> 6 x 6
to_outputs = two_sided_transform(_transposed(A), "target")  # 6 x 6 -> outputs
from_outputs = two_sided_transform(A, "source")  # gradients of outputs -> 6 x 6
to_filter = two_sided_transform(G)  # weights -> 6 x 6
from_filter = two_sided_transform(_transposed(G))  # 6 x 6 -> gradients of weights
