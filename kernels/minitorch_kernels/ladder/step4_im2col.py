"""Step 4, im2col: with every window as the row of a matrix, convolution is one matrix product.

    A (M, K)    row m is the window of output pixel m        M = N*OH*OW
    B (O, K)    row o is filter o                            K = KH*KW*C
    C (M, O)    C[m, o] = sum over k of A[m, k] * B[o, k]    that is C = A B^T

The idea
    Copy first, then compute: the product does not deal with windows, strides and padding.
Why it is faster
    One loop over K terms replaces KH*KW loops over C terms, so vectors of partial sums are added up less often.
    The matrix product is also the best-studied loop of all: many frameworks stop here and call the processor vendor's
    product (BLAS), in NumPy ``A @ B.T``. The product below is three plain loops. The next three steps improve this
    product and nothing else.
What it costs
    A is about KH*KW times as large as the images. It is written once and read once.
What is left
    Each row of A is multiplied by all of B, which comes from the second-level cache every time.
Source
    Chellapilla, Puri, Simard: High Performance Convolutional Neural Networks for Document Processing (2006).
"""

import numpy as np

from minitorch_kernels.conv.im2col import im2col
from minitorch_kernels.ladder.step1_loops import output_size
from minitorch_kernels.ladder.step3_channels_last import channels_last
from minitorch_kernels.runtime.jit import compiled


def conv2d(x, weight, *, stride, padding):
    """Cross-correlate x (N, C, H, W) with weight (O, C, KH, KW); return (N, O, OH, OW), in memory channels-last."""
    return conv2d_by_product(product, x, weight, stride, padding)


def conv2d_by_product(product, x, weight, stride, padding):
    """Return the convolution, computed by a function ``product(a, b, c)`` that adds A B^T to C."""
    x, kernel_size = channels_last(x, padding), weight.shape[2:]
    a = im2col(x, kernel_size=kernel_size, stride=(stride, stride), padding=(0, 0, 0, 0), dilation=(1, 1))  # (M, K)
    b = channels_last(weight).reshape(len(weight), a.shape[1])  # (O, KH, KW, C) -> (O, K)
    c = np.zeros((len(a), len(b)), x.dtype)
    product(a, b, c)
    size = output_size(x.shape[1:3], kernel_size, stride)
    return c.reshape(len(x), *size, len(b)).transpose(0, 3, 1, 2)  # (M, O) -> (N, OH, OW, O) -> (N, O, OH, OW)


@compiled(reorder=True)
def product(a, b, c):
    """Add A (M, K) times the transpose of B (O, K) to C (M, O)."""
    for m in range(len(a)):
        for o in range(len(b)):
            total = a.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[m, k] * b[o, k]
            c[m, o] += total
