"""Normalisation layers; for the formulas see `ops.batch_norm` and `ops.local_response_norm`."""

from typing import Any

import numpy as np

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._check import between, positive_int
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.shapes import ShapeError, batch_hint
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array, Shape


def affine_parameters(shape, affine=True, bias=True):
    """Return weight 1 and bias 0 of a shape, None for one that is not learned; ``affine`` "bias" leaves the weight."""
    weight = Parameter(np.ones(shape, np.float32)) if affine and affine != "bias" else None
    return weight, Parameter(np.zeros(shape, np.float32)) if affine and bias else None


class RunningStatistics(Module):
    """Base of norms that can follow mean and variance of each channel over the training, for evaluation.

    running = (1 - momentum) * running + momentum * new

    The arguments are those of `BatchNorm2d`.
    """

    num_features: int
    eps: float
    momentum: float | None
    running_mean: Array | None  # (C,)
    running_var: Array | None  # (C,)
    num_batches_tracked: Array | None  # (), int64; counts training batches

    def __init__(self, num_features: int, eps: float, momentum: float | None, track_running_stats: bool):
        layer = type(self).__name__
        positive_int(layer, num_features=num_features)
        if momentum is not None:
            between(layer, 0, 1, momentum=momentum)
        arguments.positive(layer, finite=True, eps=eps)
        arguments.flag(layer, track_running_stats=track_running_stats)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.track_running_stats = bool(track_running_stats)
        if not track_running_stats:
            self.running_mean = self.running_var = self.num_batches_tracked = None
            return
        self.register_buffer("running_mean", np.zeros(num_features, np.float32))
        self.register_buffer("running_var", np.ones(num_features, np.float32))
        self.register_buffer("num_batches_tracked", np.array(0, np.int64))

    def settings(self) -> dict[str, Any]:
        """Return the keywords of the operation for the next call."""
        training = (self.training and not self.frozen) or self.running_mean is None
        momentum = self.momentum
        if momentum is None:
            momentum = 1.0 if self.running_mean is None else 1 / (int(self.num_batches_tracked) + 1)
        return {"training": training, "momentum": momentum, "eps": self.eps}

    def count_batch(self, x: Tensor) -> None:
        """Count a batch that has updated the running statistics."""
        if self.running_mean is not None and not x.traced:
            self.num_batches_tracked[...] = int(self.num_batches_tracked) + 1  # NumPy's += takes ten times as long


class BatchNorm2d(RunningStatistics):
    """Normalise each channel over batch and pixels, then scale and shift it.

    out[n, c, i, j] = (x[n, c, i, j] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    In training, mean and var are the statistics of the batch, and the running statistics follow them:
    ``running = (1 - momentum) * running + momentum * new``. In evaluation, and after `Module.freeze`, they are
    the running statistics, which do not change.

    Parameters
    ----------
    num_features : int, >= 1
        C.
    eps : float, > 0
    momentum : float, 0 to 1, or None
        The weight of the new batch in the running statistics. None weights all batches equally.
    affine : bool or "bias"
        Learn weight and bias; otherwise they are 1 and 0. "bias" learns the bias alone: a convolution after the layer
        can scale as well.
    track_running_stats : bool
        False keeps no running statistics: evaluation uses those of the batch as well, so the result of an image
        depends on the other images of its batch.
    bias : bool
        False learns the weight alone.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range; on call, if a training batch has one value per channel.
    ShapeError
        On call, if x does not have the right number of axes, or C channels.

    Notes
    -----
    The batch is normalised with the biased variance (divided by the number of values M). The running
    variance uses the unbiased one (divided by M - 1), as in PyTorch. In float32 the running statistics come to within
    about 1e-7 / momentum of what they follow, relative to its size: smaller steps are lost in rounding.
    Source: Ioffe and Szegedy 2015, algorithm 1, arXiv 1502.03167.
    """

    weight: Parameter | None  # (C,), gamma of the paper
    bias: Parameter | None  # (C,), beta of the paper

    _axes = {4: "(N, C, H, W)"}

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool | str = True,
        track_running_stats: bool = True, *, bias: bool = True
    ):
        layer = type(self).__name__
        super().__init__(num_features, eps, momentum, track_running_stats)
        arguments.flag(layer, also="bias", affine=affine)
        arguments.flag(layer, bias=bias)
        if affine == "bias" and not bias:
            raise ValueError(f"{layer}: bias - expected True where affine is 'bias', got False")
        self.affine = affine if affine == "bias" else bool(affine)
        self.weight, self.bias = affine_parameters(num_features, self.affine, bias)

    def suggest_fix(self, shape: Shape) -> str:
        """Return the layer that fits these channels."""
        layer = type(self).__name__
        if len(shape) not in self._axes or shape[1] == self.num_features:
            return ""
        return f"{layer} expects {self.num_features} channels: use {layer}({shape[1]})"

    def forward(self, x: Tensor, relu: bool = False, pool: int = 1, residual: Tensor | None = None) -> Tensor:
        """Return x normalised; with ``relu``, return the result of `ops.batch_norm_relu`."""
        layer = type(self).__name__
        arguments.flag(layer, relu=relu)
        if len(x.shape) not in self._axes:
            expected = " or ".join(self._axes.values())
            hint = batch_hint(x.shape)
            raise ShapeError(f"{layer}: x - expected {expected}, got shape {x.shape}{hint}")
        if not relu and (pool != 1 or residual is not None):
            raise ValueError(f"{layer}: relu - expected True together with a pool or a residual, got False")
        given = x, self.weight, self.bias, self.running_mean, self.running_var
        hyper = self.settings()
        if relu:
            out = ops.batch_norm_relu(*given, **hyper, pool=pool, residual=residual)
        else:
            out = ops.batch_norm(*given, **hyper)
        if hyper["training"]:
            self.count_batch(x)
        return out


class BatchNorm1d(BatchNorm2d):
    """Normalise each feature over the batch, or each channel over batch and samples; see `BatchNorm2d`.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, bias
        As in `BatchNorm2d`.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C) or (N, C, W).

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `BatchNorm2d`.
    """

    _axes = {2: "(N, C)", 3: "(N, C, W)"}


class LocalResponseNorm(Module):
    """Divide each value by a power of the energy of ``size`` neighbouring channels.

    out[n, c] = x[n, c] / (k + alpha / size * sum over c' of x[n, c']**2) ** beta

    Parameters
    ----------
    size : int, channels, >= 1
    alpha, beta, k : float
        alpha is divided by ``size``, as in PyTorch; in AlexNet's paper it is not.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C, W), (N, C, H, W), ...

    Raises
    ------
    TypeError, ValueError
        If ``size`` is not a positive integer.

    Notes
    -----
    Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3.
    """

    size: int
    alpha: float
    beta: float
    k: float

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        positive_int("LocalResponseNorm", size=size)
        arguments.number("LocalResponseNorm", alpha=alpha, beta=beta, k=k)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, of the same shape."""
        return ops.local_response_norm(x, self.size, alpha=self.alpha, beta=self.beta, k=self.k)
