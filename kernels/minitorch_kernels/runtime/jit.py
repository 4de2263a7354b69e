"""How kernels are compiled and cached. The only place with Numba's settings.

A kernel is looked for in the user's cache, then among the kernels that were prepared when the package was installed,
and compiled only if neither has it. What was prepared is for an instruction set, not for one processor.
"""

import contextlib
import functools
import hashlib
import os
import pathlib
import pickle
import platform
import warnings

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core import config, event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserProvidedCacheLocator
from numba.core.serialize import dumps

# NaN and infinities keep their meaning: no "nnan", no "ninf", so never the whole of fast-math.
_FLAGS = frozenset({"contract", "arcp", "nsz"})
_REORDER = frozenset({"reassoc"})

_PACKAGE = pathlib.Path(__file__).parents[1]
_PREPARED = _PACKAGE / "prepared"  # kernels that were compiled when the package was installed
_LEVELS = {  # instruction sets, by the name of the processor that has just these, and a feature that tells them
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "x86-64-v3": ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
}

_listeners = []


def jit_enabled():
    """Return False where NUMBA_DISABLE_JIT=1 runs everything as plain Python."""
    return not config.DISABLE_JIT


# --------------------------------------------------------------------------------------- cache


@functools.cache
def _source_hash():
    """Hash the versions of what compiles, and all kernel sources: Numba does not notice an edit in another file."""
    versions = f"{platform.python_version()} {numba.__version__} {llvmlite.__version__}"
    digest = hashlib.sha256(versions.encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
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


def prepared_folder():
    """Return the folder of the kernels that were compiled when the package was installed; it need not exist."""
    return _PREPARED / _source_hash()


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


@functools.cache
def levels():
    """Return the names of the instruction sets for which prepared kernels run on this processor, the best first."""
    if config.CPU_NAME:  # a processor that the user named
        return ()
    features = llvm.get_host_cpu_features()
    return tuple(name for name, needed in _LEVELS.items() if all(features.get(feature) for feature in needed))


class _CacheFiles:
    """The compiled code of one function: one file for each kind of arguments, checked when it is read.

    Takes the place of Numba's index and data files: an index that was cut short stops every process, and
    two processes that compile for different dtypes at once may give both codes the same file name.
    """

    def __init__(self, folder, name, source_stamp):
        self._folder, self._name, self._source_stamp = pathlib.Path(folder), name, source_stamp

    def _path(self, key, folder=None):
        digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return (folder or self._folder) / f"{self._name}.{digest}.kernel"

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
        """Return what was compiled here, else what was prepared for an instruction set that this processor has."""
        data = self._read(key, self._folder)
        signature, (triple, *_), code = key
        for level in () if data else levels():
            data = data or self._read((signature, (triple, level, ""), code), prepared_folder())
        return data

    def _read(self, key, folder):
        try:
            content = self._path(key, folder).read_bytes()
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
        folder, name, stamp = self.cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp()
        if function.__module__.startswith("minitorch_kernels."):  # the folder's name says which sources these are
            folder, name, stamp = cache_folder(), f"{function.__module__}.{function.__qualname__}", None
        self._cache_file = _CacheFiles(folder, name, stamp)

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_of_folder(cache_folder(), error.strerror or str(error))


def compiled(function=None, *, reorder=False):
    """Compile a function that other compiled functions call, or Python for work that one thread does.

    Parameters
    ----------
    function : callable
        Takes arrays and numbers; reads nothing but its arguments and module-level names.
    reorder : bool
        Allow the terms of a sum to change places, so that it runs in vector registers.

    Returns
    -------
    Numba dispatcher, or the function itself where nothing is compiled
    """
    if function is None:
        return functools.partial(compiled, reorder=reorder)
    if not jit_enabled():
        return function
    flags = set(_FLAGS | _REORDER if reorder else _FLAGS)
    dispatcher = numba.njit(nogil=True, fastmath=flags, error_model="numpy")(function)
    with _own_cache() as cached:
        if cached:
            dispatcher._cache = _Cache(function)
    return dispatcher


# ------------------------------------------------------------------------------------- counter


LAUNCHER = "_on_threads"  # ends the name of the function that starts a kernel on all threads


class _CompileListener(event.Listener):
    """Counts the kernels and their parts as Numba begins to compile them, but not what shares them out."""

    def __init__(self):
        self.count = 0

    def on_start(self, event):
        function = event.data["dispatcher"].py_func
        package, _, part = function.__module__.partition(".")
        runtime = part.startswith("runtime") or function.__name__.endswith(LAUNCHER)
        if package == "minitorch_kernels" and not runtime:
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
