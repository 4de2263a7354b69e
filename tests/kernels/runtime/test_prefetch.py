"""Fetching memory before it is written: it changes nothing, wherever the element lies."""

import numba
import numpy as np
import pytest

from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.prefetch import fetch_to_write

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="nothing is compiled here")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [0, 5, -1, 1 << 40, -(1 << 40)])
def test_nothing_changes(dtype, index):
    array = np.arange(6, dtype=dtype)
    numba.njit(lambda flat, at: fetch_to_write(flat, at))(array, index)
    np.testing.assert_array_equal(array, np.arange(6))


def test_the_instruction_is_there():
    """A compiler that dropped it would leave kernels right, but slow."""
    fetch = numba.njit(lambda flat, at: fetch_to_write(flat, at))
    fetch(np.zeros(simd.LINE, np.float32), 0)
    (code,) = fetch.inspect_llvm().values()
    assert "llvm.prefetch" in code
