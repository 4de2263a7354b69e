"""Fused operations: several operations computed in fewer passes over memory, with the same result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops import conv
from minitorch_cnn.ops._check import optional_tensors
from minitorch_cnn.ops.norm import batch_norm_coefficients, batch_norm_shape, check_batch_norm
from minitorch_cnn.ops.reads import Everything, Inputs, PerChannel, SamePlace, Windows, kernel_of_weight
from minitorch_cnn.shapes import ShapeError, batch_hint, nchw, nhwc
from minitorch_cnn.types import Array, Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor

LARGEST_POOL = 15  # the index of the maximum in a window is stored as one byte


class BatchNormReLU(Function):
    """Batch norm, addition of a residual, ReLU, and max pooling with adjacent windows."""

    rule = (
        "the gradient passes where the output is positive, to the maximum of each window; from there unchanged to the "
        "residual, and to x as in batch norm"
    )
    reads = Inputs(Windows("pool", "pool", groups=None), PerChannel(), PerChannel(), SamePlace())
    kind, label = "norm", "BN ReLU"

    @staticmethod
    def output_shape(x, weight, bias, residual, *, running_mean, running_var, training, momentum, eps, pool):
        if len(x) != 4:
            raise ShapeError(f"batch_norm_relu: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
        batch_norm_shape(x, weight, bias, running_mean, running_var)
        if residual is not None and residual != x:
            raise ShapeError(f"batch_norm_relu: residual - expected the shape of x {x}, got {residual}")
        if min(x[2:]) < pool:
            raise ShapeError(f"batch_norm_relu: x - expected at least {pool} x {pool} pixels to pool, got shape {x}")
        return (*x[:2], x[2] // pool, x[3] // pool)

    @staticmethod
    def forward(ctx, x, weight, bias, residual, *, training, pool, **hyper):
        pixels = nhwc(x)
        mean, inv_std, scale, shift = batch_norm_coefficients(pixels, weight, bias, training=training, **hyper)
        argmax = deviations = None
        if pool == 1:
            shortcut = None if residual is None else nhwc(residual)
            out = kernels.layers.batch_norm_relu.batch_norm_relu_forward(pixels, scale, shift, shortcut)
        else:
            out, argmax, deviations = kernels.layers.batch_norm_relu.batch_norm_relu_pool_forward(
                pixels, mean, scale, shift, pool
            )
        ctx.training, ctx.pool = training, pool
        ctx.coefficients = (scale, shift) if pool == 1 and residual is None else None
        if any(ctx.needs_grad):
            ctx.save(x, out, mean, inv_std, weight, argmax, deviations)
        return nchw(out)

    @staticmethod
    def backward(ctx, grad_out):
        x, out, mean, inv_std, weight, argmax, deviations = ctx.saved
        gamma = np.ones_like(mean) if weight is None else weight
        pooled = None if ctx.pool == 1 else (ctx.pool, argmax, deviations)
        _, need_weight, need_bias, need_residual = ctx.needs_grad
        module = kernels.layers.batch_norm_relu
        gate = module.Gate(nhwc(x), *ctx.coefficients) if ctx.coefficients else module.gate_of_output(out)
        grad_x, grad_weight, grad_bias = module.batch_norm_relu_backward(
            nhwc(grad_out), gate, nhwc(x), mean, inv_std, gamma, training=ctx.training, pooled=pooled
        )
        grads = nchw(grad_x), grad_weight if need_weight else None, grad_bias if need_bias else None
        return *grads, _through_relu(grad_out, out) if need_residual else None

    @staticmethod
    def choices(ctx):
        out, argmax = ctx.saved[1], ctx.saved[5]
        return out > 0 if argmax is None else np.where(out > 0, argmax, np.int64(-1))


def _through_relu(grad_out, out):
    """Return the gradient (N, C, H, W) before a ReLU whose output was ``out`` (N, H, W, C)."""
    passed = kernels.layers.elementwise.relu_backward(nhwc(grad_out).reshape(-1), out.reshape(-1))
    return nchw(passed.reshape(out.shape))


def batch_norm_relu(
    x: Operand,
    weight: Operand,
    bias: Operand,
    running_mean: Array,
    running_var: Array,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-05,
    pool: int = 1,
    residual: Operand | None = None,
) -> Tensor:
    """Batch norm, ReLU and max pooling in one operation.

    out = max_pool2d(relu(batch_norm(x, ...) + residual), pool)

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W), float32 or float64
    weight, bias, running_mean, running_var, training, momentum, eps
        As for `batch_norm`.
    pool : int, pixels, 1 to 15
        Side and stride of the windows; 1 means no pooling.
    residual : Tensor, shape (N, C, H, W), or None
        Added before the ReLU, as at the end of a residual block; cannot be combined with pooling.

    Returns
    -------
    Tensor, shape (N, C, H // pool, W // pool)

    Raises
    ------
    TypeError, ValueError
        As `batch_norm`; also if pool is out of range, or combined with a residual.
    ShapeError
        As `batch_norm`; also if x does not have four axes, or is smaller than one window, or if the residual has
        another shape.

    Notes
    -----
    Gradients: those of the separate operations.
    Cost: two passes over x forward and slightly more than one backward; the separate operations need five and eight.
    """
    check_batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps)
    if isinstance(pool, bool) or not isinstance(pool, (int, np.integer)) or not 1 <= pool <= LARGEST_POOL:
        raise ValueError(f"batch_norm_relu: pool - expected an integer, 1 to {LARGEST_POOL}, got {pool!r}")
    if residual is not None and pool != 1:
        raise ValueError(f"batch_norm_relu: pool - expected 1 together with a residual, got {pool}")
    hyper = {"running_mean": running_mean, "running_var": running_var, "momentum": momentum, "eps": eps}
    return BatchNormReLU.apply(x, weight, bias, residual, training=training, pool=int(pool), **hyper)


class Conv2dReLU(conv.Conv2d):
    """Convolution, addition of a residual, and ReLU."""

    rule = (
        "the gradient passes where the output is positive; from there unchanged to the residual, and to x, weight and "
        "bias as in conv2d"
    )
    reads = Inputs(
        *(Windows(kernel_of_weight, "stride", "padding", "dilation", "groups"), Everything(), PerChannel(), SamePlace())
    )
    label = "conv ReLU"

    @staticmethod
    def output_shape(x, weight, bias, residual, **hyper):
        shape = conv.Conv2d.output_shape(x, weight, bias, **hyper)
        if residual is not None and residual != shape:
            raise ShapeError(f"conv2d_relu: residual - expected the output's shape {shape}, got {residual}")
        return shape

    @staticmethod
    def forward(ctx, x, weight, bias, residual, **hyper):
        out = conv.Conv2d.forward(ctx, x, weight, bias, relu=residual is None, **hyper)
        if residual is not None:
            if np.may_share_memory(out, x):  # a registered algorithm may return its input
                out = out.copy("K")
            kernels.layers.elementwise.relu_in_place(nhwc(out), nhwc(residual))
        if any(ctx.needs_grad):
            ctx.save(*ctx.saved, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        passed = _through_relu(grad_out, nhwc(ctx.saved[2]))
        return *conv.Conv2d.backward(ctx, passed), passed if ctx.needs_grad[3] else None

    @staticmethod
    def choices(ctx):
        return ctx.saved[2] > 0


def conv2d_relu(x: Operand, weight: Operand, bias: Operand | None, residual: Operand | None, **hyper: Any) -> Tensor:
    """Convolution and ReLU in one operation.

    out = relu(conv2d(x, weight, bias, ...) + residual)

    Parameters
    ----------
    x : Tensor, shape (N, C_in, H, W), float32 or float64
    weight : Tensor, shape (C_out, C_in/groups, KH, KW)
    bias : Tensor, shape (C_out,), or None
    residual : Tensor, shape (N, C_out, OH, OW), or None
        Added before the ReLU, as at the end of a residual block.
    hyper
        All keywords of `conv2d`.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW)
        The same bits as those of the separate operations.

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `conv2d`; also if the residual is not a Tensor, or has another shape than the output.

    Notes
    -----
    Gradients: those of the separate operations.
    Cost: the ReLU costs no pass over memory, as the kernels write 0 for negative sums; with a residual it takes one.
    """
    optional_tensors("conv2d_relu", residual=residual)
    x, hyper = conv.checked(x, weight, bias, **hyper)
    return Conv2dReLU.apply(x, weight, bias, residual, **hyper)
