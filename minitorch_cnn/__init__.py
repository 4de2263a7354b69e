"""Convolutional networks from scratch on the CPU.

    import minitorch_cnn as mt
    model = mt.models.create("cifar4")

Everything below is loaded on first use, so that importing this package is quick.
"""

import importlib

__version__ = "0.1.0"

_ROOMS = ("data", "explain", "models", "nn", "ops", "optim", "testing", "train", "weights")
_NAMES = {
    "Tensor": "minitorch_cnn.tensor",
    "no_grad": "minitorch_cnn.autograd",
    "manual_seed": "minitorch_cnn.rng",
    "release_memory": "minitorch_kernels.buffers",
    "set_num_threads": "minitorch_kernels._jit",
}
__all__ = ["Tensor", "manual_seed", "no_grad", "release_memory", "set_num_threads", *(r for r in _ROOMS)]


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
