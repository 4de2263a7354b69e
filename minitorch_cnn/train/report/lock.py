"""The lock of a run folder: two processes that write one run would remove each other's checkpoints.

The operating system keeps the lock and drops it when its owner ends, however it ends: a lock file that a killed
process left behind is no obstacle.
"""

import contextlib
import datetime
import errno
import json
import os
import pathlib
import socket
import time

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_ENDING = 2.0  # seconds that an owner may take to end: mpiexec returns before the last of its processes is gone
_LOCKED_BYTE = 1 << 20  # far after the text: Windows lets nobody read bytes that are locked


class RunFolderError(ValueError):
    """A folder that cannot hold a new run, has none to go on with, or that another process works in."""


class FolderLock:
    """A context that one process at a time can enter for a folder.

    Parameters
    ----------
    folder : str or Path
        Exists. It holds the file ``run.lock`` while the context is open.

    Raises
    ------
    RunFolderError
        On entry, if another context of the folder is open, in this process or another.

    Notes
    -----
    On a file system without locks the context opens and protects nothing.
    """

    NAME = "run.lock"

    def __init__(self, folder):
        self._path = pathlib.Path(folder) / self.NAME
        self._file = None

    def __enter__(self):
        deadline = time.monotonic() + _ENDING
        while self._file is None:
            file = open(self._path, "a+")
            try:
                _lock(file)
            except BlockingIOError:
                file.seek(0)
                owner = file.read()
                file.close()
                if time.monotonic() > deadline:
                    raise RunFolderError(_sentence(self._path.parent, owner)) from None
                time.sleep(0.05)
                continue
            except OSError as error:  # such as a network file system without locks
                if error.errno not in _NO_LOCKS:
                    file.close()
                    raise
            if _is_at(self._path, file):
                self._file = file
            else:  # the owner removed the file after it was opened here
                file.close()
        self._file.truncate(0)
        since = datetime.datetime.now().isoformat(timespec="seconds")
        json.dump({"process": os.getpid(), "machine": socket.gethostname(), "since": since}, self._file)
        self._file.flush()
        return self

    def __exit__(self, *error):
        if os.name != "nt":  # while it is locked, so that nobody locks a file that is about to go
            self._path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        if os.name == "nt":
            with contextlib.suppress(OSError):  # another process has it open, and removes it itself
                self._path.unlink(missing_ok=True)


def _lock(file):
    """Lock a file without waiting; raise BlockingIOError if another has it locked."""
    if os.name != "nt":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    file.seek(_LOCKED_BYTE)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except PermissionError as error:
        raise BlockingIOError(*error.args) from error


def _is_at(path, file):
    """Return whether an open file is the one that its path names now."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _sentence(folder, owner):
    """Say who works in a folder, by the text of its lock file."""
    try:
        facts = json.loads(owner)
        who = f"process {facts['process']} on {facts['machine']} since {facts['since'].replace('T', ' ')}"
    except (ValueError, KeyError, TypeError, AttributeError):  # it is just being written
        who = "another process"
    return f"{folder} - expected a folder that nobody works in, got one in use by {who}"
