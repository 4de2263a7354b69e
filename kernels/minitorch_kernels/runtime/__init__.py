"""What every kernel stands on: compilation and threads (`jit`), reused memory (`memory`), vector registers (`simd`)."""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.runtime import jit as jit
    from minitorch_kernels.runtime import memory as memory
    from minitorch_kernels.runtime import simd as simd
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
