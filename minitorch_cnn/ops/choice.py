"""Choosing between two arrays, element by element: maximum, minimum, clip and where."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import Binary, broadcast_shape, two_tensors, unbroadcast
from minitorch_cnn.ops.pointwise import Elementwise
from minitorch_cnn.ops.reads import SamePlace
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class Maximum(Binary):
    """The larger of two elements."""

    rule = "the larger element gets grad_out; of two equal ones, each gets half of it"
    reads, kind = SamePlace(), "pointwise"
    chosen = np.maximum  # NaN if one of the elements is NaN

    @classmethod
    def forward(cls, ctx, a, b):
        ctx.save(a, b)
        return cls.chosen(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return _to_winners(ctx, grad_out, a < b, b < a)

    @staticmethod
    def choices(ctx):
        a, b = ctx.saved
        return a > b


class Minimum(Maximum):
    """The smaller of two elements."""

    rule = "the smaller element gets grad_out; of two equal ones, each gets half of it"
    chosen = np.minimum

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return _to_winners(ctx, grad_out, b < a, a < b)


def _to_winners(ctx, grad_out, a_loses, b_loses):
    """Return the gradients of a and b; two equal elements share."""
    a, b = ctx.saved
    half = np.where(a == b, grad_out / 2, grad_out)
    need_a, need_b = ctx.needs_grad
    return (
        unbroadcast(np.where(a_loses, 0, half), a.shape) if need_a else None,
        unbroadcast(np.where(b_loses, 0, half), b.shape) if need_b else None,
    )


class Clip(Elementwise):
    """The element itself between two limits, the nearer limit outside of them."""

    rule = "the gradient passes where low <= x <= high"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x, *, low, high):
        ctx.save((x >= low) & (x <= high))  # one byte per element; x is not needed
        ctx.sides = np.greater(x, low).astype(np.int8) + np.greater(x, high)
        return np.clip(x, low, high)

    @staticmethod
    def backward(ctx, grad_out):
        return np.where(ctx.saved[0], grad_out, 0)

    @staticmethod
    def choices(ctx):
        return ctx.sides


class Where(Function):
    """One of two elements, by a condition."""

    rule = "a gets grad_out where the condition is true, b where it is false"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def output_shape(a, b, *, condition):
        return broadcast_shape("where", broadcast_shape("where", a, b), condition.shape, name="condition")

    @staticmethod
    def forward(ctx, a, b, *, condition):
        ctx.shapes, ctx.condition = (a.shape, b.shape), condition
        return np.where(condition, a, b)

    @staticmethod
    def backward(ctx, grad_out):
        need_a, need_b = ctx.needs_grad
        return (
            unbroadcast(np.where(ctx.condition, grad_out, 0), ctx.shapes[0]) if need_a else None,
            unbroadcast(np.where(ctx.condition, 0, grad_out), ctx.shapes[1]) if need_b else None,
        )


def maximum(a: Operand, b: Operand) -> Tensor:
    """Take the larger of two elements; NaN if one of them is NaN.

    out = a where a > b, else b

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
    Gradients: grad_out for the larger element, 0 for the other. Ties: each of two equal elements gets half.
    """
    return Maximum.apply(*two_tensors("maximum", a, b))


def minimum(a: Operand, b: Operand) -> Tensor:
    """Take the smaller of two elements; NaN if one of them is NaN.

    out = a where a < b, else b

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
    Gradients: grad_out for the smaller element, 0 for the other. Ties: each of two equal elements gets half.
    """
    return Minimum.apply(*two_tensors("minimum", a, b))


def clip(x: Operand, low: float | None = None, high: float | None = None) -> Tensor:
    """Limit elements to a range; NaN stays NaN.

    out = low where x < low, high where x > high, else x

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    low, high : float or None
        None means no limit on this side. `maximum` and `minimum` take a Tensor as limit.

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or a limit is not a number.
    ValueError
        If both limits are None, one is NaN, or low is above high.

    Notes
    -----
    Gradient: grad_out where low <= x <= high, so also at the limits; 0 elsewhere.
    """
    tensors("clip", x=x)
    for name, limit in (("low", low), ("high", high)):
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, numbers.Real)):
            raise TypeError(f"clip: {name} - expected a number or None, got {type(limit).__name__}")
    if low is None and high is None:
        raise ValueError("clip: low - expected a number for low or high, got None for both")
    low, high = -np.inf if low is None else float(low), np.inf if high is None else float(high)
    if not low <= high:
        raise ValueError(f"clip: low - expected at most high {high}, got {low}")
    return Clip.apply(x, low=low, high=high)


def where(condition: ArrayLike, a: Operand, b: Operand) -> Tensor:
    """Choose between two arrays, element by element.

    out = a where condition, else b

    Parameters
    ----------
    condition : ndarray or Tensor of bool
        For example a comparison, such as ``x > 0``, which has no gradient.
    a, b : Tensor, float32 or float64; one of them may be a number
        The shapes of all three broadcast.

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    TypeError
        If the condition is not boolean, neither a nor b is a Tensor, or their dtypes differ.
    ShapeError
        If the shapes do not broadcast.

    Notes
    -----
    Gradients: grad_out for a where the condition is true, for b where it is false; 0 elsewhere.
    """
    chosen = np.array(condition.data if isinstance(condition, Variable) else condition)  # backward reads it too
    if chosen.dtype != bool:
        raise TypeError(f"where: condition - expected booleans, such as x > 0, got dtype {chosen.dtype}")
    return Where.apply(*two_tensors("where", a, b), condition=chosen)
