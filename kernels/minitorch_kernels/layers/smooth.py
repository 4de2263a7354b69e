"""Smooth activations, on flat arrays: ELU, softplus and Mish.

In float32, all are made of exponentials of numbers that are not positive, which cannot overflow, and of sums of
positive terms, which lose no digits. So small results are as precise as large ones. With e = exp(-|x|):

    log(1 + exp(x))        = log(1 + e) + max(x, 0),    log(1 + e) = 2 * (z + z**3/3 + z**5/5 + ...),  z = e / (2 + e)
    tanh(log(1 + exp(x)))  = p / q,    p = 1 + 2*e,  q = p + 2*e**2  where x >= 0
                                       p = e * (e + 2),  q = p + 2   elsewhere

z is at most 1/3, so eight terms are enough. NumPy computes float64.
"""

import numpy as np

from minitorch_kernels.layers.elementwise import result_of
from minitorch_kernels.layers.exponential import (
    exponential,
    exponential_minus_one,
    exponential_of_minus_size,
    not_positive,
)
from minitorch_kernels.layers.sigmoid import sigmoid_forward, sigmoid_of
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import BLOCK, blocks
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)
_ODD_INVERSES = tuple(np.float32(1 / n) for n in range(3, 17, 2))


@compiled
def _log_of_1_plus(e):
    """Return log(1 + e), 0 <= e <= 1."""
    i3, i5, i7, i9, i11, i13, i15 = _ODD_INVERSES
    z = e / (_TWO + e)
    s = z * z
    series = s * (i3 + s * (i5 + s * (i7 + s * (i9 + s * (i11 + s * (i13 + s * i15))))))
    return _TWO * z * (_ONE + series)


@compiled
def _tanh_of_softplus(x, e):
    """Return t = tanh(log(1 + exp(x))) and 1 - t**2; e is exp(-|x|)."""
    p = _ONE + _TWO * e if x > 0 else e * (e + _TWO)
    rest = _TWO * e * e if x > 0 else _TWO
    q = p + rest
    return p / q, rest * (p + q) / (q * q)


@parallel_kernel(tasks=lambda x: blocks(x))
def _elu_forward(begin, end, x, factors, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out, straight, bent = x[begin:end], out[begin:end], factors[0], factors[1]
    for i in range(len(x)):
        value = x[i]
        low = bent * exponential_minus_one(not_positive(value))
        low = low if value == value else value  # NaN stays
        out[i] = straight * value if value > 0 else low


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _elu_backward(begin, end, grad_out, x, factors, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x, straight, bent = grad_out[begin:end], x[begin:end], grad_x[begin:end], factors[0], factors[1]
    for i in range(len(x)):
        value = x[i]
        low = bent * exponential(not_positive(value), _ZERO)
        low = low if value == value else value
        grad_x[i] = grad_out[i] * (straight if value > 0 else low)


@parallel_kernel(tasks=lambda x: blocks(x))
def _softplus_forward(begin, end, x, factors, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out, beta = x[begin:end], out[begin:end], factors[0]
    for i in range(len(x)):
        value, steep = x[i], beta * x[i]
        e = exponential_of_minus_size(steep)
        above = value if value > 0 else _ZERO
        smooth = _log_of_1_plus(e) / beta + above
        out[i] = smooth if value == value else value


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _softplus_backward(begin, end, grad_out, x, factors, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x, beta = grad_out[begin:end], x[begin:end], grad_x[begin:end], factors[0]
    for i in range(len(x)):
        grad_x[i] = grad_out[i] * sigmoid_of(beta * x[i])


@parallel_kernel(tasks=lambda x: blocks(x))
def _mish_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        value = x[i]
        t, _ = _tanh_of_softplus(value, exponential_of_minus_size(value))
        out[i] = value * t


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _mish_backward(begin, end, grad_out, x, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x = grad_out[begin:end], x[begin:end], grad_x[begin:end]
    for i in range(len(x)):
        value = x[i]
        e = exponential_of_minus_size(value)
        t, slope = _tanh_of_softplus(value, e)
        grad_x[i] = grad_out[i] * (t + value * slope * ((e if value < 0 else _ONE) / (_ONE + e)))


def _with_factors(kernel, arrays, *factors):
    """Return what a kernel computes from flat arrays and some numbers, which take the dtype of the arrays."""
    out = memory.empty_like(arrays[-1])
    kernel(*arrays, np.array(factors, out.dtype), out)
    return out


def elu_forward(x, alpha, scale):
    """Return scale * x where x > 0, else scale * alpha * (exp(x) - 1), within 3 units in the last place.

    Parameters
    ----------
    x : ndarray, 1-D, C-contiguous, float32 or float64
    alpha, scale : float

    Returns
    -------
    ndarray, the shape of x
    """
    if x.dtype == np.float64:
        return scale * (np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)))
    return _with_factors(_elu_forward, [x], scale, scale * alpha)


def elu_backward(grad_out, x, alpha, scale):
    """Return scale * grad_out where x > 0, else scale * alpha * exp(x) * grad_out."""
    if x.dtype == np.float64:
        return grad_out * (scale * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0))))
    return _with_factors(_elu_backward, [grad_out, x], scale, scale * alpha)


def softplus_forward(x, beta):
    """Return log(1 + exp(beta * x)) / beta, within 4 units in the last place for the rounded product beta * x.

    Only beta * x may overflow, in an exponential that is 0. x is as in `elu_forward`.
    """
    if x.dtype == np.float64:
        return np.log1p(np.exp(-np.abs(beta * x))) / beta + np.maximum(x, 0)
    return _with_factors(_softplus_forward, [x], beta)


def softplus_backward(grad_out, x, beta):
    """Return grad_out times the sigmoid of beta * x."""
    if x.dtype == np.float64:
        return grad_out * sigmoid_forward(beta * x)
    return _with_factors(_softplus_backward, [grad_out, x], beta)


def mish_forward(x):
    """Return x * tanh(log(1 + exp(x))), within 4 units in the last place; x as in `elu_forward`."""
    if x.dtype == np.float64:
        return x * np.tanh(softplus_forward(x, 1.0))
    return result_of(_mish_forward, x)


def mish_backward(grad_out, x):
    """Return grad_out * (t + x * (1 - t**2) * sigmoid(x)), t = tanh(log(1 + exp(x)))."""
    if x.dtype == np.float64:
        t = np.tanh(softplus_forward(x, 1.0))
        return grad_out * (t + x * (1 - t * t) * sigmoid_forward(x))
    return result_of(_mish_backward, grad_out, x)
