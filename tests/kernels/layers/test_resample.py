"""Weighted sums of pixels along an axis: a matrix product, in a fixed order, and no access outside the arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.layers import resample
from tests.kernels.conftest import DTYPES

BAR = {np.float32: 1e-6, np.float64: 1e-14}


def pairs(length, results, count, seed=0):
    """Return random pairs (to, of, weights), in no order."""
    rng = np.random.default_rng([seed, length, results, count])
    return rng.integers(0, results, count), rng.integers(0, length, count), rng.uniform(-1, 1, count)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(shape=st.tuples(*[st.integers(0, 4)] * 2, st.integers(1, 5), st.integers(0, 18)), data=st.data())
def test_it_is_a_product_with_a_matrix(dtype, shape, data):
    axis = data.draw(st.sampled_from([0, 2]))
    maps = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    results, length = data.draw(st.integers(1, 6)), shape[axis]
    to, of, weights = pairs(max(length, 1), results, data.draw(st.integers(0, 12)) if length else 0)
    matrix = np.zeros((results, length))
    np.add.at(matrix, (to, of), weights)
    got = resample.weighted_sums(maps, axis, results, to, of, weights)
    assert got.dtype == dtype
    want = np.moveaxis(np.tensordot(matrix, maps.astype(np.float64), (1, axis)), 0, axis)
    np.testing.assert_allclose(got, want, rtol=0, atol=BAR[dtype] * 20)


def test_pixels_that_nobody_adds_up_may_be_anything():
    maps = np.array([1, np.nan, 3, np.inf], np.float32)[:, None]
    to, of = np.array([0, 2]), np.array([2, 0])
    got = resample.weighted_sums(maps, 0, 4, to, of, np.array([2.0, 1.0]))
    np.testing.assert_array_equal(got[:, 0], [6, 0, 1, 0])


def everything(hold=np.ascontiguousarray):
    """Return sums along each axis of some maps."""
    results = []
    for dtype in DTYPES:
        for shape in ((2, 5, 7, 3), (3, 40, 41, 16)):
            maps = hold(np.cos(np.arange(np.prod(shape))).reshape(shape).astype(dtype))
            results += [resample.weighted_sums(maps, axis, 9, *pairs(shape[axis], 9, 30)) for axis in (1, 2)]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
