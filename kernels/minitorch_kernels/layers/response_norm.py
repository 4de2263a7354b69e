"""Local response normalisation of channels-last maps: each channel of a pixel is divided by its neighbours' energy.

Source: Krizhevsky, Sutskever and Hinton 2012, "ImageNet Classification with Deep Convolutional Neural Networks",
section 3.3.
"""

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import CHUNKS, chunk_bounds, flatten_pixels
from minitorch_kernels.runtime.threads import parallel_kernel


@parallel_kernel(tasks=lambda: CHUNKS)
def _response_forward(first_task, end_task, x, window, constants, out, base):
    before, after = window
    share, beta, k = constants
    pixels, channels = x.shape
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, pixels)
        for i in range(first, end):
            for c in range(channels):
                energy = x[i, c] * 0
                for d in range(max(0, c - before), min(channels, c + after + 1)):
                    energy += x[i, d] * x[i, d]
                base[i, c] = k + share * energy
                out[i, c] = x[i, c] * base[i, c] ** -beta


@parallel_kernel(tasks=lambda: CHUNKS)
def _response_backward(first_task, end_task, grad, x, out, base, window, constants, grad_x):
    before, after = window
    share, beta = constants
    pixels, channels = x.shape
    for chunk in range(first_task, end_task):
        first, end = chunk_bounds(chunk, CHUNKS, pixels)
        for i in range(first, end):
            for c in range(channels):
                spread = x[i, c] * 0
                for d in range(max(0, c - after), min(channels, c + before + 1)):  # the bases that x[c] is in
                    spread += grad[i, d] * out[i, d] / base[i, d]
                grad_x[i, c] = grad[i, c] * base[i, c] ** -beta - 2 * share * beta * x[i, c] * spread


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
