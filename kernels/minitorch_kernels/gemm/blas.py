"""NumPy's matrix product, for what the micro-kernel does not know, with long sums cut into blocks.

Where one of the matrices is a vector, a BLAS adds float32 products one by one: the sum of ones stalls at 2**24.
"""

import numpy as np

_TERMS = 1 << 14  # of a sum in float32: enough that the products of blocks cost nothing beside the whole one


def product(a, b):
    """Multiply two matrices.

    Parameters
    ----------
    a, b : ndarray, shapes (M, K) and (K, N), any dtype and strides

    Returns
    -------
    ndarray, shape (M, N)
    """
    terms = a.shape[1]
    if a.dtype != np.float32 or terms <= _TERMS:
        return a @ b
    total = np.zeros((len(a), b.shape[1]))  # float64
    for k in range(0, terms, _TERMS):
        total += a[:, k : k + _TERMS] @ b[k : k + _TERMS]  # (M, terms of the block) @ (terms of the block, N)
    return total.astype(a.dtype)
