"""Sums over axes: right for any shape and memory order, and the same bits for any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.layers import reduction

STALL = 2**24  # a float32 sum of ones stops growing here


def exact(x, axes):
    return x.astype(np.longdouble).sum(axes, keepdims=True)


def agree(x, axes, bound=1e-14):
    got = reduction.sum_over(x, axes)
    assert got.dtype == np.float64
    np.testing.assert_array_less(np.abs(got - exact(x, axes)), bound * exact(np.abs(x), axes) + 1e-300)


@st.composite
def cases(draw):
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 7, 16, 33]), min_size=1, max_size=4))
    axes = draw(st.sets(st.integers(0, len(shape) - 1)))
    order = draw(st.permutations(range(len(shape))))
    return shape, tuple(sorted(axes)), order, draw(st.sampled_from([np.float32, np.float64])), draw(st.booleans())


@settings(max_examples=150, deadline=None)
@given(case=cases(), small=st.booleans())
def test_any_shape_axes_and_memory_order(case, small):
    shape, axes, order, dtype, strided = case
    rng = np.random.default_rng(0)
    x = rng.standard_normal([shape[i] for i in order]).astype(dtype).transpose(np.argsort(order))
    if strided:
        x = np.repeat(x, 2, -1)[..., ::-2]
    limit, reduction._SMALL = reduction._SMALL, reduction._SMALL if small else -1
    try:
        agree(x, axes)
    finally:
        reduction._SMALL = limit


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_nothing_adds_up_to_zero(shape):
    for axis in range(len(shape)):
        got = reduction.sum_over(np.zeros(shape, np.float32), (axis,))
        np.testing.assert_array_equal(got, np.zeros(shape).sum(axis, keepdims=True))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("length", [5_000, 70_000])
def test_a_sum_does_not_stall_along_any_axis(axis, length):
    """Elements of 2**24 and then ones: a float32 sum, one by one, stays at 2**24."""
    x = np.ones((3, 2, length), np.float32)
    x[..., 0] = STALL
    agree(np.moveaxis(x, 2, axis).copy(), (axis,))
    agree(np.moveaxis(x, 2, axis), (axis,))


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["(N,)", "(N, 1)", "(N, 3)", "(3, N)", "channels last", "channels first"])
def test_twenty_million_float32_elements(layout):
    shapes = {"(N,)": (20_000_000,), "(N, 1)": (20_000_000, 1), "(N, 3)": (6_700_000, 3), "(3, N)": (3, 6_700_000)}
    x = np.full(shapes.get(layout, (20, 3, 580, 580)), 0.1, np.float32)
    if layout == "channels last":
        x = x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    for axes in ((0,), (0, 2, 3), (1, 2, 3)) if x.ndim == 4 else ((0,), (x.ndim - 1,)):
        count = np.prod([x.shape[i] for i in axes])
        np.testing.assert_allclose(reduction.sum_over(x, axes), count * np.float64(np.float32(0.1)), rtol=1e-12)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_one_element_that_is_not_finite_stays_in_its_sum(value):
    x = np.ones((50, 40, 3), np.float32)
    x[7, 3, 1] = value
    for axes in ((0,), (1,), (0, 1)):
        np.testing.assert_array_equal(reduction.sum_over(x, axes), x.sum(axes, dtype=np.float64, keepdims=True))


def test_large_elements_do_not_overflow_on_the_way():
    x = np.full((3000, 2), 3e38, np.float32)
    x[1::2] *= -1
    np.testing.assert_array_equal(reduction.sum_over(x, (0,)), 0)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_threads_change_no_bit(axes, same_bits_for_any_threads):
    x = np.random.default_rng(0).standard_normal((37, 130, 65))
    same_bits_for_any_threads(lambda: [reduction.sum_over(x, axes)])
