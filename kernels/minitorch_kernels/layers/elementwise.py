"""Sums, products, activations and the softmax cross-entropy: each element is read once and written once.

Activations take flat arrays, because the position of an element in the image does not matter. Each element is computed
independently of the others, so the result does not depend on the threads.
"""

import math

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import BLOCK, CHUNKS, LARGE, blocks, chunk_bounds, flatten_pixels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel


@parallel_kernel(tasks=lambda x: blocks(x))
def _relu_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out = x[begin:end], out[begin:end]
    for i in range(len(x)):
        value = x[i]
        out[i] = 0 if value <= 0 else value  # NaN is not <= 0, so it passes


@parallel_kernel(tasks=lambda a: blocks(a))
def _add(begin, end, a, b, out):
    begin, end = begin * BLOCK, end * BLOCK
    a, b, out = a[begin:end], b[begin:end], out[begin:end]
    for i in range(len(a)):
        out[i] = a[i] + b[i]


@parallel_kernel(tasks=lambda a: blocks(a))
def _multiply(begin, end, a, b, out):
    begin, end = begin * BLOCK, end * BLOCK
    a, b, out = a[begin:end], b[begin:end], out[begin:end]
    for i in range(len(a)):
        out[i] = a[i] * b[i]


@compiled
def _numbers_of(chunk, pixels, numbers, samples):
    """Return the pixels of a chunk, first and end, and how many pixels a row of ``numbers`` is meant for."""
    begin, end = chunk_bounds(chunk, CHUNKS, len(pixels))
    return begin, end, len(pixels) // samples if len(numbers) > 1 else len(pixels)


@parallel_kernel(tasks=lambda: CHUNKS)
def _add_to_channels(first_task, end_task, pixels, numbers, samples, out):
    for chunk in range(first_task, end_task):
        begin, end, share = _numbers_of(chunk, pixels, numbers, samples)
        for i in range(begin, end):
            source, own, target = pixels[i], numbers[i // share], out[i]
            for c in range(len(target)):
                target[c] = source[c] + own[c]


@parallel_kernel(tasks=lambda: CHUNKS)
def _multiply_channels(first_task, end_task, pixels, numbers, samples, out):
    for chunk in range(first_task, end_task):
        begin, end, share = _numbers_of(chunk, pixels, numbers, samples)
        for i in range(begin, end):
            source, own, target = pixels[i], numbers[i // share], out[i]
            for c in range(len(target)):
                target[c] = source[c] * own[c]


@parallel_kernel(tasks=lambda a: blocks(a))
def _add_relu(begin, end, a, b):
    begin, end = begin * BLOCK, end * BLOCK
    a, b = a[begin:end], b[begin:end]
    for i in range(len(a)):
        value = a[i] + b[i]
        a[i] = 0 if value <= 0 else value


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _relu_backward(begin, end, grad_out, out, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, out, grad_x = grad_out[begin:end], out[begin:end], grad_x[begin:end]
    for i in range(len(out)):
        grad_x[i] = 0 if out[i] <= 0 else grad_out[i]  # as forward: NaN is not <= 0


@parallel_kernel(tasks=lambda x: blocks(x))
def _leaky_relu_forward(begin, end, x, slope, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out, factor = x[begin:end], out[begin:end], slope[0]  # read in the loop, it would make a branch
    for i in range(len(x)):
        out[i] = x[i] * factor if x[i] <= 0 else x[i]


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _leaky_relu_backward(begin, end, grad_out, x, slope, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, x, grad_x, factor = grad_out[begin:end], x[begin:end], grad_x[begin:end], slope[0]
    for i in range(len(x)):
        grad_x[i] = grad_out[i] if x[i] > 0 else grad_out[i] * factor


def _combined(kernels, numpys, a, b):
    """Return what NumPy's function of two arrays computes; for many elements a kernel, where one fits.

    The first of ``kernels`` takes arrays of one shape with the same layout in memory, without gaps; the second one
    takes maps, and a number for each channel of every sample, or for each channel. Kernels run on all threads, and
    write into recycled memory.
    """
    a, b = (a, b) if a.size >= b.size else (b, a)
    if a.size < LARGE or a.dtype != b.dtype:
        return numpys(a, b)
    if (a.shape, a.strides) == (b.shape, b.strides):
        flat = a.ravel("K")  # in memory order
        if np.may_share_memory(flat, a):  # no copy, as there are no gaps
            return np.ndarray(a.shape, a.dtype, result_of(kernels[0], b.ravel("K"), flat), 0, a.strides)
    if a.ndim == b.ndim == 4 and b.shape in ((len(a), a.shape[1], 1, 1), (1, a.shape[1], 1, 1)):
        maps = a.transpose(0, 2, 3, 1)
        if maps.flags.c_contiguous:
            out = memory.empty_like(maps)
            kernels[1](flatten_pixels(maps), np.ascontiguousarray(b[:, :, 0, 0]), len(a), flatten_pixels(out))
            return out.transpose(0, 3, 1, 2)
    return numpys(a, b)


def add(a, b):
    """Return a + b, for two arrays of one dtype whose shapes broadcast."""
    return _combined((_add, _add_to_channels), np.add, a, b)


def multiply(a, b):
    """Return a * b, for two arrays of one dtype whose shapes broadcast."""
    return _combined((_multiply, _multiply_channels), np.multiply, a, b)


def result_of(kernel, *arrays):
    """Return what a kernel of flat arrays computes: a new array like the last one, which it gets after the others."""
    out = memory.empty_like(arrays[-1])
    kernel(*arrays, out)
    return out


def relu_forward(x):
    """Return max(x, 0); NaN stays NaN.

    Parameters
    ----------
    x : ndarray, 1-D, C-contiguous, float32 or float64

    Returns
    -------
    ndarray, the shape of x
    """
    return result_of(_relu_forward, x)


def relu_in_place(x, residual=None):
    """Replace x by max(x, 0), or max(x + residual, 0); NaN stays NaN.

    Parameters
    ----------
    x : ndarray, C-contiguous, float32 or float64
        Memory that nobody else reads.
    residual : ndarray, the shape of x, C-contiguous, or None
    """
    if residual is None:
        _relu_forward(x.reshape(-1), x.reshape(-1))
    else:
        _add_relu(x.reshape(-1), residual.reshape(-1))


def relu_backward(grad_out, out):
    """Return grad_out, and 0 where out <= 0: the output alone says where the input was positive."""
    return result_of(_relu_backward, grad_out, out)


def leaky_relu_forward(x, slope):
    """Return x where x > 0, else slope * x."""
    out = memory.empty_like(x)
    _leaky_relu_forward(x, np.array([slope], x.dtype), out)
    return out


def leaky_relu_backward(grad_out, x, slope):
    """Return grad_out where x > 0, else slope * grad_out."""
    grad_x = memory.empty_like(x)
    _leaky_relu_backward(grad_out, x, np.array([slope], x.dtype), grad_x)
    return grad_x


_TANH_NUMERATOR = tuple(np.float32(n / 135135) for n in (135135, 17325, 378, 1))  # of y**1, y**3, y**5, y**7
_TANH_DENOMINATOR = tuple(np.float32(n / 135135) for n in (135135, 62370, 3150, 28))  # of 1, y**2, y**4, y**6
_HALF, _ONE, _TANH_END = np.float32(0.5), np.float32(1), np.float32(9.1)  # tanh(9.1) is 1 in float32


@parallel_kernel(tasks=lambda x: blocks(x))
def _tanh_forward(begin, end, x, out):
    begin, end = begin * BLOCK, end * BLOCK
    x, out = x[begin:end], out[begin:end]
    p0, p1, p2, p3 = _TANH_NUMERATOR
    q0, q1, q2, q3 = _TANH_DENOMINATOR
    for i in range(len(x)):
        y = x[i]
        y = _TANH_END if y > _TANH_END else y  # written so that NaN stays
        y = -_TANH_END if y < -_TANH_END else y
        y *= _HALF
        s = y * y
        p, q = y * (p0 + s * (p1 + s * (p2 + s * p3))), q0 + s * (q1 + s * (q2 + s * q3))  # tanh(y) = p / q
        value = (p + p) * q / (q * q + p * p)  # tanh(2 y)
        value = _ONE if value > _ONE else value
        out[i] = -_ONE if value < -_ONE else value


@parallel_kernel(tasks=lambda grad_out: blocks(grad_out))
def _tanh_backward(begin, end, grad_out, out, grad_x):
    begin, end = begin * BLOCK, end * BLOCK
    grad_out, out, grad_x, number = grad_out[begin:end], out[begin:end], grad_x[begin:end], out.dtype.type
    for i in range(len(out)):
        grad_x[i] = grad_out[i] * (number(1) - out[i] * out[i])  # a plain 1 would make the difference float64


def tanh_forward(x):
    """Return tanh(x), within 5 units in the last place; float64 by NumPy.

    Lambert's continued fraction tanh(y) = y / (1 + y**2 / (3 + y**2 / (5 + ...))), cut after 13 and written as one
    fraction, for y = x/2, where it has all digits of float32; then tanh(2 y) = 2 t / (1 + t**2) with t = tanh(y).
    All its terms are positive, so nothing cancels. It needs only products, sums and one division, which fill all lanes.
    """
    out = memory.empty_like(x)
    if x.dtype == np.float64:
        return np.tanh(x, out=out)
    _tanh_forward(x, out)
    return out


def tanh_backward(grad_out, out):
    """Return grad_out * (1 - out**2)."""
    return result_of(_tanh_backward, grad_out, out)


@parallel_kernel(tasks=lambda logits: len(logits))
def _cross_entropy_forward(first_task, end_task, logits, labels, smoothing, losses, probabilities):
    images, classes = logits.shape
    for n in range(first_task, end_task):
        largest = logits[n, 0]
        for k in range(1, classes):  # written so that a NaN anywhere becomes the largest
            largest = largest if largest >= logits[n, k] or largest != largest else logits[n, k]
        total, sum_of_logits = 0.0, 0.0
        for k in range(classes):
            shifted = np.float64(logits[n, k]) - largest  # at most 0: no overflow
            total += math.exp(shifted)
            sum_of_logits += shifted
        log_total = math.log(total)
        for k in range(classes):
            probabilities[n, k] = math.exp(np.float64(logits[n, k]) - largest - log_total)
        own = (1 - smoothing) * (np.float64(logits[n, labels[n]]) - largest) if smoothing < 1 else 0.0
        spread = smoothing * sum_of_logits / classes if smoothing > 0 else 0.0  # 0 * -inf would be NaN
        losses[n] = log_total - own - spread


@parallel_kernel(tasks=lambda probabilities: len(probabilities))
def _cross_entropy_backward(first_task, end_task, probabilities, labels, smoothing, scale, grad_logits):
    images, classes = probabilities.shape
    for n in range(first_task, end_task):
        for k in range(classes):
            target = smoothing / classes + (1 - smoothing if k == labels[n] else 0.0)
            grad_logits[n, k] = (probabilities[n, k] - target) * scale[n]


def softmax_cross_entropy_forward(logits, labels, label_smoothing):
    """Return the cross-entropy of every row, and the softmax probabilities.

    losses[n] = - sum over k of target[n, k] * log softmax(logits[n])[k],
    target = (1 - smoothing) at the label, plus smoothing / K everywhere

    Parameters
    ----------
    logits : ndarray, shape (N, K), C-contiguous, float32 or float64
    labels : int64 ndarray, shape (N,), 0 .. K-1
    label_smoothing : float, 0..1

    Returns
    -------
    losses : ndarray, shape (N,)
    probabilities : ndarray, shape (N, K)

    Notes
    -----
    The largest logit is subtracted first, so any finite logits give finite losses.
    """
    losses, probabilities = memory.empty((len(logits),), logits.dtype), memory.empty_like(logits)
    _cross_entropy_forward(logits, labels, float(label_smoothing), losses, probabilities)
    return losses, probabilities


def softmax_cross_entropy_backward(probabilities, labels, label_smoothing, scale):
    """Return scale[n] * (probabilities - target), shape (N, K); ``scale`` (N,) is the gradient of each loss."""
    grad_logits = np.empty_like(probabilities)
    _cross_entropy_backward(probabilities, labels, float(label_smoothing), scale, grad_logits)
    return grad_logits
