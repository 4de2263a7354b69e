"""What a loader and its worker processes say to each other, and the memory that they share."""

import math
import mmap
import os
import pickle
import struct
from dataclasses import dataclass

import numpy as np

from minitorch_cnn.types import Array

IDLE, TOGETHER = -1, -2  # between two batches; at all samples of a batch together


@dataclass(frozen=True)
class Setup:
    """What a worker is told once."""

    number: int  # of this worker
    data_file: int
    slot_file: int
    progress_file: int  # see `map_progress`
    data_shape: tuple[int, ...]
    workers: int
    transforms: bytes  # pickled
    seed: int
    data_offset: int = 0  # bytes of the data file before the images


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


def send(descriptor, message):
    """Write one pickled message, preceded by its length, to a pipe."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    view = memoryview(struct.pack("<q", len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor):
    """Read one message from a pipe; EOFError at its end."""
    (length,) = struct.unpack("<q", _read(descriptor, 8))
    return pickle.loads(_read(descriptor, length))


def _read(descriptor, length):
    parts = []
    while length:
        part = os.read(descriptor, min(length, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def map_progress(descriptor, workers):
    """Return what each worker is doing, int64 (workers,): the number of a sample, or `IDLE` or `TOGETHER`.

    A worker writes its own element, and the parent reads it when the worker has died or does not answer.
    """
    return map_array(descriptor, (workers, 8)).view(np.int64)[:, 0]


def map_array(descriptor, shape, offset=0, access=mmap.ACCESS_WRITE):
    """Return the uint8 array that a file holds, after ``offset`` bytes."""
    count = math.prod(shape)
    mapped = mmap.mmap(descriptor, max(offset + count, 1), access=access)
    return np.frombuffer(mapped, np.uint8, count, offset).reshape(shape)
