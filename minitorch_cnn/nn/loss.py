"""Losses as layers; formulas and gradients are in `ops`."""

from numpy.typing import ArrayLike

from minitorch_cnn import ops
from minitorch_cnn.nn._check import between, one_of
from minitorch_cnn.nn.module import Module
from minitorch_cnn.tensor import Tensor

_REDUCTIONS = ("mean", "sum", "none")


class CrossEntropyLoss(Module):
    """-log softmax(logits)[label], averaged over the batch; see `ops.cross_entropy`.

    Parameters
    ----------
    label_smoothing : float, 0 to 1
        The fraction of the target that is spread evenly over all K classes.
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, shape (), or (N,) for "none"
        On call, for logits (N, K) and integer labels (N,).

    Raises
    ------
    ValueError
        If an argument is out of its range.
    """

    label_smoothing: float
    reduction: str

    def __init__(self, label_smoothing: float = 0.0, reduction: str = "mean"):
        between("CrossEntropyLoss", 0, 1, label_smoothing=label_smoothing)
        one_of("CrossEntropyLoss", _REDUCTIONS, reduction=reduction)
        self.label_smoothing, self.reduction = label_smoothing, reduction

    def forward(self, logits: Tensor, labels: ArrayLike) -> Tensor:
        """Return the loss of logits (N, K) against labels (N,)."""
        return ops.cross_entropy(logits, labels, label_smoothing=self.label_smoothing, reduction=self.reduction)


class NLLLoss(Module):
    """-log_probs[label], averaged over the batch; see `ops.nll_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, shape (), or (N,) for "none"
        On call, for logarithms of probabilities (N, K) and integer labels (N,).

    Raises
    ------
    ValueError
        If ``reduction`` is unknown.
    """

    reduction: str

    def __init__(self, reduction: str = "mean"):
        one_of("NLLLoss", _REDUCTIONS, reduction=reduction)
        self.reduction = reduction

    def forward(self, log_probs: Tensor, labels: ArrayLike) -> Tensor:
        """Return the loss of log_probs (N, K) against labels (N,)."""
        return ops.nll_loss(log_probs, labels, reduction=self.reduction)


class MSELoss(Module):
    """(x - target)^2, averaged over all elements; see `ops.mse_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Returns
    -------
    Tensor, shape (), or that of x for "none"
        On call, for x and a target of its shape.

    Raises
    ------
    ValueError
        If ``reduction`` is unknown.
    """

    reduction: str

    def __init__(self, reduction: str = "mean"):
        one_of("MSELoss", _REDUCTIONS, reduction=reduction)
        self.reduction = reduction

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x against target, of the same shape."""
        return ops.mse_loss(x, target, reduction=self.reduction)
