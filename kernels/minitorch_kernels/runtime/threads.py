"""The threads that kernels run on: how many, and the helpers that wait for work.

Helpers are Python threads that live as long as the process. They run compiled code, without Python's lock: they wait
for a job on the board, see `parallel.py`, and take pieces of it. A helper that has found nothing to do for about half
a millisecond goes to sleep, and the next call wakes it.
"""

import contextlib
import contextvars
import functools
import inspect
import math
import os
import pathlib
import threading
import types
from collections.abc import Iterator

import numpy as np
import threadpoolctl

from minitorch_kernels.runtime import dry_run, parallel
from minitorch_kernels.runtime.compiler import jit_enabled
from minitorch_kernels.runtime.jit import entry

_SMALL_BYTES = 1 << 16  # of all arrays together: waking a second thread would take longer than the work

_limit = None  # set by set_num_threads; None: as many as this process may use
_limit_here = contextvars.ContextVar("num_threads", default=None)  # set by num_threads, for one thread or task
_start_lock = threading.Lock()


class _Helpers:
    """The board, the helpers that have been started, and which of them sleep."""

    def __init__(self):
        self.board = np.zeros(parallel.BOARD_SIZE, np.int64)
        self.started = 0
        self.calls = []  # a semaphore for each helper, to wake it
        self.sleeping = set()
        self.teams = {}

    def start(self, count):
        with contextlib.suppress(MemoryError):  # a helper finds that out, too, and leaves the work to this thread
            parallel.compile_serve()
        with _start_lock:
            while self.started < count:
                name = f"minitorch-kernels-{self.started + 1}"
                self.calls.append(threading.Semaphore(0))
                try:
                    threading.Thread(target=self._help, args=(self.started,), name=name, daemon=True).start()
                except RuntimeError as error:
                    what = "a thread for the kernels cannot start"
                    raise MemoryError(f"allow this process more memory and threads by `ulimit`: {what}") from error
                self.started += 1

    def _help(self, index):
        while True:
            try:
                parallel.serve(self.board.ctypes.data, index)
            except MemoryError:  # no room for what it would run: the thread that asked does the work alone
                return
            self.sleeping.add(index)
            self.calls[index].acquire()
            self.sleeping.discard(index)

    def wake(self):
        """Call all helpers that sleep. Each takes itself off the list, so that an interrupted call loses none."""
        for index in tuple(self.sleeping):
            self.calls[index].release()


_helpers = _Helpers()


def _after_fork():
    """Give a forked child helpers of its own: threads do not survive a fork, and a job may have been on the board."""
    global _helpers, _start_lock
    _helpers, _start_lock = _Helpers(), threading.Lock()


if register_at_fork := getattr(os, "register_at_fork", None):  # Windows cannot fork
    register_at_fork(after_in_child=_after_fork)


def team(threads):
    """Return what a kernel needs to share out its work: the address of the board, and the number of threads.

    Parameters
    ----------
    threads : int
        1 for a job that is too small to be shared.

    Returns
    -------
    int64 ndarray, shape (2,)
    """
    helpers = _helpers
    if threads > 1 and dry_run.active():  # the helpers need a kernel too, and nothing to do yet
        dry_run.note(parallel.serve, (helpers.board.ctypes.data, 0))
    elif threads > 1:
        if helpers.started < threads - 1:
            helpers.start(threads - 1)
        if helpers.sleeping:
            helpers.wake()
    if threads not in helpers.teams:
        helpers.teams[threads] = np.array([helpers.board.ctypes.data, threads])
    return helpers.teams[threads]


# ---------------------------------------------------------------------------- the number of threads


def _container_quota(membership=pathlib.Path("/proc/self/cgroup"), root=pathlib.Path("/sys/fs/cgroup")):
    """Return the number of processors that a container grants, a fraction perhaps, or infinity.

    The quota of a control group holds for all groups below it, so the smallest on the way up counts.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:  # not Linux
        return math.inf
    quotas = [math.inf]
    for line in lines:  # such as 0::/user.slice, and in version 1 3:cpu,cpuacct:/docker/4f5e
        _, controllers, path = line.split(":", 2)
        version_1 = "cpu" in controllers.split(",")
        if version_1 or not controllers:
            top = root / "cpu" if version_1 else root
            group = top / path.lstrip("/")
            quotas += [_quota_of(folder, version_1) for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return min(quotas)


def _quota_of(folder, version_1):
    """Return the processors that one control group grants; infinity where it says nothing."""
    try:
        if version_1:
            quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        else:
            quota, period = (folder / "cpu.max").read_text().split()
        return float(quota) / float(period) if quota not in ("max", -1) else math.inf
    except (OSError, ValueError):
        return math.inf


@functools.cache
def available_threads() -> int:
    """Return how many threads this process may use.

    ``NUMBA_NUM_THREADS``, else ``OMP_NUM_THREADS``, if they are set; else the processors that the operating system
    lets this process run on (`os.sched_getaffinity`), at most as many as the quota of its container, rounded up.
    """
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        first = os.environ.get(variable, "").split(",")[0].strip()
        if first.isdecimal() and int(first) > 0:
            return min(int(first), parallel.MOST_THREADS)
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    processors = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(processors, math.ceil(min(_container_quota(), processors)), parallel.MOST_THREADS))


def get_num_threads() -> int:
    """Return the number of threads that kernels use here."""
    return _limit_here.get() or _limit or available_threads()


def _checked(function, count):
    most = available_threads()
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 1 <= count <= most:
        raise ValueError(f"{function}: count - expected 1 to {most}, got {count!r}")
    return int(count)


def set_num_threads(count: int) -> None:
    """Use ``count`` threads in kernels and in BLAS, in the whole process from now on.

    Parameters
    ----------
    count : int, 1 .. `available_threads()`

    Raises
    ------
    ValueError
        If it is not in that range.
    """
    global _limit
    _limit = _checked("set_num_threads", count)
    threadpoolctl.threadpool_limits(_limit)


@contextlib.contextmanager
def num_threads(count: int) -> Iterator[None]:
    """Use ``count`` threads for the kernels that are called in this context, in this Python thread alone.

    Parameters
    ----------
    count : int, 1 .. `available_threads()`

    Raises
    ------
    ValueError
        If it is not in that range.
    """
    token = _limit_here.set(_checked("num_threads", count))
    try:
        yield
    finally:
        _limit_here.reset(token)


# ------------------------------------------------------------------------------------ decorators


def _team_for(arrays):
    """Return the team for a call on these arguments: one thread if waking another would take longer than the work."""
    size = 0
    for array in arrays:
        if type(array) is np.ndarray:
            size += array.nbytes
            if size > _SMALL_BYTES:  # the first array has often decided
                return team(get_num_threads())
    return team(1)


def _without(function, count):
    """Return the signature of a function without its first parameters."""
    signature = inspect.signature(function)
    return signature.replace(parameters=list(signature.parameters.values())[count:])


def parallel_kernel(*, tasks):
    """Compile ``function(first_task, end_task, *args)``, which Python calls as ``function(*args)`` and all threads run.

    Parameters
    ----------
    tasks : callable
        Returns the number of tasks. It takes some of the kernel's arguments, by their names.

    Returns
    -------
    decorator
        Of a function that does the tasks first_task .. end_task - 1. They write to different elements, so that
        neither their order nor the number of threads changes a bit. It reads nothing but its arguments and
        module-level names, and returns nothing. ``.entry`` of the result is the compiled function that shares it out.
    """

    def decorate(function):
        names = list(inspect.signature(function).parameters)[2:]
        positions = [names.index(name) for name in inspect.signature(tasks).parameters]

        def count(args):
            return tasks(*map(args.__getitem__, positions))

        if not jit_enabled():
            return functools.wraps(function)(lambda *args: function(0, count(args), *args))
        launch = _launcher(function)

        @functools.wraps(function)
        def call(*args):
            job = _team_for(args), count(args)
            if dry_run.active():
                dry_run.note(call, (*job, args))
            else:
                launch(*job, *args)

        call.entry, call.__signature__ = launch, _without(function, 2)
        return call

    return decorate


def _launch(team, count, *args):
    share_out(team, count, args)  # noqa: F821 - `_launcher` gives each copy its own


def _launcher(function):
    """Return a compiled copy of `_launch` for one kernel.

    Numba finds a function in its cache by file, line and name, so the copy takes those of the kernel.
    """
    names = {"share_out": parallel.parallel_task(function), "__name__": function.__module__}
    own = {key: getattr(function.__code__, key) for key in ("co_name", "co_filename", "co_firstlineno")}
    launch = types.FunctionType(_launch.__code__.replace(**own), names, function.__name__)
    launch.__module__, launch.__qualname__ = function.__module__, function.__qualname__
    return entry(launch)


def team_kernel(function):
    """Compile ``function(team, *args)``, which Python calls as ``function(*args)``: several jobs, one after the other.

    Parameters
    ----------
    function : callable
        Hands ``team`` to functions that `parallel.parallel_task` has made.

    Returns
    -------
    callable
        ``.entry`` is the compiled function.
    """
    if not jit_enabled():
        return functools.wraps(function)(lambda *args: function(team(1), *args))
    dispatcher = entry(function)

    @functools.wraps(function)
    def call(*args):
        arguments = (_team_for(args), *args)
        if dry_run.active():
            dry_run.note(call, arguments)
        else:
            dispatcher(*arguments)

    call.entry, call.__signature__ = dispatcher, _without(function, 1)
    return call
