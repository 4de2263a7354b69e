"""GELU, x times the probability P(x) that a standard normal variable is below x, and its derivative.

The error function of the C library computes one element at a time. In float32 the kernels here use sums, products and
one division, which fill all lanes of a vector register: about 0.6 ns an element. For t = |x| they compute

    P(-t) = exp(-t**2 / 2) * R(t),    P(t) = 1 - P(-t)

R falls slowly, from 0.5 to 0.027 at t = 14.6, where P(-t) is smaller than all float32 numbers. A fraction of two
polynomials gives it to 6e-9 of its value. All coefficients are positive, so nothing cancels, and P(-t) keeps its digits
where it is tiny. The derivative P(x) + x * density(x) needs the same exponential: the density is exp(-t**2 / 2) divided
by sqrt(2 pi).
"""

import math

import numpy as np

from minitorch_kernels.layers.elementwise import result_of
from minitorch_kernels.layers.exponential import exponential
from minitorch_kernels.runtime.chunks import BLOCK, blocks
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel

# R(t) = p(t) / q(t), fitted so that the largest relative error on 0..14.6 is as small as possible.
_P = tuple(map(np.float32, (0.5, 0.4384967614, 0.1833848503, 0.0406837534, 0.0041238252)))
_Q = tuple(map(np.float32, (1, 1.6748785093, 1.2031245603, 0.4698659099, 0.1019853852, 0.0103367788)))
_END = np.float32(14.6)
_STEPS = np.float32(256)  # of t in 1: the square of t, rounded down to a step, has at most 24 bits, so it is exact
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)
_DENSITY_AT_0 = np.float32(1 / math.sqrt(2 * math.pi))


@compiled
def _exponential(t):
    """Return exp(-t**2 / 2) for 0 <= t <= 14.6, to the last digit: t**2 is not rounded."""
    step = np.float32(np.int32(t * _STEPS)) / _STEPS
    return exponential(-_HALF * step * step, -_HALF * (t - step) * (t + step))


@compiled
def _ratio(t):
    """Return R(t)."""
    p0, p1, p2, p3, p4 = _P
    q0, q1, q2, q3, q4, q5 = _Q
    p = p0 + t * (p1 + t * (p2 + t * (p3 + t * p4)))
    return p / (q0 + t * (q1 + t * (q2 + t * (q3 + t * (q4 + t * q5)))))


@parallel_kernel(tasks=lambda x: blocks(x))
def _forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        value = x[i]
        t = value if value >= 0 else -value
        t = t if t < _END else _END  # NaN too, which `whole` keeps
        # Where value > 0 this is value - t * P(-t), else -t * P(-t). P(-t) itself may be too small for float32.
        whole = value if value >= 0 else value * _ZERO
        out[i] = whole - t * _ratio(t) * _exponential(t)


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _backward(begin, end, grad_out, x, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x = grad_out[begin:end], x[begin:end], grad_x[begin:end]
    for i in range(len(x)):
        value = x[i]
        t = value if value >= 0 else -value
        t = t if t < _END else _END
        exponential = _exponential(t)
        tail = exponential * _ratio(t)
        below = tail if value < 0 else _ONE - tail
        grad_x[i] = grad_out[i] * (below + value * (exponential * _DENSITY_AT_0))


@parallel_kernel(tasks=lambda x: blocks(x))
def _forward_of_doubles(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        out[i] = x[i] * 0.5 * math.erfc(-x[i] / math.sqrt(2.0))


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _backward_of_doubles(begin, end, grad_out, x, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x = grad_out[begin:end], x[begin:end], grad_x[begin:end]
    for i in range(len(x)):
        below = 0.5 * math.erfc(-x[i] / math.sqrt(2.0))
        density = math.exp(-0.5 * x[i] * x[i]) / math.sqrt(2 * math.pi)
        grad_x[i] = grad_out[i] * (below + x[i] * density)


def gelu_forward(x):
    """Return x * P(normal variable <= x), within 8 units in the last place of float32; float64 by the library.

    Parameters
    ----------
    x : ndarray, 1-D, C-contiguous, float32 or float64

    Returns
    -------
    ndarray, the shape of x

    Notes
    -----
    Compared with float64 at 44 million float32 numbers: at most 3.4 units in the last place where x > 0, 7.2 elsewhere.
    Cost: 0.6 ns an element on one core with AVX-512, a tenth of the library's error function.
    """
    return result_of(_forward_of_doubles if x.dtype == np.float64 else _forward, x)


def gelu_backward(grad_out, x):
    """Return grad_out * (P(normal variable <= x) + x * density(x))."""
    return result_of(_backward_of_doubles if x.dtype == np.float64 else _backward, grad_out, x)
