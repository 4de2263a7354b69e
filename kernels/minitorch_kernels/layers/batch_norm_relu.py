"""Batch norm, ReLU and max pooling of channels-last maps as one operation, in two passes each way.

Run one after the other, the three read or write large maps four times forward and six times backward, with so
little work per element that memory bandwidth limits them. Fused:

    forward    statistics: read x;        then read x, write the (pooled) output
    backward   sums over the outputs;     then read x, write the gradient of x

The inner loops run over the channels of one pixel, and each writes only one or two arrays: with more, the compiler
would have to check too many pairs of arrays for overlap before it may use vector instructions.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.layers.batch_norm import add_chunks, batch_norm_coefficients, sums_and_products
from minitorch_kernels.layers.pool import max_pool2d_backward
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import CHUNKS, chunk_bounds, flatten_pixels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.threads import parallel_kernel, team_kernel

_BLOCK_ELEMENTS, _BLOCK_PIXELS = 8192, 32  # as in `batch_norm`


class Gate(NamedTuple):
    """Where ReLU lets the gradient through: where maps * scale + shift is positive or NaN.

    The maps are the input of batch norm, which backward reads anyway. Where pooling or a residual come between, they
    are the output, with scale 1 and shift 0, see `gate_of_output`.
    """

    maps: np.ndarray  # (N, H, W, C or more)
    scale: np.ndarray  # (C,)
    shift: np.ndarray  # (C,)


def gate_of_output(out):
    """Return the `Gate` of a ReLU from its output (N, OH, OW, C)."""
    return Gate(out, np.ones(out.shape[3], out.dtype), np.zeros(out.shape[3], out.dtype))


@compiled
def activate(pixel, scale, shift, y):
    """y = max(pixel * scale + shift, 0); NaN stays NaN."""
    for c in range(len(scale)):
        value = pixel[c] * scale[c] + shift[c]
        y[c] = 0 if value <= 0 else value


@parallel_kernel(tasks=lambda: CHUNKS)
def activate_pixels(first_task, end_task, x, scale, shift, out):
    """out = max(x * scale + shift, 0) of the first C channels of x; out (M, C or more) gets 0 in those after them."""
    count, channels = out.shape
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, count)
        for i in range(first, end):
            activate(x[i], scale, shift, out[i])
            for c in range(len(scale), channels):
                out[i, c] = 0


@parallel_kernel(tasks=lambda: CHUNKS)
def _add_and_activate_pixels(first_task, end_task, x, scale, shift, residual, out):
    count, channels = x.shape
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, count)
        for i in range(first, end):
            for c in range(channels):
                value = x[i, c] * scale[c] + shift[c] + residual[i, c]
                out[i, c] = 0 if value <= 0 else value


@parallel_kernel(tasks=lambda out: out.shape[0] * out.shape[1])
def _activate_and_pool(first_task, end_task, x, mean, scale, shift, size, out, argmax, deviations):
    """Pool windows side by side; ``deviations`` gets x - mean of the pixel that won.

    The largest pixel of a window so far and its position are kept; the position as a float until the end, so that it
    has the same SIMD width as the values. Applying batch norm and ReLU to that pixel again costs less than keeping its
    output. The new leader goes to another row than the old one: in place, it would be written through a mask, slowly.
    """
    images, out_height, out_width, channels = out.shape
    zero = x.dtype.type(0)  # of x's type: a plain 0 would make the choice float64
    for task in range(first_task, end_task):
        n, i = task // out_height, task % out_height
        leaders, won = np.empty((2, channels), x.dtype), np.empty(channels, x.dtype)
        for j in range(out_width):
            winner, deviation = argmax[n, i, j], deviations[n, i, j]
            leader = x[n, i * size, j * size]
            won[:] = zero
            for position in range(1, size * size):
                pixel = x[n, i * size + position // size, j * size + position % size]
                here = x.dtype.type(position)
                following = leaders[position % 2]
                for c in range(channels):  # as in pooling: the first of equals, NaN first
                    one, two, old_position = (
                        pixel[c],
                        leader[c],
                        won[c],
                    )  # all loaded first: a choice then, not a branch
                    new, old = one * scale[c] + shift[c], two * scale[c] + shift[c]
                    new, old = zero if new <= zero else new, zero if old <= zero else old
                    wins = (new > old) | ((new != new) & (old == old))
                    following[c] = one if wins else two
                    won[c] = here if wins else old_position
                leader = following
            activate(leader, scale, shift, out[n, i, j])
            for c in range(channels):
                deviation[c] = leader[c] - mean[c]
            for c in range(channels):
                winner[c] = np.int32(won[c])


@parallel_task
def _chunk_sums(first_task, end_task, grad, gate, deviations, mean, scale, shift, sums, products):
    """Sums of grad where the gate lets it through, and of that times the deviation, of each chunk of pixels.

    Deviations are ``deviations - mean``. Of all maps (M, C or more), the first C channels count.
    """
    count, channels = len(grad), len(mean)
    chunks = len(sums)
    block = max(1, min(_BLOCK_PIXELS, _BLOCK_ELEMENTS // max(1, channels)))
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, chunks, count)
        sums[chunk] = 0
        products[chunk] = 0
        total, product, passed = np.empty(channels, grad.dtype), np.empty(channels, grad.dtype), np.empty_like(mean)
        for start in range(first, end, block):
            total[:] = 0
            product[:] = 0
            for i in range(start, min(start + block, end)):
                for c in range(channels):
                    passed[c] = 0 if gate[i, c] * scale[c] + shift[c] <= 0 else grad[i, c]
                for c in range(channels):
                    total[c] += passed[c]
                    product[c] += passed[c] * (deviations[i, c] - mean[c])
            for c in range(channels):
                sums[chunk, c] += total[c]
                products[chunk, c] += product[c]


@team_kernel
def _sums(team, grad, gate, deviations, mean, scale, shift, partials, totals):
    """Fill ``totals`` (2, C) with the sums of `_chunk_sums` over all pixels; ``partials`` has those of the chunks."""
    _chunk_sums(team, partials.shape[1], (grad, gate, deviations, mean, scale, shift, partials[0], partials[1]))
    add_chunks(partials, totals)


@parallel_kernel(tasks=lambda: CHUNKS)
def input_gradient(first_task, end_task, grad, gate, x, scale, shift, mean, a, b, c, training, add, grad_x):
    """grad_x = a * grad where the gate lets it through, - b * (x - mean) - c; all maps (M, C or more).

    Without ``training`` b and c are 0 and x is not read, because 0 times an infinite element would be NaN.
    With ``add`` that is added to grad_x.
    """
    count, channels = len(grad), len(mean)
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, count)
        for i in range(first, end):
            if training:
                for k in range(channels):
                    passed = 0 if gate[i, k] * scale[k] + shift[k] <= 0 else a[k] * grad[i, k]
                    value = passed - b[k] * (x[i, k] - mean[k]) - c[k]
                    grad_x[i, k] = grad_x[i, k] + value if add else value
            else:
                for k in range(channels):
                    value = 0 if gate[i, k] * scale[k] + shift[k] <= 0 else a[k] * grad[i, k]
                    grad_x[i, k] = grad_x[i, k] + value if add else value


class Statistics(NamedTuple):
    """What the mean and the variance contribute to each pixel's gradient: - b * (x - mean) - c; arrays (C,)."""

    mean: np.ndarray
    b: np.ndarray
    c: np.ndarray


@compiled
def _without_gradient(pixels, statistics, grad_pixels):
    """Write what `input_gradient` gives where grad is 0; all (M, C)."""
    mean, b, c = statistics
    for w in range(len(pixels)):
        pixel, to = pixels[w], grad_pixels[w]
        for k in range(len(mean)):
            to[k] = -b[k] * (pixel[k] - mean[k]) - c[k]


@compiled
def _spread_window(corner, size, winner, passed, x, statistics, grad_x):
    """Write the input gradient of a window, whose first pixel is ``corner``: ``passed`` goes to the pixel that won."""
    (n, top, left), (mean, b, c) = corner, statistics
    for position in range(size * size):
        h, w = top + position // size, left + position % size
        pixel, to = x[n, h, w], grad_x[n, h, w]
        for k in range(len(mean)):
            here = passed[k] if winner[k] == position else 0
            to[k] = here - b[k] * (pixel[k] - mean[k]) - c[k]


@parallel_kernel(tasks=lambda x, out: len(x) * max(1, out.shape[1]))
def _pooled_input_gradient(first_task, end_task, grad, out, argmax, x, mean, a, b, c, size, grad_x):
    """Do the same where grad, out and argmax are those of windows, and grad goes to the pixel that won."""
    height, statistics = x.shape[1], Statistics(mean, b, c)
    _, out_height, out_width, channels = out.shape
    rows = max(1, out_height)  # an image that is smaller than a window has one task, too
    for task in range(first_task, end_task):
        n, i = task // rows, task % rows
        passed = np.empty(channels, x.dtype)
        for j in range(out_width if out_height else 0):
            one, gradient = out[n, i, j], grad[n, i, j]
            for k in range(channels):
                passed[k] = 0 if one[k] <= 0 else a[k] * gradient[k]
            _spread_window((n, i * size, j * size), size, argmax[n, i, j], passed, x, statistics, grad_x)
        for h in range(i * size, min((i + 1) * size, out_height * size)):  # columns after the last window
            _without_gradient(x[n, h, out_width * size :], statistics, grad_x[n, h, out_width * size :])
        for h in range(out_height * size if i == rows - 1 else height, height):  # rows after the last window
            _without_gradient(x[n, h], statistics, grad_x[n, h])


def batch_norm_relu_forward(x, scale, shift, residual=None):
    """Return max(x * scale + shift + residual, 0), per channel.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
    scale, shift : ndarray, shape (C,)
    residual : ndarray, shape (N, H, W, C), C-contiguous, or None

    Returns
    -------
    ndarray, shape (N, H, W, C)
    """
    out = memory.empty_like(x)
    if residual is None:
        activate_pixels(flatten_pixels(x), scale, shift, flatten_pixels(out))
    else:
        _add_and_activate_pixels(flatten_pixels(x), scale, shift, flatten_pixels(residual), flatten_pixels(out))
    return out


def batch_norm_relu_pool_forward(x, mean, scale, shift, size):
    """Return the largest max(x * scale + shift, 0) of each window of size x size pixels, side by side.

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
    mean, scale, shift : ndarray, shape (C,)
    size : int, pixels, 1 to 15
        Rows and columns that fill no window are left out.

    Returns
    -------
    out : ndarray, shape (N, OH, OW, C)
    argmax : ndarray, shape (N, OH, OW, C), uint8
        u * size + v of the pixel that won.
    deviations : ndarray, shape (N, OH, OW, C)
        x - mean of that pixel.
    """
    images, height, width, channels = x.shape
    out = memory.empty((images, height // size, width // size, channels), x.dtype)
    argmax, deviations = memory.empty(out.shape, np.uint8), memory.empty_like(out)
    _activate_and_pool(x, mean, scale, shift, size, out, argmax, deviations)
    return out, argmax, deviations


def batch_norm_backward_coefficients(grad_out, gate, deviations, mean, inv_std, gamma, count, training):
    """Return (a, b, c) of `input_gradient` and the gradients of gamma and beta; pixels (M, C or more), also the gate's.

    The statistics were those of ``count`` pixels.
    """
    maps, scale, shift = gate
    grad_beta, products = sums_and_products(_sums, (grad_out, maps, deviations), mean, scale, shift)
    if not training and not np.isfinite(products).all():  # 0, where ReLU stops the gradient, times infinity is NaN
        channels = len(mean)
        stopped = maps[:, :channels] * scale + shift <= 0
        passed_deviations = np.where(stopped, mean, deviations[:, :channels])
        grad_beta, products = sums_and_products(_sums, (grad_out, maps, passed_deviations), mean, scale, shift)
    coefficients = batch_norm_coefficients(inv_std, gamma, grad_beta, products, count)
    if not training:  # the statistics are constants, through which no gradient flows
        coefficients = coefficients[0], np.zeros_like(coefficients[0]), np.zeros_like(coefficients[0])
    dtype = grad_out.dtype
    return [k.astype(dtype) for k in coefficients], (products * inv_std).astype(dtype), grad_beta.astype(dtype)


def batch_norm_relu_backward(grad_out, gate, x, mean, inv_std, gamma, *, training, pooled=None):
    """Return the gradients of batch norm and ReLU, and of pooling after them.

    With g = grad_out where the gate lets it through, at the pixel that won its window:

    grad_x = gamma * inv_std * (g - mean of g - normalised x * mean of (g * normalised x)), in training;
    else gamma * inv_std * g.

    Parameters
    ----------
    grad_out : ndarray, shape (N, OH, OW, C), C-contiguous
    gate : Gate
        Of maps (N, OH, OW, C), C-contiguous: x, or the output where it was pooled or a residual was added.
    x : ndarray, shape (N, H, W, C), C-contiguous
    mean, inv_std, gamma : ndarray, shape (C,)
    training : bool
    pooled : (size, argmax, deviations) or None
        As from `batch_norm_relu_pool_forward`.

    Returns
    -------
    grad_x : ndarray, shape (N, H, W, C)
    grad_gamma, grad_beta : ndarray, shape (C,)
    """
    deviations, center = (x, mean) if pooled is None else (pooled[2], np.zeros_like(mean))
    out, grads, pixels = gate.maps, flatten_pixels(grad_out), flatten_pixels(x)
    flat_gate = gate._replace(maps=flatten_pixels(gate.maps))
    coefficients, grad_gamma, grad_beta = batch_norm_backward_coefficients(
        grads, flat_gate, flatten_pixels(deviations), center, inv_std, gamma, len(pixels), training
    )
    grad_x = memory.empty_like(x)
    if pooled is not None and training:
        _pooled_input_gradient(grad_out, out, pooled[1], x, mean, *coefficients, pooled[0], grad_x)
        return grad_x, grad_gamma, grad_beta
    to = grad_x if pooled is None else memory.empty_like(out)
    vectors = gate.scale, gate.shift, mean, *coefficients
    input_gradient(grads, flat_gate.maps, pixels, *vectors, training, False, flatten_pixels(to))
    if pooled is not None:
        size = (pooled[0],) * 2
        windows = {"kernel_size": size, "stride": size, "padding": (0,) * 4}
        grad_x = max_pool2d_backward(to, pooled[1], input_size=x.shape[1:3], **windows)
    return grad_x, grad_gamma, grad_beta
