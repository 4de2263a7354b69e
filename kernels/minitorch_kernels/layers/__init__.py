"""Loops of one pass over memory: pooling, normalisation, activations, optimizer steps, image batches."""

from typing import TYPE_CHECKING

from minitorch_kernels._lazy import lazy_submodules

if TYPE_CHECKING:  # for editors and type checkers, which do not run `lazy_submodules`
    from minitorch_kernels.layers import augment as augment
    from minitorch_kernels.layers import batch_norm as batch_norm
    from minitorch_kernels.layers import batch_norm_relu as batch_norm_relu
    from minitorch_kernels.layers import elementwise as elementwise
    from minitorch_kernels.layers import exponential as exponential
    from minitorch_kernels.layers import gelu as gelu
    from minitorch_kernels.layers import group_norm as group_norm
    from minitorch_kernels.layers import optimizer as optimizer
    from minitorch_kernels.layers import pieces as pieces
    from minitorch_kernels.layers import pool as pool
    from minitorch_kernels.layers import reduction as reduction
    from minitorch_kernels.layers import resample as resample
    from minitorch_kernels.layers import response_norm as response_norm
    from minitorch_kernels.layers import sigmoid as sigmoid
    from minitorch_kernels.layers import smooth as smooth
    from minitorch_kernels.layers import softmax as softmax
else:  # a type checker would believe that `__getattr__` finds every misspelt name
    __getattr__, __dir__ = lazy_submodules(__name__)
