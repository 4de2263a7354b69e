"""Fetching memory into the caches before it is read or written.

A core works on lines of its cache. A line that is not there must come from memory first, and the few loads and stores
that a core can hold back meanwhile are soon used up. Where an array is read or written from its first element to the
last, the processor sees that and fetches ahead by itself. Where it is written tile by tile, or where long computations
lie between one part and the next, it does not.
"""

from minitorch_kernels.runtime.compiler import intrinsic, types
from minitorch_kernels.runtime.simd import VectorIR


def _fetcher(purpose, write):
    @intrinsic
    def fetch(typingctx, array, index):
        def emit(context, builder, signature, arguments):
            ir = VectorIR(context, builder, signature.args[0].dtype)
            (flat,) = ir.arrays(signature, arguments, 1)
            ir.prefetch(ir.at(flat.data, arguments[1]), write=write)
            return context.get_dummy_value()

        return types.void(array, types.int64), emit

    fetch.__doc__ = f"""Begin to fetch the cache line of an element of a 1-D array of floats, to {purpose} it.

    Nothing waits for it. The index may lie outside the array. Called from compiled kernels alone.
    """
    return fetch


fetch_to_read, fetch_to_write = _fetcher("read", False), _fetcher("write", True)
