"""Tensors and the arrays of other libraries: NumPy's protocols, and DLPack, which shares memory with PyTorch."""

from __future__ import annotations

import copy
import operator
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from minitorch_cnn.autograd import GraphError, Variable, is_grad_enabled
from minitorch_cnn.types import Array

_SHAPE_ONLY = (np.shape, np.ndim, np.size)  # NumPy functions that read no values
_SUMMING = (np.sum, np.mean, np.var, np.std, np.cumsum, np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nancumsum)
_WRITING = (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal)  # into the first argument


class Interchange:
    """What other libraries call to read a Tensor; the part of `Tensor` that knows their protocols."""

    # NumPy's operators must not apply a Tensor element by element.
    __array_ufunc__ = None

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Return the array, for `np.asarray` and its callers."""
        self._check_readable("NumPy")
        return np.array(self.data, dtype, copy=copy)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Let functions such as `np.sum` read Tensors as their arrays; none may write into one unnoticed."""
        out = kwargs.get("out")
        targets = (*(out if isinstance(out, tuple) else (out,)), *args[: function in _WRITING])
        if any(isinstance(target, Variable) for target in targets):
            name = function.__name__
            raise TypeError(f"{name}: expected an array to write to, got a Tensor; use its copy_ or fill_, or its data")
        read = operator.attrgetter("data") if function in _SHAPE_ONLY else np.asarray
        args, kwargs = _with_arrays(args, read), _with_arrays(kwargs, read)
        return _add_up(function, args, kwargs) if function in _SUMMING else function(*args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy of a leaf; that of a result of an operation would lead to copies of all leaves."""
        if self.traced:
            return self  # it has no values to copy, and a trace knows its variables by identity
        if self.node is not None:
            raise GraphError("deepcopy: expected a leaf of the graph, got a result of an operation; use detach()")
        other = memo[id(self)] = type(self).__new__(type(self))
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other

    def __dlpack__(self, **options: Any) -> Any:
        """Return the memory, not a copy, for `np.from_dlpack`, `torch.from_dlpack` and others."""
        self._check_readable("DLPack")
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return the number of the CPU in DLPack."""
        return self.data.__dlpack_device__()

    @classmethod
    def from_dlpack(cls, other: Any) -> Self:
        """Return a Tensor on the memory of an array of another library, such as a PyTorch tensor on the CPU.

        Parameters
        ----------
        other : object with ``__dlpack__``
            Both read and write the same memory; writes of the other library are not seen by ``backward``.

        Returns
        -------
        Tensor, without a gradient

        Raises
        ------
        TypeError
            If ``other`` does not have that method, or an element type that NumPy lacks, such as bfloat16.
        ValueError
            If it does not give its memory away, for instance because it requires a gradient or lies on a GPU.
        """
        if not hasattr(other, "__dlpack__"):
            raise TypeError(f"from_dlpack: other - expected an object with __dlpack__, got {type(other).__name__}")
        try:
            array = np.from_dlpack(other)
        except (BufferError, RuntimeError) as error:
            kind = TypeError if "dtype" in str(error).lower() or "type" in str(error).lower() else ValueError
            raise kind(f"from_dlpack: other - expected memory that NumPy can read, got an error: {error}") from error
        return cls(array)

    def _check_readable(self, library):
        """Raise if the Tensor has no values, or a gradient that the other library would lose."""
        self._needs_values(library)
        if self.requires_grad and is_grad_enabled():
            raise GraphError(
                f"{library}: expected a Tensor without a gradient, or no_grad(); got one that requires a gradient, "
                f"which {library} does not record; use the functions of ops, x.detach(), or x.data"
            )


def _add_up(function, args, kwargs):
    """Return a sum of NumPy, of float32 elements in float64: along some axes, NumPy's float32 sum stalls at 2**24."""
    asked = len(args) > 2 or not (kwargs.get("dtype") is None and kwargs.get("out") is None)  # (a, axis, dtype, out)
    if asked or np.asarray(args[0] if args else kwargs["a"]).dtype != np.float32:
        return function(*args, **kwargs)
    return function(*args, **{**kwargs, "dtype": np.float64}).astype(np.float32)


def _with_arrays(value, read):
    """Return the arguments of a NumPy function with each Tensor replaced by its array."""
    if isinstance(value, Variable):
        return read(value)
    if isinstance(value, (list, tuple)):
        return type(value)([_with_arrays(item, read) for item in value])
    if isinstance(value, dict):
        return {key: _with_arrays(item, read) for key, item in value.items()}
    return value
