"""Normalisation within each image; for the formulas see `ops.group_norm`, `ops.layer_norm` and `ops.rms_norm`."""

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._check import positive_int
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.norm import RunningStatistics, affine_parameters
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.shapes import ShapeError, batch_hint
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Shape


class GroupNorm(Module):
    """Normalise each group of channels of each image, then scale and shift each channel.

    Parameters
    ----------
    num_groups : int, >= 1
    num_channels : int, >= 1
        C, a multiple of ``num_groups``.
    eps : float, > 0
    affine : bool
        Learn weight and bias; otherwise they are 1 and 0.
    bias : bool
        False learns the weight alone.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C) or (N, C, ...).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range, or the groups do not divide the channels.
    ShapeError
        On call, if x does not have C channels.

    Notes
    -----
    It does the same in training and in evaluation, and does not depend on the batch.
    """

    num_groups: int
    num_channels: int
    weight: Parameter | None  # (C,)
    bias: Parameter | None  # (C,)

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, bias: bool = True
    ):
        positive_int("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        arguments.positive("GroupNorm", finite=True, eps=eps)
        arguments.flag("GroupNorm", affine=affine, bias=bias)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels - expected a multiple of num_groups {num_groups}, got {num_channels}"
            )
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, bool(affine)
        self.weight, self.bias = affine_parameters(num_channels, affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, of the same shape."""
        if x.ndim > 1 and x.shape[1] != self.num_channels:
            raise ShapeError(f"GroupNorm: x - expected {self.num_channels} channels, got shape {x.shape}")
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, eps=self.eps)


class InstanceNorm2d(RunningStatistics):
    """Normalise each channel of each image by itself.

    Parameters
    ----------
    num_features : int, >= 1
        C.
    eps : float, > 0
    momentum : float, 0 to 1, or None
        The weight of the new batch in the running statistics. None weights all batches equally.
    affine : bool
        Learn weight and bias; otherwise they are 1 and 0.
    track_running_stats : bool
        Follow the mean of the images' means and of their variances. Evaluation then normalises all images with these
        running statistics, as batch norm does.
    bias : bool
        False learns the weight alone.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x does not have the right number of axes, or C channels, or more than one pixel.

    Notes
    -----
    Without running statistics, training and evaluation do the same.
    """

    weight: Parameter | None  # (C,)
    bias: Parameter | None  # (C,)

    _axes = "(N, C, H, W)"

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = False,
        track_running_stats: bool = False, *, bias: bool = True
    ):
        super().__init__(num_features, eps, momentum, track_running_stats)
        arguments.flag(type(self).__name__, affine=affine, bias=bias)
        self.affine = bool(affine)
        self.weight, self.bias = affine_parameters(num_features, affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, of the same shape."""
        if x.ndim != self._axes.count(",") + 1 or x.shape[1] != self.num_features:
            expected = f"{self._axes} with {self.num_features} channels"
            got = f"{x.shape}{batch_hint(x.shape, axes=self._axes.count(',') + 1)}"
            raise ShapeError(f"{type(self).__name__}: x - expected {expected}, got shape {got}")
        hyper = self.settings()
        out = ops.instance_norm(x, self.weight, self.bias, self.running_mean, self.running_var, **hyper)
        if hyper["training"]:
            self.count_batch(x)
        return out


class InstanceNorm1d(InstanceNorm2d):
    """Normalise each channel of each signal by itself; see `InstanceNorm2d`.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, bias
        As in `InstanceNorm2d`.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `InstanceNorm2d`.
    """

    _axes = "(N, C, W)"


class LayerNorm(Module):
    """Normalise over the last axes, then scale and shift each of their elements.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The lengths of the axes to normalise over.
    eps : float, > 0
    elementwise_affine : bool
        Learn weight and bias; otherwise they are 1 and 0.
    bias : bool
        False learns the weight alone.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (..., *normalized_shape).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if the last axes of x have other lengths.
    """

    normalized_shape: int | Shape
    weight: Parameter | None  # of normalized_shape
    bias: Parameter | None  # of normalized_shape

    def __init__(
        self, normalized_shape: int | Shape, eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ):
        shape = _shape("LayerNorm", normalized_shape)
        arguments.positive("LayerNorm", finite=True, eps=eps)
        arguments.flag("LayerNorm", elementwise_affine=elementwise_affine, bias=bias)
        self.normalized_shape, self.eps, self.elementwise_affine = normalized_shape, eps, bool(elementwise_affine)
        self.weight, self.bias = affine_parameters(shape, elementwise_affine, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, of the same shape."""
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, eps=self.eps)


class RMSNorm(Module):
    """Divide by the root mean square over the last axes, then scale each of their elements.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The lengths of the axes to normalise over.
    eps : float, > 0, or None
        None means the distance from 1 to the next larger number of the dtype.
    elementwise_affine : bool
        Learn the weight; otherwise it is 1.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (..., *normalized_shape).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if the last axes of x have other lengths.
    """

    normalized_shape: int | Shape
    weight: Parameter | None  # of normalized_shape

    def __init__(self, normalized_shape: int | Shape, eps: float | None = None, elementwise_affine: bool = True):
        shape = _shape("RMSNorm", normalized_shape)
        if eps is not None:
            arguments.positive("RMSNorm", finite=True, eps=eps)
        arguments.flag("RMSNorm", elementwise_affine=elementwise_affine)
        self.normalized_shape, self.eps, self.elementwise_affine = normalized_shape, eps, bool(elementwise_affine)
        self.weight, _ = affine_parameters(shape, elementwise_affine)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised, of the same shape."""
        return ops.rms_norm(x, self.normalized_shape, self.weight, eps=self.eps)


def _shape(layer, normalized_shape):
    """Return the shape as a tuple; raise unless it is an integer or integers of at least 1."""
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not shape:
        raise ValueError(f"{layer}: normalized_shape - expected at least one axis, got ()")
    positive_int(layer, **{f"normalized_shape[{axis}]": length for axis, length in enumerate(shape)})
    return shape
