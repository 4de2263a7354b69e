"""The lock of a run folder: two processes that write one run would remove each other's checkpoints."""

import datetime
import json
import os
import pathlib
import socket
import time

from minitorch_cnn.io.lock import FileLock

_ENDING = 2.0  # seconds that an owner may take to end: mpiexec returns before the last of its processes is gone


class RunFolderError(ValueError):
    """A folder that cannot hold a new run, has no run to continue, or is in use by another process."""


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
        self._folder = pathlib.Path(folder)
        self._lock = FileLock(self._folder / self.NAME)

    def __enter__(self):
        deadline = time.monotonic() + _ENDING
        while (owner := self._lock.acquire()) is not None:
            if time.monotonic() > deadline:
                raise RunFolderError(_sentence(self._folder, owner))
            time.sleep(0.05)
        since = datetime.datetime.now().isoformat(timespec="seconds")
        self._lock.write(json.dumps({"process": os.getpid(), "machine": socket.gethostname(), "since": since}))
        return self

    def __exit__(self, *error):
        self._lock.release()


def _sentence(folder, owner):
    """Return the message about a locked folder, from the text of its lock file."""
    try:
        facts = json.loads(owner)
        who = f"process {facts['process']} on {facts['machine']} since {facts['since'].replace('T', ' ')}"
    except (ValueError, KeyError, TypeError, AttributeError):  # it is just being written
        who = "another process"
    return f"{folder} - expected a folder that no process uses, got one in use by {who}"
