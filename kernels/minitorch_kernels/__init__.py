"""Numerical kernels on NumPy arrays: no Tensor, no graph, no argument checks.

`reference` holds the textbook loops, the oracle that every other algorithm is tested against. Read it first, then
`ladder`, which makes these loops fast in nine small files. What ships is in `conv` (convolution in all its algorithms)
and `layers` (pooling, batch norm, activations, optimizers); both stand on `gemm` (the matrix product and its
micro-kernel), and all on `runtime` (compilation, memory, vector registers).

A sub-module loads on first use, so importing this package costs nothing, and `reference` and `conv.im2col` run
without Numba.
"""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels import conv as conv
    from minitorch_kernels import gemm as gemm
    from minitorch_kernels import ladder as ladder
    from minitorch_kernels import layers as layers
    from minitorch_kernels import reference as reference
    from minitorch_kernels import runtime as runtime
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
