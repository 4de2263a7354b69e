"""Fetching memory before it is read or written: it changes nothing, wherever the element lies."""

import numba
import numpy as np
import pytest

from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.prefetch import fetch_to_read, fetch_to_write

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="nothing is compiled here")

both = pytest.mark.parametrize("fetch", [fetch_to_read, fetch_to_write])


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [0, 5, -1, 1 << 40, -(1 << 40)])
def test_nothing_changes(fetch, dtype, index):
    array = np.arange(6, dtype=dtype)
    numba.njit(lambda flat, at: fetch(flat, at))(array, index)
    np.testing.assert_array_equal(array, np.arange(6))


@both
def test_the_instruction_is_there(fetch):
    """A compiler that dropped it would leave kernels right, but slow."""
    kernel = numba.njit(lambda flat, at: fetch(flat, at))
    kernel(np.zeros(simd.LINE, np.float32), 0)
    (code,) = kernel.inspect_llvm().values()
    assert "llvm.prefetch" in code
