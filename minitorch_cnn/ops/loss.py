"""Losses of classification: cross-entropy and negative log-likelihood; see also `element_loss`."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import add, div, mul, neg
from minitorch_cnn.ops.choice import where
from minitorch_cnn.ops.indexing import index
from minitorch_cnn.ops.movement import reshape, transpose
from minitorch_cnn.ops.reads import Everything
from minitorch_cnn.ops.reduce import mean
from minitorch_cnn.ops.reduce import sum as sum_
from minitorch_cnn.ops.softmax import log_softmax
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor

REDUCTIONS = {"mean": mean, "sum": sum_, "none": lambda losses: losses}


def check_reduction(op, reduction):
    """Raise ValueError unless there is such a reduction."""
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise ValueError(f"{op}: reduction - expected one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")


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


class Labels:
    """The class of each image or pixel, checked.

    Parameters
    ----------
    op, name : str
        The function and its argument of shape ``shape``, for messages.
    labels : integer array, shape (N,) or (N, d1, ...)
    shape : tuple of int, (N, K) or (N, K, d1, ...)
    weight : array or None
        One number per class.
    ignore_index : int or None
        The label of what does not count.
    smoothing : float, 0..1
        Without it, a label whose class has weight 0 does not count either: its loss may be infinite.

    Attributes
    ----------
    indices : int64 ndarray, shape (M,), M = N * d1 * ...
        0 where the label is ignored.
    kept : bool ndarray, shape (M,), or None if all labels count
    weight : ndarray, shape (K,), or None
    """

    def __init__(self, op, name, labels, shape, weight, ignore_index, smoothing=0.0):
        arguments.unmasked(op, "labels", labels)
        array = np.asarray(labels.data if isinstance(labels, Variable) else labels)
        if array.dtype.kind not in "iu":
            raise TypeError(f"{op}: labels - expected integers, the index of each class, got dtype {array.dtype}")
        if array.shape != (*shape[:1], *shape[2:]):
            expected = (*shape[:1], *shape[2:])
            raise ShapeError(f"{op}: labels - expected shape {expected}, one per row of {shape}, got {array.shape}")
        ignored = np.zeros(array.shape, bool) if ignore_index is None else array == ignore_index
        wrong = ((array < 0) | (array >= shape[1])) & ~ignored
        if wrong.any():
            at = tuple(np.argwhere(wrong)[0].tolist())
            raise ValueError(
                f"{op}: labels - expected 0 to {shape[1] - 1} for {shape[1]} classes, "
                f"got {array[at]} at position {at[0] if len(at) == 1 else at}"
            )
        self.indices = np.where(ignored, 0, array).astype(np.int64).reshape(-1)  # a copy: backward reads it too
        if weight is not None and not smoothing:
            ignored |= (weight[self.indices] == 0).reshape(array.shape)
        self.kept = ~ignored.reshape(-1) if ignored.any() else None
        self.weight = weight

    def counted(self, rows):
        """Return rows (M, K) with 0 in those whose label is ignored: a NaN there reaches no gradient."""
        return rows if self.kept is None else where(self.kept[:, None], rows, 0.0)

    def weighted(self, losses):
        """Return the losses, shape (M,), times the weights of their classes."""
        return losses if self.weight is None else mul(losses, losses.result(self.weight[self.indices]))

    def reduced(self, losses, reduction, shape):
        """Return losses (M,) of ``shape``, or their sum, or their mean weighted by class; ignored ones are 0."""
        if self.kept is not None:
            losses = where(self.kept, losses, 0.0)
        if reduction != "mean" or (self.weight is None and self.kept is None):
            return REDUCTIONS[reduction](losses if reduction != "none" else reshape(losses, shape))
        counts = np.ones(len(self.indices)) if self.weight is None else self.weight[self.indices]
        return div(sum_(losses), float(counts.sum(where=True if self.kept is None else self.kept, dtype=np.float64)))


def _check_classes(op, name, shape, weight, ignore_index, dtype):
    """Return the weights of the classes as an array, or None; raise unless all arguments are valid."""
    if len(shape) < 2:
        raise ShapeError(f"{op}: {name} - expected (N, K), a row of K classes per image, got shape {shape}")
    if ignore_index is not None:
        arguments.integer(op, least=-(2**63), ignore_index=ignore_index)
    if weight is None:
        return None
    if isinstance(weight, Variable) and weight.requires_grad:
        raise TypeError(f"{op}: weight - expected constants, got a Tensor that requires a gradient; use detach()")
    array = arguments.array(op, "weight", weight.data if isinstance(weight, Variable) else weight)
    if array.shape != shape[1:2]:
        raise ShapeError(f"{op}: weight - expected shape {shape[1:2]}, one per class, got {array.shape}")
    return array.astype(dtype)


def _rows(x):
    """Return (N, K, d1, ...) as (N * d1 * ..., K)."""
    if x.data.ndim == 2:
        return x
    order = (0, *range(2, x.data.ndim), 1)
    return reshape(transpose(x, order), (x.data.size // max(x.data.shape[1], 1), x.data.shape[1]))


def _likelihood(log_probs, labels):
    """Return minus the logarithm of the probability of each label, for rows (M, K)."""
    return neg(index(log_probs, (np.arange(len(labels.indices)), labels.indices)))


def _log_softmax(rows, weight):
    """Return the log probabilities of rows (M, K), and 0 in place of those whose weight is 0.

    A class that no target has does not count, as impossible as the logits make it; 0 times infinity would be NaN.
    """
    log_probs, counts = log_softmax(rows, 1), np.asarray(weight) != 0
    return log_probs if counts.all() else where(counts, log_probs, 0.0)


def _of_labels(rows, labels, smoothing):
    """Return the cross-entropy of each row (M, K) and its label."""
    if labels.weight is None or not smoothing:
        return labels.weighted(CrossEntropy.apply(rows, labels=labels.indices, label_smoothing=smoothing))
    # each class of the target has its weight
    log_probs, weight = _log_softmax(rows, labels.weight), rows.result(labels.weight)
    certain = labels.weighted(_likelihood(log_probs, labels))
    spread = neg(sum_(mul(log_probs, weight), 1))
    return add(mul(certain, 1 - smoothing), mul(spread, smoothing / rows.data.shape[1]))


def _of_probabilities(rows, target, weight, smoothing):
    """Return the cross-entropy of each row (M, K) and a row of probabilities."""
    target = add(mul(target, 1 - smoothing), smoothing / rows.data.shape[1]) if smoothing else target
    target = target if weight is None else mul(target, rows.result(weight))
    log_probs = log_softmax(rows, 1) if target.traced else _log_softmax(rows, target.data)
    return neg(sum_(mul(log_probs, target), 1))


def _as_probabilities(logits, labels):
    """Return soft targets as a Tensor, or None if labels are not floats of the shape of the logits."""
    array = labels.data if isinstance(labels, Variable) else np.asarray(labels)
    if array.dtype.kind != "f" or array.shape != logits.data.shape:
        return None
    outside = np.argwhere((array < 0) | (array > 1))
    if len(outside):
        at = tuple(outside[0].tolist())
        raise ValueError(f"cross_entropy: labels - expected probabilities from 0 to 1, got {array[at]} at {at}")
    return labels if isinstance(labels, Variable) else logits.result(array.astype(logits.data.dtype))


def cross_entropy(
    logits: Operand,
    labels: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """Cross-entropy between the softmax of the logits and the target classes.

    loss[n] = - sum over k of weight[k] * target[n, k] * log softmax(logits[n])[k],
    target = (1 - s) * (1 at the label, or the given probabilities) + s/K everywhere, s the label smoothing

    Parameters
    ----------
    logits : Tensor, shape (N, K) or (N, K, d1, ...), float32 or float64
        One row per image, or per pixel; its softmax gives the probabilities of the K classes.
    labels : integer Tensor or ndarray, shape (N,) or (N, d1, ...), 0 .. K-1; or floats of the shape of logits, 0..1
        The class of each row; or soft targets, the probability of each class, which usually sum to 1.
    weight : array, shape (K,), or None
        How much each class counts; None means 1.
    ignore_index : int or None
        Rows with this label count neither in the sum nor in the mean; their loss is 0. With soft targets it must not
        be a class.
    label_smoothing : float, 0..1
        The fraction of the target that is spread evenly over all classes.
    reduction : "mean", "sum" or "none"
        With labels, the mean divides by the sum of weight[label] over all rows that count, and is NaN if none does.
        With soft targets it divides by the number of rows.

    Returns
    -------
    Tensor, a scalar, or shape (N,) or (N, d1, ...) for "none"

    Raises
    ------
    TypeError
        If logits is not a Tensor, labels are neither integers nor soft targets, or weight requires a gradient.
    ShapeError
        If there is not one label per row, or one weight per class.
    ValueError
        If a label is not a class, a soft target lies outside 0..1, or another argument is out of its range.

    Notes
    -----
    Gradient: (softmax(logits) - target) * grad_out without weights. The loss is finite for any finite logits: the
    maximum of each row is subtracted first, and no logarithm of a softmax is taken. Weights, ignored labels, soft
    targets and smoothing work together as in PyTorch, except that no label is ignored unless you name it.
    """
    tensors("cross_entropy", logits=logits)
    check_reduction("cross_entropy", reduction)
    is_number = isinstance(label_smoothing, numbers.Real) and not isinstance(label_smoothing, bool)
    if not is_number or not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing - expected a number, 0 to 1, got {label_smoothing!r}")
    shape, smoothing = logits.data.shape, float(label_smoothing)
    weight = _check_classes("cross_entropy", "logits", shape, weight, ignore_index, logits.data.dtype)
    target = _as_probabilities(logits, labels)
    if target is None:
        classes = Labels("cross_entropy", "logits", labels, shape, weight, ignore_index, smoothing)
        losses = _of_labels(classes.counted(_rows(logits)), classes, smoothing)
        return classes.reduced(losses, reduction, (*shape[:1], *shape[2:]))
    if ignore_index is not None and ignore_index >= 0:
        raise ValueError(f"cross_entropy: ignore_index - expected no class for soft targets, got {ignore_index}")
    losses = _of_probabilities(_rows(logits), _rows(target), weight, smoothing)
    return REDUCTIONS[reduction](reshape(losses, (*shape[:1], *shape[2:])) if reduction == "none" else losses)


def nll_loss(
    log_probs: Operand,
    labels: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of the target classes.

    loss[n] = -weight[labels[n]] * log_probs[n, labels[n]]

    Parameters
    ----------
    log_probs : Tensor, shape (N, K) or (N, K, d1, ...), float32 or float64
        For example from `log_softmax`.
    labels : integer Tensor or ndarray, shape (N,) or (N, d1, ...), 0 .. K-1
    weight, ignore_index, reduction
        As in `cross_entropy`.

    Returns
    -------
    Tensor, a scalar, or shape (N,) or (N, d1, ...) for "none"

    Raises
    ------
    TypeError, ShapeError, ValueError
        As `cross_entropy`.

    Notes
    -----
    Gradient: -weight[label] * grad_out at the label, 0 elsewhere.
    """
    tensors("nll_loss", log_probs=log_probs)
    check_reduction("nll_loss", reduction)
    shape = log_probs.data.shape
    weight = _check_classes("nll_loss", "log_probs", shape, weight, ignore_index, log_probs.data.dtype)
    classes = Labels("nll_loss", "log_probs", labels, shape, weight, ignore_index)
    losses = classes.weighted(_likelihood(_rows(log_probs), classes))
    return classes.reduced(losses, reduction, (*shape[:1], *shape[2:]))
