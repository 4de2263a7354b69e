"""Losses as layers; formulas and gradients are in `ops`."""

import numpy as np
from numpy.typing import ArrayLike

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._check import between, one_of
from minitorch_cnn.nn._docstring import add_sections
from minitorch_cnn.nn.module import Module
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array

_REDUCTIONS = ("mean", "sum", "none")


class _Weighted(Module):
    """A loss with constant weights, kept as buffers under the names of the arguments, and a reduction."""

    def _ignore(self, ignore_index):
        if ignore_index is not None:
            arguments.integer(type(self).__name__, least=-(2**63), ignore_index=ignore_index)
        self.ignore_index: int | None = ignore_index

    def _keep(self, reduction, **weights):
        layer = type(self).__name__
        one_of(layer, _REDUCTIONS, reduction=reduction)
        self.reduction: str = reduction
        for name, value in weights.items():
            if value is None:
                setattr(self, name, None)
            else:
                self.register_buffer(name, np.array(arguments.array(layer, name, getattr(value, "data", value))))


class CrossEntropyLoss(_Weighted):
    """-log softmax(logits)[label], averaged over the batch; see `ops.cross_entropy`.

    Parameters
    ----------
    label_smoothing : float, 0 to 1
        The fraction of the target that is spread evenly over all K classes.
    reduction : "mean", "sum" or "none"
    weight : array, shape (K,), or None
        How much each class counts.
    ignore_index : int or None
        The label of what does not count, such as pixels without a class.

    Returns
    -------
    Tensor, shape (), or (N,) or (N, d1, ...) for "none"
        On call, for logits (N, K) or (N, K, d1, ...) and integer labels (N,) or (N, d1, ...), or probabilities of
        the shape of the logits.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    """

    label_smoothing: float
    reduction: str
    weight: Array | None  # (K,)
    ignore_index: int | None

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        weight: ArrayLike | None = None,
        ignore_index: int | None = None,
    ):
        between("CrossEntropyLoss", 0, 1, label_smoothing=label_smoothing)
        self.label_smoothing = label_smoothing
        self._ignore(ignore_index)
        self._keep(reduction, weight=weight)

    def forward(self, logits: Tensor, labels: ArrayLike) -> Tensor:
        """Return the loss of logits (N, K, ...) against labels."""
        return ops.cross_entropy(
            logits,
            labels,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )


class NLLLoss(_Weighted):
    """-log_probs[label], averaged over the batch; see `ops.nll_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    weight : array, shape (K,), or None
        How much each class counts.
    ignore_index : int or None
        The label of what does not count.

    Returns
    -------
    Tensor, shape (), or (N,) or (N, d1, ...) for "none"
        On call, for logarithms of probabilities (N, K) or (N, K, d1, ...) and integer labels (N,) or (N, d1, ...).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    """

    reduction: str
    weight: Array | None  # (K,)
    ignore_index: int | None

    def __init__(self, reduction: str = "mean", weight: ArrayLike | None = None, ignore_index: int | None = None):
        self._ignore(ignore_index)
        self._keep(reduction, weight=weight)

    def forward(self, log_probs: Tensor, labels: ArrayLike) -> Tensor:
        """Return the loss of log_probs (N, K, ...) against labels."""
        return ops.nll_loss(
            log_probs, labels, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


_SECTIONS = """\
Returns
-------
Tensor, shape (), or that of x for "none"
    On call, for x and a target of its shape.

Raises
------
TypeError, ValueError
    If an argument is out of its range.
"""


class _ElementLoss(Module):
    """A loss of each element of x and target; the docstring of a subclass gets the sections that all share."""

    reduction: str

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        add_sections(cls, _SECTIONS)

    def __init__(self, reduction: str = "mean"):
        one_of(type(self).__name__, _REDUCTIONS, reduction=reduction)
        self.reduction = reduction


class MSELoss(_ElementLoss):
    """(x - target)^2, averaged over all elements; see `ops.mse_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    """

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x against target, of the same shape."""
        return ops.mse_loss(x, target, reduction=self.reduction)


class L1Loss(_ElementLoss):
    """|x - target|, averaged over all elements; see `ops.l1_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    """

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x against target, of the same shape."""
        return ops.l1_loss(x, target, reduction=self.reduction)


class SmoothL1Loss(_ElementLoss):
    """|x - target|, squared where it is small, averaged over all elements; see `ops.smooth_l1_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    beta : float, >= 0
        Where the squared part ends.
    """

    beta: float

    def __init__(self, reduction: str = "mean", beta: float = 1.0):
        super().__init__(reduction)
        arguments.number("SmoothL1Loss", least=0, beta=beta)
        self.beta = beta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x against target, of the same shape."""
        return ops.smooth_l1_loss(x, target, beta=self.beta, reduction=self.reduction)


class HuberLoss(_ElementLoss):
    """(x - target)^2 / 2 where it is small, a straight line elsewhere, averaged; see `ops.huber_loss`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    delta : float, > 0
        Where the squared part ends.
    """

    delta: float

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__(reduction)
        arguments.positive("HuberLoss", delta=delta)
        self.delta = delta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x against target, of the same shape."""
        return ops.huber_loss(x, target, delta=self.delta, reduction=self.reduction)


class BCELoss(_Weighted):
    """Cross-entropy of probabilities and yes-or-no answers; see `ops.binary_cross_entropy`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    weight : array that broadcasts to the shape of x, or None
        How much each element counts.

    Returns
    -------
    Tensor, shape (), or that of x for "none"
        On call, for probabilities x and a target of its shape, 0..1.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    """

    reduction: str
    weight: Array | None

    def __init__(self, reduction: str = "mean", weight: ArrayLike | None = None):
        self._keep(reduction, weight=weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x against target, of the same shape."""
        return ops.binary_cross_entropy(x, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Weighted):
    """Cross-entropy of logits and yes-or-no answers; see `ops.binary_cross_entropy_with_logits`.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
    weight : array that broadcasts to the shape of x, or None
        How much each element counts.
    pos_weight : array that broadcasts to the shape of x, or None
        How much yes counts in comparison with no.

    Returns
    -------
    Tensor, shape (), or that of x for "none"
        On call, for logits x and a target of its shape, 0..1.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    """

    reduction: str
    weight: Array | None
    pos_weight: Array | None

    def __init__(self, reduction: str = "mean", weight: ArrayLike | None = None, pos_weight: ArrayLike | None = None):
        self._keep(reduction, weight=weight, pos_weight=pos_weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Return the loss of x against target, of the same shape."""
        return ops.binary_cross_entropy_with_logits(
            x, target, weight=self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
