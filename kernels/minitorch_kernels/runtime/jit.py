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
import types
import warnings

from minitorch_kernels.runtime import address_space, collector, dry_run
from minitorch_kernels.runtime.compiler import (
    Compiler,
    CompileResultCacheImpl,
    CPUDispatcher,
    FunctionCache,
    JITCodeLibrary,
    Listener,
    c_helpers,
    compiler_lock,
    config,
    cpu_target,
    dumps,
    event,
    jit_enabled,
    llvm,
    llvmlite,
    numba,
)
from minitorch_kernels.runtime.home import mcnn_home

# NaN and infinities keep their meaning: no "nnan", no "ninf", so never the whole of fast-math.
_FLAGS = frozenset({"contract", "arcp", "nsz"})
_REORDER = frozenset({"reassoc"})

_OURS = "minitorch_kernels."
_PACKAGE = pathlib.Path(__file__).parents[1]
_PREPARED = _PACKAGE / "prepared"  # kernels that were compiled when the package was installed
_LEVELS = {  # instruction sets, by the name of the processor that has just these, and a feature that tells them
    "x86-64-v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
    "x86-64-v3": ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"),
}

_TO_LOAD, _TO_COMPILE = 48 << 20, 128 << 20  # bytes of addresses that LLVM and the first threads take; measured

_listeners = []


# --------------------------------------------------------------------------------------- cache


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
        if not function.__module__.startswith(_OURS):
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


class _Cache(FunctionCache):
    """Numba's cache of a function, with our files; not being able to write costs time, but stops nothing."""

    _impl_class = _CacheFormat

    def __init__(self, function):
        super().__init__(function)
        self._ours = function.__module__.startswith(_OURS)
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
    if not isinstance(dispatcher._cache, _Cache):
        return False
    key = dispatcher._cache._index_key(signature, dispatcher.targetctx.codegen())
    return dispatcher._cache._cache_file.has(key)


# ----------------------------------------------------------------------------------- compiling


def import_compiler():
    """Import what Numba otherwise imports when it compiles for the first time."""
    cpu_target.target_context.refresh()


def entry(function, reorder=False):
    """Compile a function that Python calls, to machine code that is cached; parameters as those of `compiled`."""
    if not jit_enabled():
        return function
    dispatcher = _Entry(function, {}, {**_options(reorder), "no_cfunc_wrapper": True})
    in_file = os.path.exists(function.__code__.co_filename)  # not in a notebook's cell; ours may lie in a zip file
    if cache_folder() is not None and (in_file or function.__module__.startswith(_OURS)):
        dispatcher._cache = _Cache(function)
    return dispatcher


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

    Notes
    -----
    As with C's ``inline``, the function has no machine code of its own. It becomes part of each function that Python
    calls, and is optimised there; compiling it apart as well would take half as long again.
    """
    if function is None:
        return functools.partial(compiled, reorder=reorder)
    return _Part(function, reorder) if jit_enabled() else function


def _options(reorder):
    fastmath = set(_FLAGS | _REORDER if reorder else _FLAGS)
    return {"nopython": True, "nogil": True, "error_model": "numpy", "fastmath": fastmath}


class _Entry(CPUDispatcher):
    """A function that Python calls, for each kind of arguments from the cache or compiled."""

    def compile(self, sig):
        with compiler_lock, collector.paused():  # or another thread would take what is left meanwhile
            if address_space.left() is not None:
                cached = is_cached(self, sig)
                address_space.require(_TO_LOAD if cached else _TO_COMPILE, "a kernel")
            return super().compile(sig)


class _Part(CPUDispatcher):
    """A function as part of others; a call from Python goes to an `entry` of the same function.

    In a dry run, Python itself runs the function, since the code that calls it goes on with the result.
    """

    def __init__(self, function, reorder):
        super().__init__(function, {}, _options(reorder), pipeline_class=_PartCompiler)
        self._reorder = reorder

    @functools.cached_property
    def entry(self):
        return entry(self.py_func, self._reorder)

    def _compile_for_args(self, *args, **kwargs):
        if not dry_run.active():
            return self.entry
        dry_run.note(self, args)
        return self._run_in_python

    def _run_in_python(self, *args):
        return dry_run.run_in_python(self.py_func, args)

    def add_overload(self, result):
        """Make the typed function known to its callers, by a key instead of the address of machine code."""
        result = result._replace(entry_point=object())
        self.targetctx.insert_user_function(result.entry_point, result.fndesc, [result.library])
        self.overloads[result.signature.args] = result


class _PartCompiler(Compiler):
    """Numba's steps from Python to LLVM's language, and none after them."""

    def __init__(self, typing_context, target_context, library, args, return_type, flags, variables):
        library = _PartLibrary(target_context.codegen(), "part")
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        super().__init__(typing_context, target_context, library, args, return_type, flags, variables)


class _PartLibrary(JITCodeLibrary):
    """The LLVM code of a part: each function is simplified by itself, and nothing is inlined yet."""

    def _optimize_final_module(self):
        pass

    def _finalize_final_module(self):
        self._finalized = True


# ------------------------------------------------------------------------------------- counter


class _CompileListener(Listener):
    """Counts the kernels that Python calls as Numba begins to compile them."""

    def __init__(self):
        self.count = 0

    def on_start(self, event):
        dispatcher = event.data["dispatcher"]
        package, _, module = dispatcher.py_func.__module__.partition(".")
        if package == "minitorch_kernels" and not module.startswith("runtime.") and not isinstance(dispatcher, _Part):
            self.count += 1
            for callback in list(_listeners):
                callback(dispatcher.py_func.__name__, self.count)

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
