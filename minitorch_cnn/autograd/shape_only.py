"""What a traced variable has in place of an array: a shape and a dtype. Nothing can be read from it by mistake."""

import math
import operator
import traceback
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

_HERE = Path(__file__).parent
_OURS = [_HERE.parent / name for name in ("tensor.py", "interchange.py", "arguments.py")]
_INNER = tuple(map(str, (_HERE, *_OURS, Path(np.__file__).parent)))
_OF_SHAPES = (np.shape, np.ndim, np.size)
_NEW_ARRAYS = (np.zeros_like, np.ones_like, np.empty_like, np.full_like)


class TraceError(RuntimeError):
    """A traced variable, which has a shape but no values, was asked for a value."""


def refuse_values(what: str) -> NoReturn:
    """Raise TraceError with the line outside of this package and NumPy that asked for a value."""
    caller = next(frame for frame in reversed(traceback.extract_stack()) if not frame.filename.startswith(_INNER))
    raise TraceError(
        f"{what} asks for a value at {caller.filename}:{caller.lineno} ({caller.line}); expected only "
        "operations on shapes while tracing, got a tensor that has a shape but no values; use the functions of ops, "
        "or skip this where x.traced is True"
    )


class ShapeOnly(np.lib.mixins.NDArrayOperatorsMixin):
    """A shape and a dtype. All that would read or write an element raises TraceError.

    An array of NaN would do for shapes too, but a model that reads it, such as in ``if x.data.max() > 0``, would then
    be traced along the way that NaN takes, and nobody would notice.
    """

    def __init__(self, shape: Any, dtype: Any):
        try:
            self.shape: tuple[int, ...] = tuple(map(operator.index, shape))
            self.dtype = np.dtype(dtype)
        except TypeError:
            got = f"{shape!r:.60}, {dtype!r:.60}"
            raise TypeError(f"like_shape: expected a shape of integers and a dtype of NumPy, got {got}") from None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes that the elements would take."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"ShapeOnly({self.shape}, {self.dtype})"

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Let functions that read no element, such as `np.shape` and `np.zeros_like`, take the shape."""
        if function in _OF_SHAPES and args:
            return function(np.broadcast_to(np.zeros((), self.dtype), self.shape), *args[1:], **kwargs)
        if function in _NEW_ARRAYS and args and args[0] is self:
            return function(np.broadcast_to(np.zeros((), self.dtype), self.shape), *args[1:], **kwargs)
        return refuse_values(f"np.{function.__name__}")

    def __array_ufunc__(self, function: Any, method: Any, *args: Any, **kwargs: Any) -> NoReturn:
        refuse_values(f"np.{function.__name__}")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        refuse_values("NumPy")

    def __bool__(self) -> NoReturn:
        refuse_values("bool()")

    def __int__(self) -> NoReturn:
        refuse_values("int()")

    def __float__(self) -> NoReturn:
        refuse_values("float()")

    def __complex__(self) -> NoReturn:
        refuse_values("complex()")

    def __index__(self) -> NoReturn:
        refuse_values("an index")

    def __iter__(self) -> NoReturn:
        refuse_values("a loop over it")

    def __contains__(self, value: object) -> NoReturn:
        refuse_values("in")

    def __getitem__(self, key: Any) -> NoReturn:
        refuse_values("data[...]")

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        refuse_values("data[...] =")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        refuse_values(f"data.{name}")
