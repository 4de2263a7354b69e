"""Matrix products on the micro-kernel: NumPy's values in any shape and layout; no access outside the arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.gemm import matmul, pack
from minitorch_kernels.gemm.microkernel import KC, MR
from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.simd import nr

DTYPES = [np.float32, np.float64]
BAR = {np.float32: 1e-5, np.float64: 1e-12}
sizes = st.one_of(st.integers(1, 40), st.sampled_from([MR, KC, KC + 1, 2 * KC, matmul.MC, matmul.MC + 1]))
needs_tile = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")


def matrices(rows, terms, columns, dtype, seed=0):
    """Return A and B of unit scale, and their product in float64."""
    rng = np.random.default_rng([seed, rows, terms, columns])
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, terms), (terms, columns)))
    return a, b, np.einsum("ik,kj->ij", a.astype(np.float64), b.astype(np.float64))


def agree(got, want, terms, dtype):
    assert got.dtype == dtype and got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=BAR[dtype] * np.sqrt(max(terms, 1)))


def test_by_hand():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[1.0, 10.0], [100.0, 1000.0]])
    np.testing.assert_array_equal(matmul.matmul(a, b), [[201, 2010], [403, 4030], [605, 6050]])


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=100, deadline=None)
@given(rows=sizes, terms=sizes, columns=sizes)
def test_any_shape(dtype, rows, terms, columns):
    a, b, expected = matrices(rows, terms, columns, dtype)
    agree(matmul.matmul(a, b), expected, terms, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 4608, 32), (300, 385, 65), (1, 1, 1), (513, 1, 3), (5, 1000, 1)])
def test_long_sums_and_many_tiles(dtype, shape):
    a, b, expected = matrices(*shape, dtype)
    agree(matmul.matmul(a, b), expected, shape[1], dtype)


@needs_tile
def test_a_long_sum_goes_on_growing():
    """Float32 cannot add a 1 to 2**24, so only the terms of the block that holds it may be lost."""
    a = np.ones((2, 10_000), np.float32)
    a[:, 0] = 2**24
    got = matmul.matmul(a, np.ones((10_000, 3), np.float32))
    np.testing.assert_allclose(got, 2**24 + 9_999, rtol=0, atol=KC)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_empty_matrices(dtype, shape):
    a, b, _ = matrices(*shape, dtype)
    got = matmul.matmul(a, b)
    assert got.dtype == dtype and got.shape == (shape[0], shape[2]) and not got.any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_strides_do_not_matter(dtype):
    a, b, expected = matrices(21, 34, 39, dtype)
    spread_a, spread_b = np.zeros((42, 68), dtype)[::2, ::-2], np.zeros((68, 39), dtype)[::-2]
    spread_a[...], spread_b[...] = a, b
    for first in (a, np.asfortranarray(a), spread_a):
        for second in (b, np.asfortranarray(b), spread_b):
            agree(matmul.matmul(first, second), expected, 34, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_change_a_bit(same_bits_for_any_threads, dtype):
    products = [matrices(*shape, dtype)[:2] for shape in ((700, 200, 70), (9, 500, 200), (600, 3, 5))]
    same_bits_for_any_threads(lambda: [matmul.matmul(a, b) for a, b in products])


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    for dtype in DTYPES:
        for shape in [(1, 1, 1), (7, 5, 31), (9, 193, 33), (257, 20, 16), (513, 3, 65), (8, 192, 32)]:
            a, b, expected = matrices(*shape, dtype)
            agree(matmul.matmul(guarded.hold(a), guarded.hold(b)), expected, shape[1], dtype)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_row_or_column(value):
    for place in (0, 100, 299):
        a, b = np.ones((20, 300), np.float32), np.ones((300, 35), np.float32)
        a[13, place] = value
        expected = np.full((20, 35), 300.0)
        expected[13] = value
        np.testing.assert_array_equal(matmul.matmul(a, b), expected)
        a[13, place], b[place, 33] = 1, value
        expected = np.full((20, 35), 300.0)
        expected[:, 33] = value
        np.testing.assert_array_equal(matmul.matmul(a, b), expected)


# --------------------------------------------------------------------------------- its parts


def test_whole_tiles_repeat_the_last_row():
    padded = pack.whole_tiles(np.arange(3) * 5)
    np.testing.assert_array_equal(padded, [0, 5] + [10] * (MR - 2))
    np.testing.assert_array_equal(pack.whole_tiles(np.arange(2 * MR)), np.arange(2 * MR))
    assert len(pack.whole_tiles(np.arange(0))) == 0


@settings(max_examples=100, deadline=None)
@given(
    starts=st.lists(st.tuples(*[st.integers(0, 10**6)] * 2), min_size=1, max_size=8),
    length=st.integers(1, 3 * KC),
    steps=st.tuples(*[st.integers(1, 64)] * 2),
)
def test_cut_segments_holds_every_term_once_in_order(starts, length, steps):
    k_runs, blocks = pack.cut_k_runs(*zip(*starts, strict=True), length, *steps)
    met = []
    for begin, end, terms in blocks:
        assert 1 <= (end - begin) * terms <= KC
        met += [k_runs[:, s] + k * np.array(steps) for s in range(begin, end) for k in range(terms)]
    expected = [np.array(start) + k * np.array(steps) for start in starts for k in range(length)]
    np.testing.assert_array_equal(met, expected)


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 8 * MR), terms=st.integers(1, 2 * KC), panels=st.integers(2, 70))
def test_few_rows_read_b_where_it_lies(dtype, rows, terms, panels):
    a, b, expected = matrices(rows, terms, panels * nr(dtype), dtype)
    packs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "pack_b", lambda *_: packs.append(1))
        agree(matmul.matmul(a, b), expected, terms, dtype)
    assert not packs


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 8 * MR), terms=st.sampled_from([1, 3, 16, 17, KC, KC + 1]), panels=st.integers(2, 70))
def test_a_row_has_the_same_bits_however_many_there_are(dtype, rows, terms, panels):
    """Few rows read B in place, some of its rows at a time, and several panels of C together; many do not."""
    a, b, _ = matrices(8 * MR + 1, terms, panels * nr(dtype), dtype)
    np.testing.assert_array_equal(matmul.matmul(a[:rows], b), matmul.matmul(a, b)[:rows])


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 3 * matmul.MC), terms=st.sampled_from([1, 3, KC, KC + 1]), columns=st.integers(1, 17))
def test_a_column_has_the_same_bits_however_many_there_are(dtype, rows, terms, columns):
    """Few columns are multiplied by half vectors where the processor has long ones."""
    a, b, _ = matrices(rows, terms, 2 * nr(dtype) + 1, dtype)
    np.testing.assert_array_equal(matmul.matmul(a, b[:, :columns].copy()), matmul.matmul(a, b)[:, :columns])


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
def test_panels_are_computed_together_where_terms_are_few(dtype):
    a, b, expected = matrices(2 * matmul.MC + 3, 3, 67 * nr(dtype), dtype)
    agree(matmul.matmul(a, b), expected, 3, dtype)


@needs_tile
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_a_may_lie_anywhere_and_overlap(dtype):
    """A moving sum: row i of A begins at element i, and each column of B holds the weights of one sum."""
    width, terms = nr(dtype), 5
    numbers, b = np.arange(30, dtype=dtype), np.zeros((1, terms, width), dtype)
    b[0, :, 0], b[0, 2, 1] = 1, 10
    c, start = np.full(26 * 2, -1, dtype), np.zeros(width, dtype)
    start[:2] = 0.5, 0.25
    rows = pack.whole_tiles(np.arange(26))
    offsets = matmul.Offsets(rows, rows * 2, *pack.cut_k_runs([0], [0], terms, 1, width))
    panels = np.array([[0, 0, 0, 0, 2]])
    matmul.indirect_gemm(numbers, b, c, start, offsets, panels, 1, False, False)
    moving = np.arange(26)[:, None] * [5, 10] + [10 + 0.5, 20 + 0.25]
    np.testing.assert_array_equal(c.reshape(26, 2), moving)


def test_without_a_tile_numpy_multiplies(monkeypatch):
    a, b, expected = matrices(5, 6, 7, np.float64)
    monkeypatch.setattr(simd, "jit_enabled", lambda: False)
    assert not simd.supports(np.float64)
    agree(matmul.matmul(a, b), expected, 6, np.float64)
    integers = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(matmul.matmul(integers, integers.T), integers @ integers.T)


def test_a_tile_is_for_float32_and_float64_alone():
    assert not any(simd.supports(dtype) for dtype in (np.float16, np.int64, np.complex128, bool))
