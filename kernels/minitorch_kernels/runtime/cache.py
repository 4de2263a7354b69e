"""Where compiled kernels are kept.

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
import types
import warnings

from minitorch_kernels.runtime.compiler import (
    CompileResultCacheImpl,
    FunctionCache,
    c_helpers,
    config,
    dumps,
    jit_enabled,
    llvm,
    llvmlite,
    numba,
)
from minitorch_kernels.runtime.home import mcnn_home

OURS = "minitorch_kernels."
_PACKAGE = pathlib.Path(__file__).parents[1]
_PREPARED = _PACKAGE / "prepared"  # kernels that were compiled when the package was installed
_LEVELS = {  # instruction sets, by the name of the processor that has just these, and a feature that tells them
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "x86-64-v3": ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
}


@functools.cache
def _source_hash():
    """Hash the versions of what compiles, and all kernel sources: Numba does not notice an edit in another file."""
    versions = f"{platform.python_version()} {numba.__version__} {llvmlite.__version__}"
    digest = hashlib.sha256(versions.encode())
    archive = [parent for parent in _PACKAGE.parents if parent.is_file()]  # a zip file, if Python imports from one
    for path in archive or sorted(_PACKAGE.rglob("*.py")):
        name = pathlib.Path(os.path.relpath(path, _PACKAGE)).as_posix()
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def cache_folder():
    """Return the folder of compiled kernels for these sources, or None where there is none and none can be made.

    It may be one that others filled and that this process can only read.
    """
    folder = mcnn_home() / "kernels" / _source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        warnings.warn(f"kernels are compiled anew in every process: {error}", RuntimeWarning, stacklevel=2)
        return None
    return folder


def prepared_folder():
    """Return the folder of the kernels that were compiled when the package was installed; it need not exist."""
    return _PREPARED / _source_hash()


@functools.cache
def _warn_of_folder(folder, problem):
    """Warn once that new kernels cannot be kept."""
    message = f"new kernels are compiled anew in every process, because {folder} cannot be written: {problem}"
    warnings.warn(f"{message}; set MCNN_HOME to a folder that can be written", RuntimeWarning, stacklevel=2)


class _Locator:
    """Says where the code of a function lies, and which state of its source it is for, in the form that Numba asks for.

    The name of our folder tells the state of all kernels. A file of a user's own has a stamp.
    """

    def __init__(self, function, file):
        self.name = f"{function.__module__}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._stamp = None
        if not function.__module__.startswith(OURS):
            state, line = os.stat(file), function.__code__.co_firstlineno
            self.name += "." + hashlib.sha256(f"{os.path.abspath(file)}:{line}".encode()).hexdigest()[:16]
            self._stamp = state.st_mtime_ns, state.st_size

    @classmethod
    def from_function(cls, function, file):
        return cls(function, file)

    def ensure_cache_path(self):
        pass

    def get_cache_path(self):
        return str(cache_folder())

    def get_source_stamp(self):
        return self._stamp

    def get_disambiguator(self):
        return ""


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

    def _sources(self, key):
        """Yield (key, folder) of what was compiled here, then of what was prepared for this processor's levels."""
        yield key, self._folder
        signature, (triple, *_), code = key
        for level in levels():
            yield (signature, (triple, level, ""), code), prepared_folder()

    def load(self, key):
        """Return compiled code, or None."""
        return next(filter(None, (self._read(*source) for source in self._sources(key))), None)

    def has(self, key):
        """Return True if there is a file that `load` would read."""
        return any(self._path(*source).exists() for source in self._sources(key))

    def _read(self, key, folder):
        try:
            content = self._path(key, folder).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return None  # damaged: compiled anew, and written again
        *origin, data = pickle.loads(content[32:])
        return data if origin == [self._source_stamp, key] else None


@functools.cache
def _machine(codegen):
    """Return what Numba's key of compiled code says of the machine; LLVM takes 5 ms to find the processor's name."""
    return codegen.magic_tuple()


@functools.cache
def _name_helpers():
    """Tell LLVM the addresses of Numba's functions in C that compiled code calls."""
    for name, address in c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


class KernelCache(FunctionCache):
    """Numba's cache of a function, with our files; not being able to write costs time, but stops nothing."""

    _impl_class = _CacheFormat

    def __init__(self, function):
        super().__init__(function)
        self._ours = function.__module__.startswith(OURS)
        locator = _Locator(function, function.__code__.co_filename)
        self._cache_file = _CacheFiles(locator.get_cache_path(), locator.name, locator.get_source_stamp())

    def _guard_against_spurious_io_errors(self):
        """Let errors through on Windows as well, where Numba hides them: `save_overload` warns of them."""
        return contextlib.nullcontext()

    def _index_key(self, sig, codegen):
        machine = types.SimpleNamespace(magic_tuple=functools.partial(_machine, codegen))
        return super()._index_key(sig, machine)

    def load_overload(self, sig, target_context):
        """Load compiled code; ours without the modules that Numba imports first, and that only compiling needs.

        They are 190, and take 45 MB and a quarter of a second.
        """
        if not self._ours:
            return super().load_overload(sig, target_context)
        _name_helpers()
        return self._load_overload(sig, target_context)

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_of_folder(cache_folder(), error.strerror or str(error))


def is_cache_empty():
    """Return True if kernels can be compiled and kept, but none has been yet, and none is prepared."""
    folder = cache_folder() if jit_enabled() else None
    prepared = levels() and prepared_folder().is_dir()
    return folder is not None and not prepared and not any(folder.glob("*.kernel"))


def is_cached(dispatcher, signature):
    """Return True if the code of an `entry` for arguments of these types lies in the cache, or was prepared."""
    if not isinstance(dispatcher._cache, KernelCache):
        return False
    key = dispatcher._cache._index_key(signature, dispatcher.targetctx.codegen())
    return dispatcher._cache._cache_file.has(key)
