"""Step 5, registers: a tile of MR x NR sums at a time, and each loaded vector serves several of them.

                      B: row o   o + 1   o + 2   o + 3
    A: row m           [ c00     c01     c02     c03 ]     each c is one vector register,
           m + 1       [ c10     c11     c12     c13 ]     which holds partial sums over k
           m + 2       [ c20     c21     c22     c23 ]

The idea
    The micro-kernel. Each iteration loads MR + NR = 7 vectors for MR * NR = 12 multiply-adds; step 4 loads 24.
Why it is faster
    A core starts about two loads and two multiply-adds per clock cycle, so step 4 waits for its loads. A sum
    can take its next term only after some four cycles, so 2 * 4 sums have to be under way; here there are 12.
What it costs
    12 sums, 3 vectors of A and 1 of B take all 16 vector registers of AVX2. A larger tile would spill: LLVM
    would move sums to memory and back in every iteration.
What is left
    The operands come from far away: B from the second-level cache, A from memory.
Source
    Smith, van de Geijn, Smelyanskiy, Hammond, Van Zee: Anatomy of High-Performance Many-Threaded Matrix
    Multiplication (2014). The micro-kernel of BLIS has its lanes along o, so it need not add up lanes at the end; so
    has the one of step 8. From plain loops, LLVM does not keep such a tile in registers.
"""

from minitorch_kernels.ladder.step4_im2col import conv2d_by_product
from minitorch_kernels.runtime.jit import compiled

MR, NR = 3, 4  # rows of A and rows of B in a tile; `micro_kernel` is written for these


def conv2d(x, weight, *, stride, padding):
    """Cross-correlate x (N, C, H, W) with weight (O, C, KH, KW); return (N, O, OH, OW), in memory channels-last."""
    return conv2d_by_product(product, x, weight, stride, padding)


@compiled(reorder=True)
def micro_kernel(a, b, c, m, o):
    """Add A (MR, KC) times the transpose of B (NR, KC) to the tile of C (M, O) whose first element is C[m, o]."""
    c00 = c01 = c02 = c03 = c10 = c11 = c12 = c13 = c20 = c21 = c22 = c23 = a.dtype.type(0)
    for k in range(a.shape[1]):
        a0, a1, a2 = a[0, k], a[1, k], a[2, k]
        b0, b1, b2, b3 = b[0, k], b[1, k], b[2, k], b[3, k]
        c00, c10, c20 = c00 + a0 * b0, c10 + a1 * b0, c20 + a2 * b0
        c01, c11, c21 = c01 + a0 * b1, c11 + a1 * b1, c21 + a2 * b1
        c02, c12, c22 = c02 + a0 * b2, c12 + a1 * b2, c22 + a2 * b2
        c03, c13, c23 = c03 + a0 * b3, c13 + a1 * b3, c23 + a2 * b3
    for i, sums in enumerate(((c00, c01, c02, c03), (c10, c11, c12, c13), (c20, c21, c22, c23))):
        for j, total in enumerate(sums):
            c[m + i, o + j] += total


@compiled(reorder=True)
def product(a, b, c):
    """Add A (M, K) times the transpose of B (O, K) to C (M, O)."""
    rows, columns = len(a) // MR * MR, len(b) // NR * NR
    for m in range(0, rows, MR):
        for o in range(0, columns, NR):
            micro_kernel(a[m : m + MR], b[o : o + NR], c, m, o)
    for m in range(len(a)):  # the rows and columns that no whole tile covers
        for o in range(columns if m < rows else 0, len(b)):
            c[m, o] += (a[m] * b[o]).sum()
