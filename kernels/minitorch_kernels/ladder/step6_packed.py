"""Step 6, packed: blocks that fit the caches, copied into the order in which the micro-kernel reads them.

    NR rows of B x KC terms    18 KB, first-level cache     used for every MR rows of A    (float32)
    MC rows of A x KC terms   216 KB, second-level cache    used for every NR rows of B
    NC rows of B x KC terms   4.5 MB, third-level cache     used for every MC rows of A

The idea
    Five loops around the micro-kernel cut the product into such blocks, and each block is packed before it is used.
Why it is faster
    The micro-kernel reads straight ahead, so it waits neither for memory nor for the second-level cache. A is packed
    from the images themselves: the matrix of im2col is neither written nor read.
What it costs
    The copies, and the zeros and unused sums of tiles at the edges.
Source
    Goto, van de Geijn: Anatomy of High-Performance Matrix Multiplication (2008): a packed block of A in a cache.
    Smith et al. (2014, see step 5): two more loops inside. The BLIS documentation counts them from 5th to 1st.
"""

import numpy as np

from minitorch_kernels.ladder.packing import operands, pack
from minitorch_kernels.ladder.step5_registers import MR, NR, micro_kernel
from minitorch_kernels.runtime.jit import compiled

KC, MC, NC = 1152, 16 * MR, 256 * NR


def conv2d(x, weight, *, stride, padding):
    """Cross-correlate x (N, C, H, W) with weight (O, C, KH, KW); return (N, O, OH, OW), in memory channels-last."""
    return conv2d_by_gemm(gemm, *operands(x, weight, stride, padding))


def conv2d_by_gemm(gemm, a, b):
    """Return the convolution, computed by a function ``gemm(a, b, c)`` that adds A B^T to C."""
    (images, height, width), filters = a.shape[:3], len(b)
    rows = images * height * width
    c = np.zeros((-(-rows // MR) * MR, -(-filters // NR) * NR), a.dtype)  # (M, O), filled up to whole tiles
    gemm(a, b, c)
    return c[:rows, :filters].reshape(images, height, width, filters).transpose(0, 3, 1, 2)  # (N, O, OH, OW)


@compiled
def gemm(a, b, c):
    """Add A (N, OH, OW, KH, KW*C) times the transpose of B (O, 1, 1, KH, KW*C) to C (M, O)."""
    taps = max(1, KC // a.shape[4])  # KC terms, but whole rows of a window
    for jc in range(0, c.shape[1], NC):  # 5th loop around the micro-kernel
        for pc in range(0, a.shape[3], taps):  # 4th loop
            packed_b = pack(b[:, :, :, pc : pc + taps], jc, NC, NR)
            for ic in range(0, len(c), MC):  # 3rd loop
                packed_a = pack(a[:, :, :, pc : pc + taps], ic, MC, MR)
                macro_kernel(packed_a, packed_b, c[ic : ic + MC, jc : jc + NC])


@compiled
def macro_kernel(packed_a, packed_b, c):
    """Add the product of two packed blocks to a block of C."""
    for jr in range(len(packed_b)):  # 2nd loop
        panel = packed_b[jr]  # a view counts its users, and two threads that count at once wait for each other
        for ir in range(len(packed_a)):  # 1st loop
            micro_kernel(packed_a[ir], panel, c, ir * MR, jr * NR)
