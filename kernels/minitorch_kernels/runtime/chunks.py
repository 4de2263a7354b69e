"""How passes over the pixels of a map are cut into chunks that threads share out.

A map (N, H, W, C) is a list of N*H*W pixels here. The number of chunks is fixed, so the order in which sums are added
up depends on the shape alone, and the bits of a result do not depend on the number of threads.
"""

import math

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel

LARGE = 1 << 15  # elements; for fewer, NumPy takes less time for one pass than the call of a kernel
BLOCK = 1024  # elements, see `blocks`
CHUNKS = 64  # enough for the threads of a large machine, few enough that adding up their sums costs nothing


def blocks(array):
    """Return the number of tasks of a pass over a flat array, each of BLOCK elements; the last may have fewer.

    A compiled loop computes whole vectors first, and the rest one by one. The two may differ in the last bit where the
    processor has several ways to fuse a sum of products, as arm64 has. Tasks of single elements would leave such
    rests at places that depend on the number of threads; a block leaves one at the end of the array alone.
    """
    return -(-len(array) // BLOCK)


@compiled
def chunk_bounds(chunk, chunks, count):
    """Return the first and the end of one of ``chunks`` chunks of ``count`` items."""
    return chunk * count // chunks, (chunk + 1) * count // chunks


def flatten_pixels(x):
    """Return (N, H, W, C) as (M, C), without a copy."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # -1 is not defined without channels


@parallel_kernel(tasks=lambda: CHUNKS)
def copy_channels(first_task, end_task, source, first, target, start, count, end):
    """Copy ``count`` channels of each pixel, and put zeros into the channels after them; parallel over chunks.

    target[:, start : start + count] = source[:, first : first + count], target[:, start + count : end] = 0
    """
    pixels = len(source)
    for chunk in range(first_task, end_task):
        begin, stop = chunk_bounds(chunk, CHUNKS, pixels)
        for i in range(begin, stop):
            # Slices, as an index such as first + c might be negative, and would be checked for each element.
            read, write = source[i, first : first + count], target[i, start:end]
            for c in range(count):
                write[c] = read[c]
            for c in range(count, len(write)):
                write[c] = 0


def with_channels(x, channels):
    """Return x (N, H, W, C) itself, or a copy with fewer channels, or with zero channels after the last one."""
    if x.shape[3] == channels:
        return x
    out = memory.empty((*x.shape[:3], channels), x.dtype)
    copy_channels(flatten_pixels(x), 0, flatten_pixels(out), 0, min(x.shape[3], channels), channels)
    return out


def join_channels(maps, out):
    """Write maps, each (N, H, W, its channels), one after the other into the channels of out (N, H, W, C)."""
    pixels, first = flatten_pixels(out), 0
    for part in maps:
        copy_channels(flatten_pixels(part), 0, pixels, first, part.shape[3], first + part.shape[3])
        first += part.shape[3]
