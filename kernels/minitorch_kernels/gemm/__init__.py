"""The matrix product: a register-blocked micro-kernel and the loops around it."""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.gemm import bf16 as bf16
    from minitorch_kernels.gemm import blas as blas
    from minitorch_kernels.gemm import matmul as matmul
    from minitorch_kernels.gemm import microkernel as microkernel
    from minitorch_kernels.gemm import pack as pack
    from minitorch_kernels.gemm import selection as selection
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
