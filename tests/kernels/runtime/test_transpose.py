"""Transposing in the vector registers: every element, and nothing beside the matrix."""

import ctypes
import mmap
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.transpose import transpose

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="nothing is compiled here")


@numba.njit
def transposed(source, start, row_step, size, target, to, column_step, lanes):
    transpose(source, start, row_step, size, target, to, column_step, lanes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    gaps=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    backwards=st.booleans(),
)
def test_every_element_and_nothing_else(dtype, size, gaps, backwards):
    (rows, columns), row_step, column_step = size, size[1] + gaps[0], size[0] + gaps[1]
    source = np.random.default_rng(0).standard_normal(5 + rows * row_step).astype(dtype)
    target = np.full(7 + columns * column_step, np.nan, dtype)
    expected = target.copy()
    matrix = source[5:].reshape(rows, row_step)[:, :columns]
    expected[7:].reshape(columns, column_step)[:, :rows] = matrix.T[::-1] if backwards else matrix.T
    to, step = (7 + (columns - 1) * column_step, -column_step) if backwards else (7, column_step)
    transposed(source, 5, row_step, size, target, to, step, simd.lanes(dtype))
    np.testing.assert_array_equal(target, expected)


@pytest.mark.skipif(sys.platform != "linux", reason="protects a page as Linux does")
@pytest.mark.parametrize("size", [(1, 1), (3, 9), (16, 16), (32, 9), (32, 72), (5, 17)])
def test_memory_after_the_matrices_is_not_touched(size):
    """Both end with a page, and the next page can be neither read nor written."""
    count, page = size[0] * size[1], mmap.PAGESIZE
    arrays = []
    for _ in range(2):
        pages = mmap.mmap(-1, 4 * page)
        address = ctypes.addressof(ctypes.c_char.from_buffer(pages))
        assert ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(address + 3 * page), page, 0) == 0
        arrays.append(np.frombuffer(pages, np.float32, count, 3 * page - count * 4))
    source, target = arrays
    source[:] = np.arange(count)
    transposed(source, 0, size[1], size, target, 0, size[0], simd.lanes(np.float32))
    np.testing.assert_array_equal(target.reshape(size[::-1]), source.reshape(size).T)
