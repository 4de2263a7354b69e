"""A dry run: kernels are noted instead of run, so that they can be compiled before they are needed.

    with dry_run() as calls:
        ...                                    such as a training step, whose results mean nothing
    missing = not_compiled(calls)              compile them here or in other processes, see `compile_worker.py`

The code between the kernels does run. So that it takes its usual way, new arrays are zero, see `memory.empty`.
"""

import contextlib
import contextvars
from typing import Any, NamedTuple

_calls = contextvars.ContextVar("calls", default=None)  # those noted so far; None: kernels run


class Call(NamedTuple):
    """A kernel, and the types of the arguments that it is compiled for."""

    module: str
    name: str
    types: Any  # a tuple of Numba types

    def kernel(self):
        """Import the kernel and return it; raise ImportError or AttributeError if it does not exist."""
        import importlib

        return getattr(importlib.import_module(self.module), self.name)


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


def note(kernel, arguments):
    """Note a call of a kernel."""
    import numba

    types = tuple(numba.typeof(argument) for argument in arguments)
    _calls.get().append(Call(kernel.__module__, kernel.__qualname__, types))


def not_compiled(calls):
    """Return, without repetitions, the calls whose kernels are neither in the cache nor prepared.

    Those that no other process can import are left out, such as kernels of a notebook or inside a function.
    """
    from minitorch_kernels.runtime import jit

    missing = []
    for call in dict.fromkeys(calls):
        with contextlib.suppress(ImportError, AttributeError):
            if call.module != "__main__" and not jit.is_cached(call.kernel().entry, call.types):
                missing.append(call)
    return missing
