"""The transforms of Winograd's convolutions F(4x4, 3x3) and F(2x2, 5x5), and the micro-kernel that applies them.

Winograd computes a tile of 4 x 4 outputs of a 3 x 3 filter with 36 products where the definition takes 144, and one of
2 x 2 outputs of a 5 x 5 filter with 36 where it takes 100. Image tiles d (6 x 6), filters g and outputs y are
transformed by small fixed matrices, and in between there are only element-by-element products, summed over the
channels:

    y = A^T [ sum over c of (G g_c G^T) * (B^T d_c B) ] A

It is the product of two polynomials by evaluation at six points, in two dimensions. The points are those of the tile,
so filters of both sizes share B. Backward needs the transposes of the same three matrices:

    gradient of g_c = G^T [ (B^T d_c B) * (A dy A^T) ] G

The points are 0, 3/4, -3/4, 3/2, -3/2 and infinity. Any six points are right; these have small rounding errors. With
0, 1, -1, 2, -2 and infinity, which the paper takes, the error is 2.1 times as large for 3 x 3 filters and 2.0 times for
5 x 5 (128 channels of normal numbers, float32, root mean square). Multiples of 1/4 are exact in binary, and so are
the entries of A and B.

Each transform is M x M^T with a small matrix M. `two_sided_transform` writes it out for one vector of channels at a
time; the entries of M become constants of the instructions. Points in pairs of p and -p save a quarter of them: an
even and an odd part of a polynomial give its value at both, see `_products`.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308,
section 4.3.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import VectorIR

TILE = 6  # pixels along the side of an input tile; an output tile has TILE + 1 - KERNEL
KERNELS = (3, 5)  # sides of the filters
_POINTS = np.array([0, 3 / 4, -3 / 4, 3 / 2, -3 / 2])


def _powers(count):
    """Return (6, count): the powers 0 to count - 1 of each point; infinity picks the highest coefficient."""
    return np.vstack([_POINTS[:, None] ** np.arange(count), np.eye(count)[-1]])


def _others(index):
    return np.delete(_POINTS, index)


def _coefficients(roots):
    """Return the coefficients of the product of x - root over all roots, the lowest first."""
    return np.poly(roots)[::-1]


_SCALES = 1 / np.array([*(np.prod(point - _others(i)) for i, point in enumerate(_POINTS)), 1])
A = {side: _powers(TILE + 1 - side) for side in KERNELS}  # (6, OUT): the transpose of what the paper calls A^T
G = {side: _SCALES[:, None] * _powers(side) for side in KERNELS}  # (6, KERNEL)
B = np.array([*([*_coefficients(_others(i)), 0] for i in range(5)), _coefficients(_POINTS)]).T  # (6, 6)


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
        elements: its length is part of its type, so that Numba compiles a kernel for each side. With edge "target",
        ``bias`` follows after ``aside``, and its vectors of channels are added to every element of Y.
    """

    def typed(*kinds):
        def emit(context, builder, signature, arguments):
            emitter = VectorIR(context, builder, signature.args[0].dtype)
            _emit_two_sided_transform(matrices[len(kinds[-1])], edge, emitter, signature, arguments)
            return context.get_dummy_value()

        return types.void(*kinds), emit

    if edge == "target":

        @intrinsic
        def transform(typingctx, source, target, aside, bias, placement, inside, vectors, static_kernel_size):
            return typed(source, target, aside, bias, placement, inside, vectors, static_kernel_size)
    else:

        @intrinsic
        def transform(typingctx, source, target, aside, placement, inside, vectors, static_kernel_size):
            return typed(source, target, aside, placement, inside, vectors, static_kernel_size)

    return transform


def _emit_two_sided_transform(matrix, edge, emit, signature, arguments):
    builder = emit.builder
    source, target, aside, *bias = (array.data for array in emit.arrays(signature, arguments, len(arguments) - 4))
    placement, inside = (emit.fields(signature.args[k], arguments[k]) for k in (-4, -3))
    rows, size = matrix.shape
    read, write = (
        _pointers(emit, base, *(placement[f"{name}_{part}"] for part in ("offset", "row", "column")), count)
        for base, name, count in ((source, "source", size), (target, "target", rows))
    )
    if edge is not None:
        _leave_out_the_outside(emit, read if edge == "source" else write, inside, aside)
    with_bias = np.column_stack([matrix, *np.ones((len(bias), rows))])

    def one_vector(v, carried):
        shift = builder.mul(v, emit.int64(emit.lanes))
        halfway = []  # column by column of M X, so that few columns of X are in registers at a time
        for j in range(size):
            column = [emit.load_vector(emit.at(read[i][j], shift), 0) for i in range(size)]
            halfway.append(_products(emit, matrix, column))
        added = [emit.load_vector(emit.at(pointer, shift), 0) for pointer in bias]
        for i in range(rows):
            for j, value in enumerate(_products(emit, with_bias, [column[i] for column in halfway] + added)):
                emit.store_vector(value, emit.at(write[i][j], shift), 0)
        return []

    emit.loop(emit.int64(0), arguments[-2], [], one_vector)


def _products(emit, matrix, vectors):
    """Return the rows of matrix @ vectors, with fewer instructions where rows or columns come in pairs.

    A polynomial's value at p is its even part plus its odd part, at -p the even part minus the odd part. So two rows
    that differ in signs alone share both parts, and two such columns share the sum and the difference of their vectors.
    """
    matrix, vectors = matrix.copy(), list(vectors)
    for p, q in _pairs(matrix.T):
        plus, minus = (matrix[:, p] + matrix[:, q]) / 2, (matrix[:, p] - matrix[:, q]) / 2
        matrix[:, p], matrix[:, q] = plus, minus
        total = emit.combination((1, 1), (vectors[p], vectors[q]))
        vectors[p], vectors[q] = total, emit.combination((1, -1), (vectors[p], vectors[q]))
    results = {}
    for p, q in _pairs(matrix):
        even, odd = (matrix[p] + matrix[q]) / 2, (matrix[p] - matrix[q]) / 2
        scale = odd[np.flatnonzero(odd)[-1]]
        parts = emit.combination(even, vectors), emit.combination(odd / scale, vectors)
        results[p], results[q] = emit.combination((1, scale), parts), emit.combination((1, -scale), parts)
    return [results[i] if i in results else emit.combination(row, vectors) for i, row in enumerate(matrix)]


def _pairs(rows):
    """Return the indices of rows that differ in the signs of some elements, pair by pair."""
    sizes = [tuple(row) for row in np.abs(rows)]
    return [(i, sizes.index(size, i + 1)) for i, size in enumerate(sizes) if size in sizes[i + 1 :]]


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
