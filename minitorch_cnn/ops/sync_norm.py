"""Batch norm over a batch that is divided among processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops.norm import batch_norm_coefficients, batch_norm_shape, check_batch_norm
from minitorch_cnn.ops.reads import Inputs, PerChannel, SamePlace
from minitorch_cnn.ops.reproducible_sum import add_up, of_blocks
from minitorch_cnn.shapes import ShapeError, batch_hint, nchw, nhwc
from minitorch_cnn.types import Array, Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class SyncBatchNorm(Function):
    """Batch norm in training, with sums over the batches of all processes."""

    rule = "as in batch norm, with the mean of grad_out and its projection taken over the shares of all processes"
    reads, kind, label = Inputs(SamePlace(), PerChannel()), "norm", "BN"

    @staticmethod
    def output_shape(x, weight, bias, *, running_mean, running_var, momentum, eps, total):
        if len(x) != 4:
            raise ShapeError(f"sync_batch_norm: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
        return batch_norm_shape(x, weight, bias, running_mean, running_var, "sync_batch_norm")

    @staticmethod
    def forward(ctx, x, weight, bias, *, total, **hyper):
        pixels = nhwc(x)
        mean, inv_std, scale, shift = batch_norm_coefficients(pixels, weight, bias, training=True, total=total, **hyper)
        ctx.total = total
        if any(ctx.needs_grad):
            ctx.save(x, mean, inv_std, weight)
        return nchw(kernels.layers.batch_norm.batch_norm_apply(pixels, scale, shift))

    @staticmethod
    def backward(ctx, grad_out):
        x, mean, inv_std, weight = ctx.saved
        gamma = np.ones_like(mean) if weight is None else weight
        pixels, grad_pixels = nhwc(x), nhwc(grad_out)
        count = np.full(len(mean), pixels.size // len(mean), np.float64)
        parts = of_blocks(
            lambda grad, values: np.stack(kernels.layers.batch_norm.batch_norm_sums(grad, values, mean)),
            grad_pixels,
            pixels,
        )
        all_sums, all_products, counts = ctx.total(np.stack([*add_up(parts), count]))
        grad_x = kernels.layers.batch_norm.batch_norm_input_gradient(
            grad_pixels, pixels, mean, inv_std, gamma, all_sums, all_products, counts[0]
        )
        # The gradients of weight and bias stay local: the trainer sums them with all other gradients.
        _, need_weight, need_bias = ctx.needs_grad
        grad_weight = add_up([(products * inv_std).astype(x.dtype) for _, products in parts]) if need_weight else None
        return nchw(grad_x), grad_weight, add_up([sums.astype(x.dtype) for sums, _ in parts]) if need_bias else None


def sync_batch_norm(
    x: Operand,
    weight: Operand,
    bias: Operand,
    running_mean: Array,
    running_var: Array,
    *,
    momentum: float = 0.1,
    eps: float = 1e-05,
    total: Any,
) -> Tensor:
    """Batch norm over a batch of which every process holds a share.

    out[n, c, i, j] = (x[n, c, i, j] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]

    with mean and var those of the whole batch.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
        The share of this process.
    weight, bias, running_mean, running_var, momentum, eps
        As for `batch_norm` in training.
    total : callable
        Returns the sum of an array over all processes. Every process calls it once in forward and once in
        backward, in the same order.

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError, ValueError
        As `batch_norm`.
    ShapeError
        As `batch_norm`, or if x does not have four axes.

    Notes
    -----
    The gradient of x is that of the total loss over all processes. The gradients of weight and bias contain
    only this process's share, so the sum over the processes is right for all parameters.
    Cost: that of `batch_norm`, plus two messages of 3 * C values.
    """
    check_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps, op="sync_batch_norm")
    arguments.function("sync_batch_norm", total=total)
    hyper = {"running_mean": running_mean, "running_var": running_var, "momentum": momentum, "eps": eps}
    return SyncBatchNorm.apply(x, weight, bias, total=total, **hyper)
