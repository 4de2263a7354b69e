"""Flat views of arrays in compiled code."""

import numpy as np
import pytest

from minitorch_kernels.runtime import jit
from minitorch_kernels.runtime.views import flat, flat_bits

pytestmark = pytest.mark.skipif(not jit.jit_enabled(), reason="nothing is compiled")


@jit.compiled
def negate(array):
    view = flat(array)
    for k in range(len(view)):
        view[k] = -view[k]
    return len(view)


@jit.compiled
def bits_of(array, k):
    return flat_bits(array)[k]


@jit.compiled
def flat_copy(array):
    copy = array.copy()
    return flat(copy)  # the copy itself is no longer held


@pytest.mark.parametrize("shape", [(0,), (7,), (3, 4), (2, 3, 4, 5), (2, 0, 3)])
def test_a_flat_view_has_all_elements_in_order(shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    before = array.copy()
    assert negate(array) == array.size
    np.testing.assert_array_equal(array, -before)


def test_bits_are_those_of_the_floats():
    for kind, integer in ((np.float32, np.int32), (np.float64, np.int64)):
        array = np.array([[0.0, -0.0, 1.5], [np.nan, np.inf, -2.25]], kind)
        assert [bits_of(array, k) for k in range(6)] == array.view(integer).reshape(-1).tolist()


def test_a_view_keeps_its_memory_alive():
    array = np.arange(1 << 16, dtype=np.float64).reshape(256, 256)
    views = [flat_copy(array) for _ in range(8)]
    assert all((view == array.reshape(-1)).all() for view in views)


@pytest.mark.parametrize("part", [np.s_[:, ::2], np.s_[:, 1:]])
def test_an_array_with_gaps_has_no_flat_view(part):
    with pytest.raises(Exception, match="expected a C-contiguous one"):
        negate(np.ones((4, 6), np.float32)[part])
