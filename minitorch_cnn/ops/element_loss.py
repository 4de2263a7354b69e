"""Losses of single elements: squared and absolute errors, and binary cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.activation import sigmoid_array, softplus_array
from minitorch_cnn.ops.arithmetic import mul, sub
from minitorch_cnn.ops.choice import where
from minitorch_cnn.ops.loss import REDUCTIONS, check_reduction
from minitorch_cnn.ops.pointwise import Elementwise
from minitorch_cnn.ops.pointwise import abs as abs_
from minitorch_cnn.ops.reads import SamePlace
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class SmoothAbs(Elementwise):
    """x**2 / (2 * beta) where |x| < beta, |x| - beta/2 elsewhere."""

    rule = "grad_out * x / beta where |x| < beta, elsewhere times the sign of x"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x, *, beta):
        size = np.abs(x)
        ctx.save(np.sign(x) if beta == 0 else np.clip(x / beta, -1, 1))  # the derivative
        return np.where(size < beta, size * (size / (2 * beta or 1)), size - beta / 2)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out * ctx.saved[0]

    @staticmethod
    def choices(ctx):
        return np.trunc(ctx.saved[0])


class BinaryCrossEntropy(Function):
    """-target * log(x) - (1 - target) * log(1 - x), with logarithms of at least -100."""

    rule = "x gets grad_out * (x - target) / (x * (1 - x)), target gets grad_out * (log(1 - x) - log(x))"
    reads, kind = SamePlace(), "loss"

    @staticmethod
    def output_shape(x, target):
        return x

    @staticmethod
    def forward(ctx, x, target):
        ctx.save(x, target)
        return -target * np.maximum(np.log(x), -100) - (1 - target) * np.maximum(np.log1p(-x), -100)

    @staticmethod
    def backward(ctx, grad_out):
        x, target = ctx.saved
        need_x, need_target = ctx.needs_grad
        slope = (x - target) / np.maximum(x * (1 - x), 1e-12)  # finite at 0 and 1
        return grad_out * slope if need_x else None, grad_out * (np.log1p(-x) - np.log(x)) if need_target else None


def _share(weight, loss):
    """Return weight * loss; a weight of 0 leaves an infinite loss out."""
    return np.where((weight == 0) & (loss == np.inf), 0, weight * loss)


class BinaryCrossEntropyWithLogits(Function):
    """pos_weight * target * log(1 + exp(-x)) + (1 - target) * log(1 + exp(x))."""

    rule = "x gets grad_out * (sigmoid(x) - target), with pos_weight where the answer is yes"
    reads, kind = SamePlace(), "loss"

    @staticmethod
    def output_shape(x, target, *, pos_weight):
        return x

    @staticmethod
    def forward(ctx, x, target, *, pos_weight):
        ctx.pos_weight = pos_weight
        ctx.save(x, target)
        return _share(pos_weight * target, softplus_array(-x)) + _share(1 - target, softplus_array(x))

    @staticmethod
    def backward(ctx, grad_out):
        (x, target), pos_weight = ctx.saved, ctx.pos_weight
        need_x, need_target = ctx.needs_grad
        slope = (1 - target) - (1 + (pos_weight - 1) * target) * sigmoid_array(-x)
        return (
            grad_out * slope if need_x else None,
            grad_out * (pos_weight * softplus_array(-x) - softplus_array(x)) if need_target else None,
        )


def _check(op, x, target, reduction):
    tensors(op, x=x, target=target)
    check_reduction(op, reduction)
    if x.data.shape != target.data.shape:
        raise ShapeError(f"{op}: target - expected shape {x.data.shape}, got {target.data.shape}")


def _constant(op, name, value, x):
    """Return an array of numbers in the dtype of x that broadcasts to its shape; raise if there is none."""
    if isinstance(value, Variable) and value.requires_grad:
        raise TypeError(f"{op}: {name} - expected constants, got a Tensor that requires a gradient; use detach()")
    array = arguments.array(op, name, value.data if isinstance(value, Variable) else value)
    try:
        fits = np.broadcast_shapes(array.shape, x.data.shape) == x.data.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{op}: {name} - expected a shape that broadcasts to {x.data.shape}, got {array.shape}")
    return array.astype(x.data.dtype)


def _weighted(op, losses, weight, reduction):
    if weight is not None:
        factors = _constant(op, "weight", weight, losses)
        counts = factors != 0  # 0 times infinity would be NaN
        losses = mul(losses if counts.all() else where(counts, losses, 0.0), losses.result(factors))
    return REDUCTIONS[reduction](losses)


def mse_loss(x: Operand, target: Operand, *, reduction: str = "mean") -> Tensor:
    """Mean squared error.

    loss = (x - target)**2

    Parameters
    ----------
    x, target : Tensor, the same shape and dtype, float32 or float64
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or the shape of x for "none"

    Raises
    ------
    TypeError
        If an argument is not a Tensor, or dtypes differ.
    ShapeError
        If the shapes differ.
    ValueError
        If the reduction is unknown.

    Notes
    -----
    Gradients: 2 * (x - target) * grad_out for x, minus that for target; divided by the number of
    elements for "mean".
    """
    _check("mse_loss", x, target, reduction)
    difference = sub(x, target)
    return REDUCTIONS[reduction](mul(difference, difference))


def l1_loss(x: Operand, target: Operand, *, reduction: str = "mean") -> Tensor:
    """Mean absolute error.

    loss = |x - target|

    Parameters
    ----------
    x, target : Tensor, the same shape and dtype, float32 or float64
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or the shape of x for "none"

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `mse_loss`.

    Notes
    -----
    Gradients: the sign of x - target times grad_out for x, minus that for target; 0 where both are equal.
    """
    _check("l1_loss", x, target, reduction)
    return REDUCTIONS[reduction](abs_(sub(x, target)))


def smooth_l1_loss(x: Operand, target: Operand, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Absolute error with a rounded corner: squared where it is small.

    loss = d**2 / (2 * beta) where |d| < beta, else |d| - beta/2, with d = x - target

    Parameters
    ----------
    x, target : Tensor, the same shape and dtype, float32 or float64
    beta : float, >= 0
        Where the two parts meet; 0 gives `l1_loss`.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or the shape of x for "none"

    Raises
    ------
    TypeError, ShapeError
        As `mse_loss`.
    ValueError
        If the reduction is unknown, or beta is negative.

    Notes
    -----
    Gradients: d / beta times grad_out where |d| < beta, else its sign; minus that for target.
    """
    _check("smooth_l1_loss", x, target, reduction)
    arguments.number("smooth_l1_loss", least=0, beta=beta)
    return REDUCTIONS[reduction](SmoothAbs.apply(sub(x, target), beta=float(beta)))


def huber_loss(x: Operand, target: Operand, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Squared error that grows linearly where it is large: delta times `smooth_l1_loss` with beta = delta.

    loss = d**2 / 2 where |d| < delta, else delta * (|d| - delta/2), with d = x - target

    Parameters
    ----------
    x, target : Tensor, the same shape and dtype, float32 or float64
    delta : float, > 0
        Where the two parts meet.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or the shape of x for "none"

    Raises
    ------
    TypeError, ShapeError
        As `mse_loss`.
    ValueError
        If the reduction is unknown, or delta is not positive.

    Notes
    -----
    Gradients: d times grad_out where |d| < delta, else delta times its sign; minus that for target.
    """
    _check("huber_loss", x, target, reduction)
    arguments.number("huber_loss", delta=delta)
    arguments.positive("huber_loss", delta=delta)
    return REDUCTIONS[reduction](mul(SmoothAbs.apply(sub(x, target), beta=float(delta)), float(delta)))


def binary_cross_entropy(
    x: Operand, target: Operand, *, weight: ArrayLike | None = None, reduction: str = "mean"
) -> Tensor:
    """Cross-entropy between probabilities and answers, one yes-or-no question per element.

    loss = -weight * (target * log(x) + (1 - target) * log(1 - x))

    Parameters
    ----------
    x : Tensor, any shape, 0..1, float32 or float64
        The probability of yes. `binary_cross_entropy_with_logits` is more accurate where there are logits.
    target : Tensor, the shape and dtype of x
        1 for yes, 0 for no, or a probability.
    weight : array that broadcasts to the shape of x, or None
        How much each element counts; the mean still divides by the number of elements.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or the shape of x for "none"

    Raises
    ------
    TypeError, ShapeError
        As `mse_loss`; also if weight requires a gradient or does not broadcast.
    ValueError
        If the reduction is unknown, or an element of x lies outside 0..1.

    Notes
    -----
    Gradient: grad_out * weight * (x - target) / (x * (1 - x)). As in PyTorch, a logarithm is at least -100,
    and x * (1 - x) at least 1e-12 in the gradient, so that both stay finite at 0 and 1.
    """
    _check("binary_cross_entropy", x, target, reduction)
    outside = [] if x.traced else x.data[(x.data < 0) | (x.data > 1)]
    if len(outside):
        raise ValueError(
            f"binary_cross_entropy: x - expected probabilities, 0 to 1, got {outside[0]}; "
            "use binary_cross_entropy_with_logits for logits"
        )
    return _weighted("binary_cross_entropy", BinaryCrossEntropy.apply(x, target), weight, reduction)


def binary_cross_entropy_with_logits(
    x: Operand,
    target: Operand,
    *,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy between the sigmoid of logits and answers, one yes-or-no question per element.

    loss = -weight * (pos_weight * target * log sigmoid(x) + (1 - target) * log sigmoid(-x))

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
        Logits: the sigmoid gives the probability of yes.
    target : Tensor, the shape and dtype of x
        1 for yes, 0 for no, or a probability.
    weight : array that broadcasts to the shape of x, or None
        How much each element counts; the mean still divides by the number of elements.
    pos_weight : array that broadcasts to the shape of x, or None
        How much yes counts in comparison with no, for instance one number per class.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or the shape of x for "none"

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `binary_cross_entropy`, for x of any value.

    Notes
    -----
    Gradient: grad_out * weight * (sigmoid(x) - target) without pos_weight. The loss is finite for any finite logits.
    """
    op = "binary_cross_entropy_with_logits"
    _check(op, x, target, reduction)
    pos_weight = 1.0 if pos_weight is None else _constant(op, "pos_weight", pos_weight, x)
    return _weighted(op, BinaryCrossEntropyWithLogits.apply(x, target, pos_weight=pos_weight), weight, reduction)
