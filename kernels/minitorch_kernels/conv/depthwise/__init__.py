"""Convolution in which each channel has a filter of its own, as in MobileNet."""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.conv.depthwise import depthwise as depthwise
    from minitorch_kernels.conv.depthwise import forward3x3 as forward3x3
    from minitorch_kernels.conv.depthwise import input3x3 as input3x3
    from minitorch_kernels.conv.depthwise import plan as plan
    from minitorch_kernels.conv.depthwise import weight3x3 as weight3x3
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
