"""Step 2, compiled: the same loops as machine code.

The idea
    Not a line of step 1's loops changes. Numba reads its function `correlate`, finds the types of all variables
    from those of the arguments, and LLVM compiles the result as it would compile C.
Why it is faster
    No interpreter and no objects: an index is an addition, an element is a load from memory.
What it costs
    The first call waits about a second for the compiler. Later calls and later processes find the code in a cache.
What is left
    One multiplication per instruction, although vector registers hold 4 to 16 numbers: the innermost loop has
    only KW rounds, and consecutive channels are a whole image apart in memory.
Source
    Lam, Pitrou, Seibert: Numba: a LLVM-based Python JIT compiler (2015).
"""

import numpy as np

from minitorch_kernels.ladder import step1_loops
from minitorch_kernels.runtime.jit import compiled

correlate = compiled(step1_loops.correlate)


def conv2d(x, weight, *, stride, padding):
    """Cross-correlate x (N, C, H, W) with weight (O, C, KH, KW); return (N, O, OH, OW)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    size = step1_loops.output_size(x.shape[2:], weight.shape[2:], stride)
    out = np.zeros((len(x), len(weight), *size), x.dtype)
    correlate(np.ascontiguousarray(x), np.ascontiguousarray(weight), out, stride)
    return out
