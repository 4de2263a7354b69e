"""bf16: rounding to the nearest, pairs along any axis, and products whose sums are float32."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch_kernels.gemm import bf16, matmul, selection
from minitorch_kernels.gemm.bf16 import round_to_bf16
from minitorch_kernels.runtime import simd

floats = st.floats(width=32)
needs_bf16 = pytest.mark.skipif(not simd.supports(simd.PAIR), reason="no AVX512_BF16, or nothing is compiled")
ROUNDING = 2.0**-8  # largest relative error of one rounding


def halves(pairs):
    """Return the lower and the upper bf16 of pairs, as float32."""
    return (pairs << 16).view(np.float32), (pairs & np.uint32(0xFFFF0000)).view(np.float32)


def rounded(array):
    """Return an array rounded to bf16 by the textbook."""
    return np.array([round_to_bf16(x) for x in array.ravel()], np.float32).reshape(array.shape)


def same(got, want):
    """Require the same numbers with the same signs; a NaN for a NaN."""
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got)[~np.isnan(want)], np.signbit(want)[~np.isnan(want)])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (1.0, 1.0),
        (1 + 2.0**-8, 1.0),  # half way: the even one is below
        (1 + 3 * 2.0**-8, 1 + 2.0**-6),  # half way: the even one is above
        (1 + 2.0**-8 + 2.0**-20, 1 + 2.0**-7),
        (257.0, 256.0),
        (-259.0, -260.0),
        (2.0**-133, 2.0**-133),  # the smallest
        (2.0**-134, 0.0),
        (3 * 2.0**-134, 2.0**-132),
        (np.finfo(np.float32).max, np.inf),
        (-np.inf, -np.inf),
    ],
)
def test_the_textbook_by_hand(x, expected):
    assert round_to_bf16(np.float32(x)) == np.float32(expected)


def test_the_textbook_keeps_nan_and_the_sign_of_zero():
    assert np.isnan(round_to_bf16(np.float32(np.nan))) and np.signbit(round_to_bf16(np.float32(-1e-45)))


@settings(deadline=None)
@given(numbers=st.lists(floats, min_size=1, max_size=40))
@example(numbers=[np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-39, 3.4028235e38, 1 + 2.0**-8])
def test_rounding_is_that_of_the_textbook(numbers):
    x = np.array(numbers, np.float32)
    want = rounded(np.append(x, np.zeros(len(x) % 2, np.float32))).reshape(-1, 2).T
    for got, half in zip(halves(bf16.pair(x, 0)), want, strict=True):
        same(got, half)
    for got, half in zip(halves(bf16.pair(np.stack([x, x], 1), 0)), want, strict=True):  # by rows
        same(got, np.stack([half, half], 1))


def test_a_nan_whose_payload_is_in_the_lower_bits_stays_one():
    x = np.array([0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(halves(bf16.pair(x, 0))).all() and np.isnan(halves(bf16.pair(x[:, None].repeat(2, 1), 0))).all()


@settings(deadline=None)
@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4), data=st.data())
def test_pairs_along_any_axis(shape, data):
    axis = data.draw(st.integers(0, len(shape) - 1))
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if len(shape) == 2 and data.draw(st.booleans()):
        x = np.asfortranarray(x)
    pairs = bf16.pair(x, axis)
    assert pairs.dtype == simd.PAIR and pairs.shape[axis] == -(-shape[axis] // 2)
    both = rounded(np.concatenate([x, np.zeros_like(x.take(range(shape[axis] % 2), axis))], axis))
    for half, got in enumerate(halves(np.ascontiguousarray(pairs))):
        same(got, both.take(range(half, both.shape[axis], 2), axis))


# ------------------------------------------------------------------------------------ products


def matrices(rows, terms, columns):
    rng = np.random.default_rng([rows, terms, columns])
    return [rng.standard_normal(shape).astype(np.float32) for shape in ((rows, terms), (terms, columns))]


@needs_bf16
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(0, 40), terms=st.integers(0, 40), columns=st.integers(0, 40))
@example(rows=3, terms=5000, columns=2)
@example(rows=300, terms=385, columns=65)
def test_the_error_of_a_product(rows, terms, columns):
    """Two roundings a term; and the sums are those of the rounded factors, in float32."""
    a, b = matrices(rows, terms, columns)
    got = bf16.matmul_bf16(a, b)
    assert got.dtype == np.float32 and got.shape == (rows, columns)
    exact, sizes = a.astype(float) @ b, np.abs(a).astype(float) @ np.abs(b)
    assert (np.abs(got - exact) <= (2 * ROUNDING + ROUNDING**2 + terms * 2.0**-24) * sizes).all()
    if terms <= 40:
        assert (np.abs(got - rounded(a).astype(float) @ rounded(b)) <= terms * 2.0**-23 * sizes).all()


@needs_bf16
def test_small_integers_are_exact_and_the_sum_passes_256():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-256, 257, shape).astype(np.float32) for shape in ((20, 101), (101, 33)))
    np.testing.assert_array_equal(bf16.matmul_bf16(a, b), a @ b)
    ones = np.ones((1, 10_000), np.float32)
    assert bf16.matmul_bf16(ones, ones.T).item() == 10_000


@needs_bf16
def test_strides_do_not_matter():
    a, b = matrices(37, 50, 41)
    want = bf16.matmul_bf16(a, b)
    wide = np.zeros((74, 100), np.float32)
    wide[::2, ::2] = a
    for first, second in ((np.asfortranarray(a), b), (a, np.asfortranarray(b)), (wide[::2, ::2], b)):
        np.testing.assert_array_equal(bf16.matmul_bf16(first, second), want)


@needs_bf16
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stay_in_their_row(value):
    a, b = np.ones((9, 7), np.float32), np.ones((7, 40), np.float32)
    a[4, 6] = value  # the last of an odd number of terms, which is paired with zero
    got = bf16.matmul_bf16(a, b)
    np.testing.assert_array_equal(got[4], np.full(40, value, np.float32))
    np.testing.assert_array_equal(np.delete(got, 4, 0), 7)


@needs_bf16
def test_denormal_numbers_count_as_zeros():
    a, b = np.full((1, 2), 1e-39, np.float32), np.full((2, 1), 1e38, np.float32)
    assert matmul.matmul(a, b).item() > 0.1 and bf16.matmul_bf16(a, b).item() == 0


@needs_bf16
def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    a, b = matrices(517, 301, 130)
    same_bits_for_any_threads(lambda: [bf16.matmul_bf16(a, b), bf16.matmul_bf16(b.T, a.T)])


@pytest.mark.parametrize(
    ("dtype", "shape", "precision", "function"),
    [
        (np.float32, (64, 32), "bf16", bf16.matmul_bf16),
        (np.float32, (2, 64, 32), "bf16", bf16.matmul_bf16),
        (np.float32, (64, 32), "float32", matmul.matmul),
        (np.float64, (64, 32), "bf16", matmul.matmul),
        (np.float32, (512, 10), "bf16", matmul.matmul),  # rounding would take longer than it saves
        (np.float32, (64, 512, 31), "bf16", matmul.matmul),
    ],
)
def test_which_function_multiplies(dtype, shape, precision, function):
    assert selection.choose(np.zeros(shape, dtype), precision) is function
