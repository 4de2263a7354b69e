"""The textbook: convolution, pooling and normalisation as loops over their formulas.

Cross-correlation of an image I with a kernel K, which deep learning calls convolution:

    S(i, j) = sum over m, n of I(i + m, j + n) K(m, n)

Convolution in the mathematical sense flips the kernel:

    S(i, j) = sum over m, n of I(i - m, j - n) K(m, n)

Everything here is slow and obvious. NumPy only holds the arrays; images have the shape (N, C, H, W). Every other
algorithm is tested against these loops. The backward functions follow the forward loops: each product of forward sends
its share of the gradient back to both factors.
"""

import itertools

import numpy as np


def cross_correlate1d(signal, kernel):
    """S(i) = sum over m of I(i + m) K(m), for every i at which the kernel lies inside the signal."""
    out = np.zeros(len(signal) - len(kernel) + 1)
    for i in range(len(out)):
        for m in range(len(kernel)):
            out[i] += signal[i + m] * kernel[m]
    return out


def convolve1d(signal, kernel):
    """S(i) = sum over m of I(i - m) K(m), where the kernel lies inside: cross-correlation with K reversed."""
    out = np.zeros(len(signal) - len(kernel) + 1)
    for i in range(len(out)):
        for m in range(len(kernel)):
            out[i] += signal[i + len(kernel) - 1 - m] * kernel[m]
    return out


def cross_correlate2d(image, kernel):
    """S(i, j) = sum over m, n of I(i + m, j + n) K(m, n), where the kernel lies inside the image."""
    (height, width), (kernel_height, kernel_width) = image.shape, kernel.shape
    out = np.zeros((height - kernel_height + 1, width - kernel_width + 1))
    for i, j in np.ndindex(out.shape):
        for m, n in np.ndindex(kernel.shape):
            out[i, j] += image[i + m, j + n] * kernel[m, n]
    return out


def convolve2d(image, kernel):
    """S(i, j) = sum over m, n of I(i - m, j - n) K(m, n), where the kernel lies inside the image."""
    (height, width), (kernel_height, kernel_width) = image.shape, kernel.shape
    out = np.zeros((height - kernel_height + 1, width - kernel_width + 1))
    for i, j in np.ndindex(out.shape):
        for m, n in np.ndindex(kernel.shape):
            out[i, j] += image[i + kernel_height - 1 - m, j + kernel_width - 1 - n] * kernel[m, n]
    return out


# --------------------------------------------------------------------------------- convolution


def _out_size(size, kernel, stride, before, after, dilation):
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def _products(x_size, out_shape, weight_shape, stride, padding, dilation, groups):
    """Yield (n, o, i, j, c, k, u, v, h, w) for each term x[n, c, h, w] * weight[o, k, u, v] of out[n, o, i, j].

    c is a channel of x, and k the index of that channel within its group. Products with the padding are left out.
    """
    (sh, sw), (top, _, left, _), (dh, dw) = stride, padding, dilation
    out_channels, group_channels, kernel_height, kernel_width = weight_shape
    for n, o, i, j in np.ndindex(*out_shape):
        group = o // (out_channels // groups)
        for c, u, v in itertools.product(range(group_channels), range(kernel_height), range(kernel_width)):
            h, w = i * sh + u * dh - top, j * sw + v * dw - left
            if 0 <= h < x_size[0] and 0 <= w < x_size[1]:
                yield n, o, i, j, group * group_channels + c, c, u, v, h, w


def conv2d_forward(x, weight, bias=None, *, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Cross-correlate images (N, C_in, H, W) with filters (C_out, C_in/groups, KH, KW).

    out[n, o, i, j] = bias[o] + sum over c, u, v of x[n, c, i*sh + u*dh - top, j*sw + v*dw - left] * weight[o, c, u, v]

    Parameters
    ----------
    x : ndarray, shape (N, C_in, H, W)
    weight : ndarray, shape (C_out, C_in/groups, KH, KW)
    bias : ndarray, shape (C_out,), or None
    stride, dilation : (int, int)
    padding : (top, bottom, left, right)
    groups : int

    Returns
    -------
    ndarray, shape (N, C_out, OH, OW)
    """
    top, bottom, left, right = padding
    out_height = _out_size(x.shape[2], weight.shape[2], stride[0], top, bottom, dilation[0])
    out_width = _out_size(x.shape[3], weight.shape[3], stride[1], left, right, dilation[1])
    out = np.zeros((x.shape[0], weight.shape[0], out_height, out_width), x.dtype)
    if bias is not None:
        out += bias.reshape(1, -1, 1, 1)
    for n, o, i, j, c, k, u, v, h, w in _products(
        x.shape[2:], out.shape, weight.shape, stride, padding, dilation, groups
    ):
        out[n, o, i, j] += x[n, c, h, w] * weight[o, k, u, v]
    return out


def conv2d_backward_input(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of x, (N, C_in, H, W); ``input_size`` is (H, W)."""
    grad_x = np.zeros((grad_out.shape[0], weight.shape[1] * groups, *input_size), grad_out.dtype)
    for n, o, i, j, c, k, u, v, h, w in _products(
        input_size, grad_out.shape, weight.shape, stride, padding, dilation, groups
    ):
        grad_x[n, c, h, w] += grad_out[n, o, i, j] * weight[o, k, u, v]
    return grad_x


def conv2d_backward_weight(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of weight, (C_out, C_in/groups, KH, KW); ``kernel_size`` is (KH, KW)."""
    grad_weight = np.zeros((grad_out.shape[1], x.shape[1] // groups, *kernel_size), x.dtype)
    for n, o, i, j, c, k, u, v, h, w in _products(
        x.shape[2:], grad_out.shape, grad_weight.shape, stride, padding, dilation, groups
    ):
        grad_weight[o, k, u, v] += grad_out[n, o, i, j] * x[n, c, h, w]
    return grad_weight


# ------------------------------------------------------------------------------------- pooling


def _windows(size, out_size, kernel_size, stride, padding):
    """Yield (i, j, [(u, v, h, w), ...]): tap (u, v) of window (i, j) reads pixel (h, w); no padding."""
    top, _, left, _ = padding
    for i, j in np.ndindex(*out_size):
        taps = []
        for u, v in np.ndindex(*kernel_size):
            h, w = i * stride[0] + u - top, j * stride[1] + v - left
            if 0 <= h < size[0] and 0 <= w < size[1]:
                taps.append((u, v, h, w))
        yield i, j, taps


def _pool_size(size, kernel_size, stride, padding):
    top, bottom, left, right = padding
    height = _out_size(size[0], kernel_size[0], stride[0], top, bottom, 1)
    return height, _out_size(size[1], kernel_size[1], stride[1], left, right, 1)


def max_pool2d_forward(x, *, kernel_size, stride, padding):
    """Return the largest value of each window, and its index u * KW + v in the window.

    The first of equal values wins. A NaN wins over every other value. The padding never wins.
    """
    size = x.shape[2:]
    out_size = _pool_size(size, kernel_size, stride, padding)
    out, argmax = np.zeros((*x.shape[:2], *out_size), x.dtype), np.zeros((*x.shape[:2], *out_size), np.int64)
    for n, c in np.ndindex(*x.shape[:2]):
        for i, j, taps in _windows(size, out_size, kernel_size, stride, padding):
            best = -np.inf
            for position, (u, v, h, w) in enumerate(taps):
                value = x[n, c, h, w]
                if position == 0 or value > best or (np.isnan(value) and not np.isnan(best)):
                    best, argmax[n, c, i, j] = value, u * kernel_size[1] + v
            out[n, c, i, j] = best
    return out, argmax


def max_pool2d_backward(grad_out, argmax, *, input_size, kernel_size, stride, padding):
    """Return the gradient of x: that of each output goes to the pixel that was the largest."""
    grad_x = np.zeros((*grad_out.shape[:2], *input_size), grad_out.dtype)
    for n, c, i, j in np.ndindex(*grad_out.shape):
        u, v = divmod(int(argmax[n, c, i, j]), kernel_size[1])
        grad_x[n, c, i * stride[0] + u - padding[0], j * stride[1] + v - padding[2]] += grad_out[n, c, i, j]
    return grad_x


def avg_pool2d_forward(x, *, kernel_size, stride, padding, count_include_pad=True):
    """Return the mean of each window; with ``count_include_pad`` the zeros of the padding count."""
    size = x.shape[2:]
    out_size = _pool_size(size, kernel_size, stride, padding)
    out = np.zeros((*x.shape[:2], *out_size), x.dtype)
    for i, j, taps in _windows(size, out_size, kernel_size, stride, padding):
        count = kernel_size[0] * kernel_size[1] if count_include_pad else len(taps)
        for _, _, h, w in taps:
            out[:, :, i, j] += x[:, :, h, w] / count
    return out


def avg_pool2d_backward(grad_out, *, input_size, kernel_size, stride, padding, count_include_pad=True):
    """Return the gradient of x: that of each output is divided equally among the pixels of its window."""
    grad_x = np.zeros((*grad_out.shape[:2], *input_size), grad_out.dtype)
    for i, j, taps in _windows(input_size, grad_out.shape[2:], kernel_size, stride, padding):
        count = kernel_size[0] * kernel_size[1] if count_include_pad else len(taps)
        for _, _, h, w in taps:
            grad_x[:, :, h, w] += grad_out[:, :, i, j] / count
    return grad_x


# ------------------------------------------------------------------------------- normalisation


def batch_norm_forward(x, gamma, beta, *, eps):
    """Return (out, mean, biased variance): each channel with mean 0 and variance 1, then scaled and shifted."""
    out, mean, var = np.zeros_like(x), np.zeros(x.shape[1], x.dtype), np.zeros(x.shape[1], x.dtype)
    for c in range(x.shape[1]):
        values = x[:, c]
        mean[c] = values.sum() / values.size
        var[c] = ((values - mean[c]) ** 2).sum() / values.size
        out[:, c] = (values - mean[c]) / np.sqrt(var[c] + eps) * gamma[c] + beta[c]
    return out, mean, var


def batch_norm_backward(grad_out, x, gamma, *, eps):
    """Return (grad_x, grad_gamma, grad_beta): back through the scale, the variance and the mean, in this order."""
    grad_x, grad_gamma, grad_beta = np.zeros_like(x), np.zeros_like(gamma), np.zeros_like(gamma)
    for c in range(x.shape[1]):
        values, grad = x[:, c], grad_out[:, c]
        centred = values - values.sum() / values.size
        var = (centred**2).sum() / values.size
        std = np.sqrt(var + eps)
        grad_beta[c], grad_gamma[c] = grad.sum(), (grad * centred / std).sum()
        grad_normalised = grad * gamma[c]
        grad_var = (grad_normalised * centred).sum() * -0.5 * std**-3
        grad_centred = grad_normalised / std + grad_var * 2 * centred / values.size
        grad_x[:, c] = grad_centred - grad_centred.sum() / values.size
    return grad_x, grad_gamma, grad_beta


def _neighbours(c, channels, size):
    return range(max(0, c - size // 2), min(channels, c + (size - 1) // 2 + 1))


def local_response_norm_forward(x, *, size, alpha, beta, k):
    """Return out[n, c] = x[n, c] / (k + alpha/size * sum over neighbour channels d of x[n, d]**2) ** beta."""
    out = np.zeros_like(x)
    for c in range(x.shape[1]):
        energy = sum(x[:, d] ** 2 for d in _neighbours(c, x.shape[1], size))
        out[:, c] = x[:, c] / (k + alpha / size * energy) ** beta
    return out


def local_response_norm_backward(grad_out, x, *, size, alpha, beta, k):
    """Return the gradient of x: its own, and the one through the sum of squares of each neighbour channel."""
    grad_x = np.zeros_like(x)
    for c in range(x.shape[1]):
        base = k + alpha / size * sum(x[:, d] ** 2 for d in _neighbours(c, x.shape[1], size))
        grad_x[:, c] += grad_out[:, c] / base**beta
        grad_base = -beta * grad_out[:, c] * x[:, c] / base ** (beta + 1)
        for d in _neighbours(c, x.shape[1], size):
            grad_x[:, d] += grad_base * alpha / size * 2 * x[:, d]
    return grad_x
