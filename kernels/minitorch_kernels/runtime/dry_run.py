"""A dry run: kernels are noted instead of run, so that they can be compiled before they are needed.

    with dry_run() as calls:
        ...                                    such as a training step, whose results mean nothing
    missing = not_compiled(calls)              compile them here or in other processes, see `compile_worker.py`

The code between the kernels does run. So that it takes its usual way, new arrays are zero, see `memory.empty`.
"""

import contextlib
import contextvars
import inspect
from typing import Any, NamedTuple

_calls = contextvars.ContextVar("calls", default=None)  # those noted so far; None: kernels run
_INSIDE = ()  # in the place of the calls while Python runs a kernel: those that it calls are parts of it


class Call(NamedTuple):
    """A kernel, and the types of the arguments that it is compiled for."""

    module: str
    name: str
    types: Any  # a tuple of Numba types

    def kernel(self):
        """Import the kernel and return it; raise ImportError or AttributeError if it does not exist."""
        import importlib

        return getattr(importlib.import_module(self.module), self.name)

    def code_size(self):
        """Return the bytes of bytecode of the kernel and of what it calls: the more, the longer it compiles."""
        return _code_size(self.kernel(), set())


def _code_size(function, counted):
    """Return the bytes of bytecode of a kernel and of its parts, without those that are counted already."""
    function = inspect.unwrap(getattr(function, "py_func", function))
    if not inspect.isfunction(function) or function in counted:
        return 0
    counted.add(function)
    parts = [function.__globals__.get(name) for name in function.__code__.co_names]
    return len(function.__code__.co_code) + sum(_code_size(part, counted) for part in parts if callable(part))


@contextlib.contextmanager
def dry_run():
    """Note kernels instead of running them, in this Python thread, and return the list of `Call`."""
    calls = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def active():
    """Return True inside `dry_run`."""
    return _calls.get() is not None


def run_in_python(function, arguments):
    """Call the Python function of a kernel in a dry run, whose result the code around it needs."""
    token = _calls.set(_INSIDE)
    try:
        return function(*arguments)
    finally:
        _calls.reset(token)


def note(kernel, arguments):
    """Note a call of a kernel."""
    if _calls.get() is _INSIDE:
        return
    import numba

    types = tuple(numba.typeof(argument) for argument in arguments)
    _calls.get().append(Call(kernel.__module__, kernel.__qualname__, types))


def not_compiled(calls):
    """Return, without repetitions and the largest first, the calls whose kernels are neither in the cache nor prepared.

    Those that no other process can import are left out, such as kernels of a notebook or inside a function.
    """
    from minitorch_kernels.runtime import cache

    missing = []
    for call in dict.fromkeys(calls):
        with contextlib.suppress(ImportError, AttributeError):
            if call.module != "__main__" and not cache.is_cached(call.kernel().entry, call.types):
                missing.append(call)
    return sorted(missing, key=Call.code_size, reverse=True)  # processes that share them out then end together
