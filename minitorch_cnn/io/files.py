"""Files: checksums, atomic writes, and downloads that resume and are verified."""

import contextlib
import errno
import hashlib
import http.client
import itertools
import os
import pathlib
import secrets
import shutil
import stat
import sys
import time
import urllib.error
import urllib.request

from minitorch_cnn import arguments
from minitorch_cnn.io.lock import FileLock
from minitorch_kernels.runtime.home import mcnn_home as mcnn_home

_BLOCK = 1 << 20
_SLOW = 200_000  # bytes a second: after _PATIENCE seconds below this, another address is tried
_PATIENCE = 20.0
_TIMEOUT = 30.0
_WINDOWS = sys.platform == "win32"
_RETRY = 1.0  # seconds: on Windows a file that another program has open, such as a virus scanner, cannot be replaced
_LONG_AGO = 3600.0  # seconds; writing a file never takes that long
_numbers = itertools.count()  # for the names of temporary files: two threads may write the same file
_RUN = secrets.token_hex(4)  # tells this process from an earlier one with the same id; in a container all have the same


class DownloadError(OSError):
    """A download that could not be finished; the message lists the addresses and says what to do by hand."""


def hash_file(path, algorithm="sha256"):
    """Return the hexadecimal digest of a file.

    Parameters
    ----------
    path : str or Path
    algorithm : str
        A name that `hashlib` knows.

    Returns
    -------
    str
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def atomic_write(path, data):
    """Write a file all or nothing: a reader sees the old contents or the new, never a part.

    Parameters
    ----------
    path : str or Path
        An existing file keeps its permissions. A symbolic link stays a link: its target is written. Anything but a
        regular file, such as ``/dev/stdout`` or a pipe, is written to directly.
    data : bytes

    Raises
    ------
    TypeError
        If ``path`` is not a path.
    OSError
        If it cannot be written, with the name of the file or of the missing folder. The old file is then untouched,
        and no temporary file is left behind.
    """
    arguments.path("atomic_write", path=path)
    path = pathlib.Path(os.path.realpath(path))
    if path.is_symlink():  # the links form a cycle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if path.exists() and not path.is_file():
        with open(path, "wb") as file:
            file.write(data)
        return
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"no such folder to write {path.name} into", str(path.parent))
    try:
        _write_aside(path, data)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # not the temporary file, which the user does not know
        raise
    _sync_folder(path.parent)


def _write_aside(path, data):
    """Write a temporary file and rename it."""
    aside = temporary(path)
    try:
        with open(aside, "wb") as file:
            if path.exists():
                os.chmod(aside, stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def copy(source, target):
    """Copy a file with its times, all or nothing; of an error on the way, the message names the target."""
    target = pathlib.Path(target)
    aside = temporary(target)
    try:
        shutil.copy2(source, aside)
        _replace(aside, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            error.filename, error.filename2 = str(target), None
        raise
    finally:
        aside.unlink(missing_ok=True)


def temporary(path):
    """Return the path of a temporary file of this process, next to ``path``.

    In the same folder, because a rename is atomic only within a file system. A killed process may leave the file;
    `remove_stale` recognises it by its name, which is short enough for the longest file name.
    """
    return path.with_name(f".{path.name[:40]}.{next(_numbers)}.{_RUN}.{os.getpid()}.tmp")


def _replace(source, target):
    """Rename a file; Windows refuses while another program has the target open, so retry for a while."""
    deadline = time.monotonic() + _RETRY
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not _WINDOWS or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _sync_folder(folder):
    """Make a rename survive a power cut: the folder's own entry has to reach the disk too."""
    if _WINDOWS:  # cannot open a folder, and writes the entry itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_stale(folder):
    """Remove the temporary files of killed writers in a folder; files of living processes stay.

    Returns
    -------
    list of Path
        The removed files.
    """
    removed = []
    for path in pathlib.Path(folder).glob(".*.tmp"):
        run, pid = path.name.split(".")[-3:-1]
        if pid.isdecimal() and not _is_written(path, run, int(pid)):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _is_written(path, run, pid):
    """Return whether the process with this id may still be writing a temporary file."""
    if pid == os.getpid():
        return run == _RUN
    try:
        if _WINDOWS:  # elsewhere os.kill(pid, 0) asks whether a process is alive; on Windows it sends Ctrl-C
            return time.time() - path.stat().st_mtime < _LONG_AGO
        os.kill(pid, 0)
    except (ProcessLookupError, FileNotFoundError, OverflowError):  # no such process or file, or not a valid id
        return False
    except PermissionError:
        return True
    return True


def download(addresses, path, *, size=None, digest=None, algorithm="sha256", progress=None):
    """Fetch a file from the first address that serves it, resuming where an earlier call stopped.

    Parameters
    ----------
    addresses : sequence of str
        Tried in order; a slow one is abandoned while others remain.
    path : str or Path
        Written only when complete and verified; until then the bytes are in ``path.part``.
    size : int or None, bytes
    digest : str or None
        Hexadecimal. Other contents are rejected after one more attempt from the start.
    algorithm : str
    progress : callable or None
        Called as ``progress(bytes so far, total bytes or None, bytes per second)``.

    Raises
    ------
    TypeError
        If ``addresses`` is a single string instead of a sequence, or ``path`` is not a path.
    DownloadError
        If no address serves the right contents, or another process is fetching the same file. An existing file at
        ``path`` stays untouched.
    """
    arguments.path("download", path=path)
    if isinstance(addresses, str):  # its letters would be taken for addresses
        raise TypeError(f"download: addresses - expected a sequence of strings, got {addresses!r}")
    path = pathlib.Path(os.path.realpath(path))
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, part):
        _download(addresses, path, part, size, digest, algorithm, progress)


@contextlib.contextmanager
def _locked(path, part):
    """Refuse to fetch a file that another process or thread is fetching: both would write to ``part``."""
    lock = FileLock(part.with_name(f"{part.name}.lock"))
    if lock.acquire() is not None:
        raise DownloadError(f"{path}: another process is fetching it; wait until it has finished")
    try:
        yield
    finally:
        lock.release()


def _download(addresses, path, part, size, digest, algorithm, progress):
    problems = []
    for attempt, address in enumerate(addresses):
        patient = attempt == len(addresses) - 1
        for _ in range(2):  # a resumed file with the wrong digest is fetched once more, from the start
            resumed = part.exists()
            try:
                _fetch(address, part, size, patient, progress)
                wrong = _mismatch(part, size, digest, algorithm)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise DownloadError(error.errno, f"{path}: the disk is full; free some space and repeat") from error
                problems.append(f"{address}: {error}")
                break
            except http.client.HTTPException as error:
                problems.append(f"{address}: {type(error).__name__} {error}")
                break
            if not wrong:
                _replace(part, path)
                _sync_folder(path.parent)
                return
            part.unlink()
            if not resumed:
                problems.append(f"{address}: {wrong}")
                break
    raise DownloadError(
        f"{path.name} could not be fetched:\n  "
        + "\n  ".join(problems)
        + f"\nGet the file by other means and copy it to {path}"
    )


def _mismatch(part, size, digest, algorithm):
    """Return what is wrong with a complete file, or an empty string."""
    if size is not None and part.stat().st_size != size:
        return f"expected {size} bytes, got {part.stat().st_size}"
    if digest is not None and (got := hash_file(part, algorithm)) != digest:
        return f"expected {algorithm} {digest}, got {got}"
    return ""


def _fetch(address, part, size, patient, progress):
    """Append the rest of the file at an address to ``part``."""
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have >= size:
        return
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # nothing left to send: the file is complete, or a different one
            return
        raise
    with contextlib.closing(response):
        if response.status != 206:
            have = 0  # the server sends the whole file again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else size
        with open(part, "ab" if have else "wb") as file:
            _copy(response, file, have, total, patient, progress)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size} of {total} bytes")


def _copy(response, file, have, total, patient, progress):
    started = window_start = time.monotonic()
    window_bytes = received = 0
    while block := response.read(_BLOCK if patient else _BLOCK // 8):
        file.write(block)
        received += len(block)
        window_bytes += len(block)
        now = time.monotonic()
        if progress:
            progress(have + received, total, received / max(now - started, 1e-9))
        if now - window_start > _PATIENCE:
            if not patient and window_bytes < _SLOW * (now - window_start):
                raise OSError(f"slower than {_SLOW // 1000} kB/s for {_PATIENCE:.0f} s")
            window_start, window_bytes = now, 0
