"""What training makes small."""

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import mul, sub
from minitorch_cnn.ops.reduce import mean
from minitorch_cnn.ops.reduce import sum as sum_
from minitorch_cnn.ops.selection import index
from minitorch_cnn.shapes import ShapeError


def _class_indices(op, labels, shape):
    """Return labels as int64, or raise: one per row of (N, K), each 0 .. K-1."""
    array = np.asarray(labels.data if isinstance(labels, Variable) else labels)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: labels - expected integers, the index of each class, got dtype {array.dtype}")
    if len(shape) != 2:
        raise ShapeError(f"{op}: logits - expected (N, K), a row of K classes per image, got shape {shape}")
    if array.shape != shape[:1]:
        raise ShapeError(f"{op}: labels - expected shape {shape[:1]}, one per row of {shape}, got {array.shape}")
    wrong = np.flatnonzero((array < 0) | (array >= shape[1]))
    if len(wrong):
        raise ValueError(
            f"{op}: labels - expected 0 to {shape[1] - 1} for {shape[1]} classes, "
            f"got {array[wrong[0]]} at position {wrong[0]}"
        )
    return array.astype(np.int64)


def _reduce(op, losses, reduction):
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{op}: reduction - expected 'mean', 'sum' or 'none', got {reduction!r}")
    if reduction == "none":
        return losses
    return mean(losses) if reduction == "mean" else sum_(losses)


class CrossEntropy(Function):
    """The softmax and the negative logarithm of the target's probability, a loss per row."""

    rule = "(softmax(logits) - target) * grad_out"

    @staticmethod
    def output_shape(logits, *, labels, label_smoothing):
        return logits[:1]

    @staticmethod
    def forward(ctx, logits, *, labels, label_smoothing):
        ctx.labels, ctx.smoothing = labels, label_smoothing
        losses, probabilities = kernels.elementwise.softmax_cross_entropy_forward(
            np.ascontiguousarray(logits), labels, label_smoothing
        )
        ctx.save(probabilities)  # all that the gradient needs
        return losses

    @staticmethod
    def backward(ctx, grad_out):
        (probabilities,) = ctx.saved
        scale = np.ascontiguousarray(grad_out)
        return kernels.elementwise.softmax_cross_entropy_backward(probabilities, ctx.labels, ctx.smoothing, scale)


def cross_entropy(logits, labels, *, label_smoothing=0.0, reduction="mean"):
    """Return how surprised a classifier is by the right classes.

    loss[n] = - sum over k of target[n, k] * log softmax(logits[n])[k],
    target = (1 - s) at the label + s/K everywhere, s the label smoothing

    Parameters
    ----------
    logits : Tensor, shape (N, K)
    labels : integer Tensor or ndarray, shape (N,), 0 .. K-1
    label_smoothing : float, 0..1
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or shape (N,) for "none"

    Raises
    ------
    TypeError
        If logits is no Tensor or labels are no integers.
    ShapeError
        If there is not one label per row.
    ValueError
        If a label is no class, or smoothing or reduction is out of range.

    Notes
    -----
    Stable for any finite logits: the softmax is never formed before the logarithm.
    """
    tensors("cross_entropy", logits=logits)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing - expected 0 to 1, got {label_smoothing}")
    indices = _class_indices("cross_entropy", labels, logits.data.shape)
    losses = CrossEntropy.apply(logits, labels=indices, label_smoothing=float(label_smoothing))
    return _reduce("cross_entropy", losses, reduction)


def nll_loss(log_probs, labels, *, reduction="mean"):
    """Return minus the logarithm of the probability of the right classes.

    loss[n] = -log_probs[n, labels[n]]

    Parameters
    ----------
    log_probs : Tensor, shape (N, K)
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
    """
    tensors("nll_loss", log_probs=log_probs)
    indices = _class_indices("nll_loss", labels, log_probs.data.shape)
    own = index(log_probs, (np.arange(len(indices)), indices))
    return _reduce("nll_loss", mul(own, -1), reduction)


def mse_loss(x, target, *, reduction="mean"):
    """Return the squared difference.

    loss = (x - target)**2

    Parameters
    ----------
    x, target : Tensor, the same shape
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, a scalar, or the shape of x for "none"

    Raises
    ------
    TypeError
        If an argument is no Tensor.
    ShapeError
        If the shapes differ.
    ValueError
        If the reduction is unknown.
    """
    tensors("mse_loss", x=x, target=target)
    if x.data.shape != target.data.shape:
        raise ShapeError(f"mse_loss: target - expected shape {x.data.shape}, got {target.data.shape}")
    difference = sub(x, target)
    return _reduce("mse_loss", mul(difference, difference), reduction)
