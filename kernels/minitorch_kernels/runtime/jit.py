"""How kernels are compiled, cached, locked and threaded. The only place with Numba's settings.

`helper` compiles a function that other compiled functions call; `kernel` compiles one that Python
calls. A kernel call takes one process-wide lock, because Numba's default threading layer aborts the
process when two Python threads enter a parallel region, and applies the process-wide number of
threads, because Numba keeps that number per Python thread. A call on little data stays in one thread.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import pickle
import threading
import warnings

import numba
import numpy as np
import threadpoolctl
from numba.core import config, event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator
from numba.core.serialize import dumps

# NaN and infinities keep their meaning: no "nnan", no "ninf", so never the whole of fast-math.
_FLAGS = frozenset({"contract", "arcp", "nsz"})
_REORDER = frozenset({"reassoc"})

_SMALL_BYTES = 1 << 16  # of all arrays together: waking a second thread would take longer than the work

_lock = threading.RLock()
_forked_after_openmp = False
_threads = None  # None: as many as Numba found
_listeners = []


def jit_enabled():
    """Return False where NUMBA_DISABLE_JIT=1 runs everything as plain Python."""
    return not config.DISABLE_JIT


# --------------------------------------------------------------------------------------- cache


def _source_hash():
    """Hash all kernel sources: Numba itself does not notice an edit in another file than the function's."""
    digest = hashlib.sha256(numba.__version__.encode())
    package = pathlib.Path(__file__).parents[1]
    for path in sorted(package.rglob("*.py")):
        digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def cache_folder():
    """Return the folder of compiled kernels for these sources, or None where there is none and none can be made.

    It may be one that others filled and that this process can only read.
    """
    home = os.path.expanduser(os.environ.get("MCNN_HOME", ""))
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = pathlib.Path(home or os.path.join(base, "minitorch_cnn")) / "kernels" / _source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        warnings.warn(f"kernels are compiled anew in every process: {error}", RuntimeWarning, stacklevel=2)
        return None
    return folder


@contextlib.contextmanager
def _own_cache():
    """Point Numba at our folder while a function is decorated, and leave the user's setting alone."""
    saved = config.CACHE_DIR
    config.CACHE_DIR = str(cache_folder() or saved)
    try:
        yield cache_folder() is not None
    finally:
        config.CACHE_DIR = saved


@functools.cache
def _warn_of_folder(folder, problem):
    """Warn once that new kernels cannot be kept."""
    message = f"new kernels are compiled anew in every process, because {folder} cannot be written: {problem}"
    warnings.warn(f"{message}; set MCNN_HOME to a folder that can be written", RuntimeWarning, stacklevel=2)


class _Locator(UserProvidedCacheLocator):
    """Names our folder; Numba's own locator refuses a folder that can be read but not written."""

    def ensure_cache_path(self):
        with contextlib.suppress(OSError):
            os.makedirs(self.get_cache_path(), exist_ok=True)


class _CacheFormat(CompileResultCacheImpl):
    """Numba's way to store compiled code, in our folder alone."""

    _locator_classes = (_Locator,)


class _CacheFiles:
    """The compiled code of one function: one file for each kind of arguments, checked when it is read.

    Takes the place of Numba's index and data files: an index that was cut short stops every process, and
    two processes that compile for different dtypes at once may give both codes the same file name.
    """

    def __init__(self, folder, name, source_stamp):
        self._folder, self._name, self._source_stamp = pathlib.Path(folder), name, source_stamp

    def _path(self, key):
        return self._folder / f"{self._name}.{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.kernel"

    def save(self, key, data):
        content = dumps((self._source_stamp, key, data))
        path = self._path(key)
        unfinished = path.with_suffix(f".{os.getpid()}")
        try:
            unfinished.write_bytes(hashlib.sha256(content).digest() + content)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)

    def load(self, key):
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None  # damaged: compiled anew, and written again
        *origin, data = pickle.loads(content[32:])
        return data if origin == [self._source_stamp, key] else None


class _Cache(FunctionCache):
    """Numba's cache of a function, with our files; not being able to write costs time, but stops nothing."""

    _impl_class = _CacheFormat

    def __init__(self, function):
        super().__init__(function)
        stamp = self._impl.locator.get_source_stamp()
        self._cache_file = _CacheFiles(self.cache_path, self._impl.filename_base, stamp)

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_of_folder(cache_folder(), error.strerror or str(error))


def _compile(function, parallel, reorder):
    if not jit_enabled():
        return function
    flags = set(_FLAGS | _REORDER if reorder else _FLAGS)
    dispatcher = numba.njit(parallel=parallel, fastmath=flags, error_model="numpy")(function)
    with _own_cache() as cached:
        if cached:
            dispatcher._cache = _Cache(function)
    return dispatcher


# ---------------------------------------------------------------------------------- decorators


def helper(function=None, *, reorder=False):
    """Compile a function that other compiled functions call.

    Parameters
    ----------
    function : callable
    reorder : bool
        Allow the terms of a sum to change places, so that it runs in vector registers.

    Returns
    -------
    Numba dispatcher
    """
    if function is None:
        return functools.partial(helper, reorder=reorder)
    return _compile(function, False, reorder)


def kernel(function=None, *, parallel=True, reorder=False):
    """Compile a function that Python calls, with `numba.prange` loops shared out over threads.

    Parameters
    ----------
    function : callable
        Takes arrays and numbers; reads nothing but its arguments and module-level names.
    parallel : bool
        False for short loops.
    reorder : bool
        As for `helper`.

    Returns
    -------
    callable
        ``.dispatcher`` is the Numba function.
    """
    if function is None:
        return functools.partial(kernel, parallel=parallel, reorder=reorder)
    dispatcher = _compile(function, parallel, reorder)

    @functools.wraps(function)
    def call(*args):
        if parallel and _forked_after_openmp:
            raise RuntimeError(
                f"{function.__name__}: expected a process that was started by spawn or forkserver, got one made by "
                "fork after its parent had run a kernel: OpenMP cannot go on in it and would abort"
            )
        with _lock:
            if not parallel:
                return dispatcher(*args)
            if _threads is not None and numba.get_num_threads() != _threads:
                numba.set_num_threads(_threads)
            if sum([a.nbytes for a in args if type(a) is np.ndarray]) > _SMALL_BYTES:
                return dispatcher(*args)
            count = numba.get_num_threads()
            numba.set_num_threads(1)
            try:
                return dispatcher(*args)
            finally:
                numba.set_num_threads(count)

    call.dispatcher = dispatcher
    return call


# ------------------------------------------------------------------------------------- threads


def set_num_threads(count: int) -> None:
    """Use ``count`` threads in kernels and in BLAS, in the whole process from now on.

    Parameters
    ----------
    count : int, 1 .. the number that Numba started with

    Raises
    ------
    ValueError
        If it is not in that range.
    """
    global _threads
    most = config.NUMBA_NUM_THREADS
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= most:
        raise ValueError(f"set_num_threads: count - expected 1 to {most}, got {count!r}")
    with _lock:
        _threads = count
        threadpoolctl.threadpool_limits(count)


def _after_fork():
    """Give a forked child a free lock, for another thread may have held it; OpenMP aborts such a child."""
    global _lock, _forked_after_openmp
    _lock = threading.RLock()
    with contextlib.suppress(ValueError):  # no parallel kernel has run yet
        _forked_after_openmp = numba.threading_layer() == "omp"


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


def get_num_threads():
    """Return the number of threads that kernels use."""
    return _threads or config.NUMBA_NUM_THREADS


# ------------------------------------------------------------------------------------- counter


class _CompileListener(event.Listener):
    """Counts the functions of this package as Numba begins to compile them."""

    def __init__(self):
        self.count = 0

    def on_start(self, event):
        function = event.data["dispatcher"].py_func
        if function.__module__.startswith("minitorch_kernels"):
            self.count += 1
            for callback in list(_listeners):
                callback(function.__name__, self.count)

    def on_end(self, event):
        pass


def on_compile(callback):
    """Call ``callback(name, count)`` whenever a kernel begins to compile, not when it comes from the cache.

    Parameters
    ----------
    callback : callable
        ``name`` of the function and how many have been compiled in this process, this one included.

    Returns
    -------
    callable
        Call it to stop.
    """
    _listeners.append(callback)
    return functools.partial(_listeners.remove, callback)


event.register("numba:compile", _CompileListener())
