"""Activations made of straight pieces and parabolas, on flat arrays: ReLU6, hard sigmoid and hard swish.

NaN is neither less nor more than any number: it passes, but stops the gradient of the hard sigmoid.
"""

from minitorch_kernels.layers.elementwise import result_of
from minitorch_kernels.runtime.chunks import BLOCK, blocks
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel


@compiled
def _clip(value, least, most):
    """Return ``value``, or the nearer end of least .. most; all three have one type."""
    value = least if value < least else value
    return most if value > most else value


@parallel_kernel(tasks=lambda x: blocks(x))
def _relu6_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out, number = x[begin:end], out[begin:end], x.dtype.type  # a plain 6 would make the choice float64
    for i in range(len(x)):
        out[i] = _clip(x[i], number(0), number(6))


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _relu6_backward(begin, end, grad_out, x, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x, number = grad_out[begin:end], x[begin:end], grad_x[begin:end], x.dtype.type
    for i in range(len(x)):
        grad_x[i] = number(0) if (x[i] <= 0) | (x[i] >= 6) else grad_out[i]


@parallel_kernel(tasks=lambda x: blocks(x))
def _hard_sigmoid_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out, number = x[begin:end], out[begin:end], x.dtype.type
    for i in range(len(x)):
        out[i] = _clip(x[i] + number(3), number(0), number(6)) / number(6)


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _hard_sigmoid_backward(begin, end, grad_out, x, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x, number = grad_out[begin:end], x[begin:end], grad_x[begin:end], x.dtype.type
    for i in range(len(x)):
        share = grad_out[i] / number(6)
        grad_x[i] = share if (x[i] > -3) & (x[i] < 3) else number(0)


@parallel_kernel(tasks=lambda x: blocks(x))
def _hard_swish_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out, number = x[begin:end], out[begin:end], x.dtype.type
    for i in range(len(x)):
        out[i] = x[i] * _clip(x[i] + number(3), number(0), number(6)) / number(6)


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _hard_swish_backward(begin, end, grad_out, x, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x, number = grad_out[begin:end], x[begin:end], grad_x[begin:end], x.dtype.type
    for i in range(len(x)):
        inside = grad_out[i] * (x[i] / number(3) + number(0.5))
        value = inside if x[i] < 3 else grad_out[i]
        grad_x[i] = number(0) if x[i] <= -3 else value


def relu6_forward(x):
    """Return x between 0 and 6, the nearer end outside.

    Parameters
    ----------
    x : ndarray, 1-D, C-contiguous, float32 or float64

    Returns
    -------
    ndarray, the shape of x
    """
    return result_of(_relu6_forward, x)


def relu6_backward(grad_out, x):
    """Return grad_out, and 0 where x <= 0 or x >= 6."""
    return result_of(_relu6_backward, grad_out, x)


def hard_sigmoid_forward(x):
    """Return (x + 3) / 6 between 0 and 1, the nearer end outside."""
    return result_of(_hard_sigmoid_forward, x)


def hard_sigmoid_backward(grad_out, x):
    """Return grad_out / 6 where -3 < x < 3, else 0."""
    return result_of(_hard_sigmoid_backward, grad_out, x)


def hard_swish_forward(x):
    """Return x times its hard sigmoid."""
    return result_of(_hard_swish_forward, x)


def hard_swish_backward(grad_out, x):
    """Return 0 where x <= -3, grad_out * (x / 3 + 1 / 2) where x < 3, else grad_out."""
    return result_of(_hard_swish_backward, grad_out, x)
