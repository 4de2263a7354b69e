"""Softmax and log-softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.movement import single_axis
from minitorch_cnn.ops.reads import Everything
from minitorch_cnn.shapes import ShapeError, memory_order, on_flat
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def _axis_with_elements(op, axis, shape):
    axis = single_axis(op, axis, len(shape))
    if not shape[axis]:
        raise ShapeError(f"{op}: x - expected at least one element along axis {axis}, got shape {shape}")
    return axis


def _in_rows(x, axis):
    """Return True for float32 maps whose pixels, or other rows along an axis, lie one after the other in memory.

    A choice that depends on the number of samples would give some of them other bits alone than together.
    """
    compiled = kernels.runtime.simd.supports(x.dtype) and x.dtype == np.float32
    return compiled and x.ndim > 2 and memory_order(x)[-1] == axis


def _on_rows(kernel, *arrays):
    """Return what a kernel of rows computes, in the memory order of the last array."""
    length = arrays[-1].shape[memory_order(arrays[-1])[-1]]
    return on_flat(lambda *flat: kernel(*(array.reshape(-1, length) for array in flat)).reshape(-1), *arrays)


def _sum(x, axis):
    return kernels.layers.reduction.sum_over(x, (axis,)).astype(x.dtype)


class Softmax(Function):
    """exp(x) / sum of exp(x) along an axis."""

    rule = "out * (grad_out - sum of grad_out * out)"
    reads, kind = Everything("axis"), "pointwise"

    @staticmethod
    def output_shape(x, *, axis):
        return x

    @staticmethod
    def forward(ctx, x, *, axis):
        ctx.axis = axis
        if _in_rows(x, axis):
            ctx.save(out := _on_rows(kernels.layers.softmax.softmax_forward, x))
            return out
        powers = np.exp(x - x.max(axis, keepdims=True))  # the largest power is 1: no overflow
        out = powers / _sum(powers, axis)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        if _in_rows(out, ctx.axis):
            return _on_rows(kernels.layers.softmax.softmax_backward, grad_out, out)
        return out * (grad_out - _sum(grad_out * out, ctx.axis))


class LogSoftmax(Function):
    """x - log of the sum of exp(x) along an axis."""

    rule = "grad_out - softmax(x) * sum of grad_out"
    reads, kind = Everything("axis"), "pointwise"

    @staticmethod
    def output_shape(x, *, axis):
        return x

    @staticmethod
    def forward(ctx, x, *, axis):
        ctx.axis = axis
        if _in_rows(x, axis):
            ctx.save(out := _on_rows(kernels.layers.softmax.log_softmax_forward, x))
            return out
        shifted = x - x.max(axis, keepdims=True)
        out = shifted - np.log(_sum(np.exp(shifted), axis))  # the sum is at least 1: no log of 0
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        if _in_rows(out, ctx.axis):
            return _on_rows(kernels.layers.softmax.log_softmax_backward, grad_out, out)
        return grad_out - np.exp(out) * _sum(grad_out, ctx.axis)


def softmax(x: Operand, axis: int = -1) -> Tensor:
    """Softmax: probabilities that sum to 1 along an axis.

    out = exp(x) / sum of exp(x)

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    axis : int

    Returns
    -------
    Tensor, the shape of x, 0..1

    Raises
    ------
    TypeError
        If x is not a Tensor, or the axis is not an integer.
    ShapeError
        If there is no such axis, or no element along it.

    Notes
    -----
    Gradient: out * (grad_out - sum of grad_out * out). No finite x makes it overflow.
    """
    tensors("softmax", x=x)
    return Softmax.apply(x, axis=_axis_with_elements("softmax", axis, x.data.shape))


def log_softmax(x: Operand, axis: int = -1) -> Tensor:
    """Logarithm of the softmax; finite for any finite x.

    out = x - log(sum of exp(x))

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    axis : int

    Returns
    -------
    Tensor, the shape of x, at most 0

    Raises
    ------
    TypeError
        If x is not a Tensor, or the axis is not an integer.
    ShapeError
        If there is no such axis, or no element along it.

    Notes
    -----
    Gradient: grad_out - softmax(x) * sum of grad_out.
    """
    tensors("log_softmax", x=x)
    return LogSoftmax.apply(x, axis=_axis_with_elements("log_softmax", axis, x.data.shape))
