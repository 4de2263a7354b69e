"""Step 7, threads: the same loops on all cores.

The idea
    The 3rd loop is divided among the threads: each packs its own blocks of A and computes its own rows of C. All
    threads read the same packed B.
Why it is faster
    Two cores start twice as many multiply-adds. No two threads write the same element, so no lock is needed. One thread
    adds up each sum in a fixed order, so the bits do not depend on the number of threads.
What it costs
    Handing out the work takes about a microsecond, and the images are padded by a single thread.
Why the 3rd loop
    The 4th would let several threads add to the same element of C. The 2nd and the 1st share a block of A, which
    suits cores with a common second-level cache; ours has one for each core, and the third-level cache, which
    holds B, for all.
Source
    Smith et al. (2014, see step 5); the guide to multithreading in the BLIS documentation.
"""

from minitorch_kernels.ladder.packing import operands, pack
from minitorch_kernels.ladder.step5_registers import MR, NR
from minitorch_kernels.ladder.step6_packed import KC, MC, NC, conv2d_by_gemm, macro_kernel
from minitorch_kernels.runtime.threads import parallel_kernel


def conv2d(x, weight, *, stride, padding):
    """Cross-correlate x (N, C, H, W) with weight (O, C, KH, KW); return (N, O, OH, OW), in memory channels-last."""
    return conv2d_by_gemm(gemm, *operands(x, weight, stride, padding))


def gemm(a, b, c):
    """Add A B^T to C, as `step6_packed.gemm`; the two outer loops have few iterations, so Python can run them."""
    taps = max(1, KC // a.shape[4])
    for jc in range(0, c.shape[1], NC):  # 5th loop around the micro-kernel
        for pc in range(0, a.shape[3], taps):  # 4th loop
            packed_b = pack(b[:, :, :, pc : pc + taps], jc, NC, NR)
            add_blocks(a[:, :, :, pc : pc + taps], packed_b, c[:, jc : jc + NC])


@parallel_kernel(tasks=lambda c: -(-len(c) // MC))
def add_blocks(first_block, end_block, a, packed_b, c):
    """Compute some blocks of MC rows of C; each thread gets different ones."""
    for block in range(first_block, end_block):  # 3rd loop, over threads
        packed_a = pack(a, block * MC, MC, MR)
        macro_kernel(packed_a, packed_b, c[block * MC : (block + 1) * MC])
