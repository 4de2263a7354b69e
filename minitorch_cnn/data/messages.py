"""What a loader and its worker processes say to each other."""

from dataclasses import dataclass

import numpy as np

from minitorch_cnn.data.shared import Memory
from minitorch_cnn.types import Array

IDLE, TOGETHER = -1, -2  # between two batches; at all samples of a batch together


@dataclass(frozen=True)
class Setup:
    """What a worker is told once."""

    number: int  # of this worker
    images: Memory
    slots: Memory
    progress: Memory  # see `progress_of`
    images_shape: tuple[int, ...]
    workers: int
    transforms: bytes  # pickled
    seed: int
    images_offset: int = 0  # bytes before the images


@dataclass(frozen=True)
class Task:
    """One batch to prepare."""

    slot: int
    epoch: int
    indices: Array


@dataclass(frozen=True)
class Failure:
    """What went wrong in a worker."""

    kind: str  # "transforms" if they could not be loaded, "sample" if one failed
    traceback: str


def progress_shape(workers):
    """Return the shape of the memory in which each worker writes what it is doing."""
    return workers, np.dtype(np.int64).itemsize


def progress_of(array):
    """Return what each worker is doing, int64 (workers,): the number of a sample, or `IDLE` or `TOGETHER`.

    A worker writes its own element, and the parent reads it when the worker has died or does not answer.
    """
    return array.view(np.int64)[:, 0]
