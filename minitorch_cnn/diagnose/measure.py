"""What this machine can do: measured, not guessed."""

import json
import os
import subprocess
import tempfile
import time

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import data, train
from minitorch_cnn.diagnose import rehearsal
from minitorch_cnn.processes import module_command, module_environment

_IMAGES = {  # for training, for testing
    "cifar10": (50_000, 10_000),
    "shapes10": (10_000, 2_000),
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
}
_GREY = {"mnist", "fashion_mnist"}  # of 28 x 28 pixels; the others are of 32 x 32 in colour
_SECONDS = 0.3  # the system may start two threads on one core, and needs some time to part them


def _best(function, repeats):
    """Return the shortest time of ``repeats`` calls, or of as many as it takes until all threads have a core each."""
    times = []
    while len(times) < repeats or sum(times) < _SECONDS:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def matmul_gflops(size=1024):
    """Return the speed of our own matrix product in GFLOP/s, float32, best of 5."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size)).astype(np.float32) for _ in range(2))
    kernels.gemm.matmul.matmul(a, b)  # compiles
    return 2 * size**3 / _best(lambda: kernels.gemm.matmul.matmul(a, b), 5) / 1e9


def peak_gflops():
    """Return how fast the micro-kernel multiplies and adds numbers that are in the nearest cache, GFLOP/s, best of 5.

    Where nothing is compiled, the speed of NumPy's matrix product.
    """
    if not kernels.runtime.simd.supports(np.float32):
        a = np.ones((1024, 1024), np.float32)
        return 2 * 1024**3 / _best(lambda: a @ a, 5) / 1e9
    tile, width = kernels.gemm.microkernel, kernels.runtime.simd.nr(np.float32)
    terms, repeats, rows = tile.KC // 2, 8, 64 * kernels.gemm.matmul.MC
    a, packed = np.ones(tile.MR * terms, np.float32), np.ones((1, terms, width), np.float32)
    c, start = np.empty(rows * width, np.float32), np.zeros(width, np.float32)
    a_rows, c_rows = np.arange(rows) % tile.MR * terms, np.arange(rows) * width  # the same rows of A, again and again
    k_runs, blocks = np.zeros((2, repeats), np.int64), np.array([[0, repeats, terms]])
    offsets = kernels.gemm.matmul.Offsets(a_rows, c_rows, k_runs, blocks)
    panels = kernels.gemm.pack.panel_table(width, terms, width)
    arguments = a, packed, c, start, offsets, panels, 1, False, False
    kernels.gemm.matmul.indirect_gemm(*arguments)  # compiles
    work = 2 * rows * width * terms * repeats
    return work / _best(lambda: kernels.gemm.matmul.indirect_gemm(*arguments), 5) / 1e9


def share_of_cores(seconds=0.5):
    """Return how much of its cores this process gets, 0 to 1: below 0.8 other programs use them too.

    Parameters
    ----------
    seconds : float
        How long it computes on all threads to find out.
    """
    a = np.ones((1024, 1024), np.float32)
    kernels.gemm.matmul.matmul(a, a)  # compiles
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        kernels.gemm.matmul.matmul(a, a)
    used = (time.process_time() - cpu) / (time.perf_counter() - wall)
    return min(1.0, used / kernels.runtime.threads.get_num_threads())


def memory_gbytes(megabytes=128):
    """Return how fast a ReLU reads and writes arrays larger than any cache, in GB/s, best of 5."""
    x = np.ones(megabytes * 1_000_000 // 4, np.float32)
    kernels.layers.elementwise.relu_forward(x)  # compiles, and brings the memory of the result
    return 2 * x.nbytes / _best(lambda: kernels.layers.elementwise.relu_forward(x), 5) / 1e9


def images_like(dataset, count):
    """Return images of the size and the channels of a recipe's dataset, which need not be on this computer.

    Parameters
    ----------
    dataset : str
    count : int, >= 1

    Returns
    -------
    ArrayDataset
    """
    made = data.Shapes10(train=True, size=count)
    if dataset not in _GREY:
        return made
    return data.ArrayDataset(made.images[:, 2:-2, 2:-2, :1], made.labels, made.classes, made.mean[:1], made.std[:1])


def step_seconds(recipe):
    """Return the median time of a training step of a recipe, loading included.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    float, seconds
    """
    images = images_like(recipe.dataset, recipe.batch_size * rehearsal.BATCHES)
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        reporter = train.Reporter(nowhere)
        return rehearsal.step_seconds(train.Trainer(recipe, images, f"{folder}/run", workers=0, reporter=reporter))


def forecast(recipe, seconds):
    """Return how long a recipe takes here, in seconds, if a step takes ``seconds``.

    The final test counts a third of a step for as many images: a forward pass alone.
    """
    training, testing = (count // recipe.batch_size for count in _IMAGES[recipe.dataset])
    return seconds * (recipe.epochs * training + testing / 3)


def blas_check(core=None):
    """Run `minitorch_cnn.diagnose.blas_check` in a process of its own.

    Parameters
    ----------
    core : str or None
        Value of OPENBLAS_CORETYPE in that process, and only there.

    Returns
    -------
    dict or None
        "core", "error" and "gflops"; None if the process crashed.
    """
    environment = module_environment(**({} if core is None else {"OPENBLAS_CORETYPE": core}))
    command = module_command("minitorch_cnn.diagnose.blas_check")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None
