"""Addition, subtraction, multiplication and division, element by element, with broadcasting."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.reads import SamePlace
from minitorch_cnn.ops.reproducible_sum import sums_over_samples
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Array, Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def broadcast_shape(op, a, b, name="b"):
    """Return the shape that two shapes broadcast to, or raise ShapeError; ``name`` is that of the second argument."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise ShapeError(
            f"{op}: {name} - expected a shape that broadcasts with {a} (equal lengths or 1, from the right), got {b}"
        ) from None


def unbroadcast(grad, shape):
    """Sum ``grad`` over the axes along which an array of ``shape`` was broadcast: the transpose of broadcasting."""
    if grad.shape == shape:
        return grad
    new = tuple(range(grad.ndim - len(shape)))
    stretched = tuple(len(new) + i for i, length in enumerate(shape) if length == 1)
    axes = new + stretched
    if 0 in axes:  # over samples, as for the bias of a fully connected layer
        return _sum_over_samples(grad, axes=axes).reshape(shape)
    return _sum(grad, axes).reshape(shape)


@sums_over_samples
def _sum_over_samples(grad, *, axes):
    return _sum(grad, axes)


def _sum(grad, axes):
    return kernels.layers.reduction.sum_over(grad, axes).astype(grad.dtype)


def add_arrays(a: Array, b: Array) -> Array:
    """Return the sum of two arrays of one dtype, such as two gradients, or a residual and its shortcut."""
    return kernels.layers.elementwise.add(a, b)


def two_tensors(op, a, b):
    """Return two Tensors; a Python number takes the dtype of the other argument."""
    pair = [a, b]
    for i in (0, 1):
        other = pair[1 - i]
        if isinstance(pair[i], numbers.Real) and isinstance(other, Variable):
            pair[i] = other.result(_constant(op, "ab"[i], pair[i], other.data.dtype))
    tensors(op, a=pair[0], b=pair[1])
    return pair


def _constant(op, name, value, dtype):
    """Return a number as an array of a dtype; of its own if that is not floating, which `apply` refuses by name."""
    try:
        return np.asarray(value, dtype if dtype.kind == "f" else None)
    except OverflowError:
        raise ValueError(f"{op}: {name} - expected a number that {dtype} can hold, got one beyond") from None


class Binary(Function):
    """Base of functions of two elements: the shapes broadcast."""

    @classmethod
    def output_shape(cls, a, b):
        return broadcast_shape(cls.__name__.lower(), a, b)


class Add(Binary):
    """a + b."""

    rule = "both terms get grad_out"
    reads, kind = SamePlace(), "add"

    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = a.shape, b.shape
        return add_arrays(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        need_a, need_b = ctx.needs_grad
        return (
            unbroadcast(grad_out, ctx.shapes[0]) if need_a else None,
            unbroadcast(grad_out, ctx.shapes[1]) if need_b else None,
        )


class Sub(Binary):
    """a - b."""

    rule = "a gets grad_out, b gets minus grad_out"
    reads, kind = SamePlace(), "add"

    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = a.shape, b.shape
        return a - b

    @staticmethod
    def backward(ctx, grad_out):
        need_a, need_b = ctx.needs_grad
        return (
            unbroadcast(grad_out, ctx.shapes[0]) if need_a else None,
            unbroadcast(-grad_out, ctx.shapes[1]) if need_b else None,
        )


class Mul(Binary):
    """a * b."""

    rule = "each factor gets grad_out times the other factor"
    reads, kind = SamePlace(), "product"

    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = a.shape, b.shape
        need_a, need_b = ctx.needs_grad
        ctx.save(a if need_b else None, b if need_a else None)  # the gradient of each reads the other
        return kernels.layers.elementwise.multiply(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        (a, b), multiply = ctx.saved, kernels.layers.elementwise.multiply
        need_a, need_b = ctx.needs_grad
        return (
            unbroadcast(multiply(grad_out, b), ctx.shapes[0]) if need_a else None,
            unbroadcast(multiply(grad_out, a), ctx.shapes[1]) if need_b else None,
        )


class Div(Binary):
    """a / b."""

    rule = "a gets grad_out / b, b gets minus grad_out * a / b**2"
    reads, kind = SamePlace(), "divide"

    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = a.shape, b.shape
        ctx.save(a if ctx.needs_grad[1] else None, b)  # only the gradient of b reads a
        return a / b

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        need_a, need_b = ctx.needs_grad
        grad_a = grad_out / b
        return (
            unbroadcast(grad_a, ctx.shapes[0]) if need_a else None,
            unbroadcast(-grad_a * (a / b), ctx.shapes[1]) if need_b else None,  # b * b could overflow
        )


def add(a: Operand, b: Operand) -> Tensor:
    """Add two Tensors, or a Tensor and a number.

    out = a + b

    Parameters
    ----------
    a, b : Tensor, float32 or float64, shapes that broadcast; one of them may be a number
        A number takes the dtype of the Tensor.

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    TypeError
        If neither is a Tensor, one is an array, or the dtypes differ.
    ShapeError
        If the shapes do not broadcast.

    Notes
    -----
    Gradients: grad_out for both, summed over the axes along which an argument was repeated.
    """
    return Add.apply(*two_tensors("add", a, b))


def sub(a: Operand, b: Operand) -> Tensor:
    """Subtract two Tensors, or a Tensor and a number.

    out = a - b

    Parameters
    ----------
    a, b : Tensor, float32 or float64, shapes that broadcast; one of them may be a number

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    TypeError, ShapeError
        As `add`.

    Notes
    -----
    Gradients: grad_out for a, minus grad_out for b, summed as for `add`.
    """
    return Sub.apply(*two_tensors("sub", a, b))


def mul(a: Operand, b: Operand) -> Tensor:
    """Multiply element by element.

    out = a * b

    Parameters
    ----------
    a, b : Tensor, float32 or float64, shapes that broadcast; one of them may be a number

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    TypeError, ShapeError
        As `add`.

    Notes
    -----
    Gradients: grad_out * b for a, grad_out * a for b, summed as for `add`.
    """
    return Mul.apply(*two_tensors("mul", a, b))


def div(a: Operand, b: Operand) -> Tensor:
    """Divide element by element; the result is infinite or NaN where b is 0.

    out = a / b

    Parameters
    ----------
    a, b : Tensor, float32 or float64, shapes that broadcast; one of them may be a number

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    TypeError, ShapeError
        As `add`.

    Notes
    -----
    Gradients: grad_out / b for a, -grad_out * a / b**2 for b, summed as for `add`.
    """
    return Div.apply(*two_tensors("div", a, b))


def neg(x: Operand) -> Tensor:
    """Change the sign.

    out = -x

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor.
    """
    tensors("neg", x=x)
    return mul(x, -1)
