"""Winograd's minimal filtering for 3 x 3 and 5 x 5 filters: fewer multiplications than the definition."""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.conv.winograd import correlate as correlate
    from minitorch_kernels.conv.winograd import outliers as outliers
    from minitorch_kernels.conv.winograd import panels as panels
    from minitorch_kernels.conv.winograd import tiles as tiles
    from minitorch_kernels.conv.winograd import transform as transform
    from minitorch_kernels.conv.winograd import weight as weight
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
