"""Activation functions, element by element."""

from __future__ import annotations

import numbers
from functools import partial
from typing import TYPE_CHECKING

import minitorch_kernels as kernels
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.pointwise import Elementwise
from minitorch_cnn.ops.reads import SamePlace
from minitorch_cnn.shapes import on_flat
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class ReLU(Elementwise):
    """max(x, 0)."""

    rule = "the gradient passes where x > 0"
    reads, kind = SamePlace(), "activation"

    @staticmethod
    def forward(ctx, x):
        out = on_flat(kernels.layers.elementwise.relu_forward, x)
        ctx.save(out)  # out > 0 where x > 0, and the next layer saves out anyway
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.elementwise.relu_backward, grad_out, ctx.saved[0])

    @staticmethod
    def choices(ctx):
        return ctx.saved[0] > 0


class LeakyReLU(Elementwise):
    """x where x > 0, else x times a small slope."""

    rule = "the gradient passes where x > 0, times the slope elsewhere"
    reads, kind = SamePlace(), "activation"

    @staticmethod
    def forward(ctx, x, *, negative_slope):
        ctx.slope = negative_slope
        ctx.save(x)
        return on_flat(partial(kernels.layers.elementwise.leaky_relu_forward, slope=negative_slope), x)

    @staticmethod
    def backward(ctx, grad_out):
        backward = partial(kernels.layers.elementwise.leaky_relu_backward, slope=ctx.slope)
        return on_flat(backward, grad_out, ctx.saved[0])

    @staticmethod
    def choices(ctx):
        return ctx.saved[0] > 0


class GELU(Elementwise):
    """x times the probability that a normal variable is below it."""

    rule = "grad_out * (probability below x + x * normal density at x)"
    reads, kind = SamePlace(), "activation"

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return on_flat(kernels.layers.gelu.gelu_forward, x)

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.gelu.gelu_backward, grad_out, ctx.saved[0])


def sigmoid_array(x):
    """Return 1 / (1 + exp(-x)) for an array; it never overflows, and stays precise where it is tiny."""
    return on_flat(kernels.layers.sigmoid.sigmoid_forward, x)


def softplus_array(x, beta=1.0):
    """Return log(1 + exp(beta * x)) / beta for an array; only beta * x may overflow, in an exponential that is 0."""
    return on_flat(partial(kernels.layers.smooth.softplus_forward, beta=beta), x)


class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""

    rule = "grad_out * out * (1 - out)"
    reads, kind, label = SamePlace(), "activation", "sigmoid"

    @staticmethod
    def forward(ctx, x):
        out = sigmoid_array(x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.sigmoid.sigmoid_backward, grad_out, ctx.saved[0])


class Tanh(Elementwise):
    """The hyperbolic tangent."""

    rule = "grad_out * (1 - out**2)"
    reads, kind, label = SamePlace(), "activation", "tanh"

    @staticmethod
    def forward(ctx, x):
        out = on_flat(kernels.layers.elementwise.tanh_forward, x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return on_flat(kernels.layers.elementwise.tanh_backward, grad_out, ctx.saved[0])


def relu(x: Operand) -> Tensor:
    """Rectified linear unit: replace negative elements by 0.

    out = x where x > 0, else 0

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape and memory order of x

    Raises
    ------
    TypeError
        If x is not a Tensor.

    Notes
    -----
    Gradient: 0 where x <= 0, also at x = 0, else grad_out. NaN stays NaN, and lets its gradient pass.
    """
    tensors("relu", x=x)
    return ReLU.apply(x)


def leaky_relu(x: Operand, negative_slope: float = 0.01) -> Tensor:
    """Scale negative elements by a small slope.

    out = x where x > 0, else negative_slope * x

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    negative_slope : float

    Returns
    -------
    Tensor, the shape and memory order of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or the slope is not a number.

    Notes
    -----
    Gradient: grad_out where x > 0, else negative_slope * grad_out, also at x = 0.
    """
    tensors("leaky_relu", x=x)
    if not isinstance(negative_slope, numbers.Real):
        raise TypeError(f"leaky_relu: negative_slope - expected a number, got {type(negative_slope).__name__}")
    return LeakyReLU.apply(x, negative_slope=float(negative_slope))


def gelu(x: Operand) -> Tensor:
    """Gaussian error linear unit: weight x by the probability that a standard normal variable is below x.

    out = x * (1 + erf(x / sqrt(2))) / 2

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape and memory order of x

    Raises
    ------
    TypeError
        If x is not a Tensor.

    Notes
    -----
    Gradient: grad_out * (P(normal <= x) + x * normal density at x).
    Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415; the exact form, not the tanh approximation.
    """
    tensors("gelu", x=x)
    return GELU.apply(x)


def sigmoid(x: Operand) -> Tensor:
    """Squash each element into (0, 1).

    out = 1 / (1 + exp(-x))

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape of x, 0..1

    Raises
    ------
    TypeError
        If x is not a Tensor.

    Notes
    -----
    Gradient: grad_out * out * (1 - out). It never overflows, and tiny outputs keep full relative precision.
    """
    tensors("sigmoid", x=x)
    return Sigmoid.apply(x)


def tanh(x: Operand) -> Tensor:
    """Squash each element into (-1, 1) by the hyperbolic tangent.

    out = (exp(x) - exp(-x)) / (exp(x) + exp(-x))

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, the shape of x, -1..1

    Raises
    ------
    TypeError
        If x is not a Tensor.

    Notes
    -----
    Gradient: grad_out * (1 - out**2).
    """
    tensors("tanh", x=x)
    return Tanh.apply(x)
