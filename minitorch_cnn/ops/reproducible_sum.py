"""Reproducible sums over the samples of a batch: the same bits for any number of processes that share the batch.

Floating-point addition is not associative, so a sum depends on its order. Inside ``with in_blocks(4)``, a function
decorated with `sums_over_samples` sums four blocks of its samples separately, and then the blocks as
(0 + 1) + (2 + 3). Two processes with two blocks each sum 0 + 1 and 2 + 3, and the sum over both has the same bits.

Operations need not know about this. They call a decorated function for each gradient that is a sum over samples:

    @sums_over_samples
    def _weight_gradient(x, grad_out):
        return grad_out.T @ x
"""

import functools
from contextvars import ContextVar

from minitorch_cnn.autograd import setting

_count = ContextVar("blocks", default=1)


def in_blocks(count):
    """Return a context manager inside which sums over samples consist of ``count`` blocks, a power of two."""
    return setting(_count, count)


def _blocks(count):
    """Return the number of blocks for ``count`` samples, such that no block is empty."""
    blocks = _count.get()
    while blocks > max(count, 1):
        blocks //= 2
    return blocks


def of_blocks(function, *arrays):
    """Return the results of a function on each block of samples.

    Parameters
    ----------
    function : callable
        Takes arrays and returns a sum over their samples.
    arrays : ndarray, shape (N, ...)

    Returns
    -------
    list of ndarray
    """
    count = len(arrays[0])
    blocks = _blocks(count)
    if blocks == 1:
        return [function(*arrays)]
    ends = [i * count // blocks for i in range(blocks + 1)]
    return [function(*(array[a:b] for array in arrays)) for a, b in zip(ends, ends[1:], strict=False)]


def add_up(parts):
    """Return the sum of the results of blocks, neighbours first."""
    while len(parts) > 1:
        parts = [one + two for one, two in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def sums_over_samples(function):
    """Decorate a function that returns a sum over samples, so that it sums block by block; see above.

    Parameters
    ----------
    function : callable
        Takes arrays of shape (N, ...) by position and anything else by keyword, and returns a sum over the N samples.

    Returns
    -------
    callable
        The same function with the same arguments; outside of `in_blocks` there is one block.
    """

    @functools.wraps(function)
    def summed(*arrays, **options):
        return add_up(of_blocks(functools.partial(function, **options), *arrays))

    return summed


def block_size(count):
    """Return the block size for ``count`` samples.

    Anything that must agree across processes may depend on this, not on the local batch size.
    """
    return -(-count // _blocks(count))
