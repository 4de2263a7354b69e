"""The ladder measured: one 3 x 3 layer by every step from the textbook's loops to the shipped kernel."""

import importlib
import subprocess
import sys
import time
from typing import NamedTuple

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.shapes import nchw

CHANNELS, FILTERS, SIZE = 128, 128, 32  # of the layer: 3 x 3 filters, stride 1, padding 1
_SECONDS = 0.5  # that each step is measured at least, after one call that is not counted
_BATCH = 16
_PARTS = {  # (images, size, filters) for steps that would take minutes; all others compute the whole layer
    "step1_loops": (1, 8, 4),
    "step2_compiled": (1, SIZE, FILTERS),
    "step3_channels_last": (1, SIZE, FILTERS),
}
_FIRST_WITH_THREADS = "step7_threads"
_OUR_TILE = ("step8_shipped", "step9_winograd")  # need the micro-kernel, which exists in compiled code alone

_PYTORCH = """
import sys, time
import torch
images, channels, filters, size, threads, seconds = map(float, sys.argv[1:])
torch.set_num_threads(int(threads))
x = torch.randn(int(images), int(channels), int(size), int(size))
weight = torch.randn(int(filters), int(channels), 3, 3)
best = []
for layout in (torch.contiguous_format, torch.channels_last):
    operands, times = [array.to(memory_format=layout) for array in (x, weight)], []
    with torch.inference_mode():
        while len(times) < 3 or sum(times[1:]) < seconds:
            start = time.perf_counter()
            torch.conv2d(*operands, padding=1)
            times.append(time.perf_counter() - start)
    best.append(min(times[1:]))
print(min(best))
"""


class Step(NamedTuple):
    """A step as it ran here: its name, why it is faster than the one before, threads, speed, and images per call."""

    name: str
    reason: str
    threads: int
    gflops: float
    images: int


def available_steps():
    """Return name and reason of the steps that can run: all, or those that need no micro-kernel."""
    tile = kernels.runtime.simd.supports(np.float32)
    return {name: reason for name, reason in kernels.ladder.STEPS.items() if tile or name not in _OUR_TILE}


def measure_steps():
    """Yield each of `available_steps` as a `Step`, as soon as it is measured.

    Raises
    ------
    ValueError
        If Numba's compiler is switched off: the loops would take hours in Python.

    Notes
    -----
    GFLOP/s count two operations for every product of the definition, in the fastest call: other programs on the
    machine only add time. A step gets the images in the layout that it wants, because a network would keep them so.
    """
    if not kernels.runtime.jit.jit_enabled():
        raise ValueError("expected a compiler, got plain Python, in which the steps would take hours")
    for name, reason in available_steps().items():
        conv2d = importlib.import_module(f"minitorch_kernels.ladder.{name}").conv2d
        threads = 1 if name < _FIRST_WITH_THREADS else kernels.runtime.threads.get_num_threads()
        images, size, filters = _PARTS.get(name, (_BATCH, SIZE, FILTERS))
        gflops = _gflops(conv2d, *_operands(images, size, filters, name > "step3"))
        yield Step(name, reason, threads, gflops, images)


def blas_gflops():
    """Return the speed of step 4 with NumPy's matrix product, which calls a BLAS library, in GFLOP/s."""

    def product(a, b, c):
        np.matmul(a, b.T, out=c)

    def conv2d(x, weight, *, stride, padding):
        return kernels.ladder.step4_im2col.conv2d_by_product(product, x, weight, stride, padding)

    return _gflops(conv2d, *_operands(_BATCH, SIZE, FILTERS, True))


def pytorch_gflops():
    """Return PyTorch's speed on the layer in GFLOP/s, the better of its two layouts; None where it is not installed.

    It runs in a process of its own: two OpenMP libraries in one process may take each other's threads.
    """
    sizes = _BATCH, CHANNELS, FILTERS, SIZE, kernels.runtime.threads.get_num_threads(), _SECONDS
    command = [sys.executable, "-c", _PYTORCH, *map(str, sizes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return _work(_BATCH, SIZE, FILTERS) / float(done.stdout) / 1e9 if done.returncode == 0 else None


def _operands(images, size, filters, channels_last):
    """Return x (N, C, H, W), in memory N, H, W, C where ``channels_last``, and weight (O, C, 3, 3)."""
    rng = np.random.default_rng(0)
    x = nchw(rng.standard_normal((images, size, size, CHANNELS), np.float32))
    weight = rng.standard_normal((filters, CHANNELS, 3, 3), np.float32)
    return (x if channels_last else np.ascontiguousarray(x)), weight


def _work(images, size, filters):
    """Return the floating-point operations of the definition, products with the padding included."""
    return 2 * images * size**2 * filters * CHANNELS * 3 * 3


def _gflops(conv2d, x, weight):
    times, work = [], _work(len(x), x.shape[2], len(weight))
    while len(times) < 2 or sum(times[1:]) < _SECONDS:
        start = time.perf_counter()
        conv2d(x, weight, stride=1, padding=1)
        times.append(time.perf_counter() - start)
    return work / min(times[1:]) / 1e9  # the first call may compile
