"""Lock files: of all processes and threads, one at a time can hold one.

The operating system keeps the lock and drops it when its owner ends, however it ends: a lock file that a killed
process left behind does not count.
"""

import contextlib
import errno
import os
import pathlib
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_LOCKED_BYTE = 1 << 20  # far after the text: Windows lets nobody read bytes that are locked


class FileLock:
    """A lock file. It is there while the lock is held, and may hold a text about the owner.

    Parameters
    ----------
    path : str or Path
        In a folder that exists.

    Notes
    -----
    On a file system without locks everybody gets the lock, and nothing is protected.
    """

    def __init__(self, path):
        self._path = pathlib.Path(path)
        self._file = None

    def acquire(self):
        """Take the lock if nobody has it, without waiting.

        Returns
        -------
        str or None
            None if it is taken now, else the text that its owner wrote.
        """
        while self._file is None:
            file = open(self._path, "a+", encoding="utf-8")  # noqa: SIM115 - stays open while the lock is held
            try:
                _lock(file)
            except BlockingIOError:
                file.seek(0)
                with file:
                    return file.read()
            except OSError as error:  # such as a network file system without locks
                if error.errno not in _NO_LOCKS:
                    file.close()
                    raise
            if _is_at(self._path, file):
                self._file = file
            else:  # the owner removed the file after it was opened here
                file.close()
        return None

    def write(self, text):
        """Replace the text of a lock that is held."""
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()

    def release(self):
        """Give the lock back and remove the file."""
        if sys.platform != "win32":  # while it is locked, so that nobody locks a file that is about to go
            self._path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        if sys.platform == "win32":
            with contextlib.suppress(OSError):  # another process has it open, and removes it itself
                self._path.unlink(missing_ok=True)


def _lock(file):
    """Lock a file without waiting; raise BlockingIOError if another has it locked."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    file.seek(_LOCKED_BYTE)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        raise BlockingIOError(errno.EAGAIN, "locked by another") from error


def _is_at(path, file):
    """Return whether an open file is the one that its path names now."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
