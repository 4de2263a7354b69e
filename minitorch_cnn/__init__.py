"""Convolutional networks from scratch on the CPU.

    import minitorch_cnn as mt
    model = mt.models.create("cifar4")

Everything below is loaded on first use, so that importing this package is quick.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors and type checkers, which do not run `__getattr__`
    from minitorch_cnn import data, explain, models, nn, ops, optim, testing, train, weights
    from minitorch_cnn.autograd import enable_grad, no_grad
    from minitorch_cnn.diagnose.compiling import compile
    from minitorch_cnn.rng import manual_seed
    from minitorch_cnn.tensor import Tensor
    from minitorch_kernels.runtime.memory import release_memory
    from minitorch_kernels.runtime.precision import get_precision, precision, set_precision
    from minitorch_kernels.runtime.threads import get_num_threads, num_threads, set_num_threads

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "compile",
    "data",
    "enable_grad",
    "explain",
    "get_num_threads",
    "get_precision",
    "manual_seed",
    "models",
    "nn",
    "no_grad",
    "num_threads",
    "ops",
    "optim",
    "precision",
    "release_memory",
    "set_num_threads",
    "set_precision",
    "testing",
    "train",
    "weights",
]

_DEFINED_IN = {
    "Tensor": "minitorch_cnn.tensor",
    "compile": "minitorch_cnn.diagnose.compiling",
    "manual_seed": "minitorch_cnn.rng",
    "enable_grad": "minitorch_cnn.autograd",
    "no_grad": "minitorch_cnn.autograd",
    "get_num_threads": "minitorch_kernels.runtime.threads",
    "get_precision": "minitorch_kernels.runtime.precision",
    "num_threads": "minitorch_kernels.runtime.threads",
    "precision": "minitorch_kernels.runtime.precision",
    "release_memory": "minitorch_kernels.runtime.memory",
    "set_num_threads": "minitorch_kernels.runtime.threads",
    "set_precision": "minitorch_kernels.runtime.precision",
}

if not TYPE_CHECKING:  # a type checker would believe that it finds every misspelt name

    def __getattr__(name):
        if name in _DEFINED_IN:
            return getattr(importlib.import_module(_DEFINED_IN[name]), name)
        if name in __all__:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([name for name in globals() if name.startswith("__")] + __all__)
