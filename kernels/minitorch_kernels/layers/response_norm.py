"""Local response normalisation of channels-last maps: each channel of a pixel is divided by its neighbours' energy.

Source: Krizhevsky, Sutskever and Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks",
section 3.3.
"""

import math

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import CHUNKS, chunk_bounds, flatten_pixels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel


@compiled
def _sum_windows(padded, sums):
    """sums[c] = padded[c] + padded[c + 1] + ..., as many as there are elements in a window."""
    channels = len(sums)
    for c in range(channels):
        sums[c] = padded[c]
    for d in range(1, len(padded) - channels + 1):
        terms = padded[d : d + channels]
        for c in range(channels):
            sums[c] += terms[c]


@compiled
def _powers(base, beta, powers):
    """Fill powers with base**-beta; square roots, which fill all lanes, where beta is the paper's 3/4."""
    if beta == 0.75:
        for c in range(len(base)):
            root = math.sqrt(base[c])
            powers[c] = 1 / (root * math.sqrt(root))
    else:
        for c in range(len(base)):
            powers[c] = base[c] ** -beta


@parallel_kernel(tasks=lambda: CHUNKS)
def _response_forward(first_task, end_task, x, window, constants, out, base):
    (before, after), (share, beta, k), (pixels, channels) = window, constants, x.shape
    padded = np.zeros(before + channels + after, x.dtype)
    squares = padded[before : before + channels]
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, pixels)
        for i in range(first, end):
            own, energy, result = x[i], base[i], out[i]
            for c in range(channels):
                squares[c] = own[c] * own[c]
            _sum_windows(padded, energy)
            for c in range(channels):
                energy[c] = k + share * energy[c]
            _powers(energy, beta, result)
            for c in range(channels):
                result[c] *= own[c]


@parallel_kernel(tasks=lambda: CHUNKS)
def _response_backward(first_task, end_task, grad, x, out, base, window, constants, grad_x):
    (before, after), (share, beta), (pixels, channels) = window, constants, x.shape
    padded, spread = np.zeros(after + channels + before, x.dtype), np.empty(channels, x.dtype)
    terms, factor = padded[after : after + channels], 2 * share * beta
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, pixels)
        for i in range(first, end):
            own_grad, own, own_out, energy, result = grad[i], x[i], out[i], base[i], grad_x[i]
            for c in range(channels):
                terms[c] = own_grad[c] * own_out[c] / energy[c]
            _sum_windows(padded, spread)  # over the bases that x[c] is in
            _powers(energy, beta, result)
            for c in range(channels):
                result[c] = own_grad[c] * result[c] - factor * own[c] * spread[c]


def local_response_norm_forward(x, *, size, alpha, beta, k):
    """Return x / base**beta and base = k + alpha/size * sum of x**2 over ``size`` neighbour channels.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
    size : int, channels, from c - size//2 to c + (size - 1)//2
    alpha, beta, k : float

    Returns
    -------
    out, base : ndarray, shape (N, H, W, C)
    """
    out, base = memory.empty_like(x), memory.empty_like(x)
    constants = tuple(x.dtype.type(value) for value in (alpha / size, beta, k))
    _response_forward(
        flatten_pixels(x), (size // 2, (size - 1) // 2), constants, flatten_pixels(out), flatten_pixels(base)
    )
    return out, base


def local_response_norm_backward(grad_out, x, out, base, *, size, alpha, beta, k):
    """Return the gradient of x, shape (N, H, W, C).

    grad_x[c] = grad_out[c] * base[c]**-beta
                - 2 * alpha/size * beta * x[c] * sum over d of grad_out[d] * out[d] / base[d],
    over the channels d whose base holds x[c]

    Parameters
    ----------
    grad_out, x, out, base : ndarray, shape (N, H, W, C), C-contiguous
    size, alpha, beta, k
        As in `local_response_norm_forward`.

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    grad_x = memory.empty_like(x)
    constants = tuple(x.dtype.type(value) for value in (alpha / size, beta))
    arrays = (flatten_pixels(array) for array in (grad_out, x, out, base))
    _response_backward(*arrays, (size // 2, (size - 1) // 2), constants, flatten_pixels(grad_x))
    return grad_x
