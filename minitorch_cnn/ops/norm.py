"""Batch normalisation and local response normalisation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import optional_tensors, tensors
from minitorch_cnn.ops.movement import reshape
from minitorch_cnn.ops.reads import Inputs, PerChannel, SamePlace, Windows
from minitorch_cnn.ops.reproducible_sum import sums_over_samples
from minitorch_cnn.shapes import ShapeError, batch_hint, nchw, nhwc
from minitorch_cnn.types import Array, Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def _pixels(x):
    """Return (N, C), (N, C, W) or (N, C, H, W) as channels-last maps, (N, H, W, C)."""
    return nhwc(x.reshape(*x.shape[:2], *(1,) * (4 - x.ndim), *x.shape[2:]))


def check_statistics(op, **named):
    """Raise unless all named arguments are ndarrays of floats, or all None: integers would round all to 0."""
    for name, array in named.items():
        if array is None and [other for other in named.values() if other is not None]:
            raise ValueError(f"{op}: {name} - expected an array, as the other statistics are, got None")
        if array is not None and (not isinstance(array, np.ndarray) or array.dtype.kind != "f"):
            got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(f"{op}: {name} - expected an ndarray of floats or None, got {got}")


def batch_norm_shape(x, weight, bias, running_mean, running_var, op="batch_norm"):
    """Return the shape of x; raise unless all other shapes are (C,)."""
    if not 2 <= len(x) <= 4:
        raise ShapeError(f"{op}: x - expected (N, C), (N, C, W) or (N, C, H, W), got shape {x}")
    means, variances = (None if array is None else array.shape for array in (running_mean, running_var))
    check_per_channel(op, x[1:2], weight=weight, bias=bias, running_mean=means, running_var=variances)
    return x


def check_per_channel(op, expected, **shapes):
    """Raise ShapeError unless every shape that is not None is the expected one, (C,)."""
    for name, shape in shapes.items():
        if shape not in (None, expected):
            raise ShapeError(f"{op}: {name} - expected shape {expected}, one per channel, got {shape}")


def _values(pixels):
    """Return the number of values of each channel of feature maps (N, H, W, C)."""
    return math.prod(pixels.shape[:-1])


def check_values(op, shape):
    """Raise unless maps (N, C, ...) have more than one value per channel: a single value has no variance."""
    if math.prod((*shape[:1], *shape[2:])) <= 1:
        raise ValueError(
            f"{op}: x - expected more than one value per channel in training, got shape {shape}; "
            "let the loader drop the last small batch (drop_last=True) or call eval()"
        )


def statistics(pixels, total=None):
    """Return mean, biased variance and number of values of each channel of feature maps (N, H, W, C).

    ``total`` sums arrays over processes, each of which holds a share of the batch.
    """
    if total is None:
        return *kernels.layers.batch_norm.batch_norm_stats(pixels), _values(pixels)
    sums = total(_moments(pixels))
    count = round(sums[0, 0])
    mean = sums[1] / count
    return mean.astype(pixels.dtype), np.maximum(sums[2] / count - mean**2, 0).astype(pixels.dtype), count


@sums_over_samples
def _moments(pixels):
    """Return count, sum and sum of squares of the values of each channel, shape (3, C)."""
    mean, var = (moment.astype(np.float64) for moment in kernels.layers.batch_norm.batch_norm_stats(pixels))
    # The mean square is var + mean**2. In float64 the later subtraction of mean**2 cancels few digits.
    return _values(pixels) * np.stack([np.ones_like(mean), mean, var + mean**2])


def batch_norm_coefficients(
    pixels, weight, bias, running_mean, running_var, training, momentum, eps, total=None, batch=None
):
    """Return (mean, 1 / std, scale, shift) of each channel of feature maps (N, H, W, C).

    Training updates the running statistics. ``batch`` holds the batch mean and variance if they are already known.
    """
    if training:
        mean, var, count = statistics(pixels, total) if batch is None else (*batch, _values(pixels))
        if running_mean is not None:
            # As documented: a difference of two finite numbers could overflow.
            running_mean[...] = (1 - momentum) * running_mean + momentum * mean
            running_var[...] = (1 - momentum) * running_var + momentum * (var * (count / (count - 1)))
    else:
        mean, var = running_mean.astype(pixels.dtype), running_var.astype(pixels.dtype)
    # There are few statistics, so float64 costs nothing here; it keeps the shift exact where mean >> std.
    inv_std = 1 / np.sqrt(var.astype(np.float64) + eps)
    scale = inv_std if weight is None else weight * inv_std
    shift = -mean * scale if bias is None else bias - mean * scale
    return mean, *(values.astype(pixels.dtype) for values in (inv_std, scale, shift))


class BatchNorm(Function):
    """Normalise each channel over the batch, then scale and shift it."""

    rule = "grad_out, scaled by weight/std, minus its mean and minus its projection on the normalised x"
    reads, kind, label = Inputs(SamePlace(), PerChannel()), "norm", "BN"

    @staticmethod
    def output_shape(x, weight, bias, *, running_mean, running_var, training, momentum, eps):
        return batch_norm_shape(x, weight, bias, running_mean, running_var)

    @staticmethod
    def forward(ctx, x, weight, bias, *, training, **hyper):
        pixels = _pixels(x)
        mean, inv_std, scale, shift = batch_norm_coefficients(pixels, weight, bias, training=training, **hyper)
        out = nchw(kernels.layers.batch_norm.batch_norm_apply(pixels, scale, shift)).reshape(x.shape)
        ctx.training = training
        gamma = np.ones_like(mean) if weight is None else weight
        if any(ctx.needs_grad) and training and weight is None:
            # The normalised x is the output less the bias, and the next operation often keeps the output as well.
            center = np.zeros_like(mean) if bias is None else bias.copy()
            ctx.save(out, center, gamma, inv_std)
        elif any(ctx.needs_grad):
            ctx.save(x, mean, inv_std, gamma)  # x, not the normalised x, which no other operation needs
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, mean, inv_std, gamma = ctx.saved
        pixels, grad_pixels = _pixels(x), _pixels(grad_out)  # (N, H, W, C)
        if ctx.training:
            grad_x, grad_weight, grad_bias = kernels.layers.batch_norm.batch_norm_backward(
                grad_pixels, pixels, mean, inv_std, gamma
            )
        else:  # mean and std are constants
            grad_x = kernels.layers.batch_norm.batch_norm_apply(grad_pixels, gamma * inv_std, np.zeros_like(mean))
            sums, products = kernels.layers.batch_norm.batch_norm_sums(grad_pixels, pixels, mean)  # (C,)
            grad_weight, grad_bias = (products * inv_std).astype(x.dtype), sums.astype(x.dtype)
        _, need_weight, need_bias = ctx.needs_grad
        return nchw(grad_x).reshape(x.shape), grad_weight if need_weight else None, grad_bias if need_bias else None


def check_batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps, *, op="batch_norm"):
    """Raise unless these are valid arguments of `batch_norm`, or of the operation ``op`` that is like it."""
    tensors(op, x=x)
    optional_tensors(op, weight=weight, bias=bias)
    check_statistics(op, running_mean=running_mean, running_var=running_var)
    arguments.flag(op, training=training)
    arguments.number(op, least=0, most=1, momentum=momentum)
    arguments.positive(op, finite=True, eps=eps)
    if not training and running_mean is None:
        raise ValueError(f"{op}: running_mean - expected arrays for evaluation, got None")
    if training and x.data.ndim > 1:
        check_values(op, x.data.shape)


def batch_norm(
    x: Operand,
    weight: Operand | None,
    bias: Operand | None,
    running_mean: Array,
    running_var: Array,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """Normalise each channel, then scale and shift it.

    out[n, c, i, j] = (x[n, c, i, j] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    Parameters
    ----------
    x : Tensor, shape (N, C), (N, C, W) or (N, C, H, W)
    weight, bias : Tensor, shape (C,), or None
        gamma and beta of the paper; None means 1 and 0.
    running_mean, running_var : ndarray, shape (C,), or None
        Used in evaluation; updated in place in training.
    training : bool
        Use mean and variance of this batch; otherwise the running statistics.
    momentum : float, 0..1
        running = (1 - momentum) * running + momentum * new
    eps : float, > 0

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If an argument is not a Tensor, or not an ndarray of floats.
    ShapeError
        If x has no channel axis, or another shape is not (C,).
    ValueError
        If training sees a single value per channel, evaluation lacks statistics, or momentum or eps
        is out of range.

    Notes
    -----
    The batch is normalised with the biased variance (divided by M, the number of values per channel). The
    running variance uses the unbiased one (divided by M - 1).
    Cost: three passes over x forward, two more backward.
    Source: Ioffe and Szegedy 2015, algorithm 1, arXiv 1502.03167.
    """
    check_batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps)
    return BatchNorm.apply(
        x,
        weight,
        bias,
        running_mean=running_mean,
        running_var=running_var,
        training=training,
        momentum=momentum,
        eps=eps,
    )


class LocalResponseNorm(Function):
    """Divide each value by a power of the sum of squares over neighbouring channels."""

    rule = "grad_out / base^beta, minus the share of each value in the bases of its neighbouring channels"
    reads, kind, label = Windows("size", padding=lambda call: call.hyper["size"] // 2, over=(1,)), "norm", "LRN"

    @staticmethod
    def output_shape(x, *, size, alpha, beta, k):
        if len(x) != 4:
            raise ShapeError(f"local_response_norm: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
        return x

    @staticmethod
    def forward(ctx, x, **hyper):
        pixels = nhwc(x)
        out, base = kernels.layers.response_norm.local_response_norm_forward(pixels, **hyper)
        ctx.hyper = hyper
        ctx.save(pixels, out, base)
        return nchw(out)

    @staticmethod
    def backward(ctx, grad_out):
        return nchw(kernels.layers.response_norm.local_response_norm_backward(nhwc(grad_out), *ctx.saved, **ctx.hyper))


def local_response_norm(x: Operand, size: int, *, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Normalise over ``size`` neighbouring channels, as AlexNet did.

    out[n, c] = x[n, c] / (k + alpha / size * sum over c' of x[n, c']**2) ** beta

    with c' from c - size//2 to c + (size - 1)//2 inside 0..C-1.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W), or (N, C, ...) with any number of axes
    size : int, channels, >= 1
    alpha, beta, k : float

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or alpha, beta or k is not a number.
    ValueError
        If size is not a positive integer.
    ShapeError
        If x has fewer than three axes.

    Notes
    -----
    The paper does not divide alpha (n=5, k=2, alpha=1e-4, beta=0.75); here, as in PyTorch,
    alpha is divided by ``size``, so the paper's layer is ``local_response_norm(x, 5, alpha=5e-4, k=2)``.
    Source: Krizhevsky, Sutskever and Hinton 2012, section 3.3.
    """
    tensors("local_response_norm", x=x)
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ValueError(f"local_response_norm: size - expected an integer >= 1, got {size!r}")
    arguments.number("local_response_norm", alpha=alpha, beta=beta, k=k)
    shape, hyper = x.data.shape, {"size": int(size), "alpha": float(alpha), "beta": float(beta), "k": float(k)}
    if len(shape) == 4:
        return LocalResponseNorm.apply(x, **hyper)
    if len(shape) < 3:
        raise ShapeError(f"local_response_norm: x - expected at least 3 axes (N, C, ...), got shape {shape}")
    maps = reshape(x, (*shape[:2], 1, math.prod(shape[2:])))  # pixels do not see each other, so their order is free
    return reshape(LocalResponseNorm.apply(maps, **hyper), shape)
