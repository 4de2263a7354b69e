"""Reductions over axes: sum, mean, max, min, var."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import neg
from minitorch_cnn.ops.movement import several_axes
from minitorch_cnn.ops.reads import Everything
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Axis, Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def _reduced_shape(shape, axes, keepdims):
    if keepdims:
        return tuple(1 if i in axes else length for i, length in enumerate(shape))
    return tuple(length for i, length in enumerate(shape) if i not in axes)


def _count(shape, axes):
    """Return the number of elements along axes."""
    return math.prod(shape[i] for i in axes)


def _expand(grad, shape, axes):
    """Repeat a reduced gradient along the axes that were reduced."""
    return np.broadcast_to(grad.reshape(_reduced_shape(shape, axes, True)), shape)


class Sum(Function):
    """The sum over axes."""

    rule = "every term gets grad_out"
    reads, kind, label = Everything("axis"), "reduce", "sum"

    @staticmethod
    def output_shape(x, *, axis, keepdims):
        return _reduced_shape(x, axis, keepdims)

    @staticmethod
    def forward(ctx, x, *, axis, keepdims):
        ctx.shape, ctx.axis = x.shape, axis
        sums = kernels.layers.reduction.sum_over(x, axis).astype(x.dtype)
        return sums if keepdims else sums.reshape(_reduced_shape(x.shape, axis, False))

    @staticmethod
    def backward(ctx, grad_out):
        return _expand(grad_out, ctx.shape, ctx.axis)


class Mean(Function):
    """The mean over axes."""

    rule = "every element gets grad_out / count"
    reads, kind, label = Everything("axis"), "reduce", "mean"

    @staticmethod
    def output_shape(x, *, axis, keepdims):
        return _reduced_shape(x, axis, keepdims)

    @staticmethod
    def forward(ctx, x, *, axis, keepdims):
        ctx.shape, ctx.axis, ctx.count = x.shape, axis, _count(x.shape, axis)
        means = np.divide(kernels.layers.reduction.sum_over(x, axis), ctx.count)  # 0 / 0 is NaN
        return means.astype(x.dtype).reshape(_reduced_shape(x.shape, axis, keepdims))

    @staticmethod
    def backward(ctx, grad_out):
        return _expand(np.divide(grad_out, ctx.count, dtype=grad_out.dtype), ctx.shape, ctx.axis)


class Var(Function):
    """The variance over axes."""

    rule = "every element gets grad_out * 2 * (x - mean) / (count - correction)"
    reads, kind, label = Everything("axis"), "reduce", "var"

    @staticmethod
    def output_shape(x, *, axis, keepdims, correction):
        return _reduced_shape(x, axis, keepdims)

    @staticmethod
    def forward(ctx, x, *, axis, keepdims, correction):
        count = _count(x.shape, axis)
        centred = x - kernels.layers.reduction.sum_over(x, axis) / count  # float64: squares cannot overflow either
        ctx.shape, ctx.axis, ctx.divisor = x.shape, axis, count - correction
        ctx.save(centred.astype(x.dtype))
        variances = kernels.layers.reduction.sum_over(np.square(centred), axis) / ctx.divisor
        return variances.astype(x.dtype).reshape(_reduced_shape(x.shape, axis, keepdims))

    @staticmethod
    def backward(ctx, grad_out):
        (centred,) = ctx.saved
        return centred * _expand(grad_out * grad_out.dtype.type(2 / ctx.divisor), ctx.shape, ctx.axis)


class Max(Function):
    """The largest value over axes."""

    rule = "the first largest value in row-major order gets grad_out"
    reads, kind, label = Everything("axis"), "reduce", "max"

    @staticmethod
    def output_shape(x, *, axis, keepdims):
        return _reduced_shape(x, axis, keepdims)

    @staticmethod
    def forward(ctx, x, *, axis, keepdims):
        ctx.kept, ctx.axis, ctx.shape = tuple(i for i in range(x.ndim) if i not in axis), axis, x.shape
        # (kept axes..., all reduced axes in one), so that argmax finds the first in row-major order
        lines = x.transpose(ctx.kept + axis).reshape(*(x.shape[i] for i in ctx.kept), _count(x.shape, axis))
        winners = np.expand_dims(lines.argmax(-1), -1)  # NaN counts as the largest
        ctx.save(winners)  # an index per output; x is not needed
        return np.take_along_axis(lines, winners, -1).reshape(_reduced_shape(x.shape, axis, keepdims))

    @staticmethod
    def backward(ctx, grad_out):
        (winners,) = ctx.saved
        order = ctx.kept + ctx.axis
        lines = np.zeros((*winners.shape[:-1], _count(ctx.shape, ctx.axis)), grad_out.dtype)
        np.put_along_axis(lines, winners, grad_out.reshape(winners.shape), -1)
        return lines.reshape([ctx.shape[i] for i in order]).transpose(np.argsort(order))

    @staticmethod
    def choices(ctx):
        return ctx.saved[0]


def _axes_with_elements(op, axis, shape):
    axes = several_axes(op, axis, len(shape))
    if not _count(shape, axes):
        raise ShapeError(f"{op}: x - expected at least one element along axis {axis}, got shape {shape}")
    return axes


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Sum the elements along axes.

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    axis : int, tuple of int, or None for all
        As in NumPy, a scalar has axis 0.
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
    Gradient: grad_out for every term.
    """
    tensors("sum", x=x)
    arguments.flag("sum", keepdims=keepdims)
    return Sum.apply(x, axis=several_axes("sum", axis, x.data.ndim), keepdims=bool(keepdims))


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Average along axes; NaN over no elements.

    mean = sum of x / count

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
    TypeError, ShapeError, ValueError
        As `sum`.

    Notes
    -----
    Gradient: grad_out / count for every term.
    """
    tensors("mean", x=x)
    arguments.flag("mean", keepdims=keepdims)
    return Mean.apply(x, axis=several_axes("mean", axis, x.data.ndim), keepdims=bool(keepdims))


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Find the largest element along axes; NaN if there is a NaN.

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
    TypeError, ValueError
        As `sum`.
    ShapeError
        If there is no such axis, or no element along it.

    Notes
    -----
    Ties: the first in row-major order gets the whole gradient.
    """
    tensors("max", x=x)
    arguments.flag("max", keepdims=keepdims)
    return Max.apply(x, axis=_axes_with_elements("max", axis, x.data.shape), keepdims=bool(keepdims))


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Find the smallest element along axes; NaN if there is a NaN.

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
    TypeError, ValueError, ShapeError
        As `max`.

    Notes
    -----
    Ties: the first in row-major order gets the whole gradient.
    """
    tensors("min", x=x)
    arguments.flag("min", keepdims=keepdims)
    return neg(Max.apply(neg(x), axis=_axes_with_elements("min", axis, x.data.shape), keepdims=bool(keepdims)))


def var(x: Operand, axis: Axis = None, keepdims: bool = False, correction: float = 0) -> Tensor:
    """Compute the variance along axes.

    var = sum of (x - mean)**2 / (count - correction)

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    axis : int, tuple of int, or None for all
    keepdims : bool
        Keep the axes with length 1.
    correction : int
        0 gives the biased variance, 1 the unbiased one.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError, ShapeError
        As `sum`.
    ValueError
        If there are not more elements than ``correction``, or an axis is named twice.

    Notes
    -----
    Gradient: grad_out * 2 * (x - mean) / (count - correction). The mean is subtracted first, in float64, so a large
    mean costs no precision.
    """
    tensors("var", x=x)
    arguments.flag("var", keepdims=keepdims)
    axes = several_axes("var", axis, x.data.ndim)
    arguments.number("var", correction=correction)
    count = _count(x.data.shape, axes)
    if count <= correction:
        raise ValueError(f"var: x - expected more than {correction} elements along axis {axis}, got {count}")
    return Var.apply(x, axis=axes, keepdims=bool(keepdims), correction=correction)
