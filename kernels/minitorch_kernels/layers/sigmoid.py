"""Sigmoid, s(x) = 1 / (1 + exp(-x)), and SiLU, x * s(x).

With e = exp(-|x|), which cannot overflow, s(x) = 1 / (1 + e) where x >= 0 and e / (1 + e) elsewhere. So it keeps its
digits where it is tiny. NumPy computes float64.
"""

import numpy as np

from minitorch_kernels.layers.elementwise import result_of
from minitorch_kernels.layers.exponential import exponential_of_minus_size
from minitorch_kernels.runtime.chunks import BLOCK, blocks
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel

_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled
def sigmoid_of(x):
    """Return s(x) in float32; NaN stays NaN."""
    e = exponential_of_minus_size(x)
    value = (e if x < _ZERO else _ONE) / (_ONE + e)
    return value if x == x else x


@parallel_kernel(tasks=lambda x: blocks(x))
def _sigmoid_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        out[i] = sigmoid_of(x[i])


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _sigmoid_backward(begin, end, grad_out, out, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, out, grad_x, number = grad_out[begin:end], out[begin:end], grad_x[begin:end], out.dtype.type
    for i in range(len(out)):
        grad_x[i] = grad_out[i] * out[i] * (number(1) - out[i])  # a plain 1 would make the difference float64


@parallel_kernel(tasks=lambda x: blocks(x))
def _silu_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        out[i] = x[i] * sigmoid_of(x[i])


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _silu_backward(begin, end, grad_out, x, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x = grad_out[begin:end], x[begin:end], grad_x[begin:end]
    for i in range(len(x)):
        s = sigmoid_of(x[i])
        grad_x[i] = grad_out[i] * (s * (_ONE + x[i] * (_ONE - s)))


def sigmoid_forward(x):
    """Return 1 / (1 + exp(-x)), within 3 units in the last place.

    Parameters
    ----------
    x : ndarray, 1-D, C-contiguous, float32 or float64

    Returns
    -------
    ndarray, the shape of x
    """
    if x.dtype == np.float64:
        e = np.exp(-np.abs(x))
        return np.where(x < 0, e, 1) / (1 + e)
    return result_of(_sigmoid_forward, x)


def sigmoid_backward(grad_out, out):
    """Return grad_out * out * (1 - out)."""
    return result_of(_sigmoid_backward, grad_out, out)


def silu_forward(x):
    """Return x / (1 + exp(-x)); x as in `sigmoid_forward`."""
    if x.dtype == np.float64:
        return x * sigmoid_forward(x)
    return result_of(_silu_forward, x)


def silu_backward(grad_out, x):
    """Return grad_out * s * (1 + x * (1 - s)), s the sigmoid of x."""
    if x.dtype == np.float64:
        s = sigmoid_forward(x)
        return grad_out * (s * (1 + x * (1 - s)))
    return result_of(_silu_backward, grad_out, x)
