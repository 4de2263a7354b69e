"""Matrix products."""

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import optional_tensors, tensors
from minitorch_cnn.ops.arithmetic import add, unbroadcast
from minitorch_cnn.ops.movement import transpose
from minitorch_cnn.shapes import ShapeError


def _product(a, b):
    """Multiply the last two axes; each matrix through the kernel whose bits do not depend on threads."""
    if a.ndim == b.ndim == 2:
        return kernels.gemm.matmul(a, b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (np.broadcast_to(m, (*batch, *m.shape[-2:])) for m in (a, b))
    out = np.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    for i in np.ndindex(*batch):
        out[i] = kernels.gemm.matmul(a[i], b[i])
    return out


class MatMul(Function):
    """a @ b over the last two axes."""

    rule = "a gets grad_out @ b.T, b gets a.T @ grad_out"

    @staticmethod
    def output_shape(a, b):
        for name, shape in (("a", a), ("b", b)):
            if len(shape) < 2:
                raise ShapeError(f"matmul: {name} - expected at least 2 axes, got shape {shape}")
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
        ctx.save(a if need_b else None, b if need_a else None)  # each is read by the other's gradient
        return _product(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return (
            None if b is None else unbroadcast(_product(grad_out, b.swapaxes(-1, -2)), ctx.shapes[0]),
            None if a is None else unbroadcast(_product(a.swapaxes(-1, -2), grad_out), ctx.shapes[1]),
        )


def matmul(a, b):
    """Multiply matrices.

    out[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]

    Parameters
    ----------
    a : Tensor, shape (..., M, K)
    b : Tensor, shape (..., K, N), leading axes that broadcast with those of a

    Returns
    -------
    Tensor, shape (..., M, N)

    Raises
    ------
    TypeError
        If an argument is no Tensor, or dtypes differ.
    ShapeError
        If one has fewer than two axes, or shapes do not fit.

    Notes
    -----
    A vector is not promoted to a matrix: say which with reshape. Cost: 2*M*K*N flop a matrix.
    """
    tensors("matmul", a=a, b=b)
    return MatMul.apply(a, b)


def linear(x, weight, bias=None):
    """Return the affine map of each row.

    out[n, o] = bias[o] + sum over i of x[n, i] * weight[o, i]

    Parameters
    ----------
    x : Tensor, shape (N, in_features)
    weight : Tensor, shape (out_features, in_features)
    bias : Tensor, shape (out_features,), or None

    Returns
    -------
    Tensor, shape (N, out_features)

    Raises
    ------
    TypeError
        If an argument is no Tensor, or dtypes differ.
    ShapeError
        If the features do not match.
    """
    tensors("linear", x=x, weight=weight)
    optional_tensors("linear", bias=bias)
    if weight.data.ndim != 2:
        raise ShapeError(f"linear: weight - expected (out_features, in_features), got shape {weight.data.shape}")
    out_features, in_features = weight.data.shape
    if x.data.ndim != 2 or x.data.shape[1] != in_features:
        raise ShapeError(f"linear: x - expected (N, {in_features}) for weight {weight.data.shape}, got {x.data.shape}")
    if bias is not None and bias.data.shape != (out_features,):
        raise ShapeError(f"linear: bias - expected shape {(out_features,)}, got {bias.data.shape}")
    product = matmul(x, transpose(weight))
    return product if bias is None else add(product, bias)
