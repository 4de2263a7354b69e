"""Fetching memory into the caches before it is written.

A core writes whole lines of its cache. A line that is not there must come from memory first, and the few stores that a
core can hold back meanwhile are soon used up. Where an array is written from its first element to the last, the
processor sees that and fetches ahead by itself. Where it is written tile by tile, it does not.
"""

from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import VectorIR


@intrinsic
def fetch_to_write(typingctx, array, index):
    """Begin to fetch the cache line of an element of a 1-D array of floats, to write it; nothing waits for it.

    The index may lie outside the array. Called from compiled kernels alone.
    """

    def emit(context, builder, signature, arguments):
        ir = VectorIR(context, builder, signature.args[0].dtype)
        (flat,) = ir.arrays(signature, arguments, 1)
        ir.prefetch(ir.at(flat.data, arguments[1]), write=True)
        return context.get_dummy_value()

    return types.void(array, types.int64), emit
