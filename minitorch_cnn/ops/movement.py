"""Reshaping, transposing and joining; backward undoes the movement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops import _check
from minitorch_cnn.ops.reads import Joined, Permuted, Reshaped
from minitorch_cnn.shapes import ShapeError, nchw
from minitorch_cnn.types import Axis, Operand, Shape

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def single_axis(op, axis, ndim):
    """Return an axis as an int >= 0; raise if there is no such axis."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"{op}: axis - expected an integer, got {axis!r}")
    if not ndim:
        raise ShapeError(f"{op}: x - expected at least one axis, got a scalar")
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{op}: axis - expected {-ndim} to {ndim - 1} for {ndim} axes, got {axis}")
    return int(axis) % ndim


def several_axes(op, axes, ndim):
    """Return axes as a sorted tuple of ints >= 0; None means all of them. Raise if there is no such axis."""
    if axes is None:
        return tuple(range(ndim))
    listed = axes if isinstance(axes, (tuple, list)) else (axes,)
    named = [single_axis(op, axis, max(ndim, 1)) for axis in listed]  # a scalar has axis 0, as for NumPy's sum
    if len(set(named)) != len(named):
        raise ValueError(f"{op}: axis - expected each axis once, got {axes!r}")
    return tuple(sorted(named)) if ndim else ()


class Reshape(Function):
    """The same elements in another shape."""

    any_dtype = True
    rule = "grad_out in the old shape"
    reads, kind = Reshaped(), "view"

    @staticmethod
    def output_shape(x, *, shape):
        return shape

    @staticmethod
    def forward(ctx, x, *, shape):
        ctx.shape = x.shape
        return x.reshape(shape)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out.reshape(ctx.shape)


class Transpose(Function):
    """The axes in another order."""

    any_dtype = True
    rule = "grad_out with the axes in their former order"
    reads, kind = Permuted("axes"), "view"

    @staticmethod
    def output_shape(x, *, axes):
        return tuple(x[i] for i in axes)

    @staticmethod
    def forward(ctx, x, *, axes):
        ctx.axes = axes
        return x.transpose(axes)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out.transpose(sorted(range(grad_out.ndim), key=ctx.axes.__getitem__))


class Concat(Function):
    """Arrays one after the other along an axis."""

    any_dtype = True
    rule = "each part gets its slice of grad_out"
    reads, kind = Joined("axis"), "concat"

    @staticmethod
    def output_shape(*shapes, axis):
        first = shapes[0]
        for i, shape in enumerate(shapes):
            if len(shape) != len(first) or shape[:axis] != first[:axis] or shape[axis + 1 :] != first[axis + 1 :]:
                raise ShapeError(f"concat: tensors[{i}] - expected shape {first} except along axis {axis}, got {shape}")
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    @staticmethod
    def forward(ctx, *arrays, axis):
        ctx.axis, ctx.ends = axis, np.cumsum([a.shape[axis] for a in arrays])
        if arrays[0].ndim != 4:
            return np.concatenate(arrays, axis)
        # Feature maps: each part is written into its slice of one channels-last buffer.
        order, shape = (0, 2, 3, 1), ctx.output_shape
        out = kernels.runtime.memory.empty([shape[i] for i in order], arrays[0].dtype)
        parts = [a.transpose(order) for a in arrays]
        if axis == 1 and worth_a_kernel(out) and all(a.dtype == out.dtype for a in arrays):
            kernels.runtime.chunks.join_channels(parts, out)
        else:
            np.concatenate(parts, order.index(axis), out=out)
        return nchw(out)

    @staticmethod
    def backward(ctx, grad_out):
        parts = np.split(grad_out, ctx.ends[:-1], ctx.axis)
        return tuple(part if need else None for part, need in zip(parts, ctx.needs_grad, strict=True))


def worth_a_kernel(array):
    """Return True where a kernel copies this much faster than NumPy, which uses one thread."""
    return array.size >= kernels.runtime.chunks.LARGE and kernels.runtime.simd.supports(array.dtype)


def filled(shape, order, value, dtype):
    """Return an array of a constant in recycled memory, where its axes lie in this order, the slowest first."""
    out = kernels.runtime.memory.empty([shape[i] for i in order], dtype)
    out[...] = value
    return out.transpose(np.argsort(order))


def reshape(x: Operand, shape: int | Shape) -> Tensor:
    """Change the shape; the elements keep their row-major order.

    Parameters
    ----------
    x : Tensor, any shape and dtype
    shape : int or tuple of int
        One length may be -1; it follows from the others.

    Returns
    -------
    Tensor, a view of x where its memory allows

    Raises
    ------
    TypeError
        If x is not a Tensor, or a length is not an integer.
    ShapeError
        If the number of elements would change.

    Notes
    -----
    Row-major refers to the logical axes (N, C, H, W), so merging the axes of a channels-last feature map copies it.
    """
    _check.tensors("reshape", x=x)
    wanted = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if not all(isinstance(length, (int, np.integer)) for length in wanted):
        raise TypeError(f"reshape: shape - expected integers, got {shape!r}")
    size, known = x.data.size, math.prod(int(length) for length in wanted if length != -1)
    full = tuple(size // known if length == -1 and known else int(length) for length in wanted)
    if min(full, default=0) < 0 or math.prod(full) != size or wanted.count(-1) > 1:
        raise ShapeError(f"reshape: shape - expected {size} elements like {x.data.shape}, got {wanted}")
    return Reshape.apply(x, shape=full)


def flatten(x: Operand, start_axis: int = 1, end_axis: int = -1) -> Tensor:
    """Merge the axes from ``start_axis`` to ``end_axis`` into one, in row-major order.

    Parameters
    ----------
    x : Tensor, shape (N, ...), any dtype
    start_axis, end_axis : int
        The first and the last of them.

    Returns
    -------
    Tensor, shape (N, product of the rest) with the defaults

    Raises
    ------
    TypeError
        If x is not a Tensor, or an axis is not an integer.
    ShapeError
        If there is no such axis, or the last comes before the first.
    """
    _check.tensors("flatten", x=x)
    lengths = x.data.shape
    start, end = (single_axis("flatten", axis, max(len(lengths), 1)) for axis in (start_axis, end_axis))
    if end < start:
        raise ShapeError(f"flatten: end_axis - expected start_axis {start_axis} or a later one, got {end_axis}")
    return reshape(x, (*lengths[:start], math.prod(lengths[start : end + 1]), *lengths[end + 1 :]))


def transpose(x: Operand, axes: Axis = None) -> Tensor:
    """Permute the axes.

    Parameters
    ----------
    x : Tensor, any shape and dtype
    axes : tuple of int, or None to reverse them
        Axis ``axes[i]`` of x becomes axis i.

    Returns
    -------
    Tensor, a view of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or an axis is not an integer.
    ShapeError
        If ``axes`` does not name each axis once.
    """
    _check.tensors("transpose", x=x)
    ndim = x.data.ndim
    if axes is not None and not np.iterable(axes):
        raise TypeError(f"transpose: axes - expected a tuple of all axes in their new order, got {axes!r}")
    order = tuple(reversed(range(ndim))) if axes is None else tuple(single_axis("transpose", a, ndim) for a in axes)
    if sorted(order) != list(range(ndim)):
        raise ShapeError(f"transpose: axes - expected each of the {ndim} axes once, got {axes}")
    return Transpose.apply(x, axes=order)


def concat(tensors: Sequence[Operand], axis: int = 1) -> Tensor:
    """Join Tensors along an existing axis.

    Parameters
    ----------
    tensors : sequence of Tensor, of one dtype, and of shapes that differ only along that axis
    axis : int
        1 joins the channels of feature maps (N, C, H, W); the result lies channels-last in memory.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If an element is not a Tensor, dtypes differ, or the axis is not an integer.
    ValueError
        If the sequence is empty.
    ShapeError
        If the shapes do not fit, or there is no such axis.

    Notes
    -----
    Gradients: each Tensor gets its slice of grad_out.
    """
    parts = _several("concat", tensors)
    if len(dtypes := {str(part.data.dtype) for part in parts}) > 1:
        raise TypeError(f"concat: tensors - expected one dtype, got {', '.join(sorted(dtypes))}")
    return Concat.apply(*parts, axis=single_axis("concat", axis, parts[0].data.ndim))


def stack(tensors: Sequence[Operand], axis: int = 0) -> Tensor:
    """Join Tensors of equal shape along a new axis.

    Parameters
    ----------
    tensors : sequence of Tensor, equal shapes and dtypes
    axis : int, position of the new axis

    Returns
    -------
    Tensor, with one axis more

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `concat`.

    Notes
    -----
    Gradients: each Tensor gets its slice of grad_out.
    """
    parts = _several("stack", tensors)
    shape = parts[0].data.shape
    for i, part in enumerate(parts):
        if part.data.shape != shape:
            raise ShapeError(f"stack: tensors[{i}] - expected shape {shape} like the first, got {part.data.shape}")
    axis = single_axis("stack", axis, len(shape) + 1)
    return concat([reshape(part, (*shape[:axis], 1, *shape[axis:])) for part in parts], axis)


def _several(op, tensors):
    """Return a sequence of Tensors as a tuple; raise unless it is one and holds at least one."""
    if not np.iterable(tensors):
        raise TypeError(f"{op}: tensors - expected a sequence of Tensors, got {type(tensors).__name__}")
    parts = tuple(tensors)
    if not parts:
        raise ValueError(f"{op}: tensors - expected at least one Tensor, got none")
    _check.tensors(op, **{f"tensors[{i}]": part for i, part in enumerate(parts)})
    return parts
