"""Recycled memory for large arrays.

Writing to a fresh array of some megabytes causes a page fault every 4 KiB, which takes as much time as a
pass over it; a training step would pay that for each of its feature maps. `empty` hands out spans of memory
that was written before:

    arena (an mmap)  <-  token (a uint8 view of a span)  <-  the arrays handed out, their views, ...

The token is the ``base`` of every array cut from the span, so it dies exactly when the last of them
dies, and only then is the span free. Memory that is still in use is never handed out.

An array gets the smallest free span that it fits in, and the rest of that span stays free; neighbours that are
free become one span. Of ResNet-20, whose maps need 200 MB at once, the arenas take 201 MB; one mapping for each
array, used again for arrays of half its size and more, took 254 MB.
"""

import bisect
import collections
import itertools
import math
import mmap
import sys
import threading
import weakref

import numpy as np

from minitorch_kernels.runtime import dry_run

_SMALLEST = 1 << 16  # bytes: below this, malloc hands out warm memory by itself
_HUGE_PAGE = 1 << 21
_ARENA = 1 << 25  # bytes: as large as all before it together, at most this, and large enough for the array
_LIMIT = 2  # times the most that was ever in use at once
# Not shared with a forked child, which would write to its parent's arrays. Linux has huge pages only for such memory.
_PRIVATE = {}
if sys.platform != "win32":
    _PRIVATE["flags"] = mmap.MAP_PRIVATE

_lock = threading.Lock()
_arenas = {}  # number -> mmap
_numbers = itertools.count()
_free = []  # (bytes, arena's number, start) of each free span, sorted, so that the smallest that fits is soon found
_starts = {}  # (arena's number, start) of each free span -> its bytes
_ends = {}  # (arena's number, end) of each free span -> its bytes
_handed_out = {}  # id of a token's weak reference -> (reference, arena's number, start, bytes)
_dead = collections.deque()  # weak references of tokens whose spans are to be freed
_mapped_bytes = 0  # of all arenas
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
    number, start, size = _take(-(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    token = np.frombuffer(_arenas[number], np.uint8, size, start)
    reference = weakref.ref(token, _dead.append)  # at any moment, in any thread, even within `_take`
    _handed_out[id(reference)] = reference, number, start, size
    return np.ndarray(shape, dtype, token)


def empty_like(array):
    """Return `empty` of the shape and dtype of a C-contiguous array."""
    return empty(array.shape, array.dtype)


def unshared(array):
    """Return an array that no other array shares its memory with: ``array`` itself where that is known, else a copy.

    It is known of an array that owns its memory, and of the only array in a span.
    """
    if array.base is None:
        return array
    alone = sys.getrefcount(array.base) == 2  # the array's reference, and that of this call
    of_span = alone and any(id(reference) in _handed_out for reference in weakref.getweakrefs(array.base))
    return array if of_span else np.array(array)


def release_memory() -> None:
    """Give all memory that is not in use back to the operating system; on Windows, whole arenas of it alone."""
    global _peak_used_bytes
    with _lock:
        _free_the_dead()
        _unmap(at_most=0)
        if sys.platform != "win32" and hasattr(mmap, "MADV_DONTNEED"):  # a browser may lack it, too
            for length, number, start in _free:
                _arenas[number].madvise(mmap.MADV_DONTNEED, start, length)
        _peak_used_bytes = _used_bytes


def statistics():
    """Return (bytes in use, further bytes in the arenas)."""
    with _lock:
        _free_the_dead()
        return _used_bytes, _mapped_bytes - _used_bytes


def _take(size):
    """Return (arena's number, start, bytes) of a span of at least this size."""
    global _used_bytes, _peak_used_bytes
    with _lock:
        _free_the_dead()
        if not _free or _free[-1][0] < size:
            _map(max(size, min(_ARENA, _mapped_bytes)))
        length, number, start = _free[bisect.bisect_left(_free, (size,))]
        _remove(number, start, length)
        if length - size >= _SMALLEST:
            _add(number, start + size, length - size)
            length = size
        _used_bytes += length
        _peak_used_bytes = max(_peak_used_bytes, _used_bytes)
    return number, start, length


def _free_the_dead():
    """Free the spans of tokens that have died. Wherever Ctrl-C comes, here or elsewhere, a span may be lost at most."""
    global _used_bytes
    while _dead:
        taken = _handed_out.pop(id(_dead.popleft()), None)
        if taken is None:  # Ctrl-C came before `empty` had noted it
            continue
        _, number, start, length = taken
        _used_bytes -= length
        if after := _starts.get((number, start + length)):
            _remove(number, start + length, after)
            length += after
        if before := _ends.get((number, start)):
            start -= before
            _remove(number, start, before)
            length += before
        _add(number, start, length)
    if _mapped_bytes > (most := _LIMIT * _peak_used_bytes + _ARENA):
        _unmap(most)


def _add(number, start, length):
    bisect.insort(_free, (length, number, start))  # first: what has a start or an end is among the free ones
    _starts[number, start] = _ends[number, start + length] = length


def _remove(number, start, length):
    _starts.pop((number, start), None)
    _ends.pop((number, start + length), None)
    del _free[bisect.bisect_left(_free, (length, number, start))]


def _map(size):
    """Add an arena."""
    global _mapped_bytes
    number, arena = next(_numbers), mmap.mmap(-1, size, **_PRIVATE)
    if size >= _HUGE_PAGE and sys.platform == "linux":
        arena.madvise(mmap.MADV_HUGEPAGE)  # fewer entries in the table of pages
    _arenas[number] = arena
    _mapped_bytes += size
    _add(number, 0, size)


def _unmap(at_most):
    """Give up arenas in which nothing is used, until the others have at most this size together."""
    global _mapped_bytes
    for number, arena in list(_arenas.items()):
        if _mapped_bytes > at_most and _starts.get((number, 0)) == len(arena):
            _remove(number, 0, len(arena))
            del _arenas[number]
            _mapped_bytes -= len(arena)
