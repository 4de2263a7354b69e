"""NumPy's matrix product: long sums in float32 are sums of blocks."""

import numpy as np
import pytest

from minitorch_kernels.gemm import blas

STALL = 2**24  # float32 cannot add a 1 to that


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (9, 1), (1, 9), (3, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_long_sum_goes_on_growing(rows, columns, dtype):
    a = np.ones((100_000, rows), dtype).T
    a[:, 0] = STALL
    got = blas.product(a, np.ones((100_000, columns), dtype))
    assert got.dtype == dtype and got.shape == (rows, columns)
    np.testing.assert_allclose(got, STALL + 99_999, rtol=0, atol=blas._TERMS)


def test_blocks_add_up_to_the_whole_product():
    rng = np.random.default_rng(0)
    for terms in (0, 1, blas._TERMS, blas._TERMS + 1, 3 * blas._TERMS - 5):
        a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, terms), (terms, 2)))
        np.testing.assert_allclose(blas.product(a, b), a.astype(float) @ b, rtol=1e-4, atol=1e-3)
