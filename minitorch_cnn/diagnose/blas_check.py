"""A self-test of the BLAS library that NumPy loads: is it right, and how fast?

Run as a process of its own, ``python -m minitorch_cnn.diagnose.blas_check``, because the library chooses its
core from the environment when it is loaded, and a broken core may crash. Prints one line of JSON.
"""

import json
import time

import numpy as np

from minitorch_cnn.train.machine import blas

_DEPTHS = (1, 2, 3, 7, 16, 31, 64, 127, 256, 298, 299, 384, 511, 768, 1024, 1536, 2304, 3072, 4608)


def worst_error():
    """Return the largest error of products of depth K, in units of K * eps; at most about 1 is right.

    Returns
    -------
    float
        Over float32 and float64, against sums that use no BLAS.
    """
    rng = np.random.default_rng(0)
    worst = 0.0
    for dtype in (np.float32, np.float64):
        for depth in _DEPTHS:
            a, b = (rng.standard_normal(shape).astype(dtype) for shape in ((37, depth), (depth, 41)))
            exact = np.einsum("ik,kj->ij", a.astype(np.longdouble), b.astype(np.longdouble))
            scale = np.einsum("ik,kj->ij", np.abs(a), np.abs(b)) * depth * np.finfo(dtype).eps
            worst = max(worst, float((np.abs(a @ b - exact) / scale).max()))
    return worst


def gflops(size=1024, repeats=5):
    """Return the speed of a float32 product of square matrices, the best of some repeats."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size)).astype(np.float32) for _ in range(2))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times) / 1e9


if __name__ == "__main__":
    print(json.dumps({"core": blas()["core"], "error": worst_error(), "gflops": gflops()}))
