"""Images in files: uint8 arrays of which the system keeps only the pages in use in memory.

Worker processes map the same file, so that nothing is copied for them.
"""

import contextlib
import os
import pathlib
import weakref

import numpy as np

from minitorch_cnn.io import files

_SMALL = 1 << 26  # bytes: what is copied into memory without further ado
_BLOCK = 1024  # images


def folder():
    """Return the folder of all files with decoded images; it exists.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    found = files.mcnn_home() / "pictures"
    found.mkdir(parents=True, exist_ok=True)
    return found


def reserve(path):
    """Let a file take all of its space on the disk, so that a full disk is an error here and no crash later."""
    if hasattr(os, "posix_fallocate"):
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(path))


def empty(shape):
    """Return a uint8 array in a temporary file, which goes with it; in memory if no file can be written."""
    try:
        files.remove_stale(folder())
        path = files.temporary(folder() / "images")
        array = np.memmap(path, np.uint8, "w+", shape=shape)
    except (OSError, ValueError):  # a disk that cannot be written to; a shape without elements
        return np.empty(shape, np.uint8)
    weakref.finalize(array.base, _remove, path)  # once the file is no longer mapped: Windows removes no other
    try:
        reserve(path)
    except OSError:
        del array
        return np.empty(shape, np.uint8)
    return array


def _remove(path):
    with contextlib.suppress(OSError):  # on Windows, at the end of the process: the next one removes it
        path.unlink(missing_ok=True)


def place(images):
    """Return (path, offset in bytes) of an array that lies in a file just as it is, or None.

    Parameters
    ----------
    images : uint8 ndarray
    """
    owner = images
    while isinstance(owner, np.ndarray) and not (isinstance(owner, np.memmap) and owner.filename):
        owner = owner.base
    # A memmap that numpy sliced keeps file and offset of the whole; only the first of all owns the map.
    while isinstance(owner, np.memmap) and isinstance(owner.base, np.memmap):
        owner = owner.base
    if not isinstance(owner, np.memmap) or not owner.filename or not images.flags.c_contiguous or images.size == 0:
        return None
    inside = images.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    path = pathlib.Path(owner.filename)
    return (path, owner.offset + inside) if path.is_file() else None


def take(images, indices):
    """Return images[indices]; where these are many images of a file, the result is a part of it or a file, too.

    Parameters
    ----------
    images : uint8 ndarray, shape (N, H, W, C)
    indices : integer or bool ndarray, or slice

    Raises
    ------
    IndexError
        If there are no such images.
    """
    chosen = np.arange(len(images))[indices]
    if chosen.ndim != 1 or len(chosen) == 0 or place(images) is None:
        return images[indices]
    if (np.diff(chosen) == 1).all():
        return images[chosen[0] : chosen[-1] + 1]
    if len(chosen) * images[:1].size <= _SMALL:
        return images[chosen]
    taken = empty((len(chosen), *images.shape[1:]))
    for block in range(0, len(chosen), _BLOCK):
        taken[block : block + _BLOCK] = images[chosen[block : block + _BLOCK]]
    return taken
