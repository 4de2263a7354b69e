"""The parent's side of the worker processes: starting, asking, and noticing when one has died."""

import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
import weakref

import numpy as np

from minitorch_cnn.data.messages import Setup, map_array, receive, send

_GRACE = 2.0  # seconds for a worker to stop by itself


class WorkerError(RuntimeError):
    """A worker process failed, died or hangs; the message names it, the cause and the sample."""


def anonymous_file(size):
    """Return the descriptor of a file in memory that has no name."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("minitorch_cnn")
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
    os.ftruncate(descriptor, max(size, 1))
    return descriptor


class WorkerPool:
    """Processes that prepare batches.

    Parameters
    ----------
    images : uint8 ndarray, shape (N, H, W, C)
        Copied once into shared memory, for all workers together.
    slot_shape : tuple
        (slots, batch, H, W, C) of the finished batches.
    transforms : sequence of callables
    seed : int
    workers : int, >= 1
    timeout : float, seconds
        How long a batch may take.

    Raises
    ------
    TypeError
        If a transform cannot be pickled, or not be imported by a worker.
    WorkerError
        If a worker does not start.
    """

    def __init__(self, images, slot_shape, transforms, seed, workers, timeout):
        payload = _pickled(transforms)
        self.timeout = timeout
        data_file, slot_file = anonymous_file(images.size), anonymous_file(int(np.prod(slot_shape)))
        map_array(data_file, images.shape)[...] = images
        self.slots = map_array(slot_file, slot_shape)
        setup = Setup(data_file, slot_file, images.shape, tuple(slot_shape), payload, seed)
        self.processes, self.requests, self.replies = [], [], []
        self._finalizer = weakref.finalize(self, _stop, self.processes, self.requests, self.replies)
        try:
            for _ in range(workers):
                self._start(setup)
            for number in range(workers):
                self._answer(number, "start", None, transforms)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(data_file)
            os.close(slot_file)

    def _start(self, setup):
        (request_end, request), (reply, reply_end) = os.pipe(), os.pipe()
        # One thread each: the cores belong to the parent's kernels.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        environment = {**os.environ, **single, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        passed = (request_end, reply_end, setup.data_file, setup.slot_file)
        command = [sys.executable, "-m", "minitorch_cnn.data.worker", str(request_end), str(reply_end)]
        self.processes.append(subprocess.Popen(command, pass_fds=passed, env=environment, stdin=subprocess.DEVNULL))
        self.requests.append(request)
        self.replies.append(reply)
        os.close(request_end)
        os.close(reply_end)
        self._send(len(self.processes) - 1, setup, "start")

    def ask(self, number, task):
        """Give worker ``number`` a task."""
        self._send(number, task, _samples(task))

    def wait(self, number, task):
        """Wait until worker ``number`` has finished its oldest task."""
        self._answer(number, _samples(task), task, ())

    def _send(self, number, message, doing):
        try:
            send(self.requests[number], message)
        except BrokenPipeError:
            raise self._death(number, doing) from None

    def _answer(self, number, doing, task, transforms):
        ready, _, _ = select.select([self.replies[number]], [], [], self.timeout)
        process = self.processes[number]
        if not ready:
            self.close()
            raise WorkerError(
                f"worker {number} (pid {process.pid}) hangs: no answer for {self.timeout:g} s while preparing {doing}"
            )
        try:
            failure = receive(self.replies[number])
        except EOFError:
            raise self._death(number, doing) from None
        if failure is None:
            return
        self.close()
        if failure.kind == "transforms":
            raise TypeError(
                f"DataLoader: transforms - expected ones that a worker process can import, got {list(transforms)!r}; "
                f"define them in a module, or use num_workers=0\n{failure.traceback}"
            )
        raise WorkerError(
            f"worker {number} (pid {process.pid}) failed on sample {failure.sample} of epoch {task.epoch}:\n"
            f"{failure.traceback}"
        )

    def _death(self, number, doing):
        """Return the error for a worker whose pipe has closed."""
        process = self.processes[number]
        try:
            code = process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            code = None
        cause = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        self.close()
        return WorkerError(f"worker {number} (pid {process.pid}) {cause} while preparing {doing}")

    def close(self):
        """Stop all workers; none is left when this returns."""
        self._finalizer()


def _samples(task):
    return f"samples {task.indices[0]} ... {task.indices[-1]} of epoch {task.epoch}"


def _pickled(transforms):
    """Return pickled transforms, or raise TypeError naming the one that cannot be."""
    for transform in transforms:
        try:
            in_main = getattr(transform, "__module__", None) == "__main__"
            data = pickle.dumps(transform)
        except Exception as error:
            raise TypeError(
                f"DataLoader: transforms - expected ones that can be pickled, got {transform!r} ({error}); "
                "define it in a module, or use num_workers=0"
            ) from error
        if in_main or b"__main__" in data:
            raise TypeError(
                f"DataLoader: transforms - expected ones that a worker process can import, got {transform!r} of the "
                "main program; define it in a module, or use num_workers=0"
            )
    return pickle.dumps(list(transforms), pickle.HIGHEST_PROTOCOL)


def _stop(processes, requests, replies):
    for descriptor in (*requests, *replies):
        os.close(descriptor)
    deadline = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
