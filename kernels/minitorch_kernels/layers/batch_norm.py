"""Batch normalisation of channels-last maps.

Sums over pixels run over the chunks of `runtime.chunks`, each in float64 over blocks that fit the first-level
cache; the sums of the chunks are then added in order. So neither the number of threads nor a mean far from
zero costs accuracy in the last digits. The same kernel adds up the chunks: NumPy's calls for that took 1 ms of the 40
of a training step of ResNet-20 (batches of 32, two threads).
"""

import numpy as np

from minitorch_kernels.layers import reduction
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import CHUNKS, chunk_bounds, flatten_pixels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.threads import parallel_kernel, team_kernel

_BLOCK_ELEMENTS = 8192  # pixels times channels of a block, at most
_FAR = 4096  # the variance loses digits from a mean of 64 standard deviations on, unless it is corrected
_BLOCK_PIXELS = 32  # pixels of a block, at most: longer sums in x's type would lose digits
_ROW = 128  # elements of a row in a sum, at most, if a pixel has fewer: see `side_by_side`


@compiled
def _block_moments(x, total, deviation, rest):
    """Mean total + rest of a few pixels x (M, C), and sum of squared deviations from it.

    A mean far from 0 is rounded in x's type. The differences from it are not: their own mean is ``rest``.
    """
    pixels, channels = x.shape
    total[:] = 0
    for i in range(pixels):
        for c in range(channels):
            total[c] += x[i, c]
    for c in range(channels):
        total[c] /= pixels
    deviation[:] = 0
    for i in range(pixels):  # a second pass over the block, which is in the cache
        for c in range(channels):
            distance = x[i, c] - total[c]
            deviation[c] += distance * distance
    rest[:] = 0
    far = False
    for c in range(channels):
        far |= total[c] * total[c] * pixels > _FAR * deviation[c]
    if far:
        for i in range(pixels):
            for c in range(channels):
                rest[c] += x[i, c] - total[c]
        for c in range(channels):
            rest[c] /= pixels
            corrected = deviation[c] - rest[c] * rest[c] * pixels
            deviation[c] = 0 if corrected < 0 else corrected


@parallel_task
def _chunk_moments(first_task, end_task, x, means, squares):
    """Mean, and sum of squared deviations from it, of each chunk of pixels; x (M, C), results (chunks, C)."""
    pixels, channels = x.shape
    chunks = len(means)
    block = max(1, min(_BLOCK_PIXELS, _BLOCK_ELEMENTS // max(1, channels)))
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, chunks, pixels)
        mean, square = means[chunk], squares[chunk]
        mean[:] = 0
        square[:] = 0
        total, deviation, rest = np.empty(channels, x.dtype), np.empty(channels, x.dtype), np.empty(channels, x.dtype)
        for start in range(first, end, block):
            pixels_of_block = x[start : min(start + block, end)]
            _block_moments(pixels_of_block, total, deviation, rest)
            count = len(pixels_of_block)
            share = count / (start + count - first)
            for c in range(channels):  # Chan, Golub and LeVeque: two groups to one
                apart = np.float64(total[c]) + rest[c] - mean[c]
                mean[c] += apart * share
                square[c] += deviation[c] + apart * apart * (start - first) * share


@compiled
def _merge_moments(means, squares, pixels, mean, var):
    """Fill mean and var (C,) from the moments (chunks, k * C) of chunks of ``pixels`` rows, k pixels side by side."""
    (chunks, row), channels = means.shape, max(1, len(mean))
    count = pixels * (row // channels)
    mean[:] = 0
    var[:] = 0
    for chunk in range(chunks):
        first, end = chunk_bounds(chunk, chunks, pixels)
        for start in range(0, row, channels):
            own = means[chunk, start : start + channels]
            for c in range(len(mean)):
                mean[c] += own[c] * (end - first)
    for c in range(len(mean)):
        mean[c] /= count
    for chunk in range(chunks):
        first, end = chunk_bounds(chunk, chunks, pixels)
        for start in range(0, row, channels):
            own, square = means[chunk, start : start + channels], squares[chunk, start : start + channels]
            for c in range(len(mean)):
                apart = own[c] - mean[c]
                var[c] += square[c] + apart * apart * (end - first)
    for c in range(len(mean)):
        var[c] /= count


@team_kernel
def _moments(team, x, partials, mean, var):
    """Fill mean and var (C,), float64, of x (M, k * C), k pixels side by side; ``partials`` (2, chunks, k * C)."""
    means, squares = partials[0], partials[1]
    _chunk_moments(team, len(means), (x, means, squares))
    _merge_moments(means, squares, len(x), mean, var)


@parallel_kernel(tasks=lambda: CHUNKS)
def _scale_and_shift(first_task, end_task, x, scale, shift, out):
    """out = x * scale + shift, per channel; parallel over chunks of pixels."""
    pixels, channels = x.shape
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, pixels)
        for i in range(first, end):
            for c in range(channels):
                out[i, c] = x[i, c] * scale[c] + shift[c]


@parallel_task
def _chunk_sums(first_task, end_task, grad, x, mean, sums, products):
    """Sums of grad, and of grad * (x - mean), of each chunk of pixels; results (chunks, C)."""
    pixels, channels = grad.shape
    chunks = len(sums)
    block = max(1, min(_BLOCK_PIXELS, _BLOCK_ELEMENTS // max(1, channels)))
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, chunks, pixels)
        sums[chunk] = 0
        products[chunk] = 0
        total, product = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
        for start in range(first, end, block):
            total[:] = 0
            product[:] = 0
            for i in range(start, min(start + block, end)):
                for c in range(channels):
                    total[c] += grad[i, c]
                    product[c] += grad[i, c] * (x[i, c] - mean[c])
            for c in range(channels):
                sums[chunk, c] += total[c]
                products[chunk, c] += product[c]


@compiled
def add_chunks(partials, totals):
    """Fill totals (2, C) with the sums over the chunks and pixels of partials (2, chunks, k * C)."""
    (_, chunks, row), (_, channels) = partials.shape, totals.shape
    totals[:] = 0
    for i in range(2):
        for chunk in range(chunks):
            for start in range(0, row, max(1, channels)):
                own = partials[i, chunk, start : start + channels]
                for c in range(channels):
                    totals[i, c] += own[c]


@team_kernel
def _sums(team, grad, x, mean, partials, totals):
    """Fill ``totals`` (2, C) with the sums of grad, and of grad * (x - mean), of which ``partials`` has the parts."""
    _chunk_sums(team, partials.shape[1], (grad, x, mean, partials[0], partials[1]))
    add_chunks(partials, totals)


@parallel_kernel(tasks=lambda: CHUNKS)
def _input_gradient(first_task, end_task, grad, x, mean, a, b, c, out):
    """out = a * grad - b * (x - mean) - c, per channel; parallel over chunks of pixels."""
    pixels, channels = grad.shape
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, pixels)
        for i in range(first, end):
            for k in range(channels):
                out[i, k] = a[k] * grad[i, k] - b[k] * (x[i, k] - mean[k]) - c[k]


def side_by_side(*maps):
    """Return k, and maps (M, C) as (M / k, k * C): sums of k pixels side by side take fewer, longer inner loops.

    With 16 channels the inner loop would be a single vector, which waits for the sum of the pixel before. Rows of 128
    elements halve the time of such sums, about 4 % of a training step of ResNet-20. k is 1 where the maps are parts of
    larger ones.
    """
    pixels, channels = maps[0].shape
    together = 1
    if all(pixel_map.flags.c_contiguous and pixel_map.shape == maps[0].shape for pixel_map in maps):
        while 0 < 2 * together * channels <= _ROW and pixels % (2 * together) == 0:
            together *= 2
    if together == 1:
        return 1, maps
    return together, [pixel_map.reshape(pixels // together, together * channels) for pixel_map in maps]


def _partials(rows, elements):
    """Return an empty float64 array (2, chunks, ``elements``), for two partial sums over each chunk of rows."""
    return memory.empty((2, max(1, min(CHUNKS, len(rows))), elements), np.float64)


def sums_and_products(kernel, maps, *vectors):
    """Return the sums and the products (2, C), in float64, that a kernel adds up over chunks of maps (M, C or more).

    The kernel also gets ``vectors`` (C,), at least one.
    """
    channels = len(vectors[0])
    together, rows = side_by_side(*maps) if maps[0].shape[1] == channels else (1, maps)
    if together > 1:
        vectors = [np.tile(vector, together) for vector in vectors]
    totals = memory.empty((2, channels), np.float64)
    kernel(*rows, *vectors, _partials(rows[0], together * channels), totals)
    return totals


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
    _, (rows,) = side_by_side(flatten_pixels(x))
    mean, var = memory.empty((2, x.shape[3]), np.float64)
    _moments(rows, _partials(rows, rows.shape[1]), mean, var)
    bad = ~np.isfinite(var)
    if bad.any():  # the other channels keep their bits
        pixels = flatten_pixels(x)[:, bad].astype(np.float64)
        mean[bad], var[bad] = pixels.mean(0), pixels.var(0)
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
    _scale_and_shift(flatten_pixels(x), scale, shift, flatten_pixels(out))
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
    grad_x = batch_norm_input_gradient(grad_out, x, mean, inv_std, gamma, sums, products, flatten_pixels(x).shape[0])
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
    return sums_and_products(_sums, [flatten_pixels(grad_out), flatten_pixels(x)], mean)


def batch_norm_coefficients(inv_std, gamma, sums, products, count):
    """Return a, b and c of grad_x = a * grad_out - b * (x - mean) - c, in float64.

    a = gamma * inv_std,  b = a * inv_std^2 * products / count,  c = a * sums / count
    """
    a = gamma.astype(np.float64) * inv_std
    return a, a * inv_std * (products * inv_std) / count, a * sums / count


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
    a, b, c = (array.astype(x.dtype) for array in batch_norm_coefficients(inv_std, gamma, sums, products, count))
    grad_x = memory.empty_like(x)
    _input_gradient(flatten_pixels(grad_out), flatten_pixels(x), mean, a, b, c, flatten_pixels(grad_x))
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
    return reduction.sum_over(flatten_pixels(x), (0,))[0].astype(x.dtype)
