"""One pass over the batches of a loader."""

import collections
import threading
from typing import Self

from minitorch_cnn.data.messages import Task
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array


class BatchIterator:
    """Hands out the batches of one iteration; several threads may ask, and each batch goes to one of them.

    Parameters
    ----------
    batches : generator
    count : int
        Of the batches.
    """

    def __init__(self, batches, count):
        self._batches, self._left, self._lock = batches, count, threading.RLock()
        self._aborted = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Tensor, Array]:
        with self._lock:
            if self._aborted:
                raise RuntimeError(
                    "DataLoader: this iteration - expected its loader open until the last batch, got close() before"
                )
            batch = next(self._batches)
            self._left -= 1
            return batch

    def close(self) -> None:
        """End the iteration here, and stop what prepares its further batches."""
        with self._lock:
            self._left = 0
            self._batches.close()

    def abort(self) -> None:
        """End the iteration because its loader is closed; to ask for a further batch is an error then."""
        with self._lock:
            self._aborted = self._left > 0
            self._batches.close()


def from_workers(pool, batches, epoch, prefetch, taken_over):
    """Let workers augment batches, each a few batches ahead.

    Parameters
    ----------
    pool : WorkerPool
        For this iteration alone.
    batches : list of int64 ndarray, shape (N,)
        The samples of each batch.
    epoch : int
    prefetch : int, >= 1
        Batches that each worker prepares ahead.
    taken_over : callable
        Makes of a finished batch, uint8 (N, H, W, C) in shared memory, what is handed out; that memory is used
        again before the batch is handed out, so that the workers continue meanwhile.

    Yields
    ------
    indices : int64 ndarray, shape (N,)
    images
        What ``taken_over`` returned.
    """
    workers = len(pool.processes)
    slots = workers * prefetch
    tasks = [Task(i % slots, epoch, indices) for i, indices in enumerate(batches)]
    ahead = collections.deque()

    def ask(number):
        if number < len(tasks):
            pool.ask(number % workers, tasks[number])
            ahead.append(number)

    for number in range(slots):
        ask(number)
    while ahead:
        number = ahead.popleft()
        task = tasks[number]
        pool.wait(number % workers, task)
        images = taken_over(pool.slots[task.slot, : len(task.indices)])
        ask(number + slots)  # the slot is free again
        yield task.indices, images
