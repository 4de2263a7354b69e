"""Matrix products, and the fully connected layer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import optional_tensors, tensors
from minitorch_cnn.ops.arithmetic import unbroadcast
from minitorch_cnn.ops.indexing import index
from minitorch_cnn.ops.movement import reshape
from minitorch_cnn.ops.reads import Product, Rows
from minitorch_cnn.ops.reproducible_sum import sums_over_samples
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def _product(multiply, a, b):
    """Multiply matrices over the last two axes; the result does not depend on the number of threads."""
    if a.ndim == b.ndim == 2:
        return multiply(a, b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(m, (*batch, *m.shape[-2:])) for m in (a, b))
    out = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    for i in np.ndindex(*batch):
        out[i] = multiply(a[i], b[i])  # (M, K) @ (K, N) -> (M, N)
    return out


def _second_gradient(a, grad_out, *, multiply, transposed):
    """Return a.T @ grad_out, the gradient of b; ``transposed`` if b has the memory layout of its transpose."""
    if transposed:
        return _product(multiply, grad_out.swapaxes(-1, -2), a).swapaxes(-1, -2)  # ((N, M) @ (M, K)).T
    return _product(multiply, a.swapaxes(-1, -2), grad_out)  # (K, M) @ (M, N)


_sample_gradient = sums_over_samples(_second_gradient)  # the rows of two matrices are samples


class MatMul(Function):
    """a @ b over the last two axes."""

    rule = "a gets grad_out @ b.T, b gets a.T @ grad_out"
    reads, kind = Product(), "full"

    @staticmethod
    def macs(call):
        """Return the multiply-adds: every output element is a sum of K products."""
        return math.prod(call.shape) * call.shapes[0][-1]

    @staticmethod
    def output_shape(a, b):
        if a[-1] != b[-2]:
            raise ShapeError(f"matmul: b - expected {a[-1]} rows, the columns of a {a}, got {b[-2]} in {b}")
        try:
            return (*np.broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
        except ValueError:
            raise ShapeError(f"matmul: b - expected leading axes that broadcast with {a[:-2]}, got {b[:-2]}") from None

    @staticmethod
    def forward(ctx, a, b):
        ctx.shapes = a.shape, b.shape
        need_a, need_b = ctx.needs_grad
        ctx.save(a if need_b else None, b if need_a else None)  # the gradient of each reads the other
        ctx.transposed = b.swapaxes(-1, -2).flags.c_contiguous  # weights of linear layers, and their gradient
        ctx.multiply = kernels.gemm.selection.choose(b, kernels.runtime.precision.get_precision())
        return _product(ctx.multiply, a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        need_a, need_b = ctx.needs_grad
        grad_a = grad_b = None
        if need_a:
            grad_a = _product(ctx.multiply, grad_out, b.swapaxes(-1, -2))  # (M, N) @ (N, K) -> (M, K)
            grad_a = unbroadcast(grad_a, ctx.shapes[0])
        if need_b:
            gradient = _sample_gradient if a.ndim == grad_out.ndim == 2 else _second_gradient
            grad_b = unbroadcast(gradient(a, grad_out, multiply=ctx.multiply, transposed=ctx.transposed), ctx.shapes[1])
        return grad_a, grad_b


def matmul(a: Operand, b: Operand) -> Tensor:
    """Multiply matrices.

    out[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]

    Parameters
    ----------
    a : Tensor, shape (..., M, K) or (K,), float32 or float64
    b : Tensor, shape (..., K, N) or (K,), leading axes that broadcast with those of a
        A vector counts as one row on the left and as one column on the right.

    Returns
    -------
    Tensor, shape (..., M, N), without the axis of a vector

    Raises
    ------
    TypeError
        If an argument is not a Tensor, or dtypes differ.
    ShapeError
        If an argument has no axes, or the shapes do not fit.

    Notes
    -----
    Gradients: grad_out @ b.T for a, a.T @ grad_out for b, summed over the leading axes along which
    an argument was repeated.
    Cost: 2*M*K*N flop per matrix. The result is bitwise the same for any number of threads.
    """
    tensors("matmul", a=a, b=b)
    shapes = a.data.shape, b.data.shape
    for name, shape in zip("ab", shapes, strict=True):
        if not shape:
            raise ShapeError(f"matmul: {name} - expected at least one axis, got a scalar; use mul")
    row, column = (len(shape) == 1 for shape in shapes)
    out = MatMul.apply(reshape(a, (1, *shapes[0])) if row else a, reshape(b, (*shapes[1], 1)) if column else b)
    if row or column:
        out = index(out, (..., 0 if row else slice(None), 0 if column else slice(None)))
    return out


class Linear(Function):
    """x @ weight.T + bias."""

    rule = "x gets grad_out @ weight, weight gets grad_out.T @ x, bias gets grad_out summed over the samples"
    reads, kind = Rows(), "full"

    @staticmethod
    def macs(call):
        """Return the multiply-adds: every output element is a sum over the features."""
        return math.prod(call.shape) * call.shapes[0][1]

    @staticmethod
    def output_shape(x, weight, bias):
        return x[0], weight[0]

    @staticmethod
    def forward(ctx, x, weight, bias):
        need_x, need_weight, _ = ctx.needs_grad
        ctx.save(x if need_weight else None, weight if need_x else None)  # the gradient of each reads the other
        ctx.multiply = kernels.gemm.selection.choose(weight.T, kernels.runtime.precision.get_precision())
        out = ctx.multiply(x, weight.T)  # (N, in_features) @ (in_features, out_features)
        return out if bias is None else np.add(out, bias, out=out)

    @staticmethod
    def backward(ctx, grad_out):
        x, weight = ctx.saved
        need_x, need_weight, need_bias = ctx.needs_grad
        return (
            ctx.multiply(grad_out, weight) if need_x else None,
            _weight_gradient(x, grad_out, multiply=ctx.multiply) if need_weight else None,
            unbroadcast(grad_out, grad_out.shape[1:]) if need_bias else None,
        )


@sums_over_samples
def _weight_gradient(x, grad_out, *, multiply):
    return multiply(grad_out.T, x)  # (out_features, N) @ (N, in_features)


def linear(x: Operand, weight: Operand, bias: Operand | None = None) -> Tensor:
    """Fully connected layer: apply one matrix and one bias to the features of every sample.

    out[..., o] = bias[o] + sum over i of x[..., i] * weight[o, i]

    Parameters
    ----------
    x : Tensor, shape (..., in_features), float32 or float64
        Usually (N, in_features).
    weight : Tensor, shape (out_features, in_features)
    bias : Tensor, shape (out_features,), or None

    Returns
    -------
    Tensor, shape (..., out_features)

    Raises
    ------
    TypeError
        If an argument is not a Tensor, or dtypes differ.
    ShapeError
        If the features do not match.

    Notes
    -----
    Gradients: grad_out @ weight for x, grad_out.T @ x for weight, grad_out summed over the samples for bias.
    Cost: 2*N*in_features*out_features flop for N samples.
    """
    tensors("linear", x=x, weight=weight)
    optional_tensors("linear", bias=bias)
    if weight.data.ndim != 2:
        raise ShapeError(f"linear: weight - expected (out_features, in_features), got shape {weight.data.shape}")
    out_features, in_features = weight.data.shape
    *leading, features = x.data.shape or (None,)
    if features != in_features:
        raise ShapeError(
            f"linear: x - expected (..., {in_features}) for weight {weight.data.shape}, got {x.data.shape}"
        )
    if bias is not None and bias.data.shape != (out_features,):
        raise ShapeError(f"linear: bias - expected shape {(out_features,)}, got {bias.data.shape}")
    rows = x if len(leading) == 1 else reshape(x, (math.prod(leading), in_features))
    out = Linear.apply(rows, weight, bias)
    return out if len(leading) == 1 else reshape(out, (*leading, out_features))
