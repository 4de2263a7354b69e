"""What the kernels take from Numba and llvmlite, and what stands for it where there is neither, as in a browser.

Pyodide, the Python that runs in a browser, has NumPy and no compiler. There the kernels run as the plain Python that
they are written in, and convolutions as NumPy's matrix product on copied windows (`conv.im2col`), just as they do
anywhere with NUMBA_DISABLE_JIT=1. What only a compiler would use is then a `_Missing`.
"""

import os
import sys

from minitorch_kernels.runtime import collector


class _Missing:
    """Stands for a module that is missing, and for all that it has: false, and its calls return the same."""

    def __bool__(self):
        return False

    def __getattr__(self, name):
        return self

    def __call__(self, *arguments, **options):
        return self


def _explain(error):
    """Raise ImportError unless plain Python was asked for, or nothing else is possible."""
    if sys.platform != "emscripten" and os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0"):
        raise ImportError(
            f"minitorch_kernels: expected Numba, which compiles the kernels: install it by pip install numba; or set "
            f"NUMBA_DISABLE_JIT=1, with which they run in plain Python, a hundred times slower ({error})"
        ) from error


try:
    with collector.paused():
        import llvmlite
        import llvmlite.binding as llvm
        import numba
        from llvmlite import ir
        from numba import types
        from numba.core import cgutils, config, event
        from numba.core.caching import CompileResultCacheImpl, FunctionCache
        from numba.core.codegen import JITCodeLibrary
        from numba.core.compiler import Compiler
        from numba.core.compiler_lock import global_compiler_lock as compiler_lock
        from numba.core.event import Listener
        from numba.core.registry import CPUDispatcher, cpu_target
        from numba.core.runtime._nrt_python import c_helpers
        from numba.core.serialize import dumps
        from numba.extending import intrinsic
except ModuleNotFoundError as error:
    _explain(error)
    llvmlite = llvm = numba = ir = types = cgutils = config = event = compiler_lock = _Missing()
    cpu_target = c_helpers = dumps = _Missing()
    CompileResultCacheImpl = FunctionCache = JITCodeLibrary = Compiler = Listener = CPUDispatcher = object

    def intrinsic(function):
        return function


def jit_enabled():
    """Return False where nothing is compiled: no Numba, or NUMBA_DISABLE_JIT=1."""
    return bool(numba) and not config.DISABLE_JIT
