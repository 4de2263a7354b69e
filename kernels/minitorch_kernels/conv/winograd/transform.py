"""The transforms of Winograd's convolutions, and the micro-kernel that applies them.

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

With stride 2, the outer taps of a row of three meet every other pixel, and the middle one meets the pixels between. So
four outputs are the sum of two convolutions with stride 1: the outer taps are a filter of two, which takes five
products, and the middle one takes four. These nine are 81 in two dimensions where the definition takes 144. The four
products with the middle tap share one transformed tap, so a transformed filter has 6 x 6 elements in every form. In the
gradient of the images, 5 elements of the output's gradient make 8 pixels: 4 sums of products with the outer taps and,
between them, 4 products with the middle tap. Here the points are 1/2, -1/2, 5/4, -5/4 and infinity. The error is half
of that with stride 1, and with the points 0, 1, -1, 2 and infinity it would be 1.9 times as large.

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

FILTER_POINTS = 6  # a transformed filter has 6 x 6 elements
_HALFWAY = REGISTERS * 3 // 4  # values between the two products of a transform that stay in registers
_POINTS = 0, 3 / 4, -3 / 4, 3 / 2, -3 / 2  # and infinity
_POINTS_OF_STRIDE_2 = 1 / 2, -1 / 2, 5 / 4, -5 / 4  # and infinity


class Form(NamedTuple):
    """What a tile looks like: four numbers along a side, each given as the length of a tuple of any elements.

    Lengths are parts of the types, so Numba compiles the kernels that take a form for each form anew.
    """

    kernel: tuple  # taps of a filter
    in_step: tuple  # pixels from one tile of the images to the next
    out_step: tuple  # outputs of a tile
    points: tuple  # elements of a transformed tile


class Matrices(NamedTuple):
    """The matrices of a form along one side; the tile of images has as many elements as B has rows."""

    a: np.ndarray  # (points, outputs): the transpose of what the paper calls A^T
    b: np.ndarray  # (pixels, points)
    g: np.ndarray  # (6, taps)


def _coefficients(roots):
    """Return the coefficients of the product of x - root over all roots, the lowest first."""
    return np.poly(roots)[::-1]


def _matrices(points, taps):
    """Return the `Matrices` for filters of some taps, by evaluation at the points and infinity."""
    points, size = np.array(points), len(points) + 1
    others = [np.delete(points, i) for i in range(size - 1)]
    scales = 1 / np.array([*(np.prod(point - rest) for point, rest in zip(points, others, strict=True)), 1])
    b = np.array([*([*_coefficients(rest), 0] for rest in others), _coefficients(points)]).T

    def powers(count):  # (size, count); infinity picks the highest coefficient
        return np.vstack([points[:, None] ** np.arange(count), np.eye(count)[-1]])

    return Matrices(powers(size + 1 - taps), b, scales[:, None] * powers(taps))


def _matrices_of_stride_2():
    """Return the `Matrices` for three taps and stride 2: of the forward pass, and of the gradient of the images."""
    outer = _matrices(_POINTS_OF_STRIDE_2, 2)
    a, b, g = np.zeros((9, 4)), np.zeros((9, 9)), np.zeros((6, 3))
    a[:5], a[5:] = outer.a, np.eye(4)
    b[::2, :5], b[1::2, 5:] = outer.b, np.eye(4)
    g[:5, ::2], g[5, 1] = outer.g, 1
    grad_a, grad_b = np.zeros((9, 8)), np.zeros((5, 9))
    grad_a[:5, 1::2], grad_a[5:, ::2] = outer.a, np.eye(4)
    grad_b[:, :5], grad_b[:4, 5:] = outer.b, np.eye(4)
    return Matrices(a, b, g), Matrices(grad_a, grad_b, g)


MATRICES = {(3, 4, 4, 6): _matrices(_POINTS, 3), (5, 2, 2, 6): _matrices(_POINTS, 5)}  # by the lengths of a form
MATRICES[3, 8, 4, 9], MATRICES[3, 4, 8, 9] = _matrices_of_stride_2()


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
        M, an ndarray of shape (rows, size), by the lengths of a `Form`.
    edge : "source", "target" or None
        The array whose tile may extend past the edge of an image. Source pixels outside count as zeros; target pixels
        outside are left out.

    Returns
    -------
    intrinsic
        ``f(source, target, placement, vectors, static_form)`` on 1-D arrays of the same dtype: X, size x size, and Y,
        rows x rows, lie where the `Placement` says; there are ``vectors`` of channels (>= 1), and ``static_form`` is a
        `Form`. With an edge, ``f(source, target, beside, placement, inside, vectors, static_form)`` also takes what is
        `Inside`. With "source", ``beside`` holds zeros, as many as a row of X has elements. With "target", it is a
        bias, vectors of channels that are added to every element of Y; the first row and the first column of Y are
        inside. There a boolean ``relu`` follows ``inside``, and asks for 0 in place of negative elements.
    """

    def typed(*kinds):
        def emit(context, builder, signature, arguments):
            emitter = VectorIR(context, builder, signature.args[0].dtype)
            form = tuple(len(side) for side in kinds[-1].types)
            _Transform(emitter, matrices[form], edge, signature, arguments).emit()
            return context.get_dummy_value()

        return types.void(*kinds), emit

    if edge is None:

        @intrinsic
        def transform(typingctx, source, target, placement, vectors, static_form):
            return typed(source, target, placement, vectors, static_form)
    elif edge == "source":

        @intrinsic
        def transform(typingctx, source, target, beside, placement, inside, vectors, static_form):
            return typed(source, target, beside, placement, inside, vectors, static_form)
    else:

        @intrinsic
        def transform(typingctx, source, target, beside, placement, inside, relu, vectors, static_form):
            return typed(source, target, beside, placement, inside, relu, vectors, static_form)

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
        groups, halfway = _groups(self.matrix), {}  # halfway: rows of M X, column by column
        for i in reversed(range(rows)):  # what is inside is written last
            if i not in halfway:
                group = next(group for group in groups if i in group)
                needed = np.flatnonzero(self.matrix[group].any(axis=0))
                read_columns = [[self._load(read, k, j, shift) for k in needed] for j in range(size)]
                products = [_products(ir, self.matrix[np.ix_(group, needed)], column) for column in read_columns]
                halfway |= zip(group, zip(*products, strict=True), strict=True)
            values = _products(ir, with_bias, [*halfway[i], *added])
            for value, column in reversed(list(zip(values, columns, strict=True))):
                value = value if self.floor is None else ir.relu(value, self.floor)
                ir.store_vector(value, ir.at(write[0][i], column), 0)


def _groups(matrix):
    """Return the rows of M whose products with X are computed together, as lists of indices.

    All rows, if their products fit into the registers; else the rows of a pair, which share their terms. Then X is read
    once for each group. Where columns come in pairs, the rows that use them share these; rows without a common column
    are apart.
    """
    rows, size = matrix.shape
    if rows * size <= _HALFWAY:
        return [list(range(rows))]
    if not _pairs(matrix.T):
        pairs = _pairs(matrix)
        alone = [(i,) for i in range(rows) if not any(i in pair for pair in pairs)]
        return [list(group) for group in pairs + alone]
    groups = []
    for i in range(rows):
        sharing = [group for group in groups if (matrix[group] * matrix[i]).any()]
        groups = [group for group in groups if group not in sharing] + [[*sum(sharing, []), i]]
    return groups


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
    """Return the indices of rows that differ in the signs of some elements alone, pair by pair."""
    indices = range(len(rows))
    same_sizes = [(i, j) for i in indices for j in indices[i + 1 :] if (abs(rows[i]) == abs(rows[j])).all()]
    return [(i, j) for i, j in same_sizes if (rows[i] != rows[j]).any()]


def _by_form(of_matrices):
    return {form: of_matrices(matrices) for form, matrices in MATRICES.items()}


to_inputs = two_sided_transform(_by_form(lambda m: m.b.T), "source")  # pixels -> points, along both sides
to_outputs = two_sided_transform(_by_form(lambda m: m.a.T), "target")  # points -> outputs
from_outputs = two_sided_transform(_by_form(lambda m: m.a), "source")  # gradients of outputs -> points
to_filter = two_sided_transform(_by_form(lambda m: m.g))  # weights -> 6 x 6
from_filter = two_sided_transform(_by_form(lambda m: m.g.T))  # 6 x 6 -> gradients of weights
