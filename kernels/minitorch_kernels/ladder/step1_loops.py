"""Step 1, the textbook: seven loops around one multiplication.

    out[n, o, i, j] = sum over c, u, v of x[n, c, i*stride + u, j*stride + v] * weight[o, c, u, v]

The idea
    Write down the definition. With zeros around each image, no loop has to test for the border.
Why it is slow
    For every multiplication, the interpreter computes two tuples of indices, looks up two elements and makes
    a Python object of each. The multiplication itself takes a fraction of a nanosecond, and the rest a thousand
    times as long.
What it costs
    2*N*O*OH*OW*C*KH*KW floating-point operations (flop): one multiplication and one addition for each term.
    This count stays the same up to step 8.
"""

import numpy as np


def conv2d(x, weight, *, stride, padding):
    """Cross-correlate x (N, C, H, W) with weight (O, C, KH, KW); return (N, O, OH, OW)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    size = output_size(x.shape[2:], weight.shape[2:], stride)
    out = np.zeros((len(x), len(weight), *size), x.dtype)
    correlate(x, weight, out, stride)
    return out


def output_size(padded_size, kernel_size, stride):
    """Return (OH, OW): how many windows fit along each axis of a padded image."""
    return tuple((size - kernel) // stride + 1 for size, kernel in zip(padded_size, kernel_size, strict=True))


def correlate(x, weight, out, stride):
    """Add every product to out (N, O, OH, OW)."""
    channels, kernel_height, kernel_width = weight.shape[1:]
    for n, o, i, j in np.ndindex(out.shape):
        for c in range(channels):
            for u in range(kernel_height):
                for v in range(kernel_width):
                    out[n, o, i, j] += x[n, c, i * stride + u, j * stride + v] * weight[o, c, u, v]
