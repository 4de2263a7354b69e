"""The parent's side of the worker processes: starting, asking, and noticing when one has died."""

import contextlib
import math
import os
import pickle
import signal
import subprocess
import sys
import time
import weakref

from minitorch_cnn.data import mapped, shared
from minitorch_cnn.data.messages import IDLE, TOGETHER, Failure, Setup, progress_of, progress_shape

_GRACE = 2.0  # seconds for a worker to stop by itself
_START = 180.0  # seconds, at least, for a worker to start: imports on a busy machine take long


class WorkerError(RuntimeError):
    """A worker process failed, died or hangs; the message names it, the cause and the sample."""


def _shared_images(images):
    """Return (memory, offset, its holder) of images: those of their own file, or a copy."""
    if found := mapped.place(images):
        path, offset = found
        return shared.file_memory(path), offset, None
    memory = shared.new_memory()
    copy = shared.create_array(memory, images.shape)
    copy[...] = images
    return memory, 0, copy


def possible_workers(count: int) -> int:
    """Return how many worker processes can run here.

    Parameters
    ----------
    count : int, >= 0
        How many are wanted.

    Returns
    -------
    int
        ``count``, or 0 in a browser, which has no processes.
    """
    return 0 if sys.platform == "emscripten" else count


class WorkerPool:
    """Processes that prepare batches.

    Parameters
    ----------
    images : uint8 ndarray, shape (N, H, W, C)
        Copied once into shared memory, for all workers together, unless they lie in a file: the workers map it.
    slots : int
        The number of finished batches that fit into shared memory.
    batch_size : int
    transforms : sequence of callables
    seed : int
    workers : int, >= 1
    timeout : float, seconds
        The longest time that a batch may take.

    Raises
    ------
    TypeError
        If a transform cannot be pickled, or not be imported by a worker.
    WorkerError
        If a worker does not start.
    """

    def __init__(self, images, slots, batch_size, transforms, seed, workers, timeout):
        payload = pickled(transforms)
        self.timeout, self.owner = timeout, os.getpid()
        self._unanswered = 0  # tasks
        images_memory, offset, held = _shared_images(images)
        slot_memory, progress_memory = shared.new_memory(), shared.new_memory()
        memories = images_memory, slot_memory, progress_memory
        self._progress = progress_of(shared.create_array(progress_memory, progress_shape(workers)))
        self._progress[:] = IDLE
        self.processes, self.requests, self.replies = [], [], []
        life_end, life = shared.pipe()  # its end tells the workers that this process has died
        self._finalizer = weakref.finalize(self, _stop, self.processes, self.requests, self.replies, life)
        try:
            for number in range(workers):
                self._start(Setup(number, *memories, images.shape, workers, payload, seed, offset), life_end)
            # The workers try the transforms, not this process: a transform may crash.
            (shape, *_) = [self._answer(number, transforms=transforms) for number in range(workers)]
            del held  # all workers have mapped it
            slot_shape = (slots, batch_size, *shape)
            self.slots = shared.create_array(slot_memory, slot_shape)
            self.slots.flags.writeable = False  # here; the workers write
            for number in range(workers):
                self._tell(number, slot_shape)
        except BaseException:
            self.close()
            raise
        finally:
            life_end.close()
            for memory in memories:
                shared.release(memory)

    def _start(self, setup, life_end):
        (request_end, request), (reply, reply_end) = shared.pipe(), shared.pipe()
        # One thread each: the cores belong to the parent's kernels.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        ends, memories = (request_end, reply_end, life_end), (setup.images, setup.slots, setup.progress)
        process = shared.start("minitorch_cnn.data.worker", ends, memories, **single)
        self.processes.append(process)
        self.requests.append(request)
        self.replies.append(reply)
        request_end.close()
        reply_end.close()
        self._tell(setup.number, setup)

    @property
    def at_rest(self):
        """Whether the workers live and have answered all that they were asked."""
        return self._finalizer.alive and not self._unanswered

    def ask(self, number, task):
        """Give worker ``number`` a task.

        Raises
        ------
        RuntimeError
            If this is a fork of the process that started the workers: the two would read each other's answers.
        """
        self._check_owner()
        self._unanswered += 1
        # A worker that has died did so on an earlier batch: waiting for that one tells which.
        with contextlib.suppress(BrokenPipeError):
            self.requests[number].send(task)

    def wait(self, number, task):
        """Wait until worker ``number`` has finished its oldest task; errors as of `ask`, and WorkerError."""
        self._check_owner()
        self._answer(number, task)
        self._unanswered -= 1

    def _check_owner(self):
        if self.owner != os.getpid():
            raise RuntimeError(
                f"DataLoader: this iteration - expected the process {self.owner}, which began it, got its fork "
                f"{os.getpid()}; begin one here"
            )

    def _tell(self, number, message):
        """Send what a starting worker has to know."""
        try:
            self.requests[number].send(message)
        except BrokenPipeError:
            raise self._death(number) from None

    def _answer(self, number, task=None, transforms=()):
        timeout = self.timeout if task else max(self.timeout, _START)
        process = self.processes[number]
        if not _readable(self.replies[number], timeout):
            where = self._where(number, task)
            self.close()
            raise WorkerError(f"worker {number} (pid {process.pid}) hangs: no answer for {timeout:g} s {where}")
        try:
            answer = self.replies[number].recv()
        except (EOFError, OSError):  # OSError: it died in the middle of an answer
            raise self._death(number, task) from None
        if not isinstance(answer, Failure):
            return answer
        self.close()
        if answer.kind == "transforms":
            raise TypeError(
                f"DataLoader: transforms - expected ones that a worker process can import, got {list(transforms)!r}; "
                f"define them in a module, or use num_workers=0\n{answer.traceback}"
            )
        where = self._where(number, task)
        raise WorkerError(f"worker {number} (pid {process.pid}) failed {where}:\n{answer.traceback}")

    def _where(self, number, task):
        """Say at which sample of its oldest task a worker is; without a task, it is starting."""
        at, epoch = int(self._progress[number]), task.epoch if task else 0
        if at >= 0:
            return f"on sample {at} of epoch {epoch}" + ("" if task else ", which it tries first")
        if not task:
            return "while it starts"
        samples = f"samples {task.indices[0]} ... {task.indices[-1]} of epoch {epoch}"
        return f"on {samples} together" if at == TOGETHER else f"between samples, before {samples}"

    def _death(self, number, task=None):
        """Return the error for a worker whose pipe has closed."""
        process = self.processes[number]
        try:
            code = process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            code = None
        self.close()
        return WorkerError(f"worker {number} (pid {process.pid}) {ending(code)} {self._where(number, task)}")

    def close(self):
        """Stop all workers; none is left when this returns."""
        self._finalizer()


def ending(code):
    """Say how a process ended that has an exit code, or None while it still runs."""
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    # Windows tells of a crash by the number of an error, which its documentation writes in hexadecimal digits.
    return f"ended with exit code {code}" if code is None or code < 256 else f"ended with exit code {code:#x}"


def _readable(reply, timeout):
    """Wait until there is something to read, in short waits.

    Time in which both processes are stopped (Ctrl-Z) counts for one of them at most: that is not a hang.
    """
    waits = max(8, math.ceil(timeout))
    return any(shared.has_answer(reply, timeout / waits) for _ in range(waits))


def pickled(transforms):
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


def _stop(processes, requests, replies, life):
    for end in (*requests, *replies, life):
        end.close()
    deadline = time.monotonic() + _GRACE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
