"""Smooth activation functions, element by element: softplus, SiLU, Mish, ELU and SELU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.activation import softplus_array
from minitorch_cnn.ops.pointwise import Elementwise
from minitorch_cnn.ops.reads import SamePlace
from minitorch_cnn.shapes import on_flat
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # of the paper; a fixed point at mean 0, variance 1


class Softplus(Elementwise):
    """log(1 + exp(beta * x)) / beta."""

    rule = "grad_out * sigmoid(beta * x)"
    reads, kind = SamePlace(), "activation"

    @staticmethod
    def forward(ctx, x, *, beta):
        ctx.beta = beta
        ctx.save(x)
        return softplus_array(x, beta)

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(partial(kernels.layers.smooth.softplus_backward, beta=ctx.beta), grad_out, ctx.saved[0])


class SiLU(Elementwise):
    """x * sigmoid(x)."""

    rule = "grad_out * s * (1 + x * (1 - s)), s the sigmoid of x"
    reads, kind = SamePlace(), "activation"

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return on_flat(kernels.layers.sigmoid.silu_forward, x)

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.sigmoid.silu_backward, grad_out, ctx.saved[0])


class Mish(Elementwise):
    """x * tanh(log(1 + exp(x)))."""

    rule = "grad_out * (t + x * (1 - t**2) * sigmoid(x)), t the hyperbolic tangent of softplus(x)"
    reads, kind = SamePlace(), "activation"

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return on_flat(kernels.layers.smooth.mish_forward, x)

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.smooth.mish_backward, grad_out, ctx.saved[0])


class ELU(Elementwise):
    """scale * x where x > 0, else scale * alpha * (exp(x) - 1)."""

    rule = "grad_out * scale where x > 0, times alpha * exp(x) elsewhere"
    reads, kind = SamePlace(), "activation"

    @staticmethod
    def forward(ctx, x, *, alpha, scale):
        ctx.alpha, ctx.scale = alpha, scale
        ctx.save(x)
        return on_flat(partial(kernels.layers.smooth.elu_forward, alpha=alpha, scale=scale), x)

    @staticmethod
    def backward(ctx, grad_out):
        backward = partial(kernels.layers.smooth.elu_backward, alpha=ctx.alpha, scale=ctx.scale)
        return on_flat(backward, grad_out, ctx.saved[0])

    @staticmethod
    def choices(ctx):
        return ctx.saved[0] > 0


def softplus(x: Operand, beta: float = 1.0) -> Tensor:
    """Smooth version of `relu`.

    out = log(1 + exp(beta * x)) / beta

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    beta : float, > 0
        How sharp the corner is.

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or beta is not a number.
    ValueError
        If beta is not positive.

    Notes
    -----
    Gradient: grad_out * sigmoid(beta * x). It never overflows.
    """
    tensors("softplus", x=x)
    arguments.positive("softplus", finite=True, beta=beta)
    return Softplus.apply(x, beta=float(beta))


def silu(x: Operand) -> Tensor:
    """Sigmoid linear unit, also called swish: weight x by its sigmoid.

    out = x * sigmoid(x)

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
    Gradient: grad_out * s * (1 + x * (1 - s)), s = sigmoid(x).
    """
    tensors("silu", x=x)
    return SiLU.apply(x)


def mish(x: Operand) -> Tensor:
    """Weight x by the hyperbolic tangent of its softplus.

    out = x * tanh(log(1 + exp(x)))

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
    Gradient: grad_out * (t + x * (1 - t**2) * sigmoid(x)), t = tanh(log(1 + exp(x))).
    """
    tensors("mish", x=x)
    return Mish.apply(x)


def elu(x: Operand, alpha: float = 1.0) -> Tensor:
    """Exponential linear unit: bend negative elements towards -alpha.

    out = x where x > 0, else alpha * (exp(x) - 1)

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    alpha : float

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or alpha is not a number.

    Notes
    -----
    Gradient: grad_out where x > 0, else alpha * exp(x) * grad_out, also at x = 0.
    """
    tensors("elu", x=x)
    arguments.number("elu", alpha=alpha)
    return ELU.apply(x, alpha=float(alpha), scale=1.0)


def selu(x: Operand) -> Tensor:
    """Scaled exponential linear unit: `elu` with the alpha and scale that keep mean 0 and variance 1.

    out = 1.0507 * x where x > 0, else 1.0507 * 1.6733 * (exp(x) - 1)

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
    Gradient: as for `elu`, times the scale.
    """
    tensors("selu", x=x)
    return ELU.apply(x, alpha=_SELU_ALPHA, scale=_SELU_SCALE)
