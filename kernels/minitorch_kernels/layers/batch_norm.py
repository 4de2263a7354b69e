"""Batch normalisation of channels-last maps.

A map (N, H, W, C) is a list of N*H*W pixels here. Sums over pixels run over ranges of pixels, at
most RANGES of them and cut by the shape alone, each in float64 over blocks that fit the first-level
cache; the ranges are then added up in order. So neither the number of threads nor a mean far from
zero spoils the last digits.
"""

import numpy as np

from minitorch_kernels.layers import reduction
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import helper
from minitorch_kernels.runtime.threads import RANGES, parallel_kernel

_BLOCK_ELEMENTS = 8192  # pixels times channels of a block, at most
_BLOCK_PIXELS = 32  # of a block, at most: its sums are in x's type and would lose digits with more


@helper
def bounds(part, parts, count):
    """Return the first and the end of one of ``parts`` ranges of ``count`` items."""
    return part * count // parts, (part + 1) * count // parts


@parallel_kernel(tasks=lambda means: len(means))
def _range_moments(first_task, end_task, x, means, squares):
    """Mean, and sum of squared deviations from it, of each range of pixels; x (M, C), results (ranges, C)."""
    pixels, channels = x.shape
    ranges = len(means)
    block = max(1, min(_BLOCK_PIXELS, _BLOCK_ELEMENTS // channels))
    for part in range(first_task, end_task):
        first, end = bounds(part, ranges, pixels)
        mean, square = means[part], squares[part]
        mean[:] = 0
        square[:] = 0
        total, deviation = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
        for start in range(first, end, block):
            stop = min(start + block, end)
            total[:] = 0
            for i in range(start, stop):
                for c in range(channels):
                    total[c] += x[i, c]
            for c in range(channels):
                total[c] /= stop - start
            deviation[:] = 0
            for i in range(start, stop):  # a second look at the block, which is in the cache
                for c in range(channels):
                    distance = x[i, c] - total[c]
                    deviation[c] += distance * distance
            share = (stop - start) / (stop - first)
            for c in range(channels):  # Chan, Golub and LeVeque: two groups to one
                apart = total[c] - mean[c]
                mean[c] += apart * share
                square[c] += deviation[c] + apart * apart * (start - first) * share


@parallel_kernel(tasks=lambda: RANGES)
def _scale_and_shift(first_task, end_task, x, scale, shift, out):
    """out = x * scale + shift, per channel; parallel over ranges of pixels."""
    pixels, channels = x.shape
    for part in range(first_task, end_task):
        first, end = bounds(part, RANGES, pixels)
        for i in range(first, end):
            for c in range(channels):
                out[i, c] = x[i, c] * scale[c] + shift[c]


@parallel_kernel(tasks=lambda sums: len(sums))
def _range_sums(first_task, end_task, grad, x, mean, sums, products):
    """Sums of grad, and of grad * (x - mean), of each range of pixels; results (ranges, C)."""
    pixels, channels = grad.shape
    ranges = len(sums)
    block = max(1, min(_BLOCK_PIXELS, _BLOCK_ELEMENTS // channels))
    for part in range(first_task, end_task):
        first, end = bounds(part, ranges, pixels)
        sums[part] = 0
        products[part] = 0
        total, product = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
        for start in range(first, end, block):
            total[:] = 0
            product[:] = 0
            for i in range(start, min(start + block, end)):
                for c in range(channels):
                    total[c] += grad[i, c]
                    product[c] += grad[i, c] * (x[i, c] - mean[c])
            for c in range(channels):
                sums[part, c] += total[c]
                products[part, c] += product[c]


@parallel_kernel(tasks=lambda: RANGES)
def _input_gradient(first_task, end_task, grad, x, mean, slope, projection, level, out):
    """out = slope * grad - projection * (x - mean) - level, per channel; parallel over ranges of pixels."""
    pixels, channels = grad.shape
    for part in range(first_task, end_task):
        first, end = bounds(part, RANGES, pixels)
        for i in range(first, end):
            for c in range(channels):
                out[i, c] = slope[c] * grad[i, c] - projection[c] * (x[i, c] - mean[c]) - level[c]


def as_pixels(x):
    """Return (N, H, W, C) as (M, C)."""
    return x.reshape(-1, x.shape[-1])


def partials(x):
    """Return two empty float64 arrays (ranges, C) for partial sums over the pixels of x."""
    pixels, channels = as_pixels(x).shape
    shape = max(1, min(RANGES, pixels)), channels
    return np.empty(shape), np.empty(shape)


def batch_norm_stats(x):
    """Return the mean and the biased variance of each channel.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64

    Returns
    -------
    mean : ndarray, shape (C,), the dtype of x
    var : ndarray of float64, shape (C,)

    Notes
    -----
    One pass over memory; a second one, in float64, where the squares of finite elements overflow. Means and
    squared deviations of blocks are merged as in Chan, Golub and LeVeque 1983 ("Algorithms for computing the sample
    variance").
    """
    means, squares = partials(x)
    count = as_pixels(x).shape[0]
    _range_moments(as_pixels(x), means, squares)
    ends = np.arange(len(means) + 1) * count // len(means)
    sizes = np.diff(ends)[:, None]
    mean = (means * sizes).sum(0) / count
    var = (squares.sum(0) + (sizes * (means - mean) ** 2).sum(0)) / count
    if not np.isfinite(var).all():
        pixels = as_pixels(x).astype(np.float64)
        mean, var = pixels.mean(0), pixels.var(0)
    return mean.astype(x.dtype), var


def batch_norm_apply(x, scale, shift):
    """Return x * scale + shift, per channel.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous
    scale, shift : ndarray, shape (C,)

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    out = memory.empty_like(x)
    _scale_and_shift(as_pixels(x), scale, shift, as_pixels(out))
    return out


def batch_norm_backward(grad_out, x, mean, inv_std, gamma):
    """Return the gradients of training-mode batch norm.

    grad_x = gamma * inv_std * (grad_out - mean of grad_out - normalised x * mean of (grad_out * normalised x))

    Parameters
    ----------
    grad_out, x : ndarray, shape (N, H, W, C), C-contiguous
    mean, inv_std, gamma : ndarray, shape (C,)

    Returns
    -------
    grad_x : ndarray, shape (N, H, W, C)
    grad_gamma, grad_beta : ndarray, shape (C,)
    """
    sums, products = batch_norm_sums(grad_out, x, mean)
    grad_x = batch_norm_input_gradient(grad_out, x, mean, inv_std, gamma, sums, products, as_pixels(x).shape[0])
    return grad_x, (products * inv_std).astype(x.dtype), sums.astype(x.dtype)


def batch_norm_sums(grad_out, x, mean):
    """Return the sums of grad_out, and of grad_out * (x - mean), of each channel.

    Parameters
    ----------
    grad_out, x, mean : ndarray, shapes (N, H, W, C), C-contiguous, twice, and (C,)

    Returns
    -------
    sums, products : ndarray of float64, shape (C,)
    """
    sums, products = partials(x)
    _range_sums(as_pixels(grad_out), as_pixels(x), mean, sums, products)
    return sums.sum(0), products.sum(0)


def batch_norm_input_gradient(grad_out, x, mean, inv_std, gamma, sums, products, count):
    """Return grad_x of `batch_norm_backward`, from sums over ``count`` pixels, which may be more than those of x.

    Parameters
    ----------
    grad_out, x : ndarray, shape (N, H, W, C), C-contiguous
    mean, inv_std, gamma, sums, products : ndarray, shape (C,), the last two from `batch_norm_sums`
    count : int, >= 1

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    slope = gamma.astype(np.float64) * inv_std
    numbers = slope, slope * inv_std * (products * inv_std) / count, slope * sums / count
    grad_x = memory.empty_like(x)
    _input_gradient(
        as_pixels(grad_out), as_pixels(x), mean, *(number.astype(x.dtype) for number in numbers), as_pixels(grad_x)
    )
    return grad_x


def channel_sums(x):
    """Return the sum of each channel over images and pixels.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous

    Returns
    -------
    ndarray, shape (C,)
    """
    return reduction.sum_over(as_pixels(x), (0,))[0].astype(x.dtype)
