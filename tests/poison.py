"""Poisoned memory: everything that is handed out unwritten is full of NaN, so that reading it shows.

Python code gets it from `numpy.empty`, `numpy.empty_like` and the recycled blocks of `runtime.memory`; compiled code
from malloc, which the C library of Linux can be told to overwrite when it is given back.
"""

import contextlib
import ctypes
import sys

import numpy as np

from minitorch_kernels.runtime import memory

_PERTURB = -6  # M_PERTURB of mallopt: bytes that are given back are overwritten with this one
_real = np.empty, np.empty_like, memory.empty


def _filled(array):
    """Return an array after writing NaN, or a number that no index is, into every element."""
    if array.dtype.kind in "fiu":
        array.fill(np.nan if array.dtype.kind == "f" else 0x5A)
    return array


@contextlib.contextmanager
def memory_full_of_nan(byte=0xFF):
    """Return a context manager; kernels must have been compiled before, since Numba knows only NumPy's own `empty`."""
    perturb = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    np.empty = lambda *args, **kwargs: _filled(_real[0](*args, **kwargs))
    np.empty_like = lambda *args, **kwargs: _filled(_real[1](*args, **kwargs))
    memory.empty = lambda shape, dtype: _filled(_real[2](shape, dtype))
    if perturb:
        perturb(_PERTURB, byte)  # 0xFF... is a NaN, 0x7F... 3e38
    try:
        yield
    finally:
        np.empty, np.empty_like, memory.empty = _real
        if perturb:
            perturb(_PERTURB, 0)


def same_with_poison(call):
    """Return the arrays of a call; raise AssertionError if it reads memory that nobody wrote."""
    expected = call()
    for byte in (0xFF, 0x7F):
        with memory_full_of_nan(byte):
            got = call()
        for one, two in zip(got, expected, strict=True):
            np.testing.assert_array_equal(one, two, err_msg="depends on memory that nobody wrote")
            assert one.dtype == two.dtype and one.shape == two.shape
    return expected
