"""Loss functions."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import mul, neg, sub
from minitorch_cnn.ops.indexing import index
from minitorch_cnn.ops.reads import Everything
from minitorch_cnn.ops.reduce import mean
from minitorch_cnn.ops.reduce import sum as sum_
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor

_REDUCTIONS = {"mean": mean, "sum": sum_, "none": lambda losses: losses}


def _class_indices(op, name, labels, shape):
    """Return labels as int64; raise unless there is one per row of the argument ``name`` (N, K), each 0 .. K-1."""
    array = np.asarray(labels.data if isinstance(labels, Variable) else labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: labels - expected integers, the index of each class, got dtype {array.dtype}")
    if len(shape) != 2:
        raise ShapeError(f"{op}: {name} - expected (N, K), a row of K classes per image, got shape {shape}")
    if array.shape != shape[:1]:
        raise ShapeError(f"{op}: labels - expected shape {shape[:1]}, one per row of {shape}, got {array.shape}")
    wrong = np.flatnonzero((array < 0) | (array >= shape[1]))
    if len(wrong):
        raise ValueError(
            f"{op}: labels - expected 0 to {shape[1] - 1} for {shape[1]} classes, "
            f"got {array[wrong[0]]} at position {wrong[0]}"
        )
    return array.astype(np.int64)  # a copy, because backward reads it too


def _check_reduction(op, reduction):
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{op}: reduction - expected one of {', '.join(map(repr, _REDUCTIONS))}, got {reduction!r}")


class CrossEntropy(Function):
    """Softmax and negative log-likelihood of the target, one loss per row."""

    rule = "(softmax(logits) - target) * grad_out"
    reads, kind = Everything(1), "loss"

    @staticmethod
    def output_shape(logits, *, labels, label_smoothing):
        return logits[:1]

    @staticmethod
    def forward(ctx, logits, *, labels, label_smoothing):
        ctx.labels, ctx.smoothing = labels, label_smoothing
        losses, probabilities = kernels.layers.elementwise.softmax_cross_entropy_forward(
            np.ascontiguousarray(logits), labels, label_smoothing
        )
        ctx.save(probabilities)  # the gradient needs nothing else
        return losses

    @staticmethod
    def backward(ctx, grad_out):
        (probabilities,) = ctx.saved
        scale = np.ascontiguousarray(grad_out)
        return kernels.layers.elementwise.softmax_cross_entropy_backward(
            probabilities, ctx.labels, ctx.smoothing, scale
        )


def cross_entropy(
    logits: Operand, labels: ArrayLike, *, label_smoothing: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """Cross-entropy between the softmax of the logits and the target classes.

    loss[n] = - sum over k of target[n, k] * log softmax(logits[n])[k],
    target = (1 - s) at the label + s/K everywhere, s the label smoothing

    Parameters
    ----------
    logits : Tensor, shape (N, K), float32 or float64
        One row per image; its softmax gives the probabilities of the K classes.
    labels : integer Tensor or ndarray, shape (N,), 0 .. K-1
    label_smoothing : float, 0..1
        The fraction of the target that is spread evenly over all classes.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or shape (N,) for "none"

    Raises
    ------
    TypeError
        If logits is not a Tensor, or labels are not integers.
    ShapeError
        If there is not one label per row.
    ValueError
        If a label is not a class, or smoothing or reduction is out of range.

    Notes
    -----
    Gradient: (softmax(logits) - target) * grad_out. The loss is finite for any finite logits: the maximum of each
    row is subtracted first, and no logarithm of a softmax is taken. Label smoothing works as in PyTorch.
    """
    tensors("cross_entropy", logits=logits)
    _check_reduction("cross_entropy", reduction)
    if not isinstance(label_smoothing, numbers.Real) or not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing - expected a number, 0 to 1, got {label_smoothing!r}")
    indices = _class_indices("cross_entropy", "logits", labels, logits.data.shape)
    losses = CrossEntropy.apply(logits, labels=indices, label_smoothing=float(label_smoothing))
    return _REDUCTIONS[reduction](losses)


def nll_loss(log_probs: Operand, labels: ArrayLike, *, reduction: str = "mean") -> Tensor:
    """Negative log-likelihood of the target classes.

    loss[n] = -log_probs[n, labels[n]]

    Parameters
    ----------
    log_probs : Tensor, shape (N, K), float32 or float64
        For example from `log_softmax`.
    labels : integer Tensor or ndarray, shape (N,), 0 .. K-1
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or shape (N,) for "none"

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `cross_entropy`.

    Notes
    -----
    Gradient: -grad_out at the label, 0 elsewhere.
    """
    tensors("nll_loss", log_probs=log_probs)
    _check_reduction("nll_loss", reduction)
    indices = _class_indices("nll_loss", "log_probs", labels, log_probs.data.shape)
    return _REDUCTIONS[reduction](neg(index(log_probs, (np.arange(len(indices)), indices))))


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
    tensors("mse_loss", x=x, target=target)
    _check_reduction("mse_loss", reduction)
    if x.data.shape != target.data.shape:
        raise ShapeError(f"mse_loss: target - expected shape {x.data.shape}, got {target.data.shape}")
    difference = sub(x, target)
    return _REDUCTIONS[reduction](mul(difference, difference))
