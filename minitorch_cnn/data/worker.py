"""A worker process: it augments batches of samples and writes them into shared memory.

It is started as ``python -P -m minitorch_cnn.data.worker`` and so never imports the user's main program.
Its parent talks to it over two pipes:

    parent -> worker   Setup; the shape of all slots; Task(slot, epoch, indices) ...; the end of the pipe: stop
    worker -> parent   the shape of a finished sample; None when a slot is filled ...; or a Failure

The images of the dataset, the slots for finished batches and the index of each worker's current sample are
in files that both processes map. They have no name, so nothing remains however a process ends; only images that
lie in a file already are read from there.
"""

import contextlib
import mmap
import os
import pickle
import sys
import threading
import time
import traceback

import numpy as np

from minitorch_cnn.data.messages import IDLE, TOGETHER, Failure, map_array, map_progress, receive, send
from minitorch_cnn.data.transforms import finished


def main(requests, replies):
    """Serve tasks until the parent closes its end of the pipe.

    Parameters
    ----------
    requests, replies : int
        File descriptors of the pipes.
    """
    setup = receive(requests)
    images = map_array(setup.data_file, setup.data_shape, setup.data_offset, mmap.ACCESS_READ)
    progress = map_progress(setup.progress_file, setup.workers)

    def prepare(indices, epoch):
        """Augment some samples, and let the parent see at which of them this process is."""

        def begin(sample):
            progress[setup.number] = TOGETHER if sample is None else sample

        begin(None)
        return finished(images, indices, transforms, setup.seed, epoch, begin)

    try:
        transforms = pickle.loads(setup.transforms)
    except Exception:
        send(replies, Failure("transforms", traceback.format_exc()))
        return
    try:
        shape = prepare(np.arange(1), 0).shape[1:]
    except Exception:
        send(replies, Failure("sample", traceback.format_exc()))
        return
    progress[setup.number] = IDLE
    send(replies, shape)
    slots = map_array(setup.slot_file, receive(requests))
    while True:
        task = receive(requests)
        try:
            slots[task.slot, : len(task.indices)] = _of_shape(shape, prepare(task.indices, task.epoch))
        except Exception:
            send(replies, Failure("sample", traceback.format_exc()))
            return
        progress[setup.number] = IDLE
        send(replies, None)


def _of_shape(shape, images):
    """Return images (N, H, W, C) if they have the (H, W, C) of the slots; NumPy would repeat a single row in them."""
    if images.shape[1:] != shape:
        raise TypeError(
            f"transforms: result - expected uint8 {shape}, as of sample 0, got {images.shape[1:]}; sizes that differ "
            "between batches need num_workers=0"
        )
    return images


def follow(parent):
    """End this process when its parent has died, also in the middle of a long batch."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=follow, args=(os.getppid(),), daemon=True).start()
    with contextlib.suppress(EOFError, BrokenPipeError):  # the end of a pipe: the parent has closed it or died
        main(int(sys.argv[1]), int(sys.argv[2]))
