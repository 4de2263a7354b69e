"""Activation functions made of straight pieces and parabolas: ReLU6, hard sigmoid, hard swish and PReLU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import unbroadcast
from minitorch_cnn.ops.movement import worth_a_kernel
from minitorch_cnn.ops.pointwise import Elementwise
from minitorch_cnn.ops.reads import Everything, Inputs, SamePlace
from minitorch_cnn.shapes import ShapeError, nchw, nhwc, on_flat
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class _Pieces(Elementwise):
    """Base: saves x, and the pieces that its elements lie in are the choices."""

    ends = (0.0,)

    @classmethod
    def choices(cls, ctx):
        return sum((ctx.saved[0] > end).astype(np.int8) for end in cls.ends)


class ReLU6(_Pieces):
    """x between 0 and 6, the nearer end outside."""

    rule = "the gradient passes where 0 < x < 6"
    reads, kind, ends = SamePlace(), "activation", (0.0, 6.0)

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return on_flat(kernels.layers.pieces.relu6_forward, x)

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.pieces.relu6_backward, grad_out, ctx.saved[0])


class HardSigmoid(_Pieces):
    """x/6 + 1/2 between 0 and 1, the nearer end outside."""

    rule = "grad_out / 6 where -3 < x < 3"
    reads, kind, ends = SamePlace(), "activation", (-3.0, 3.0)

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return on_flat(kernels.layers.pieces.hard_sigmoid_forward, x)

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.pieces.hard_sigmoid_backward, grad_out, ctx.saved[0])


class HardSwish(_Pieces):
    """x times its hard sigmoid."""

    rule = "0 where x <= -3, grad_out * (x/3 + 1/2) where x < 3, else grad_out"
    reads, kind, ends = SamePlace(), "activation", (-3.0, 3.0)

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return on_flat(kernels.layers.pieces.hard_swish_forward, x)

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.pieces.hard_swish_backward, grad_out, ctx.saved[0])


def _is_large_map(x):
    """Return True for maps that kernels go through pixel by pixel."""
    return x.ndim == 4 and worth_a_kernel(x) and x.transpose(0, 2, 3, 1).flags.c_contiguous


def _slopes(x, weight):
    """Return the slope of each channel, for one or as many slopes."""
    return np.ascontiguousarray(np.broadcast_to(weight.reshape(-1), x.shape[1:2]))


class PReLU(Function):
    """x where x > 0, else x times a learned slope, one for each channel or one for all."""

    rule = "x gets grad_out where x > 0, times the slope elsewhere; the slope gets the sum of grad_out * x where x <= 0"
    reads, kind = Inputs(SamePlace(), Everything()), "activation"

    @staticmethod
    def output_shape(x, weight):
        channels = x[1] if len(x) > 1 else 1
        if weight not in ((), (1,), (channels,)):
            raise ShapeError(f"prelu: weight - expected shape (1,) or ({channels},) for x {x}, got {weight}")
        return x

    @staticmethod
    def forward(ctx, x, weight):
        ctx.shape = (weight.size, *(1,) * (x.ndim - 2)) if x.ndim > 1 and weight.size != 1 else ()
        ctx.save(x, weight)
        if _is_large_map(x):
            return nchw(kernels.layers.pieces.prelu_forward(nhwc(x), _slopes(x, weight)))
        return np.where(x > 0, x, weight.reshape(ctx.shape) * x)

    @staticmethod
    def backward(ctx, grad_out):
        x, weight = ctx.saved
        need_x, need_weight = ctx.needs_grad
        if _is_large_map(x):
            both = kernels.layers.pieces.prelu_backward(nhwc(grad_out), nhwc(x), _slopes(x, weight))
            grad_x, terms = map(nchw, both)
        else:
            grad_x = np.where(x > 0, grad_out, grad_out * weight.reshape(ctx.shape)) if need_x else None
            terms = grad_out * np.minimum(x, 0) if need_weight else None
        grad_weight = unbroadcast(terms, ctx.shape).reshape(weight.shape) if need_weight else None
        return grad_x if need_x else None, grad_weight

    @staticmethod
    def choices(ctx):
        return ctx.saved[0] > 0


def relu6(x: Operand) -> Tensor:
    """Limit elements to the range from 0 to 6.

    out = 0 where x < 0, 6 where x > 6, else x

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor.

    Notes
    -----
    Gradient: grad_out where 0 < x < 6, else 0, also at 0 and 6. NaN stays NaN, and lets the gradient pass.
    """
    tensors("relu6", x=x)
    return ReLU6.apply(x)


def hard_sigmoid(x: Operand) -> Tensor:
    """Straight approximation of `sigmoid`.

    out = x/6 + 1/2, limited to the range from 0 to 1

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor.

    Notes
    -----
    Gradient: grad_out / 6 where -3 < x < 3, else 0, also at -3 and 3.
    """
    tensors("hard_sigmoid", x=x)
    return HardSigmoid.apply(x)


def hard_swish(x: Operand) -> Tensor:
    """Weight x by its hard sigmoid: an approximation of `silu`.

    out = x * (x + 3) / 6 where -3 < x < 3; 0 below, x above

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor.

    Notes
    -----
    Gradient: 0 where x <= -3, grad_out * (x/3 + 1/2) where -3 < x < 3, grad_out where x >= 3.
    """
    tensors("hard_swish", x=x)
    return HardSwish.apply(x)


def prelu(x: Operand, weight: Operand) -> Tensor:
    """Scale negative elements by a learned slope.

    out = x where x > 0, else weight[c] * x

    Parameters
    ----------
    x : Tensor, shape (N, C, ...), or any shape with a single slope
    weight : Tensor, shape (C,), (1,) or ()
        The slope of each channel, or of all.

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If an argument is not a Tensor, or dtypes differ.
    ShapeError
        If there is neither one slope nor one per channel.

    Notes
    -----
    Gradients: for x, grad_out where x > 0, else weight * grad_out, also at x = 0; for weight, the sum of grad_out * x
    where x is negative.
    """
    tensors("prelu", x=x, weight=weight)
    return PReLU.apply(x, weight)
