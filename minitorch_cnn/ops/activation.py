"""Non-linearities, element by element."""

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.shapes import memory_flat


class _Elementwise(Function):
    @staticmethod
    def output_shape(x, **_):
        return x


class ReLU(_Elementwise):
    """max(x, 0)."""

    rule = "the gradient passes where x > 0"

    @staticmethod
    def forward(ctx, x):
        flat, ctx.order, restore = memory_flat(x)
        out = restore(kernels.elementwise.relu_forward(flat))
        ctx.save(out)  # out > 0 exactly where x > 0, and the next layer keeps it anyway
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        flat, order, restore = memory_flat(out, ctx.order)
        return restore(kernels.elementwise.relu_backward(memory_flat(grad_out, order)[0], flat))

    @staticmethod
    def choices(ctx):
        return ctx.saved[0] > 0


class LeakyReLU(_Elementwise):
    """x where positive, else a small multiple of it."""

    rule = "the gradient passes where x > 0, times the slope elsewhere"

    @staticmethod
    def forward(ctx, x, *, negative_slope):
        flat, ctx.order, restore = memory_flat(x)
        ctx.slope = negative_slope
        ctx.save(x)
        return restore(kernels.elementwise.leaky_relu_forward(flat, negative_slope))

    @staticmethod
    def backward(ctx, grad_out):
        flat, order, restore = memory_flat(ctx.saved[0], ctx.order)
        return restore(kernels.elementwise.leaky_relu_backward(memory_flat(grad_out, order)[0], flat, ctx.slope))

    @staticmethod
    def choices(ctx):
        return ctx.saved[0] > 0


class GELU(_Elementwise):
    """x times the probability that a normal variable is below it."""

    rule = "grad_out * (probability below x + x * normal density at x)"

    @staticmethod
    def forward(ctx, x):
        flat, ctx.order, restore = memory_flat(x)
        ctx.save(x)
        return restore(kernels.elementwise.gelu_forward(flat))

    @staticmethod
    def backward(ctx, grad_out):
        flat, order, restore = memory_flat(ctx.saved[0], ctx.order)
        return restore(kernels.elementwise.gelu_backward(memory_flat(grad_out, order)[0], flat))


class Sigmoid(_Elementwise):
    """1 / (1 + exp(-x))."""

    rule = "grad_out * out * (1 - out)"

    @staticmethod
    def forward(ctx, x):
        half = x.dtype.type(0.5)
        out = half + half * np.tanh(half * x)  # the same function, without an exponential that overflows
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return grad_out * out * (1 - out)


class Tanh(_Elementwise):
    """The hyperbolic tangent."""

    rule = "grad_out * (1 - out**2)"

    @staticmethod
    def forward(ctx, x):
        out = np.tanh(x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return grad_out * (1 - out * out)


def relu(x):
    """Return x where it is positive, else 0.

    Parameters
    ----------
    x : Tensor, any shape

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is no Tensor.

    Notes
    -----
    The derivative at 0 is 0. NaN stays NaN.
    """
    tensors("relu", x=x)
    return ReLU.apply(x)


def leaky_relu(x, negative_slope=0.01):
    """Return x where it is positive, else negative_slope * x.

    Parameters
    ----------
    x : Tensor, any shape
    negative_slope : float

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is no Tensor.

    Notes
    -----
    The derivative at 0 is the slope.
    """
    tensors("leaky_relu", x=x)
    return LeakyReLU.apply(x, negative_slope=float(negative_slope))


def gelu(x):
    """Return x * P(normal variable <= x).

    out = x * (1 + erf(x / sqrt(2))) / 2

    Parameters
    ----------
    x : Tensor, any shape

    Returns
    -------
    Tensor, the shape of x

    Raises
    ------
    TypeError
        If x is no Tensor.

    Notes
    -----
    Source: Hendrycks and Gimpel 2016, section 2, arXiv 1606.08415; the exact form, not the one with tanh.
    """
    tensors("gelu", x=x)
    return GELU.apply(x)


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), for any finite x without overflow.

    Parameters
    ----------
    x : Tensor, any shape

    Returns
    -------
    Tensor, the shape of x, 0..1

    Raises
    ------
    TypeError
        If x is no Tensor.
    """
    tensors("sigmoid", x=x)
    return Sigmoid.apply(x)


def tanh(x):
    """Return the hyperbolic tangent.

    Parameters
    ----------
    x : Tensor, any shape

    Returns
    -------
    Tensor, the shape of x, -1..1

    Raises
    ------
    TypeError
        If x is no Tensor.
    """
    tensors("tanh", x=x)
    return Tanh.apply(x)
