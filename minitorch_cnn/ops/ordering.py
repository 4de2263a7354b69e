"""Running sums, products, and elements picked by position along an axis: cumsum, prod, gather, topk, one_hot."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors, values
from minitorch_cnn.ops.indexing import index
from minitorch_cnn.ops.movement import several_axes, single_axis
from minitorch_cnn.ops.reads import Everything, UpTo
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Array, Axis, Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class Cumsum(Function):
    """The sum of all elements up to each one, along an axis."""

    rule = "each element gets the sum of grad_out from its own position on"
    reads, kind = UpTo("axis"), "pointwise"

    @staticmethod
    def output_shape(x, *, axis):
        return x

    @staticmethod
    def forward(ctx, x, *, axis):
        ctx.axis = axis
        return np.cumsum(x, axis, dtype=np.float64).astype(x.dtype)

    @staticmethod
    def backward(ctx, grad_out):
        turned = np.flip(grad_out, ctx.axis)
        return np.flip(np.cumsum(turned, ctx.axis, dtype=np.float64), ctx.axis).astype(grad_out.dtype)


class Prod(Function):
    """The product over axes."""

    rule = "each factor gets grad_out times the product of the other factors"
    reads, kind, label = Everything("axis"), "reduce", "prod"

    @staticmethod
    def output_shape(x, *, axis, keepdims):
        if keepdims:
            return tuple(1 if i in axis else length for i, length in enumerate(x))
        return tuple(length for i, length in enumerate(x) if i not in axis)

    @staticmethod
    def forward(ctx, x, *, axis, keepdims):
        ctx.axis, ctx.kept = axis, tuple(i for i in range(x.ndim) if i not in axis)
        ctx.save(x)
        return np.asarray(np.prod(x, axis=axis, keepdims=keepdims))

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        order, kept = ctx.kept + ctx.axis, [x.shape[i] for i in ctx.kept]
        lines = x.transpose(order).reshape(*kept, math.prod(x.shape[i] for i in ctx.axis))
        ones = np.ones_like(lines[..., :1])
        # The product of the others without a division, which would fail at 0: all before times all after.
        before = np.cumprod(np.concatenate([ones, lines[..., :-1]], -1), -1)
        after = np.cumprod(np.concatenate([ones, lines[..., :0:-1]], -1), -1)[..., ::-1]
        grad = grad_out.reshape(*kept, 1) * before[..., : lines.shape[-1]] * after[..., : lines.shape[-1]]
        return grad.reshape([x.shape[i] for i in order]).transpose(np.argsort(order))


def cumsum(x: Operand, axis: int) -> Tensor:
    """Sum all elements up to each one, along an axis.

    out[i] = x[0] + x[1] + ... + x[i]

    Parameters
    ----------
    x : Tensor, any shape with at least one axis, float32 or float64
    axis : int

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or the axis is not an integer.
    ShapeError
        If there is no such axis.

    Notes
    -----
    Gradient: the sum of grad_out from each position to the end. Both sums are kept in float64.
    """
    tensors("cumsum", x=x)
    return Cumsum.apply(x, axis=single_axis("cumsum", axis, x.data.ndim))


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Multiply the elements along axes; 1 over no elements.

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If x is not a Tensor, or an axis is not an integer.
    ShapeError
        If there is no such axis.
    ValueError
        If an axis is named twice.

    Notes
    -----
    Gradient: grad_out times the product of the other elements, also where elements are 0.
    """
    tensors("prod", x=x)
    arguments.flag("prod", keepdims=keepdims)
    return Prod.apply(x, axis=several_axes("prod", axis, x.data.ndim), keepdims=bool(keepdims))


def gather(x: Operand, indices: ArrayLike, axis: int) -> Tensor:
    """Pick an element along an axis for each position.

    out[i, j, k] = x[i, indices[i, j, k], k]    for axis 1

    Parameters
    ----------
    x : Tensor, any shape with at least one axis, float32 or float64
    indices : integer array, as many axes as x
        Along the other axes at most as long as x.
    axis : int

    Returns
    -------
    Tensor, the shape of indices

    Raises
    ------
    TypeError
        If x is not a Tensor, or an index is not an integer.
    ShapeError
        If indices has another number of axes or is too long.
    IndexError
        If an index is not from 0 to below the length of the axis.

    Notes
    -----
    Gradient: grad_out is added to the element that was picked.
    """
    tensors("gather", x=x)
    shape, axis = x.data.shape, single_axis("gather", axis, x.data.ndim)
    at = np.array(indices.data if isinstance(indices, Variable) else indices)
    if at.dtype.kind not in "iu":
        raise TypeError(f"gather: indices - expected integers, got dtype {at.dtype}")
    if at.ndim != len(shape) or any(n > m for i, (n, m) in enumerate(zip(at.shape, shape, strict=True)) if i != axis):
        raise ShapeError(f"gather: indices - expected at most {shape} except along axis {axis}, got {at.shape}")
    outside = at[(at < 0) | (at >= shape[axis])]
    if outside.size:
        raise IndexError(f"gather: indices - expected 0 to {shape[axis] - 1} along axis {axis}, got {outside[0]}")
    return index(x, tuple(at if i == axis else grid for i, grid in enumerate(np.indices(at.shape, sparse=True))))


def topk(x: Operand, k: int, axis: int = -1, *, largest: bool = True) -> tuple[Tensor, Array]:
    """Find the k largest or smallest elements along an axis, in this order: the largest (or smallest) first.

    Parameters
    ----------
    x : Tensor, any shape with at least one axis, float32 or float64
    k : int, 1 to the length of the axis
    axis : int
    largest : bool
        False takes the smallest. NaN counts as the largest.

    Returns
    -------
    (Tensor, int64 ndarray)
        The elements and their indices, the shape of x with length k along the axis.

    Raises
    ------
    TypeError, ValueError
        If x is not a Tensor, or k is out of its range.
    ShapeError
        If there is no such axis.
    TraceError
        If x is traced: which elements are largest depends on their values.

    Notes
    -----
    Ties: the lower index comes first. Gradient: that of `gather`.
    """
    tensors("topk", x=x)
    values("topk", x=x)
    axis = single_axis("topk", axis, x.data.ndim)
    length = x.data.shape[axis]
    arguments.integer("topk", least=1, k=k)
    arguments.flag("topk", largest=largest)
    if k > length:
        raise ValueError(f"topk: k - expected at most {length}, the length of axis {axis}, got {k}")
    if largest:  # ascending from the other end, so that of equal elements the lower index comes first
        turned = np.flip(x.data, axis)
        order = length - 1 - np.flip(np.argsort(turned, axis, kind="stable"), axis)
    else:
        order = np.argsort(x.data, axis, kind="stable")
    order = np.take(order, np.arange(k), axis)
    return gather(x, order, axis), order


def one_hot(labels: ArrayLike, classes: int) -> Array:
    """Make a row with a single 1 for each label.

    out[n, k] = 1 where k is labels[n], else 0

    Parameters
    ----------
    labels : integer array, any shape, 0 .. classes-1
    classes : int, >= 1
        K.

    Returns
    -------
    ndarray, float32, the shape of labels and (K,)
        For example soft targets of `cross_entropy`.

    Raises
    ------
    TypeError, ValueError
        If a label is not a class.
    """
    array = np.asarray(labels.data if isinstance(labels, Variable) else labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels - expected integers, got dtype {array.dtype}")
    arguments.integer("one_hot", least=1, classes=classes)
    outside = array[(array < 0) | (array >= classes)]
    if outside.size:
        raise ValueError(f"one_hot: labels - expected 0 to {classes - 1} for {classes} classes, got {outside[0]}")
    return np.eye(classes, dtype=np.float32)[array]
