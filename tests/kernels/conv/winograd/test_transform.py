"""Winograd's transforms: convolution by 36 products, and the micro-kernel that applies the matrices."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv.winograd.transform import KERNELS, A, B, G, Inside, Placement, two_sided_transform
from minitorch_kernels.runtime import simd

needs_vectors = pytest.mark.skipif(not simd.supports(np.float32), reason="no vector registers known here")
numbers = st.floats(-4, 4)


@pytest.mark.parametrize("side", KERNELS)
def test_a_row_of_outputs_takes_six_products(side):
    """Four outputs of three taps, or two of five."""
    rng = np.random.default_rng(0)
    d, g = rng.standard_normal(6), rng.standard_normal(side)
    np.testing.assert_allclose(A[side].T @ ((G[side] @ g) * (B.T @ d)), np.correlate(d, g), atol=1e-13)


def test_the_matrices_evaluate_polynomials_at_the_points():
    powers = [[1, p, p**2, p**3] for p in (0, 0.75, -0.75, 1.5, -1.5)]
    np.testing.assert_array_equal(A[3], [*powers, [0, 0, 0, 1]])
    for k, point in enumerate((0, 0.75, -0.75, 1.5, -1.5)):  # a column of B is 0 at all points but its own
        values = [np.polyval(B[::-1, k], p) for p in (0, 0.75, -0.75, 1.5, -1.5)]
        assert [p for p, value in zip((0, 0.75, -0.75, 1.5, -1.5), values, strict=True) if value] == [point]
        np.testing.assert_allclose(G[5][k] * values[k], [point**j for j in range(5)], rtol=1e-14)


@pytest.mark.parametrize("matrix", [A[3], A[5], B])
def test_entries_are_exact_in_half_of_the_bits_of_float32(matrix):
    np.testing.assert_array_equal(matrix * 1024, np.round(matrix * 1024))
    assert np.abs(matrix).max() < 4


@pytest.mark.parametrize("side", KERNELS)
def test_a_patch_of_outputs_and_the_gradient_of_its_filter(side):
    rng, a, g_matrix = np.random.default_rng(1), A[side], G[side]
    d, g, dy = (rng.standard_normal((n, n)) for n in (6, side, 7 - side))
    windows = np.lib.stride_tricks.sliding_window_view(d, (side, side))
    y = a.T @ ((g_matrix @ g @ g_matrix.T) * (B.T @ d @ B)) @ a
    np.testing.assert_allclose(y, np.einsum("ijuv,uv->ij", windows, g), atol=1e-12)
    grad = g_matrix.T @ ((B.T @ d @ B) * (a @ dy @ a.T)) @ g_matrix
    np.testing.assert_allclose(grad, np.einsum("ijuv,ij->uv", windows, dy), atol=1e-12)


def compiled(matrix, edge):
    """Return a compiled function that applies M x M^T once."""
    transform = two_sided_transform({3: matrix}, edge)
    if edge is None:
        return numba.njit(lambda x, y, beside, place, inside, relu, count: transform(x, y, place, count, (0, 0, 0)))
    if edge == "source":
        return numba.njit(lambda *a: transform(a[0], a[1], a[2], a[3], a[4], a[6], (0, 0, 0)))
    return numba.njit(lambda *a: transform(a[0], a[1], a[2], a[3], a[4], a[5], a[6], (0, 0, 0)))


TRANSFORMS = {
    (name, edge): (matrix, compiled(matrix, edge))
    for name, matrix in (("A", A[3]), ("A.T", A[5].T), ("B.T", B.T), ("G", G[5]), ("G.T", G[3].T))
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
