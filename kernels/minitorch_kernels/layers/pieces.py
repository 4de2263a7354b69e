"""Activations made of straight pieces and parabolas: ReLU6, hard sigmoid, hard swish and PReLU.

NaN is neither less nor more than any number: it passes, but stops the gradient of the hard sigmoid.
"""

from minitorch_kernels.layers.elementwise import result_of
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import BLOCK, CHUNKS, blocks, chunk_bounds, flatten_pixels
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


@parallel_kernel(tasks=lambda: CHUNKS)
def _prelu_forward(first_task, end_task, x, slopes, out):
    for chunk in range(first_task, end_task):
        begin, end = chunk_bounds(chunk, CHUNKS, len(x))
        for i in range(begin, end):
            source, result = x[i], out[i]
            for c in range(len(slopes)):
                bent = source[c] * slopes[c]
                result[c] = source[c] if source[c] > 0 else bent


@parallel_kernel(tasks=lambda: CHUNKS)
def _prelu_backward(first_task, end_task, grad_out, x, slopes, grad_x, terms):
    for chunk in range(first_task, end_task):
        begin, end = chunk_bounds(chunk, CHUNKS, len(x))
        for i in range(begin, end):
            grads, source, result, products = grad_out[i], x[i], grad_x[i], terms[i]
            for c in range(len(slopes)):
                bent, low = grads[c] * slopes[c], x.dtype.type(0) if source[c] > 0 else source[c]
                result[c] = grads[c] if source[c] > 0 else bent
                products[c] = grads[c] * low


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


def prelu_forward(x, slopes):
    """Return x where x > 0, else x times the slope of its channel.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
    slopes : ndarray, shape (C,), the same dtype

    Returns
    -------
    ndarray, the shape of x
    """
    out = memory.empty_like(x)
    _prelu_forward(flatten_pixels(x), slopes, flatten_pixels(out))
    return out


def prelu_backward(grad_out, x, slopes):
    """Return the gradient of x, and what the gradient of a slope sums up: grad_out * x where x <= 0, else 0."""
    grad_x, terms = memory.empty_like(x), memory.empty_like(x)
    _prelu_backward(*map(flatten_pixels, (grad_out, x)), slopes, *map(flatten_pixels, (grad_x, terms)))
    return grad_x, terms
