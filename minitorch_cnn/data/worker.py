"""A worker process: it augments batches of samples and writes them into shared memory.

It is started as ``python -P -m minitorch_cnn.data.worker`` and so never imports the user's main program.
Its parent talks to it over pipes:

    parent -> worker   Setup; the shape of all slots; Task(slot, epoch, indices) ...; the end of the pipe: stop
    worker -> parent   the shape of a finished sample; None when a slot is filled ...; or a Failure
    parent -> worker   nothing; the end of this pipe: stop at once

The images of the dataset, the slots for finished batches and the index of each worker's current sample are
in memory that both processes map; images that lie in a file already are read from there.
"""

import contextlib
import mmap
import os
import pickle
import signal
import sys
import threading
import traceback

import numpy as np

from minitorch_cnn.data import shared
from minitorch_cnn.data.messages import IDLE, TOGETHER, Failure, progress_of, progress_shape
from minitorch_cnn.data.transforms import finished
from minitorch_cnn.processes import STOP_SIGNALS


def main(requests, replies):
    """Serve tasks until the parent closes its end of the pipe.

    Parameters
    ----------
    requests, replies : Connection

    Raises
    ------
    EOFError
        At the end of the requests.
    """
    setup = requests.recv()
    images = shared.map_array(setup.images, setup.images_shape, setup.images_offset, mmap.ACCESS_READ)
    progress = progress_of(shared.map_array(setup.progress, progress_shape(setup.workers)))

    def prepare(indices, epoch):
        """Augment some samples, and let the parent see at which of them this process is."""

        def begin(sample):
            progress[setup.number] = TOGETHER if sample is None else sample

        begin(None)
        return finished(images, indices, transforms, setup.seed, epoch, begin)

    try:
        transforms = pickle.loads(setup.transforms)
    except Exception:
        replies.send(Failure("transforms", traceback.format_exc()))
        return
    try:
        shape = prepare(np.arange(1), 0).shape[1:]
    except Exception:
        replies.send(Failure("sample", traceback.format_exc()))
        return
    progress[setup.number] = IDLE
    replies.send(shape)
    slots = shared.map_array(setup.slots, requests.recv())
    while True:
        task = requests.recv()
        try:
            slots[task.slot, : len(task.indices)] = _of_shape(shape, prepare(task.indices, task.epoch))
        except Exception:
            replies.send(Failure("sample", traceback.format_exc()))
            return
        progress[setup.number] = IDLE
        replies.send(None)


def _of_shape(shape, images):
    """Return images (N, H, W, C) if they have the (H, W, C) of the slots; NumPy would repeat a single row in them."""
    if images.shape[1:] != shape:
        raise TypeError(
            f"transforms: result - expected uint8 {shape}, as of sample 0, got {images.shape[1:]}; sizes that differ "
            "between batches need num_workers=0"
        )
    return images


def follow(life):
    """End this process when its parent has closed a pipe or died, also in the middle of a long batch."""
    with contextlib.suppress(EOFError, OSError):
        life.recv_bytes()
    os._exit(1)


if __name__ == "__main__":
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    request_handle, reply_handle, life_handle = map(int, sys.argv[1:])
    life = shared.connection(life_handle, writable=False)
    threading.Thread(target=follow, args=(life,), daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError):  # the end of a pipe: the parent has closed it or died
        main(shared.connection(request_handle, writable=False), shared.connection(reply_handle, readable=False))
