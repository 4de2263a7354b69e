"""The precision of products: float32, or bf16 with sums in float32, which the user asks for."""

import contextlib
import contextvars
from collections.abc import Iterator

_precision = "float32"  # set by set_precision
_precision_here = contextvars.ContextVar("precision", default=None)  # set by precision, for one thread or task


def get_precision() -> str:
    """Return the precision of products here, "float32" or "bf16"."""
    return _precision_here.get() or _precision


def _checked(function, name):
    from minitorch_kernels.runtime import simd  # not earlier: it loads Numba, which `get_precision` does not need

    if name not in ("float32", "bf16"):
        raise ValueError(f"{function}: name - expected 'float32' or 'bf16', got {name!r}")
    if name == "bf16" and not simd.supports(simd.PAIR):
        expected = "'float32' on a processor without AVX512_BF16, or where nothing is compiled"
        raise ValueError(f"{function}: name - expected {expected}, got 'bf16'")
    return name


def set_precision(name: str) -> None:
    """Compute large products of float32 arrays in ``name``, in the whole process from now on.

    With "bf16", the factors of 1 x 1 and strided convolutions, of matrix products and fully connected layers, and of
    the gradients of these, are rounded to bf16, which has 8 bits of significand; the sums are in float32. All arrays
    stay float32, weights included, and so do all other operations. The gradients of an operation are computed in the
    precision of its forward pass. Small products stay in float32, because rounding would take longer than is saved.

    Parameters
    ----------
    name : "float32" or "bf16"

    Raises
    ------
    ValueError
        If it is another name; if it is "bf16" and the processor has no instruction for it (AVX512_BF16 of x86).
    """
    global _precision
    _precision = _checked("set_precision", name)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Compute large products in this precision in this context, in this Python thread alone; see `set_precision`.

    Parameters
    ----------
    name : "float32" or "bf16"

    Raises
    ------
    ValueError
        As `set_precision`.
    """
    token = _precision_here.set(_checked("precision", name))
    try:
        yield
    finally:
        _precision_here.reset(token)
