"""Recycled memory for large arrays.

Writing to a fresh array of some megabytes causes a page fault every 4 KiB, which takes as much time as a
pass over it; a training step would pay that for each of its feature maps. `empty` hands out blocks that
were written before:

    block (an mmap)  <-  token (a uint8 view of it)  <-  the arrays handed out, their views, ...

The token is the ``base`` of every array cut from the block, so it dies exactly when the last of them
dies, and only then does the block go back on the shelf. Memory that is still in use is never handed out.
"""

import math
import mmap
import sys
import threading
import weakref

import numpy as np

from minitorch_kernels.runtime import dry_run

_SMALLEST = 1 << 16  # below this, malloc hands out warm memory by itself
_HUGE_PAGE = 1 << 21
_SHELF_LIMIT = 2  # times the most that was ever in use at once
_SLACK = 2.0  # a block may be larger than asked for by this factor, so that maps of many sizes share blocks
# Not shared with a forked child, which would write to its parent's arrays. Linux has huge pages only for such memory.
_PRIVATE = {}
if sys.platform != "win32":
    _PRIVATE["flags"] = mmap.MAP_PRIVATE

_lock = threading.RLock()  # a token may die, and so give back, while its own thread is taking
_shelf = {}  # bytes -> blocks of that size, free to use
_handed_out = {}  # id of a token's weak reference -> (reference, block)
_shelved_bytes = 0
_used_bytes = 0
_peak_used_bytes = 0


def empty(shape, dtype):
    """Return an array with arbitrary contents, in recycled memory where it is large; zeros in a dry run.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype

    Returns
    -------
    ndarray, ``shape``, C-contiguous
    """
    if dry_run.active():
        return np.zeros(shape, dtype)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < _SMALLEST:
        return np.empty(shape, dtype)
    block = _take(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    token = np.frombuffer(block, np.uint8)
    reference = weakref.ref(token, _give_back)
    _handed_out[id(reference)] = reference, block
    return np.ndarray(shape, dtype, token)


def empty_like(array):
    """Return `empty` of the shape and dtype of a C-contiguous array."""
    return empty(array.shape, array.dtype)


def unshared(array):
    """Return an array that no other array shares its memory with: ``array`` itself where that is known, else a copy.

    It is known of an array that owns its memory, and of the only array in a block.
    """
    if array.base is None:
        return array
    alone = sys.getrefcount(array.base) == 2  # the array's reference, and that of this call
    of_block = alone and any(id(reference) in _handed_out for reference in weakref.getweakrefs(array.base))
    return array if of_block else np.array(array)


def release_memory() -> None:
    """Give all memory that is not in use back to the operating system."""
    global _shelved_bytes, _peak_used_bytes
    with _lock:
        _shelf.clear()
        _shelved_bytes = 0
        _peak_used_bytes = _used_bytes


def statistics():
    """Return (bytes in use, bytes on the shelf)."""
    return _used_bytes, _shelved_bytes


def _take(size):
    global _used_bytes, _peak_used_bytes
    with _lock:
        fitting = size if size in _shelf else min((s for s in _shelf if size <= s <= size * _SLACK), default=None)
        block = mmap.mmap(-1, size, **_PRIVATE) if fitting is None else _from_shelf(fitting)
        _used_bytes += len(block)
        _peak_used_bytes = max(_peak_used_bytes, _used_bytes)
    if fitting is None and size >= _HUGE_PAGE and sys.platform == "linux":
        block.madvise(mmap.MADV_HUGEPAGE)  # fewer entries in the table of pages
    return block


def _from_shelf(size):
    global _shelved_bytes
    block = _shelf[size].pop()
    _shelved_bytes -= size
    if not _shelf[size]:
        del _shelf[size]
    return block


def _give_back(reference):
    """Put the block of a dead token on the shelf, which gives up its oldest where it grows too large."""
    global _shelved_bytes, _used_bytes
    with _lock:
        _, block = _handed_out.pop(id(reference))
        size = len(block)
        _used_bytes -= size
        while _shelf and _used_bytes + _shelved_bytes + size > _SHELF_LIMIT * _peak_used_bytes:
            _from_shelf(next(iter(_shelf)))  # the size that was not used for longest
        _shelf.setdefault(size, []).append(block)
        _shelved_bytes += size
