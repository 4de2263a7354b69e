"""Convolution: as one matrix product (`im2col`), as that product without copied windows (`indirect`), and Winograd's.

`small_cin`, `small_cout` and `depthwise` take over where the usual loop order would leave vector lanes empty,
`small_map` where most of each window lies in the padding.
"""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.conv import bf16 as bf16
    from minitorch_kernels.conv import borders as borders
    from minitorch_kernels.conv import densenet_block as densenet_block
    from minitorch_kernels.conv import depthwise as depthwise
    from minitorch_kernels.conv import empty as empty
    from minitorch_kernels.conv import im2col as im2col
    from minitorch_kernels.conv import indirect as indirect
    from minitorch_kernels.conv import indirect_weight as indirect_weight
    from minitorch_kernels.conv import selection as selection
    from minitorch_kernels.conv import small_cin as small_cin
    from minitorch_kernels.conv import small_cout as small_cout
    from minitorch_kernels.conv import small_map as small_map
    from minitorch_kernels.conv import winograd as winograd
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
