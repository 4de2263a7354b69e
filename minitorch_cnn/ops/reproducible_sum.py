"""Sums over the samples of a batch whose bits do not depend on how many processes share it.

A sum of floats depends on its order. Inside ``with in_blocks(4)`` an operation adds up four blocks of its samples
each by itself, and then the blocks as (0 + 1) + (2 + 3). Two processes, with two blocks each, add up 0 + 1 and 2 + 3;
the sum over both processes then has the same bits.
"""

from contextvars import ContextVar

from minitorch_cnn.autograd import setting

_count = ContextVar("blocks", default=1)


def in_blocks(count):
    """Return a context in which sums over samples are made of so many blocks, a power of two."""
    return setting(_count, count)


def _blocks(count):
    """Return into how many blocks so many samples go: none shall be empty."""
    blocks = _count.get()
    while blocks > max(count, 1):
        blocks //= 2
    return blocks


def of_blocks(function, *arrays):
    """Return what a function makes of each block of arrays that have an axis of samples in front.

    Parameters
    ----------
    function : callable
        Returns a sum over the samples that it is given.
    arrays : ndarray, shape (N, ...)

    Returns
    -------
    list of ndarray
    """
    count = len(arrays[0])
    blocks = _blocks(count)
    ends = [i * count // blocks for i in range(blocks + 1)]
    return [function(*(array[a:b] for array in arrays)) for a, b in zip(ends, ends[1:], strict=False)]


def add_up(parts):
    """Return the sum of the blocks, neighbours first."""
    while len(parts) > 1:
        parts = [one + two for one, two in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def sum_of_blocks(function, *arrays):
    """Return a sum over samples, block by block; arguments as for `of_blocks`."""
    return add_up(of_blocks(function, *arrays))


def block_size(count):
    """Return how many of ``count`` samples a block has: what a choice may depend on that all processes must share."""
    return -(-count // _blocks(count))
