"""Softmax and its logarithm along rows of float32.

The largest element of a row is subtracted first, so nothing overflows. Sums are made in float64, so that their last
digits do not depend on the order of the terms.
"""

import numpy as np

from minitorch_kernels.layers.elementwise import result_of
from minitorch_kernels.layers.exponential import exponential, not_positive
from minitorch_kernels.runtime.chunks import CHUNKS, chunk_bounds
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.views import flat_bits

_ZERO, _BUT_THE_SIGN = np.float32(0), np.int32(0x7FFFFFFF)


@compiled
def _largest(bits):
    """Return the largest of some floats, given as int32 with the same bits; NaN where that is, or for infinity.

    Negative floats have the reverse order of their bits, which turning all bits but the sign mends. The comparison of
    integers fills all lanes of a vector register; that of floats would not, because of NaN.
    """
    largest = np.int32(-0x80000000)
    for k in range(len(bits)):
        ordered = bits[k] ^ ((bits[k] >> np.int32(31)) & _BUT_THE_SIGN)
        largest = max(largest, np.int32(ordered))
    return np.int32(largest ^ ((largest >> np.int32(31)) & _BUT_THE_SIGN)).view(np.float32)


@compiled(reorder=True)
def _sum(row):
    total = 0.0
    for k in range(len(row)):
        total += np.float64(row[k])
    return total


@compiled(reorder=True)
def _sum_of_products(a, b):
    total = 0.0
    for k in range(len(a)):
        total += np.float64(a[k]) * np.float64(b[k])
    return total


@compiled
def _powers(row, largest, powers):
    """Fill powers with exp(row - largest); NaN stays NaN."""
    for k in range(len(row)):
        shifted = row[k] - largest
        power = exponential(not_positive(shifted), _ZERO)
        powers[k] = power if shifted == shifted else shifted


@parallel_kernel(tasks=lambda: CHUNKS)
def _softmax_forward(first_task, end_task, x, out):
    bits, classes = flat_bits(x), x.shape[1]
    for chunk in range(first_task, end_task):
        begin, end = chunk_bounds(chunk, CHUNKS, len(x))
        for n in range(begin, end):
            powers = out[n]
            _powers(x[n], _largest(bits[n * classes : (n + 1) * classes]), powers)
            total = np.float32(_sum(powers))
            for k in range(classes):
                powers[k] /= total


@parallel_kernel(tasks=lambda: CHUNKS)
def _softmax_backward(first_task, end_task, grad_out, out, grad_x):
    for chunk in range(first_task, end_task):
        begin, end = chunk_bounds(chunk, CHUNKS, len(out))
        for n in range(begin, end):
            grads, shares, result = grad_out[n], out[n], grad_x[n]
            total = np.float32(_sum_of_products(grads, shares))
            for k in range(len(result)):
                result[k] = shares[k] * (grads[k] - total)


@parallel_kernel(tasks=lambda: CHUNKS)
def _log_softmax_forward(first_task, end_task, x, out):
    bits, classes = flat_bits(x), x.shape[1]
    for chunk in range(first_task, end_task):
        begin, end = chunk_bounds(chunk, CHUNKS, len(x))
        for n in range(begin, end):
            row, result, largest = x[n], out[n], _largest(bits[n * classes : (n + 1) * classes])
            _powers(row, largest, result)
            log_of_total = np.float32(np.log(_sum(result)))  # the total is at least 1
            for k in range(classes):
                result[k] = (row[k] - largest) - log_of_total


@parallel_kernel(tasks=lambda: CHUNKS)
def _log_softmax_backward(first_task, end_task, grad_out, out, grad_x):
    for chunk in range(first_task, end_task):
        begin, end = chunk_bounds(chunk, CHUNKS, len(out))
        for n in range(begin, end):
            grads, logs, result = grad_out[n], out[n], grad_x[n]
            _powers(logs, _ZERO, result)
            total = np.float32(_sum(grads))
            for k in range(len(result)):
                result[k] = grads[k] - result[k] * total


def softmax_forward(x):
    """Return exp(x) / sum of exp(x) over each row.

    Parameters
    ----------
    x : ndarray, shape (M, K), C-contiguous, float32

    Returns
    -------
    ndarray, shape (M, K)
        A row with NaN, or with infinity, is NaN.
    """
    return result_of(_softmax_forward, x)


def softmax_backward(grad_out, out):
    """Return out * (grad_out - sum of grad_out * out), row by row."""
    return result_of(_softmax_backward, grad_out, out)


def log_softmax_forward(x):
    """Return x - log(sum of exp(x)) over each row; x as in `softmax_forward`."""
    return result_of(_log_softmax_forward, x)


def log_softmax_backward(grad_out, out):
    """Return grad_out - exp(out) * (sum of grad_out), row by row."""
    return result_of(_log_softmax_backward, grad_out, out)
