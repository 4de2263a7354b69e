"""Winograd's transforms: convolution by fewer products, and the micro-kernel that applies the matrices."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv.winograd.transform import MATRICES, Form, Inside, Placement, two_sided_transform
from minitorch_kernels.runtime import simd

needs_vectors = pytest.mark.skipif(not simd.supports(np.float32), reason="no vector registers known here")
OF_3, OF_5 = MATRICES[3, 4, 4, 6], MATRICES[5, 2, 2, 6]
WITH_STRIDE_2, OF_ITS_GRADIENT = MATRICES[3, 8, 4, 9], MATRICES[3, 4, 8, 9]


def definition(d, g, in_step, out_step):
    """Return the outputs of a tile of one row, and the matrix (outputs, pixels, taps) that makes them."""
    stride, gap = max(1, in_step // out_step), max(1, out_step // in_step)
    linear = np.zeros((out_step, len(d), len(g)))
    for i, u in np.ndindex(out_step, len(g)):
        at = i * stride + u - (gap - 1)  # the first output of a gradient lies under the middle tap
        if at % gap == 0:
            linear[i, at // gap, u] = 1
    return np.einsum("idu,d,u->i", linear, d, g), linear


def unfolded(g, points):
    """Return the rows of G for the points of a tile: with stride 2, the last four of nine share one row."""
    return g[np.minimum(np.arange(points), 5)]


@pytest.mark.parametrize("form", MATRICES)
def test_a_row_of_outputs_takes_a_product_for_each_point(form):
    """Six for four outputs of three taps or two of five; nine for four of three taps with stride 2, and for eight
    pixels of its gradient."""
    a, b, g = MATRICES[form]
    kernel, in_step, out_step, points = form
    assert len(a) == points and a.shape[1] == out_step and g.shape == (6, kernel)
    rng = np.random.default_rng(0)
    d, taps = rng.standard_normal(len(b)), rng.standard_normal(kernel)
    want, _ = definition(d, taps, in_step, out_step)
    np.testing.assert_allclose(a.T @ ((unfolded(g, len(a)) @ taps) * (b.T @ d)), want, atol=1e-13)


def test_the_matrices_evaluate_polynomials_at_the_points():
    (a, b, _), g = OF_3, OF_5.g
    powers = [[1, p, p**2, p**3] for p in (0, 0.75, -0.75, 1.5, -1.5)]
    np.testing.assert_array_equal(a, [*powers, [0, 0, 0, 1]])
    np.testing.assert_array_equal(b, OF_5.b)
    for k, point in enumerate((0, 0.75, -0.75, 1.5, -1.5)):  # a column of B is 0 at all points but its own
        values = [np.polyval(b[::-1, k], p) for p in (0, 0.75, -0.75, 1.5, -1.5)]
        assert [p for p, value in zip((0, 0.75, -0.75, 1.5, -1.5), values, strict=True) if value] == [point]
        np.testing.assert_allclose(g[k] * values[k], [point**j for j in range(5)], rtol=1e-14)


@pytest.mark.parametrize("matrix", [m for matrices in MATRICES.values() for m in matrices[:2]])
def test_entries_are_exact_in_half_of_the_bits_of_float32(matrix):
    np.testing.assert_array_equal(matrix * 1024, np.round(matrix * 1024))
    assert np.abs(matrix).max() < 4


@pytest.mark.parametrize("form", MATRICES)
def test_a_tile_of_outputs_and_the_gradient_of_its_filter(form):
    rng, (kernel, in_step, out_step, _), (a, b, g_matrix) = np.random.default_rng(1), form, MATRICES[form]
    d, g, dy = (rng.standard_normal((n, n)) for n in (len(b), kernel, out_step))
    linear, g_matrix = definition(d[0], g[0], in_step, out_step)[1], unfolded(g_matrix, len(a))
    y = a.T @ ((g_matrix @ g @ g_matrix.T) * (b.T @ d @ b)) @ a
    np.testing.assert_allclose(y, np.einsum("idu,jev,de,uv->ij", linear, linear, d, g), atol=1e-12)
    grad = g_matrix.T @ ((b.T @ d @ b) * (a @ dy @ a.T)) @ g_matrix
    np.testing.assert_allclose(grad, np.einsum("idu,jev,de,ij->uv", linear, linear, d, dy), atol=1e-12)


def compiled(matrix, edge):
    """Return a compiled function that applies M x M^T once."""
    transform, form = two_sided_transform({(3, 4, 4, 6): matrix}, edge), Form(*((0,) * n for n in (3, 4, 4, 6)))
    if edge is None:
        return numba.njit(lambda x, y, beside, place, inside, relu, count: transform(x, y, place, count, form))
    if edge == "source":
        return numba.njit(lambda *a: transform(a[0], a[1], a[2], a[3], a[4], a[6], form))
    return numba.njit(lambda *a: transform(a[0], a[1], a[2], a[3], a[4], a[5], a[6], form))


TRANSFORMS = {
    (name, edge): (matrix, compiled(matrix, edge))
    for name, matrix in (
        *(("A", OF_3.a), ("A.T", OF_5.a.T), ("B.T", OF_3.b.T), ("G", OF_5.g), ("G.T", OF_3.g.T)),
        *(("A of stride 2", WITH_STRIDE_2.a), ("A.T of stride 2", WITH_STRIDE_2.a.T), ("B.T of 2", WITH_STRIDE_2.b.T)),
        *(("G of stride 2", WITH_STRIDE_2.g), ("G.T of stride 2", WITH_STRIDE_2.g.T)),
        *(("A.T of its gradient", OF_ITS_GRADIENT.a.T), ("B.T of its gradient", OF_ITS_GRADIENT.b.T)),
    )
    for edge in (None, "source", "target")
}


class Maps:
    """An image of ``shape`` pixels in a longer flat array, a few elements apart, and a tile of it at ``origin``."""

    def __init__(self, rng, shape, origin, side, channels, gap, offset, dtype):
        self.shape, self.origin, self.steps = shape, origin, (shape[1] * (channels + gap) + 5, channels + gap)
        rows, columns = np.indices(shape)
        starts = offset + rows * self.steps[0] + columns * self.steps[1]
        self.elements = starts[:, :, None] + np.arange(channels)  # (H, W, channels), indices
        self.flat = np.full(self.elements.max() + 6, np.nan, dtype)
        self.flat[self.elements] = rng.standard_normal(self.elements.shape)
        self.offset = offset + origin[0] * self.steps[0] + origin[1] * self.steps[1]
        tile = [np.arange(side) + first for first in origin]
        self.within = np.ix_(*((at >= 0) & (at < size) for at, size in zip(tile, shape, strict=True)))
        self.pixels = np.ix_(*(at[(at >= 0) & (at < size)] for at, size in zip(tile, shape, strict=True)))

    def place(self):
        return self.offset, *self.steps

    def inside(self):
        return Inside(*(bound for at, size in zip(self.origin, self.shape, strict=True) for bound in (-at, size - at)))


@needs_vectors
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("which", TRANSFORMS, ids=lambda which: f"{which[0]}-{which[1]}")
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_micro_kernel_is_the_product_of_three_matrices(which, dtype, data):
    (matrix, apply), edge = TRANSFORMS[which], which[1]
    rows, size = matrix.shape
    count, gap, offset = (data.draw(st.integers(low, 3)) for low in (1, 0, 0))
    channels = count * simd.lanes(dtype)
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))

    def maps(name, side):
        """Return a tile alone, or one of an image that it may extend past; a target begins in its image."""
        if edge != name:
            return Maps(rng, (side, side), (0, 0), side, channels, gap, offset, dtype)
        shape = tuple(data.draw(st.integers(1, side + 3)) for _ in range(2))
        least, most = (0, -1) if name == "target" else (-side - 2, 2)
        origin = tuple(data.draw(st.integers(least, length + most)) for length in shape)
        return Maps(rng, shape, origin, side, channels, gap, offset, dtype)

    source, target = maps("source", size), maps("target", rows)
    x = np.zeros((size, size, channels))
    x[source.within] = source.flat[source.elements[source.pixels]]
    bias, zeros = rng.standard_normal(channels).astype(dtype), np.zeros(size * source.steps[1], dtype)
    beside = bias if edge == "target" else zeros
    inside = (target if edge == "target" else source).inside()
    want, relu = target.flat.copy(), data.draw(st.booleans())
    apply(source.flat, target.flat, beside, Placement(*source.place(), *target.place()), inside, relu, count)
    y = np.einsum("iu,uvc,jv->ijc", matrix, x, matrix) + (beside if edge == "target" else 0)
    y = np.maximum(y, 0) if relu and edge == "target" else y
    want[target.elements[target.pixels]] = y[target.within]
    np.testing.assert_allclose(target.flat, want, rtol=0, atol=2e-3 if dtype == np.float32 else 1e-10)


@needs_vectors
@pytest.mark.parametrize("origin", [(-9, -9), (-9, 4), (5, -9), (5, 9), (1, 9), (9, 1), (-4, -4), (2, 2)])
def test_a_tile_far_outside_reads_nothing_but_the_image_and_zeros(guarded, origin):
    """Images may have more padding than a tile has pixels."""
    matrix, apply = TRANSFORMS["B.T", "source"]
    lanes, (height, width) = simd.lanes(np.float32), (4, 5)
    image = guarded.hold(np.ones((height, width, lanes), np.float32))
    target, zeros = np.full(36 * lanes, np.nan, np.float32), guarded.hold(np.zeros(6 * lanes, np.float32))
    (i, j), row = origin, width * lanes
    placement = Placement(i * row + j * lanes, row, lanes, 0, 6 * lanes, lanes)
    apply(image.reshape(-1), target, zeros, placement, Inside(-i, height - i, -j, width - j), False, 1)
    x = np.pad(np.ones((height, width)), 20)[20 + i : 26 + i, 20 + j : 26 + j]
    want = np.repeat((matrix @ x @ matrix.T)[:, :, None], lanes, axis=2)
    np.testing.assert_allclose(target.reshape(6, 6, lanes), want, rtol=0, atol=1e-5)
