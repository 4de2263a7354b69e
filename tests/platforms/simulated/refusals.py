"""Refuses on Linux what Windows and macOS refuse.

    PYTHONPATH=tests/platforms/simulated MCNN_SIMULATED=windows python -m pytest tests/io

Only the packages of this project see another system: the statement ``import os`` gives them a module without the
functions that are missing there. Python's own library and other packages go on with the real one. Refusals of the file
system, such as replacing a file that is open, hold for everybody in the process and in those that it starts.
"""

import atexit
import builtins
import contextlib
import errno
import fcntl
import functools
import importlib
import io
import mmap
import multiprocessing.connection
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types

OURS = ("minitorch_cnn", "minitorch_kernels")

# What CPython 3.12 lacks on a system, and has on Linux.
MISSING = {
    "windows": {
        "os": """O_CLOEXEC O_DIRECT O_DIRECTORY O_DSYNC O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE SEEK_DATA SEEK_HOLE
            WCOREDUMP WEXITSTATUS WIFEXITED WIFSIGNALED WNOHANG WTERMSIG chown chroot confstr copy_file_range ctermid
            environb eventfd fchdir fchmod fchown fdatasync fork forkpty fpathconf fstatvfs fwalk getegid getenvb
            geteuid getgid getgroups getloadavg getpgid getpgrp getpriority getrandom getsid getuid getxattr initgroups
            killpg lchown listxattr lockf major makedev memfd_create minor mkfifo mknod nice openpty pathconf
            pidfd_open pipe2 posix_fadvise posix_fallocate posix_spawn pread preadv pwrite pwritev readv
            register_at_fork removexattr sched_getaffinity sched_setaffinity sched_yield sendfile setgid setpgid
            setpriority setsid setuid setxattr spawnlp spawnvp splice statvfs sync sysconf tcgetpgrp tcsetpgrp ttyname
            uname unshare wait wait3 wait4 waitid writev""",
        "signal": """ITIMER_REAL SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGPROF SIGQUIT SIGSTOP SIGTRAP
            SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGWINCH SIGXCPU SIG_BLOCK SIG_SETMASK alarm getitimer pause
            pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait sigwait sigwaitinfo""",
        "mmap": "MADV_DONTNEED MADV_HUGEPAGE MADV_WILLNEED MAP_ANONYMOUS MAP_PRIVATE MAP_SHARED PROT_READ PROT_WRITE",
        "select": "epoll poll PIPE_BUF",
        "time": "CLOCK_MONOTONIC CLOCK_PROCESS_CPUTIME_ID clock_gettime clock_gettime_ns clock_getres tzset",
    },
    "macos": {
        "os": """O_DIRECT O_PATH O_TMPFILE copy_file_range eventfd fdatasync getrandom getxattr listxattr memfd_create
            pidfd_open pipe2 posix_fadvise posix_fallocate removexattr sched_getaffinity sched_setaffinity setns
            setxattr splice unshare""",
        "signal": "SIGPOLL SIGPWR SIGRTMAX SIGRTMIN pidfd_send_signal sigtimedwait sigwaitinfo",
        "mmap": "MADV_HUGEPAGE MADV_NOHUGEPAGE MAP_POPULATE",
        "select": "epoll",
        "time": "CLOCK_BOOTTIME pthread_getcpuclockid",
    },
}
NO_MODULES = {"windows": "crypt curses fcntl grp posix pty pwd readline resource syslog termios tty", "macos": "spwd"}
PLATFORM = {"windows": {"sys": {"platform": "win32"}, "os": {"name": "nt"}}, "macos": {"sys": {"platform": "darwin"}}}

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?$")
_real = types.SimpleNamespace(open=io.open, stat=os.stat, listdir=os.listdir, lstat=os.lstat)


class SeenModule(types.ModuleType):
    """A module as the simulated system has it; whoever changes what is not simulated changes the real one."""

    def __init__(self, module, missing, values):
        super().__init__(module.__name__)
        self.__dict__.update(_real=module, _missing=frozenset(missing), _values=values)

    def __getattr__(self, name):
        if name in self._missing:
            raise AttributeError(f"module {self._real.__name__!r} has no attribute {name!r}")
        return self._values[name] if name in self._values else getattr(self._real, name)

    def __setattr__(self, name, value):
        if name in self._values:
            self._values[name] = value
        else:
            setattr(self._real, name, value)


def install(system):
    """Refuse from now on what ``"windows"`` or ``"macos"`` refuses."""
    values = {name: dict(found) for name, found in PLATFORM[system].items()}
    if system == "windows":
        _named_memory()  # here, so that processes which a test kills have it, too
        values["os"] |= {"kill": _kill, "set_handle_inheritable": os.set_inheritable}
        values["subprocess"] = {"Popen": _Popen, "STARTUPINFO": _StartupInfo, "CREATE_NEW_PROCESS_GROUP": 0x200}
        values["mmap"] = {"mmap": _NamedMap}
        values["multiprocessing.connection"] = {"PipeConnection": multiprocessing.connection.Connection}
    values["multiprocessing"] = {"get_context": _get_context}
    seen = {}
    for name in {*MISSING[system], *values}:
        seen[name] = SeenModule(
            importlib.import_module(name), MISSING[system].get(name, "").split(), values.get(name, {})
        )
    if system == "windows":
        seen["msvcrt"] = _msvcrt()
    _replace_import(seen, set(NO_MODULES[system].split()))
    _refuse_files(system)


def _replace_import(seen, missing):
    """Show our packages other modules; NumPy is everybody's, and where a long double has 64 bits it is a double."""
    real_import = builtins.__import__

    def imported(name, globals=None, locals=None, fromlist=(), level=0):
        if level or not _is_ours((globals or {}).get("__name__")):
            return real_import(name, globals, locals, fromlist, level)
        if name in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in seen:
            return seen[name if fromlist else name.split(".")[0]]
        module = real_import(name, globals, locals, fromlist, level)
        if name == "numpy":
            module.longdouble, module.clongdouble = module.float64, module.complex128
        return module

    builtins.__import__ = imported


def _is_ours(name):
    return name is not None and name.split(".")[0] in OURS


def _called_by_us():
    """Return whether our packages call, directly or through Python's own library."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if _is_ours(name):
            return True
        if name.split(".")[0] not in ("pathlib", "tempfile", "shutil", "io", "refusals"):
            return False
        frame = frame.f_back
    return False


def _kill(pid, number):
    raise AssertionError(f"os.kill({pid}, {number}) ends a process on Windows, or sends Ctrl-C; it asks nothing")


class _Popen(subprocess.Popen):
    def __init__(self, *words, **options):
        for name in ("pass_fds", "preexec_fn", "start_new_session", "process_group", "user", "umask"):
            if options.get(name):
                raise ValueError(f"{name} not supported on Windows platforms")
        if options.pop("creationflags", 0) not in (0, 0x200):
            raise AssertionError("creationflags - expected those that the project uses")
        if info := options.pop("startupinfo", None):
            options["pass_fds"] = info.lpAttributeList["handle_list"]
        super().__init__(*words, **options)


class _StartupInfo:
    """How a process starts; the handles that a child gets are descriptors here."""

    def __init__(self, lpAttributeList):
        self.lpAttributeList = lpAttributeList


class _NamedMap(mmap.mmap):
    """Memory that processes find by a name: a file here, which the process that made it removes."""

    def __new__(cls, descriptor, length, tagname=None, access=mmap.ACCESS_DEFAULT):
        if tagname is None:
            return super().__new__(cls, descriptor, length, access=access)
        path = os.path.join(_named_memory(), tagname)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            os.ftruncate(descriptor, max(length, os.fstat(descriptor).st_size))
            return super().__new__(cls, descriptor, length, access=access)
        finally:
            os.close(descriptor)


@functools.cache
def _named_memory():
    """Return the folder of the named memory of this process and of those that it starts."""
    if folder := os.environ.get("MCNN_SIMULATED_MEMORY"):
        return folder
    made = tempfile.TemporaryDirectory(dir="/dev/shm")
    atexit.register(made.cleanup)
    os.environ["MCNN_SIMULATED_MEMORY"] = made.name
    return made.name


def _get_context(method=None):
    import multiprocessing

    if method not in (None, "spawn"):
        raise ValueError(f"cannot find context for {method!r}")
    return multiprocessing.get_context("spawn")


def _msvcrt():
    module = types.ModuleType("msvcrt")
    module.LK_NBLCK, module.LK_UNLCK = 2, 0

    def locking(descriptor, mode, count):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if mode == module.LK_NBLCK else fcntl.LOCK_UN)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "Permission denied") from None

    module.locking = locking
    return module


# ------------------------------------------------------------------------------------ files


def _refuse_files(system):
    """Replace the functions that open, make, rename and remove files."""
    windows, os_open = system == "windows", os.open

    def opened(file, mode="r", buffering=-1, encoding=None, *rest, **options):
        if isinstance(file, (str, bytes, os.PathLike)):
            path = os.fsdecode(file)
            if path.startswith(("/proc/", "/sys/")) and _called_by_us():
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
            if windows and os.path.isdir(path) and "opener" not in options:  # `tempfile` opens a new file in the folder
                raise PermissionError(errno.EACCES, "Permission denied", path)
            if set(mode) & set("wax+"):
                _check_name(path, windows)
        if "b" not in mode and encoding in (None, "locale") and windows and _called_by_us():
            raise AssertionError(f"{file} is opened as text without encoding=: Windows takes cp1252")
        return _real.open(file, mode, buffering, encoding, *rest, **options)

    def opened_descriptor(path, flags, *rest, **options):
        if windows and os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", os.fsdecode(path))
        if flags & os.O_CREAT:
            _check_name(os.fsdecode(path), windows)
        return os_open(path, flags, *rest, **options)

    builtins.open = io.open = opened
    os.open = opened_descriptor
    os.mkdir = _with_checks(os.mkdir, windows, makes=0)
    os.rename = _with_checks(os.rename, windows, removes=(0, 1), makes=1, overwrites=False)
    os.replace = _with_checks(os.replace, windows, removes=(0, 1), makes=1)
    os.remove = _with_checks(os.remove, windows, removes=(0,))
    os.unlink = _with_checks(os.unlink, windows, removes=(0,))
    if windows:  # it has no descriptors of folders; Python 3.14 has chosen by now
        shutil._use_fd_functions, shutil._rmtree_impl = False, shutil._rmtree_unsafe


def _with_checks(function, windows, removes=(), makes=None, overwrites=True):
    """Return a function that looks at some of its paths before it calls another."""

    def checked(*paths, **options):
        names = [os.fsdecode(path) for path in paths if isinstance(path, (str, bytes, os.PathLike))]
        # `tempfile` asks Windows for files that vanish when they are closed; on Linux it removes them while open.
        by_tempfile = sys._getframe(1).f_globals.get("__name__") == "tempfile"
        if windows and not by_tempfile and options.get("dir_fd") is None:
            for index in removes:
                if _is_open(names[index]):
                    raise PermissionError(errno.EACCES, "The process cannot access the file: in use", names[index])
            if not overwrites and os.path.lexists(names[makes]):
                raise FileExistsError(errno.EEXIST, "File exists", names[makes])
        if makes is not None:
            _check_name(names[makes], windows, among=names)
        return function(*paths, **options)

    return checked


def _check_name(path, windows, among=()):
    """Refuse a name that the system does not take, or that names another file where the case of letters is ignored."""
    folder, name = os.path.split(path)
    if windows and (set(name) & set('<>:"|?*') or name.endswith((".", " ")) or _RESERVED.match(name)):
        raise OSError(errno.EINVAL, "Invalid argument", path)
    try:
        entries = _real.listdir(folder or ".")
    except OSError:
        return
    if name in entries:
        return
    for entry in entries:
        if entry.casefold() == name.casefold() and os.path.join(folder, entry) not in among:
            raise FileExistsError(errno.EEXIST, f"{entry} is the same file where the case of letters is ignored", path)


def _is_open(path):
    """Return whether this process or one that it started has a file open or mapped."""
    try:
        wanted = _real.lstat(path)
    except OSError:
        return False
    return any(_has_open(process, wanted, os.path.realpath(path)) for process in _family(os.getpid()))


def _family(process):
    yield process
    with contextlib.suppress(OSError):  # it has ended
        for task in _real.listdir(f"/proc/{process}/task"):
            with _real.open(f"/proc/{process}/task/{task}/children") as children:
                for child in children.read().split():
                    yield from _family(int(child))


def _has_open(process, wanted, path):
    with contextlib.suppress(OSError):  # the process has ended
        for descriptor in _real.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):  # it has just been closed
                if os.path.samestat(_real.stat(f"/proc/{process}/fd/{descriptor}"), wanted):
                    return True
        with _real.open(f"/proc/{process}/maps") as maps:
            return any(line.rstrip("\n").endswith(f" {path}") for line in maps)
    return False
