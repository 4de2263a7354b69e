"""Tensor: a `Variable` with operators; every method is one call into `minitorch_cnn.ops`."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minitorch_cnn import arguments, habits, interchange, ops
from minitorch_cnn.autograd import FLOAT_DTYPES, BackwardStep, GraphError, Variable, is_grad_enabled
from minitorch_cnn.autograd.shape_only import refuse_values
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Array, Axis, Operand, Shape
from minitorch_kernels.runtime import memory


class Tensor(interchange.Interchange, habits.TensorHints, Variable):
    """An n-dimensional array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        Python floats become float32; NumPy arrays keep their dtype and share their memory.
    requires_grad : bool
        Whether `backward` writes a gradient to ``grad``.
    dtype : dtype or None
        Convert to this dtype.

    Raises
    ------
    TypeError
        If ``data`` is not an array of numbers, ``dtype`` is not numeric, or ``requires_grad`` is set for integers.
    ValueError
        If the rows of ``data`` have different lengths.
    GraphError
        If ``data`` contains Tensors that require a gradient, which would be lost; use `ops.stack`.

    Notes
    -----
    ``x.data[...] = value`` writes without a check: a backward that needs the old values does not notice. The methods
    that end in an underscore are checked. Comparisons such as ``x == y`` return an ndarray of booleans. NumPy functions
    read a Tensor as its array; a Tensor that requires a gradient is allowed only inside `no_grad`.
    """

    add_arrays = staticmethod(ops.arithmetic.add_arrays)
    _unshared = staticmethod(memory.unshared)

    def __init__(self, data: ArrayLike, requires_grad: bool = False, dtype: DTypeLike | None = None):
        if isinstance(data, Variable):
            raise TypeError("Tensor: data - expected an array, got a Tensor; use detach() for one outside the graph")
        plain = type(data) is np.ndarray and dtype is None and data.dtype in FLOAT_DTYPES  # as operations return it
        array = data if plain else _as_numbers(data, dtype)
        if requires_grad is not False:
            arguments.flag("Tensor", requires_grad=requires_grad)
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(f"Tensor: requires_grad - expected floating data, got dtype {array.dtype}")
        super().__init__(array, requires_grad)

    # ------------------------------------------------------------------------ properties

    @property
    def shape(self) -> Shape:
        """The length of each axis."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""
        return self.data.dtype

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len: expected a Tensor with at least one axis, got a scalar")
        return self.shape[0]

    def __repr__(self) -> str:
        if self.traced:
            return f"Tensor(traced, shape={self.shape}, dtype={self.dtype})"
        made_by = f", made by {self.node.function.__name__}" if self.node else ""
        values = np.array2string(self.data, precision=4, threshold=20, separator=", ", prefix="Tensor(")
        return f"Tensor({values}, {self.dtype}{made_by}{', requires_grad' if self.requires_grad else ''})"

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    if TYPE_CHECKING:  # what `Variable.backward` returns depends on ``trace``
        @overload
        def backward(self, grad: Any = None, *, trace: Literal[False] = False, **options: Any) -> None: ...
        @overload
        def backward(self, grad: Any = None, *, trace: Literal[True], **options: Any) -> list[BackwardStep]: ...

    # ---------------------------------------------------------------------------- values

    def numpy(self) -> Array:
        """Return the array itself, not a copy."""
        self._needs_values("numpy()")
        return self.data

    def item(self) -> Any:
        """Return the only element as a Python number."""
        return self._only_element("item()").item()

    def __float__(self) -> float:
        return float(self._only_element("float()").item())

    def __int__(self) -> int:
        return int(self._only_element("int()").item())

    def __bool__(self) -> bool:
        return bool(self._only_element("bool()"))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def _only_element(self, what):
        self._needs_values(what)
        if self.size != 1:
            raise ValueError(f"{what}: expected a Tensor of one element, got shape {self.shape}; reduce it first")
        return self.data

    def _needs_values(self, what):
        if self.traced:
            refuse_values(what)

    # ------------------------------------------------------------------- comparisons, NumPy

    __hash__ = Variable.__hash__  # by identity, although == compares elements

    def __eq__(self, other: object) -> Array:  # type: ignore[override]
        return self._compare(operator.eq, other)

    def __ne__(self, other: object) -> Array:  # type: ignore[override]
        return self._compare(operator.ne, other)

    def __lt__(self, other: Operand) -> Array:
        return self._compare(operator.lt, other)

    def __le__(self, other: Operand) -> Array:
        return self._compare(operator.le, other)

    def __gt__(self, other: Operand) -> Array:
        return self._compare(operator.gt, other)

    def __ge__(self, other: Operand) -> Array:
        return self._compare(operator.ge, other)

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def _compare(self, compare, other):
        """Return an ndarray of booleans, or NotImplemented if ``other`` is not an array of numbers."""
        if not isinstance(other, (Variable, np.ndarray, np.generic, numbers.Number, list, tuple)):
            return NotImplemented
        self._needs_values("a comparison")
        other = _array(other)
        try:
            return compare(self.data, other)
        except ValueError:
            got = np.shape(other)
            raise ShapeError(
                f"comparison: other - expected a shape that broadcasts with {self.shape}, got {got}"
            ) from None

    # ---------------------------------------------------------------------------- in place

    def fill_(self, value: float) -> Self:
        """Set every element; not recorded, so only allowed without gradients."""
        return self._in_place("fill_", "value", lambda x, values: x.fill(values), value)

    def zero_(self) -> Self:
        """Set every element to 0; not recorded."""
        return self.fill_(0)

    def copy_(self, source: Operand) -> Self:
        """Take the values of an array or Tensor of the same shape; not recorded."""
        if (got := np.shape(_real("copy_", "source", source))) != self.shape:
            raise ShapeError(f"copy_: source - expected shape {self.shape}, got {got}")
        return self._in_place("copy_", "source", lambda x, values: np.copyto(x, values, casting="same_kind"), source)

    def add_(self, other: Operand) -> Self:
        """Add an array, Tensor or number; not recorded."""
        return self._in_place("add_", "other", lambda x, values: np.add(x, values, out=x), other)

    def mul_(self, other: Operand) -> Self:
        """Multiply by an array, Tensor or number; not recorded."""
        return self._in_place("mul_", "other", lambda x, values: np.multiply(x, values, out=x), other)

    def __setitem__(self, key: Any, value: Operand) -> None:
        self._in_place("item assignment", "value", lambda x, values: x.__setitem__(_key(key), values), value)

    def _in_place(self, what, name, write, values):
        self._needs_values(what)
        if is_grad_enabled():
            for tensor in (self, values):
                if isinstance(tensor, Variable) and tensor.requires_grad:
                    raise GraphError(
                        f"{what}: expected a Tensor without a gradient, or no_grad(); got one that requires a gradient"
                    )
        values = _real(what, name, values)
        if self.dtype.kind in "iu" and np.asarray(values).dtype.kind in "fc":  # fractions would be cut off
            raise TypeError(f"{what}: expected integers, as the Tensor is {self.dtype}, got {np.asarray(values).dtype}")
        try:
            write(self.data, values)
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            kind = next(kind for kind in (TypeError, IndexError, ValueError, OverflowError) if isinstance(error, kind))
            raise kind(f"{what}: expected one that fits shape {self.shape} and {self.dtype}: {error}") from None
        self.bump_version()
        return self

    # --------------------------------------------------------------------------- operators

    def __add__(self, other: Operand) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return ops.sub(self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return ops.sub(other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return ops.mul(self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return ops.mul(other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return ops.div(self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return ops.div(other, self)

    def __pow__(self, exponent: Operand) -> Tensor:
        return ops.power(self, exponent)

    def __rpow__(self, base: Operand) -> Tensor:
        return ops.power(base, self)

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __matmul__(self, other: Operand) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Operand) -> Tensor:
        return ops.matmul(other, self)

    def __getitem__(self, key: Any) -> Tensor:
        return ops.index(self, _key(key))

    # ----------------------------------------------------------------------------- methods

    def exp(self) -> Tensor:
        """See `ops.exp`."""
        return ops.exp(self)

    def log(self) -> Tensor:
        """See `ops.log`."""
        return ops.log(self)

    def sqrt(self) -> Tensor:
        """See `ops.sqrt`."""
        return ops.sqrt(self)

    def abs(self) -> Tensor:
        """See `ops.abs`."""
        return ops.abs(self)

    def clip(self, low: float | None = None, high: float | None = None) -> Tensor:
        """See `ops.clip`."""
        return ops.clip(self, low, high)

    def relu(self) -> Tensor:
        """See `ops.relu`."""
        return ops.relu(self)

    def sigmoid(self) -> Tensor:
        """See `ops.sigmoid`."""
        return ops.sigmoid(self)

    def tanh(self) -> Tensor:
        """See `ops.tanh`."""
        return ops.tanh(self)

    def softmax(self, axis: int = -1) -> Tensor:
        """See `ops.softmax`."""
        return ops.softmax(self, axis=axis)

    def sum(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `ops.sum`."""
        return ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `ops.mean`."""
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `ops.max`."""
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> Tensor:
        """See `ops.min`."""
        return ops.min(self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Tensor:
        """See `ops.var`."""
        return ops.var(self, axis=axis, keepdims=keepdims, correction=correction)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Array:
        """Return the index of the largest element as an ndarray; no gradient."""
        return self._index_of("argmax", axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Array:
        """Return the index of the smallest element as an ndarray; no gradient."""
        return self._index_of("argmin", axis, keepdims)

    def _index_of(self, name, axis, keepdims):
        self._needs_values(f"{name}()")
        arguments.flag(name, keepdims=keepdims)
        lengths = self.shape
        if axis is not None:
            axis = ops.movement.single_axis(name, axis, max(self.ndim, 1))  # a scalar has axis 0, as for NumPy
            lengths = self.shape[axis : axis + 1]
        if 0 in lengths:
            raise ShapeError(f"{name}: x - expected at least one element, got shape {self.shape}")
        return getattr(self.data, name)(axis if self.ndim else None, keepdims=bool(keepdims))

    def reshape(self, *shape: int | Shape) -> Tensor:
        """See `ops.reshape`; takes the lengths one by one or as a tuple."""
        return ops.reshape(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def transpose(self, *axes: int | Shape) -> Tensor:
        """See `ops.transpose`; takes the axes one by one or as a tuple."""
        together = len(axes) == 1 and not isinstance(axes[0], (int, np.integer))  # an axis may be 0, which is false
        return ops.transpose(self, axes[0] if together else axes or None)

    @property
    def T(self) -> Tensor:
        """The Tensor with all axes reversed."""
        return ops.transpose(self)

    def flatten(self, start_axis: int = 0, end_axis: int = -1) -> Tensor:
        """See `ops.flatten`."""
        return ops.flatten(self, start_axis=start_axis, end_axis=end_axis)


def _as_numbers(data, dtype):
    """Return data as an array of numbers; Python floats become float32."""
    array = arguments.rows("Tensor", "data", data)
    try:
        wanted = array.dtype if dtype is None else np.dtype(dtype)
    except TypeError:
        raise TypeError(f"Tensor: dtype - expected one of NumPy's, such as np.float32, got {dtype!r}") from None
    for name, kind in (("data", array.dtype), ("dtype", wanted)):
        if kind.kind not in "fiub":
            raise TypeError(f"Tensor: {name} - expected numbers, got dtype {kind}")
    of_python = dtype is None and array.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic))
    return array.astype(np.float32 if of_python else wanted, copy=False)


def _array(value):
    return value.data if isinstance(value, Variable) else value


def _real(what, name, value):
    """Return a number or an array of numbers: NumPy would write None as NaN, and read text as a number."""
    value = _array(value)
    return value if isinstance(value, numbers.Real) else arguments.array(what, name, value)


def _key(key):
    return tuple(map(_array, key)) if isinstance(key, tuple) else _array(key)
