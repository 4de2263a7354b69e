"""Powers, roots, exponentials and logarithms, element by element."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np

from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import Binary, broadcast_shape, two_tensors, unbroadcast
from minitorch_cnn.ops.reads import SamePlace
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class Elementwise(Function):
    """Base of functions of a single element: the output has the shape of the input."""

    @staticmethod
    def output_shape(x, **hyper):
        return x


class Power(Elementwise):
    """x ** exponent, with a constant exponent."""

    rule = "grad_out * exponent * x**(exponent - 1)"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x, *, exponent):
        ctx.exponent = exponent
        ctx.save(x)
        return x**exponent

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        if ctx.exponent == 0:  # 0 * x**-1 would be NaN at 0
            return np.zeros_like(grad_out)
        return grad_out * (ctx.exponent * x ** (ctx.exponent - 1))


class PowerOf(Binary):
    """a ** b, with an exponent for each element."""

    rule = "a gets grad_out * b * a**(b - 1), b gets grad_out * a**b * log(a)"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def output_shape(a, b):
        return broadcast_shape("power", a, b, name="exponent")

    @staticmethod
    def forward(ctx, a, b):
        out = a**b
        ctx.save(a, b, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        a, b, out = ctx.saved
        need_a, need_b = ctx.needs_grad
        grad_a = grad_b = None
        if need_a:  # exponent 0: 0 * 0**-1 would be NaN
            grad_a = unbroadcast(np.where(b == 0, 0, grad_out * (b * a ** (b - 1))), a.shape)
        if need_b:  # 0**b is 0 for all b >= 0, apart from the jump at b = 0
            grad_b = unbroadcast(np.where((a == 0) & (b >= 0), 0, grad_out * (out * np.log(a))), b.shape)
        return grad_a, grad_b


class Sqrt(Elementwise):
    """The square root."""

    rule = "grad_out / (2 * sqrt(x))"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x):
        out = np.sqrt(x)
        ctx.save(out)  # its derivative is 1 / (2 * out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out / (2 * ctx.saved[0])


class Exp(Elementwise):
    """The exponential."""

    rule = "grad_out * exp(x)"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x):
        out = np.exp(x)
        ctx.save(out)  # its own derivative
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out * ctx.saved[0]


class Log(Elementwise):
    """The natural logarithm."""

    rule = "grad_out / x"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return np.log(x)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out / ctx.saved[0]


class Abs(Elementwise):
    """The absolute value."""

    rule = "grad_out times the sign of x, 0 at 0"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x):
        ctx.save(np.sign(x))
        return np.abs(x)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out * ctx.saved[0]

    @staticmethod
    def choices(ctx):
        return ctx.saved[0]


def power(x: Operand, exponent: Operand) -> Tensor:
    """Raise to a power.

    out = x ** exponent

    Parameters
    ----------
    x, exponent : Tensor, float32 or float64, shapes that broadcast; one of them may be a number
        A fractional power of a negative number is NaN; a negative power of 0 is infinite.

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    TypeError
        If neither is a Tensor, one is an array, or the dtypes differ.
    ShapeError
        If the shapes do not broadcast.

    Notes
    -----
    Gradients: grad_out * exponent * x**(exponent - 1) for x, 0 where the exponent is 0, also at x = 0;
    grad_out * x**exponent * log(x) for the exponent, 0 where x = 0 and the exponent is not negative.
    """
    if not isinstance(exponent, Variable):
        tensors("power", x=x)
        if not isinstance(exponent, numbers.Real):
            raise TypeError(f"power: exponent - expected a number or a Tensor, got {type(exponent).__name__}")
        return Power.apply(x, exponent=float(exponent))
    if not isinstance(x, numbers.Real):
        tensors("power", x=x)
    return PowerOf.apply(*two_tensors("power", x, exponent))


def sqrt(x: Operand) -> Tensor:
    """Take the square root; NaN below 0.

    out = x ** (1/2)

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
    Gradient: grad_out / (2 * out), infinite at 0.
    """
    tensors("sqrt", x=x)
    return Sqrt.apply(x)


def exp(x: Operand) -> Tensor:
    """Take the exponential; infinite where it overflows, above about 88 in float32 and 709 in float64.

    out = e ** x

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
    Gradient: grad_out * out.
    """
    tensors("exp", x=x)
    return Exp.apply(x)


def log(x: Operand) -> Tensor:
    """Take the natural logarithm; minus infinity at 0, NaN below 0.

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
    Gradient: grad_out / x.
    """
    tensors("log", x=x)
    return Log.apply(x)


def abs(x: Operand) -> Tensor:
    """Take the absolute value.

    out = |x|

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
    Gradient: grad_out times the sign of x; 0 at x = 0.
    """
    tensors("abs", x=x)
    return Abs.apply(x)
