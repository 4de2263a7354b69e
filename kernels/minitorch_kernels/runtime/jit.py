"""How kernels are compiled. The only place with Numba's settings."""

import functools
import os

from minitorch_kernels.runtime import address_space, collector, dry_run
from minitorch_kernels.runtime.cache import OURS, KernelCache, cache_folder, is_cached
from minitorch_kernels.runtime.compiler import (
    Compiler,
    CPUDispatcher,
    JITCodeLibrary,
    Listener,
    compiler_lock,
    cpu_target,
    event,
    jit_enabled,
)

# NaN and infinities keep their meaning: no "nnan", no "ninf", so never the whole of fast-math.
_FLAGS = frozenset({"contract", "arcp", "nsz"})
_REORDER = frozenset({"reassoc"})

_TO_LOAD, _TO_COMPILE = 48 << 20, 128 << 20  # bytes of addresses that LLVM and the first threads take; measured

_listeners = []


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
    if cache_folder() is not None and (in_file or function.__module__.startswith(OURS)):
        dispatcher._cache = KernelCache(function)
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
