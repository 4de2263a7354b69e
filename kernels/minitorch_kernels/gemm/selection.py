"""Which function computes a matrix product: in float32, or in bf16 where that is asked for and faster."""

import numpy as np

from minitorch_kernels.gemm.bf16 import matmul_bf16
from minitorch_kernels.gemm.matmul import matmul

_LEAST = 32  # rows and columns of B: each rounded element then takes part in enough products


def choose(b, precision):
    """Return the function that multiplies matrices by a matrix B.

    Parameters
    ----------
    b : ndarray, shape (..., K, N)
        The choice depends on B alone: the rows of A are samples, and a share of them must give the same bits.
    precision : "float32" or "bf16"

    Returns
    -------
    callable
        `matmul` or `matmul_bf16`.
    """
    fits = b.dtype == np.float32 and min(b.shape[-2:]) >= _LEAST
    return matmul_bf16 if precision == "bf16" and fits else matmul
