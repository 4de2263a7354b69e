"""Tensor: a `Variable` with operators; every method is one line into `minitorch_cnn.ops`."""

import traceback

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.autograd import GraphError, TraceError, Variable, is_grad_enabled


class Tensor(Variable):
    """An n-dimensional array that remembers how it was computed.

    Parameters
    ----------
    data : array_like
        Python floats become float32; NumPy arrays keep their dtype and their memory.
    requires_grad : bool
        Whether `backward` shall leave a gradient in ``grad``.
    dtype : dtype or None
        Convert to this one.

    Raises
    ------
    TypeError
        If ``data`` is no array of numbers, or ``requires_grad`` is asked of integers.

    Notes
    -----
    ``x.data[...] = value`` writes without a check: a backward that needs the old values will not
    notice. The methods that end in an underscore are checked.
    """

    def __init__(self, data, requires_grad=False, dtype=None):
        if isinstance(data, Variable):
            raise TypeError("Tensor: data - expected an array, got a Tensor; use detach() for one outside the graph")
        array = np.asarray(data, dtype)
        if dtype is None and array.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic)):
            array = array.astype(np.float32)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"Tensor: data - expected numbers, got dtype {array.dtype}")
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(f"Tensor: requires_grad - expected floating data, got dtype {array.dtype}")
        super().__init__(array, requires_grad)

    # ------------------------------------------------------------------------- what it is

    @property
    def shape(self):
        """The length of each axis."""
        return self.data.shape

    @property
    def ndim(self):
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self):
        """The number of elements."""
        return self.data.size

    @property
    def dtype(self):
        """The element type."""
        return self.data.dtype

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("len: expected a Tensor with at least one axis, got a scalar")
        return self.shape[0]

    def __repr__(self):
        if self.traced:
            return f"Tensor(traced, shape={self.shape}, dtype={self.dtype})"
        made_by = f", made by {self.node.function.__name__}" if self.node else ""
        values = np.array2string(self.data, precision=4, threshold=20, separator=", ", prefix="Tensor(")
        return f"Tensor({values}, {self.dtype}{made_by}{', requires_grad' if self.requires_grad else ''})"

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    # ------------------------------------------------------------------------- its values

    def numpy(self):
        """Return the array itself, not a copy."""
        self._needs_values("numpy()")
        return self.data

    def item(self):
        """Return the only element as a Python number."""
        self._needs_values("item()")
        return self.data.item()

    def __float__(self):
        self._needs_values("float()")
        return float(self.data.item())

    def __int__(self):
        self._needs_values("int()")
        return int(self.data.item())

    def __bool__(self):
        self._needs_values("bool()")
        return bool(self.data)

    def _needs_values(self, what):
        if self.traced:
            caller = traceback.extract_stack(limit=3)[0]
            raise TraceError(
                f"{what} asks for a value at {caller.filename}:{caller.lineno} ({caller.line}); expected only "
                "operations on shapes while tracing, got a tensor that has a shape but no values"
            )

    # ---------------------------------------------------------------------------- in place

    def fill_(self, value):
        """Set every element; not recorded, so only where no gradient is."""
        return self._in_place("fill_", lambda x: x.fill(value))

    def zero_(self):
        """Set every element to 0; not recorded."""
        return self._in_place("zero_", lambda x: x.fill(0))

    def copy_(self, source):
        """Take the values of an array or Tensor of the same shape; not recorded."""
        return self._in_place("copy_", lambda x: np.copyto(x, _array(source)))

    def add_(self, other):
        """Add an array, Tensor or number; not recorded."""
        return self._in_place("add_", lambda x: np.add(x, _array(other), out=x))

    def mul_(self, other):
        """Multiply by an array, Tensor or number; not recorded."""
        return self._in_place("mul_", lambda x: np.multiply(x, _array(other), out=x))

    def __setitem__(self, key, value):
        self._in_place("item assignment", lambda x: x.__setitem__(_key(key), _array(value)))

    def _in_place(self, what, write):
        self._needs_values(what)
        if self.requires_grad and is_grad_enabled():
            raise GraphError(
                f"{what}: expected a Tensor without a gradient, or no_grad(); got one that requires a gradient"
            )
        write(self.data)
        self.bump_version()
        return self

    # --------------------------------------------------------------------------- operators

    def __add__(self, other):
        return ops.add(self, other)

    def __radd__(self, other):
        return ops.add(other, self)

    def __sub__(self, other):
        return ops.sub(self, other)

    def __rsub__(self, other):
        return ops.sub(other, self)

    def __mul__(self, other):
        return ops.mul(self, other)

    def __rmul__(self, other):
        return ops.mul(other, self)

    def __truediv__(self, other):
        return ops.div(self, other)

    def __rtruediv__(self, other):
        return ops.div(other, self)

    def __pow__(self, exponent):
        return ops.power(self, exponent)

    def __neg__(self):
        return ops.neg(self)

    def __matmul__(self, other):
        return ops.matmul(self, other)

    def __getitem__(self, key):
        return ops.index(self, _key(key))

    # NumPy scalars and arrays on the left must not spread a Tensor element by element.
    __array_ufunc__ = None

    # ----------------------------------------------------------------------------- methods

    def exp(self):
        """See `ops.exp`."""
        return ops.exp(self)

    def log(self):
        """See `ops.log`."""
        return ops.log(self)

    def sqrt(self):
        """See `ops.sqrt`."""
        return ops.sqrt(self)

    def abs(self):
        """See `ops.abs`."""
        return ops.abs(self)

    def relu(self):
        """See `ops.relu`."""
        return ops.relu(self)

    def sigmoid(self):
        """See `ops.sigmoid`."""
        return ops.sigmoid(self)

    def tanh(self):
        """See `ops.tanh`."""
        return ops.tanh(self)

    def softmax(self, axis=-1):
        """See `ops.softmax`."""
        return ops.softmax(self, axis=axis)

    def sum(self, axis=None, keepdims=False):
        """See `ops.sum`."""
        return ops.sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        """See `ops.mean`."""
        return ops.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis=None, keepdims=False):
        """See `ops.max`."""
        return ops.max(self, axis=axis, keepdims=keepdims)

    def min(self, axis=None, keepdims=False):
        """See `ops.min`."""
        return ops.min(self, axis=axis, keepdims=keepdims)

    def var(self, axis=None, keepdims=False, correction=0):
        """See `ops.var`."""
        return ops.var(self, axis=axis, keepdims=keepdims, correction=correction)

    def argmax(self, axis=None):
        """Return the index of the largest element as an ndarray; no gradient."""
        self._needs_values("argmax()")
        return self.data.argmax(axis)

    def reshape(self, *shape):
        """See `ops.reshape`; takes the lengths one by one or as a tuple."""
        return ops.reshape(self, shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)

    def transpose(self, *axes):
        """See `ops.transpose`; takes the axes one by one or as a tuple."""
        return ops.transpose(self, (axes[0] if len(axes) == 1 else axes) or None)

    @property
    def T(self):
        """All axes reversed."""
        return ops.transpose(self)

    def flatten(self, start_axis=0):
        """See `ops.flatten`."""
        return ops.flatten(self, start_axis=start_axis)


def _array(value):
    return value.data if isinstance(value, Variable) else value


def _key(key):
    return tuple(map(_array, key)) if isinstance(key, tuple) else _array(key)
