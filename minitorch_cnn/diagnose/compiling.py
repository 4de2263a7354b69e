"""Compiling the kernels of a network before the first step, in as many processes as there are cores.

Which kernels a training step needs is known from a dry run of it, see `minitorch_kernels.runtime.dry_run`. Where none
is compiled yet, processes start while the images are still being read, and import the compiler meanwhile. A process
that fails, or is interrupted, costs time and nothing else: a kernel that is missing is compiled when it is first used.
"""

import collections
import contextlib
import copy
import dataclasses
import pickle
import subprocess
import threading
from collections.abc import Callable

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments, data, nn, ops, optim, rng
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.diagnose import rehearsal
from minitorch_cnn.processes import module_command, module_environment
from minitorch_cnn.train.metrics.classifier import Classifier

_PATIENCE = 120.0  # seconds that a process may take for one kernel
_MOST_EARLY = 16  # processes that start before it is known how many kernels there are


def compile(
    model: nn.Module,
    shape: tuple[int, ...],
    *,
    processes: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Compile the kernels that a training step and an evaluation of a network need, before they are needed.

    Parameters
    ----------
    model : Module
        Stays as it is. If it is to be trained with `nn.fuse`, give it fused: other operations need other kernels.
    shape : tuple of int, (N, C, H, W)
        Of a batch of images.
    processes : int or None
        How many compile at once; None takes as many as there are threads for kernels.
    progress : callable or None
        Called as ``progress(done, count)``, with the number of kernels that are compiled and of all, first with 0.

    Returns
    -------
    int
        The number of kernels that were compiled. 0 if all were in the cache, or were prepared at installation.

    Raises
    ------
    TypeError, ValueError
        If an argument is something else.

    Notes
    -----
    A kernel that no process could compile is compiled when it is first used; so is everything where the cache
    cannot be written. Without a compiler (``NUMBA_DISABLE_JIT=1``) nothing happens.

    Time: the 25 kernels of `cifar4` take about 12 s of one core. Memory: a copy of the model, and its feature maps as
    pages that are never written.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"compile: model - expected a Module, got {model!r}")
    shape = tuple(arguments.listed("compile", "shape", shape))
    arguments.integer("compile", least=1, **{f"shape[{axis}]": length for axis, length in enumerate(shape)})
    if len(shape) != 4:
        raise ValueError(f"compile: shape - expected (N, C, H, W), each at least 1, got {shape!r}")
    if progress is not None:
        arguments.function("compile", progress=progress)
    if processes is not None:
        arguments.integer("compile", least=1, processes=processes)
    return _compile_calls_of(lambda: _run(copy.deepcopy(model), shape), processes, progress)


@contextlib.contextmanager
def started_early():
    """Start processes for `compile_for`, for a context, and end them after it; none where some kernels are compiled."""
    needed = kernels.runtime.cache.is_cache_empty()
    workers = _start(min(kernels.runtime.threads.available_threads(), _MOST_EARLY)) if needed else []
    try:
        yield workers
    finally:
        _end(workers)


def compile_for(trainer, workers=()):
    """Compile the kernels of a `Trainer`, whose reporter shows the progress, and return their number.

    Parameters
    ----------
    trainer : Trainer
    workers : sequence of Popen
        Processes that have been started for this, see `started_early`; more are started where they are too few.
    """
    return _compile_calls_of(lambda: _run_trainer(trainer), None, trainer.reporter.compiled, workers)


# ------------------------------------------------------------------------------------- which kernels


def _compile_calls_of(run, processes, progress, workers=()):
    """Compile the kernels that a function calls, as far as a dry run of it comes, and return their number."""
    if not kernels.runtime.jit.jit_enabled() or kernels.runtime.cache.cache_folder() is None:
        return 0
    state = rng.get_state()
    with kernels.runtime.dry_run.dry_run() as calls, contextlib.suppress(Exception), np.errstate(all="ignore"):
        run()
    rng.set_state(state)
    missing = kernels.runtime.dry_run.not_compiled(calls)
    return _compile_in_processes(missing, processes or kernels.runtime.threads.available_threads(), progress, workers)


def _black(count, size):
    """Return images and labels of a dataset of black images of some size (H, W, C)."""
    return {"images": np.zeros((count, *size), np.uint8), "labels": np.zeros(count, np.int64)}


def _run_trainer(trainer):
    """Do what a trainer does with a batch of black images: load it, learn from it and judge it."""
    copied, dataset = rehearsal.Copy(trainer), trainer.loader.dataset
    count = trainer.recipe.batch_size // trainer.accumulate
    black = dataclasses.replace(dataset, **_black(count, dataset.images.shape[1:]))
    for x, targets in copied.batches(black, count):
        copied.learn(x, targets)
    Classifier(copied.model, trainer.settings).evaluate(black, views=trainer.recipe.views)


def _run(model, shape):
    """Do what a training of a network usually does with a batch of black images."""
    count, channels, *size = shape
    half = (0.5,) * channels
    black = data.ArrayDataset(**_black(count, (*size, channels)), classes=["black"], mean=half, std=half)
    ((x, labels),) = data.DataLoader(black, batch_size=count)
    model.train()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for optimizer in (optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True), optim.Adam(parameters, lr=0.1)):
        optimizer.zero_grad()
        ops.cross_entropy(model(x), labels).backward()
        optimizer.step()
    with no_grad():
        model.eval()
        model(x)


# ----------------------------------------------------------------------------------------- processes


def _compile_in_processes(calls, processes, progress, early=()):
    """Share kernels out over processes, those that were started early and others; return how many were compiled."""
    waiting, done, lock = collections.deque(calls), [], threading.Lock()

    def tell(call=None):
        with lock:
            done.extend([call] if call else [])
            if progress and calls:
                progress(len(done), len(calls))

    tell()
    workers = [*early, *_start(min(processes, len(calls)) - len(early))]
    threads = [threading.Thread(target=_feed, args=(worker, waiting, tell), daemon=True) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:  # also after Ctrl-C
        waiting.clear()
        _end(workers, threads)
    return len(done)


def _start(count):
    """Start processes that compile; fewer where the system refuses."""
    workers = []
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: nobody knows where Python's interpreter is
        command = module_command("minitorch_kernels.runtime.compile_worker")
        environment = module_environment(OPENBLAS_NUM_THREADS="1")  # whose idle threads would take a core at first
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        for _ in range(count):
            workers.append(subprocess.Popen(command, env=environment, **streams))
    return workers


def _end(workers, threads=()):
    """End processes, and the threads that feed them."""
    for worker in workers:
        worker.kill()
    for thread in threads:
        thread.join()
    for worker in workers:
        with worker:  # closes its pipes, and waits for it
            pass


def _feed(worker, waiting, tell):
    """Give a process one kernel after the other, until none is left or it fails."""
    with contextlib.suppress(OSError, IndexError), worker.stdin, worker.stdout:  # a broken pipe; none is waiting
        while True:
            call = waiting.popleft()
            timer = threading.Timer(_PATIENCE, worker.kill)
            timer.start()
            try:
                worker.stdin.write(pickle.dumps(call))
                worker.stdin.flush()
                answer = worker.stdout.readline().strip()
            finally:
                timer.cancel()
            if answer == b"kept":
                tell(call)
            elif answer != b"failed":  # it ended, or what it compiles is lost
                return
