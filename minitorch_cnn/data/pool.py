"""The parent's side of the worker processes: starting, asking, and noticing when one has died."""

import contextlib
import math
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import weakref

from minitorch_cnn.data import mapped
from minitorch_cnn.data.messages import IDLE, TOGETHER, Failure, Setup, map_array, map_progress, receive, send
from minitorch_cnn.processes import deaf_to_stop_signals, module_command, module_environment

_GRACE = 2.0  # seconds for a worker to stop by itself
_START = 60.0  # seconds, at least, for a worker to start: imports on a busy machine take long


class WorkerError(RuntimeError):
    """A worker process failed, died or hangs; the message names it, the cause and the sample."""


def anonymous_file(size):
    """Return the descriptor of a file in memory that has no name."""
    if memfd_create := getattr(os, "memfd_create", None):  # Linux alone has it
        descriptor = memfd_create("minitorch_cnn")
    else:
        descriptor, path = tempfile.mkstemp()
        os.unlink(path)
    os.ftruncate(descriptor, max(size, 1))
    return _above_standard(descriptor)


def _shared_images(images):
    """Return (descriptor, offset) of a file that holds images: their own, or an anonymous copy."""
    if found := mapped.place(images):
        path, offset = found
        return _above_standard(os.open(path, os.O_RDONLY)), offset
    copy = anonymous_file(images.size)
    map_array(copy, images.shape)[...] = images
    return copy, 0


def _pipe():
    return tuple(map(_above_standard, os.pipe()))


def _above_standard(descriptor):
    """Return a descriptor above 2: where stdin is closed, a new file gets number 0, which a child opens anew."""
    if descriptor > 2 or sys.platform == "win32":
        return descriptor
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(descriptor)
    return moved


def possible_workers(count: int) -> int:
    """Return how many worker processes can run here.

    Parameters
    ----------
    count : int, >= 0
        How many are wanted.

    Returns
    -------
    int
        ``count``, or 0 on Windows: workers need file descriptors that a child process inherits.
    """
    return 0 if sys.platform == "win32" else count


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
        data_file, offset = _shared_images(images)
        slot_file, progress_file = (anonymous_file(size) for size in (0, 8 * workers))
        shared = data_file, slot_file, progress_file
        self._progress = map_progress(progress_file, workers)
        self._progress[:] = IDLE
        self.processes, self.requests, self.replies = [], [], []
        self._finalizer = weakref.finalize(self, _stop, self.processes, self.requests, self.replies)
        try:
            for number in range(workers):
                self._start(Setup(number, *shared, images.shape, workers, payload, seed, offset))
            # The workers try the transforms, not this process: a transform may crash.
            (shape, *_) = [self._answer(number, transforms=transforms) for number in range(workers)]
            slot_shape = (slots, batch_size, *shape)
            os.ftruncate(slot_file, max(math.prod(slot_shape), 1))
            self.slots = map_array(slot_file, slot_shape)
            self.slots.flags.writeable = False  # here; the workers write
            for number in range(workers):
                self._tell(number, slot_shape)
        except BaseException:
            self.close()
            raise
        finally:
            for descriptor in shared:
                os.close(descriptor)

    def _start(self, setup):
        (request_end, request), (reply, reply_end) = _pipe(), _pipe()
        # One thread each: the cores belong to the parent's kernels.
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        passed = (request_end, reply_end, setup.data_file, setup.slot_file, setup.progress_file)
        command = module_command("minitorch_cnn.data.worker", str(request_end), str(reply_end))
        environment = module_environment(**single)
        with deaf_to_stop_signals():
            process = subprocess.Popen(command, pass_fds=passed, env=environment, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        self.requests.append(request)
        self.replies.append(reply)
        os.close(request_end)
        os.close(reply_end)
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
            send(self.requests[number], task)

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
            send(self.requests[number], message)
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
            answer = receive(self.replies[number])
        except EOFError:
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
        cause = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        self.close()
        return WorkerError(f"worker {number} (pid {process.pid}) {cause} {self._where(number, task)}")

    def close(self):
        """Stop all workers; none is left when this returns."""
        self._finalizer()


def _readable(descriptor, timeout):
    """Wait until there is something to read, in short waits.

    Time in which both processes are stopped (Ctrl-Z) counts for one of them at most: that is not a hang.
    `select.select` knows no descriptors above 1023.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        waits = max(8, math.ceil(timeout))
        return any(selector.select(timeout / waits) for _ in range(waits))


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
