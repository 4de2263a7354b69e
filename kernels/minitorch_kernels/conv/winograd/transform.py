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
from minitorch_kernels.runtime.simd import REGISTERS, VectorIR

TILE = 6  # pixels along the side of an input tile; an output tile has TILE + 1 - KERNEL
KERNELS = (3, 5)  # sides of the filters
_HALFWAY = REGISTERS * 3 // 4  # values between the two products of a transform that stay in registers
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
        The array whose tile may extend past the edge of an image. Source pixels outside count as zeros; target pixels
        outside are left out.

    Returns
    -------
    intrinsic
        ``f(source, target, placement, vectors, static_kernel_size)`` on 1-D arrays of the same dtype: X, size x size,
        and Y, rows x rows, lie where the `Placement` says; there are ``vectors`` of channels (>= 1).
        ``static_kernel_size`` is a tuple as long as the filters' side, with any elements: its length is part of its
        type, so that Numba compiles a kernel for each side. With an edge, ``f(source, target, beside, placement,
        inside, vectors, static_kernel_size)`` also takes what is `Inside`. With "source", ``beside`` holds zeros, as
        many as a row of X has elements. With "target", it is a bias, vectors of channels that are added to every
        element of Y; the first row and the first column of Y are inside. There a boolean ``relu`` follows ``inside``,
        and asks for 0 in place of negative elements.
    """

    def typed(*kinds):
        def emit(context, builder, signature, arguments):
            emitter = VectorIR(context, builder, signature.args[0].dtype)
            _Transform(emitter, matrices[len(kinds[-1])], edge, signature, arguments).emit()
            return context.get_dummy_value()

        return types.void(*kinds), emit

    if edge is None:

        @intrinsic
        def transform(typingctx, source, target, placement, vectors, static_kernel_size):
            return typed(source, target, placement, vectors, static_kernel_size)
    elif edge == "source":

        @intrinsic
        def transform(typingctx, source, target, beside, placement, inside, vectors, static_kernel_size):
            return typed(source, target, beside, placement, inside, vectors, static_kernel_size)
    else:

        @intrinsic
        def transform(typingctx, source, target, beside, placement, inside, relu, vectors, static_kernel_size):
            return typed(source, target, beside, placement, inside, relu, vectors, static_kernel_size)

    return transform


class _Transform:
    """Emits Y = M X M^T.

    A table of pointers to all elements would fill the integer registers many times. So there is a pointer to each row
    and an offset of each column, and an edge changes these alone: a row of X outside is read from the zeros, a column
    outside is read where one inside lies, and then replaced by zeros. Where no column is inside, all rows count as
    outside. Of Y, rows and columns outside are written where the last one inside lies, before that one.
    """

    def __init__(self, emit, matrix, edge, signature, arguments):
        self.ir, self.builder, self.matrix, self.edge = emit, emit.builder, matrix, edge
        count = 2 if edge is None else 3
        self.source, self.target, *self.beside = (array.data for array in emit.arrays(signature, arguments, count))
        self.placement = emit.fields(signature.args[count], arguments[count])
        self.inside = None if edge is None else emit.fields(signature.args[count + 1], arguments[count + 1])
        self.floor = emit.relu_floor(arguments[-3]) if edge == "target" else None
        self.vectors = arguments[-2]

    def emit(self):
        """Emit the whole transform, and the loop over the vectors of channels."""
        rows, size = self.matrix.shape
        read, write = self._steps("source", size), self._steps("target", rows)
        if self.edge == "source":
            some = self._some_column(size)
            for i, row in enumerate(read[0]):
                is_inside = self.builder.and_(some, self._is_inside("row", i))
                read[0][i] = self.builder.select(is_inside, row, self.beside[0])
            self.masks = [self.ir.all_lanes(self._is_inside("column", j)) for j in range(size)]

        def one_vector(v, carried):
            self._one_vector(read, write, self.builder.mul(v, self.ir.int64(self.ir.lanes)))
            return []

        self.ir.loop(self.ir.int64(0), self.vectors, [], one_vector)

    def _steps(self, name, count):
        """Return a pointer to each row of X or Y, and the offset of each column."""
        ir, builder, place, base = self.ir, self.builder, self.placement, getattr(self, name)
        rows, columns = ([ir.int64(k) for k in range(count)] for _ in range(2))
        if self.edge == name:
            columns = [self._moved_inside("column", j) for j in columns]
        if self.edge == name == "target":
            rows = [self._moved_inside("row", i) for i in rows]
        elif self.edge == name:
            some = self._some_column(count)
            columns = [builder.select(some, column, ir.int64(j)) for j, column in enumerate(columns)]
        starts = [builder.add(place[f"{name}_offset"], builder.mul(i, place[f"{name}_row"])) for i in rows]
        return [ir.at(base, start) for start in starts], [builder.mul(j, place[f"{name}_column"]) for j in columns]

    def _moved_inside(self, axis, index):
        """Return the index of the nearest row or column inside."""
        builder, first, end = self.builder, self.inside[f"first_{axis}"], self.inside[f"end_{axis}"]
        last = builder.sub(end, self.ir.int64(1))
        index = builder.select(builder.icmp_signed("<", last, index), last, index)
        return builder.select(builder.icmp_signed("<", index, first), first, index)

    def _some_column(self, count):
        """Return whether one of the columns is inside."""
        builder, first, end = self.builder, self.inside["first_column"], self.inside["end_column"]
        return builder.and_(
            builder.icmp_signed("<", first, self.ir.int64(count)), builder.icmp_signed(">", end, self.ir.int64(0))
        )

    def _is_inside(self, axis, index):
        builder, index = self.builder, self.ir.int64(index)
        after = builder.icmp_signed("<=", self.inside[f"first_{axis}"], index)
        return builder.and_(after, builder.icmp_signed("<", index, self.inside[f"end_{axis}"]))

    def _load(self, read, i, j, shift):
        rows, columns = read
        value = self.ir.load_vector(self.ir.at(rows[i], self.builder.add(columns[j], shift)), 0)
        return self.builder.select(self.masks[j], value, self.ir.constant(0)) if self.edge == "source" else value

    def _one_vector(self, read, write, shift):
        """Emit the transform of one vector of channels, which begins ``shift`` elements after the first."""
        ir, builder, (rows, size) = self.ir, self.builder, self.matrix.shape
        added = [ir.load_vector(ir.at(bias, shift), 0) for bias in self.beside * (self.edge == "target")]
        with_bias = np.column_stack([self.matrix, *np.ones((len(added), rows))])
        columns = [builder.add(column, shift) for column in write[1]]
        for group in reversed(_groups(self.matrix)):  # what is inside is written last
            needed = np.flatnonzero(self.matrix[group].any(axis=0))
            halfway = []  # these rows of M X, column by column
            for j in range(size):
                column = [self._load(read, i, j, shift) for i in needed]
                halfway.append(_products(ir, self.matrix[np.ix_(group, needed)], column))
            for k, i in reversed(list(enumerate(group))):
                values = _products(ir, with_bias, [column[k] for column in halfway] + added)
                for value, column in reversed(list(zip(values, columns, strict=True))):
                    value = value if self.floor is None else ir.relu(value, self.floor)
                    ir.store_vector(value, ir.at(write[0][i], column), 0)


def _groups(matrix):
    """Return the rows of M whose products with X are computed together, as lists of indices.

    All rows, if their products fit into the registers; else the rows of a pair, which share their terms. Then X is read
    once for each group.
    """
    rows, size = matrix.shape
    if rows * size <= _HALFWAY or _pairs(matrix.T):
        return [list(range(rows))]
    pairs = _pairs(matrix)
    alone = [(i,) for i in range(rows) if not any(i in pair for pair in pairs)]
    return [list(group) for group in sorted(pairs + alone)]


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
        parts = emit.combination(even, vectors), emit.combination(odd, vectors)
        results[p], results[q] = emit.combination((1, 1), parts), emit.combination((1, -1), parts)
    return [results[i] if i in results else emit.combination(row, vectors) for i, row in enumerate(matrix)]


def _pairs(rows):
    """Return the indices of rows that differ in the signs of some elements, pair by pair."""
    sizes = [tuple(row) for row in np.abs(rows)]
    return [(i, sizes.index(size, i + 1)) for i, size in enumerate(sizes) if size in sizes[i + 1 :]]


def _transposed(matrices):
    return {side: matrix.T for side, matrix in matrices.items()}


to_inputs = two_sided_transform(dict.fromkeys(KERNELS, B.T), "source")  # 6 x 6 pixels -> 6 x 6
to_outputs = two_sided_transform(_transposed(A), "target")  # 6 x 6 -> outputs
from_outputs = two_sided_transform(A, "source")  # gradients of outputs -> 6 x 6
to_filter = two_sided_transform(G)  # weights -> 6 x 6
from_filter = two_sided_transform(_transposed(G))  # 6 x 6 -> gradients of weights
