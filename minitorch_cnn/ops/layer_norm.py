"""Normalisation within each image: group, instance, layer and root-mean-square norm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import optional_tensors, tensors
from minitorch_cnn.ops.arithmetic import unbroadcast
from minitorch_cnn.ops.norm import batch_norm, check_per_channel, check_statistics
from minitorch_cnn.ops.reads import Everything, Inputs, PerChannel, SamePlace
from minitorch_cnn.shapes import ShapeError, nchw, nhwc
from minitorch_cnn.types import Array, Operand, Shape

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def _mean(x, axes):
    """Return the mean along axes in float64; the axes stay, with length 1."""
    return kernels.layers.reduction.sum_over(x, axes) / math.prod(x.shape[axis] for axis in axes)


class _Norm(Function):
    """Base of norms: x in parts, each part minus its mean (if ``centred``) and over its root mean square.

    A subclass defines ``layout(shape, hyper)``: the shape in which x is divided into parts, the axes of a part, and the
    shape with which weight and bias broadcast to x; and ``sizes(shape, hyper)``: the leading axes, channels and pixels
    of the maps that the kernels take, and the groups of channels.
    """

    centred = True
    rule = "grad_out * weight / std, minus its mean and its projection on the normalised x, part by part"
    reads, kind, label = Everything(), "norm", "norm"

    @classmethod
    def forward(cls, ctx, x, weight, bias, **hyper):
        ctx.layout, ctx.sizes = cls.layout(x.shape, hyper), cls.sizes(x.shape, hyper)
        *_, groups = ctx.sizes
        ctx.norm = kernels.layers.group_norm.Norm(groups, float(hyper["eps"]), cls.centred)
        ctx.affine = [None if a is None else a.shape for a in (weight, bias)]
        rows = [None if a is None else a.reshape(-1) for a in (weight, bias)]
        out, normal, inv_std = kernels.layers.group_norm.group_norm_forward(_maps(x, ctx.sizes), ctx.norm, *rows)
        shape, axes, _ = ctx.layout
        inv_std = inv_std.reshape([1 if axis in axes else length for axis, length in enumerate(shape)])
        ctx.save(_from_maps(normal, x.shape), inv_std, weight)
        return _from_maps(out, x.shape)

    @classmethod
    def backward(cls, ctx, grad_out):
        (normal, inv_std, weight), ((samples, *others), channels, _, groups) = ctx.saved, ctx.sizes
        grad_maps, normal = (_maps(array, ctx.sizes) for array in (grad_out, normal))
        weight, inv_std = None if weight is None else weight.reshape(-1), inv_std.reshape(-1, groups)
        grad_x, parts = kernels.layers.group_norm.group_norm_backward(grad_maps, ctx.norm, weight, normal, inv_std)
        grads = [_from_maps(grad_x, grad_out.shape)]
        for sums, shape in zip(parts, ctx.affine, strict=True):
            of_samples = sums.reshape(samples, math.prod(others), channels)
            grads.append(None if shape is None else unbroadcast(of_samples, (channels,)).reshape(shape))
        return tuple(grad if needed else None for grad, needed in zip(grads, ctx.needs_grad, strict=True))


def _maps(x, sizes):
    """Return an array as maps (N, P, C); channels-last images and contiguous rows are not copied."""
    leading, channels, pixels, _ = sizes
    return nhwc(x.reshape(math.prod(leading), channels, 1, pixels))[:, 0]


def _from_maps(maps, shape):
    """Return maps (N, P, C) as an array of a shape."""
    return nchw(maps[:, None]).reshape(shape)


def _of_group(call):
    """Return the axes that a channel of a group norm reads: all but the batch, or its own channel alone."""
    first = 2 if call.hyper["groups"] == call.shape[1] else 1
    return tuple(range(first, len(call.shape)))


class GroupNorm(_Norm):
    """Normalise each group of channels of each image, then scale and shift each channel."""

    reads, label = Inputs(Everything(_of_group), PerChannel()), "GN"

    @staticmethod
    def layout(shape, hyper):
        groups, inside = hyper["groups"], shape[1] // hyper["groups"]
        parts = (shape[0], groups, inside, *shape[2:])
        return parts, tuple(range(2, len(parts))), (shape[1], *(1,) * (len(shape) - 2))

    @staticmethod
    def sizes(shape, hyper):
        return shape[:1], shape[1], math.prod(shape[2:]), hyper["groups"]

    @staticmethod
    def output_shape(x, weight, bias, *, groups, eps):
        if len(x) < 2:
            raise ShapeError(f"group_norm: x - expected (N, C) or (N, C, ...), got shape {x}")
        if x[1] % groups or not x[1]:
            raise ShapeError(f"group_norm: x - expected channels divisible by groups {groups}, got shape {x}")
        for name, shape in (("weight", weight), ("bias", bias)):
            if shape not in (None, x[1:2]):
                raise ShapeError(f"group_norm: {name} - expected shape {x[1:2]}, one per channel, got {shape}")
        if x[0] and math.prod(x[1:]) <= groups:
            raise ShapeError(f"group_norm: x - expected more than one value per group, got shape {x}, groups {groups}")
        return x


def _last_axes(call):
    return tuple(range(len(call.shape) - call.hyper["axes"], len(call.shape)))


class LayerNorm(_Norm):
    """Normalise over the last axes, then scale and shift each of their elements."""

    reads, label = Inputs(Everything(_last_axes), SamePlace()), "LN"

    @staticmethod
    def layout(shape, hyper):
        first = len(shape) - hyper["axes"]
        return shape, tuple(range(first, len(shape))), shape[first:]

    @staticmethod
    def sizes(shape, hyper):
        first = len(shape) - hyper["axes"]
        return shape[:first] or (1,), math.prod(shape[first:]), 1, 1

    @staticmethod
    def output_shape(x, weight, bias, *, axes, eps):
        return x


class RMSNorm(LayerNorm):
    """Divide by the root mean square over the last axes, then scale each of their elements."""

    centred, label = False, "RMS"
    rule = "grad_out * weight / rms, minus its projection on the normalised x"


def group_norm(
    x: Operand, groups: int, weight: Operand | None = None, bias: Operand | None = None, *, eps: float = 1e-5
) -> Tensor:
    """Normalise each group of channels of each image, then scale and shift each channel.

    out[n, c, i, j] = (x[n, c, i, j] - mean[n, g]) / sqrt(var[n, g] + eps) * weight[c] + bias[c], g the group of c

    Parameters
    ----------
    x : Tensor, shape (N, C) or (N, C, ...)
    groups : int, >= 1
        C groups normalise each channel by itself: instance norm. One group normalises all of an image.
    weight, bias : Tensor, shape (C,), or None
        None means 1 and 0.
    eps : float, > 0

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError, ValueError
        If an argument is not a Tensor, or groups or eps are out of range.
    ShapeError
        If groups do not divide C, a group has a single value, or another shape is not (C,).

    Notes
    -----
    Mean and biased variance are those of one image, so training and evaluation do the same. Cost: three passes over
    each image forward and two backward, the first of which brings a small image into the cache.
    """
    tensors("group_norm", x=x)
    optional_tensors("group_norm", weight=weight, bias=bias)
    arguments.integer("group_norm", least=1, groups=groups)
    _check_eps("group_norm", eps)
    return GroupNorm.apply(x, weight, bias, groups=int(groups), eps=float(eps))


def instance_norm(
    x: Operand, weight: Operand | None = None, bias: Operand | None = None, running_mean: Array | None = None,
    running_var: Array | None = None, *, training: bool = True, momentum: float = 0.1, eps: float = 1e-5
) -> Tensor:
    """Normalise each channel of each image by itself, or in evaluation by running statistics.

    out[n, c, i, j] = (x[n, c, i, j] - mean[n, c]) / sqrt(var[n, c] + eps) * weight[c] + bias[c]

    Parameters
    ----------
    x : Tensor, shape (N, C, W) or (N, C, H, W)
    weight, bias : Tensor, shape (C,), or None
        None means 1 and 0.
    running_mean, running_var : ndarray, shape (C,), or None
        Used in evaluation; updated in place in training.
    training : bool
        Use mean and variance of each image; otherwise the running statistics, as `batch_norm` does.
    momentum : float, 0..1
        running = (1 - momentum) * running + momentum * new, with the mean of the images' means and variances as new
    eps : float, > 0

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError, ValueError
        If an argument is not a Tensor, statistics are not ndarrays of floats, evaluation lacks them, or an option is
        out of range.
    ShapeError
        If x has no pixels, a channel of it has a single value, or another shape is not (C,).

    Notes
    -----
    The image is normalised with the biased variance. The running variance uses the unbiased one, which divides by
    H*W - 1; it costs two more passes. A batch without images leaves the statistics as they are.
    """
    tensors("instance_norm", x=x)
    optional_tensors("instance_norm", weight=weight, bias=bias)
    check_statistics("instance_norm", running_mean=running_mean, running_var=running_var)
    arguments.number("instance_norm", least=0, most=1, momentum=momentum)
    arguments.flag("instance_norm", training=training)
    _check_eps("instance_norm", eps)
    shape = x.data.shape
    if len(shape) not in (3, 4) or not shape[1]:
        raise ShapeError(f"instance_norm: x - expected (N, C, W) or (N, C, H, W) with channels, got shape {shape}")
    arrays = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    check_per_channel("instance_norm", shape[1:2], **{k: None if a is None else a.shape for k, a in arrays.items()})
    if not training:
        if running_mean is None:
            raise ValueError("instance_norm: running_mean - expected arrays for evaluation, got None")
        return batch_norm(x, weight, bias, running_mean, running_var, training=False, eps=eps)
    if shape[0] and math.prod(shape[2:]) <= 1:
        raise ShapeError(f"instance_norm: x - expected more than one value per channel and image, got shape {shape}")
    out = group_norm(x, shape[1], weight, bias, eps=eps)
    if running_mean is not None and shape[0] and not x.traced:
        _follow(x.data, running_mean, running_var, momentum)
    return out


def _follow(x, running_mean, running_var, momentum):
    """Move running statistics towards the mean over the images of their means and unbiased variances."""
    axes, values = tuple(range(2, x.ndim)), math.prod(x.shape[2:])
    with np.errstate(all="ignore"):  # infinities and NaN are values too
        mean = _mean(x, axes)
        var = _mean((x - mean) ** 2, axes) * (values / (values - 1))
        for running, new in ((running_mean, mean), (running_var, var)):
            running[...] = (1 - momentum) * running + momentum * new.reshape(x.shape[:2]).mean(0)


def layer_norm(
    x: Operand, shape: int | Shape, weight: Operand | None = None, bias: Operand | None = None, *, eps: float = 1e-5
) -> Tensor:
    """Normalise over the last axes, then scale and shift each of their elements.

    out = (x - mean) / sqrt(var + eps) * weight + bias, with mean and biased variance over the last axes

    Parameters
    ----------
    x : Tensor, shape (..., *shape)
    shape : int or tuple of int
        The lengths of the axes to normalise over.
    weight, bias : Tensor of ``shape``, or None
        None means 1 and 0.
    eps : float, > 0

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError, ValueError
        If an argument is not a Tensor, or shape or eps are out of range.
    ShapeError
        If the last axes of x, weight or bias are not of ``shape``.
    """
    shape = _check_last_axes("layer_norm", x, shape, weight=weight, bias=bias)
    _check_eps("layer_norm", eps)
    return LayerNorm.apply(x, weight, bias, axes=len(shape), eps=float(eps))


def rms_norm(x: Operand, shape: int | Shape, weight: Operand | None = None, *, eps: float | None = None) -> Tensor:
    """Divide by the root mean square over the last axes, then scale each of their elements.

    out = x / sqrt(mean of x**2 + eps) * weight

    Parameters
    ----------
    x : Tensor, shape (..., *shape)
    shape : int or tuple of int
        The lengths of the axes to normalise over.
    weight : Tensor of ``shape``, or None
    eps : float > 0, or None
        None means the distance from 1 to the next larger number of the dtype, as in PyTorch.

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `layer_norm`.
    """
    shape = _check_last_axes("rms_norm", x, shape, weight=weight)
    eps = np.finfo(x.data.dtype).eps if eps is None and x.data.dtype.kind == "f" else eps
    _check_eps("rms_norm", 1e-6 if eps is None else eps)
    return RMSNorm.apply(x, weight, None, axes=len(shape), eps=eps)


def _check_eps(op, eps):
    arguments.positive(op, finite=True, eps=eps)


def _check_last_axes(op, x, shape, **affine):
    """Return ``shape`` as a tuple; raise unless the last axes of x and the others have it."""
    tensors(op, x=x)
    optional_tensors(op, **affine)
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    arguments.integer(op, least=1, **{f"shape[{axis}]": length for axis, length in enumerate(shape)})
    if not shape:
        raise ValueError(f"{op}: shape - expected at least one axis, got ()")
    if x.data.shape[-len(shape) :] != shape:
        raise ShapeError(f"{op}: x - expected the last axes {shape}, got shape {x.data.shape}")
    for name, value in affine.items():
        if value is not None and value.data.shape != shape:
            raise ShapeError(f"{op}: {name} - expected shape {shape}, got {value.data.shape}")
    return shape
