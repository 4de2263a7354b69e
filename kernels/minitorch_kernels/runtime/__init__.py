"""What every kernel uses: compilation (`jit`), threads (`threads`, `parallel`), memory (`memory`), SIMD (`simd`)."""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.runtime import chunks as chunks
    from minitorch_kernels.runtime import jit as jit
    from minitorch_kernels.runtime import memory as memory
    from minitorch_kernels.runtime import parallel as parallel
    from minitorch_kernels.runtime import simd as simd
    from minitorch_kernels.runtime import threads as threads
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
