"""DataLoader: batches of normalised images, in an order and with an augmentation that can be repeated."""

import collections
import warnings

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.data.messages import Task
from minitorch_cnn.data.philox import Draws
from minitorch_cnn.data.pool import WorkerPool, possible_workers
from minitorch_cnn.data.transforms import Choice, augment
from minitorch_cnn.shapes import nchw
from minitorch_cnn.tensor import Tensor


class DataLoader:
    """Serves a dataset in batches.

    Which samples a batch holds and how each is augmented depends on (seed, epoch, sample) alone: any
    number of workers gives the same bytes, and an epoch can be entered at any batch.

    Parameters
    ----------
    dataset : ArrayDataset
    batch_size : int, >= 1
    shuffle : bool
        A new order every epoch.
    drop_last : bool
        Leave out the last batch where it is smaller than the others.
    num_workers : int, >= 0
        Processes that augment; 0 augments in this one, as does any number on Windows, with a warning.
    prefetch : int, >= 1
        Batches that each worker prepares ahead.
    transforms : sequence of callables
        See `data.transforms`.
    seed : int, >= 0
    timeout : float, seconds
        How long a worker may take for a batch.
    share : (int, int)
        (i, n): serve the i-th of n nearly equal parts of every batch; n loaders serve the batches of
        one. Needs ``drop_last``.

    Raises
    ------
    TypeError
        If a transform cannot be sent to a worker.
    ValueError
        If a number is out of range.

    Notes
    -----
    Iterating gives (images, labels): a float32 Tensor (N, C, H, W), channels-last in memory and
    normalised with the dataset's mean and standard deviation, and an int64 ndarray (N,).
    """

    def __init__(
        self,
        dataset,
        batch_size=128,
        shuffle=False,
        drop_last=False,
        num_workers=0,
        prefetch=2,
        transforms=(),
        seed=0,
        timeout=60.0,
        share=(0, 1),
    ):
        limits = {
            "batch_size": (batch_size, 1),
            "num_workers": (num_workers, 0),
            "prefetch": (prefetch, 1),
            "seed": (seed, 0),
        }
        for name, (value, least) in limits.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"DataLoader: {name} - expected an integer >= {least}, got {value!r}")
        if not 0 <= share[0] < share[1] <= batch_size:
            expected = f"(i, n) with 0 <= i < n <= {batch_size}, the size of a batch"
            raise ValueError(f"DataLoader: share - expected {expected}, got {share!r}")
        if share[1] > 1 and not drop_last:
            raise ValueError(
                f"DataLoader: share - expected drop_last=True with it, got {share!r} of a smaller last batch"
            )
        if not timeout > 0:
            raise ValueError(f"DataLoader: timeout - expected a positive number of seconds, got {timeout!r}")
        if possible_workers(num_workers) < num_workers:
            warnings.warn(
                f"DataLoader: num_workers - expected 0 on this system, which has no worker processes yet, got "
                f"{num_workers}; this process prepares the batches, with the same result",
                RuntimeWarning,
                stacklevel=2,
            )
            num_workers = 0
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.num_workers, self.prefetch, self.transforms, self.seed = num_workers, prefetch, tuple(transforms), seed
        self.timeout, self.share = timeout, share
        self.epoch = 0
        # The normalised value of each of the 256 bytes, per channel: (C, 256).
        values = (np.arange(256) / 255 - np.array(dataset.mean)[:, None]) / np.array(dataset.std)[:, None]
        self._table = values.astype(np.float32)
        self._pool = None

    def __len__(self):
        """The number of batches of an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def set_epoch(self, epoch):
        """Choose the epoch that the next iteration serves."""
        self.epoch = epoch

    def order(self):
        """Return the samples of this epoch in order, int64, shape (N,)."""
        count = len(self.dataset)
        if not self.shuffle:
            return np.arange(count)
        return np.random.Generator(np.random.PCG64([self.seed, self.epoch, 1])).permutation(count)

    def batches(self, start_batch=0):
        """Yield the samples of each batch from ``start_batch`` on, of its share only: int64, shape (N,)."""
        order, (part, parts) = self.order(), self.share
        for i in range(start_batch, len(self)):
            batch = order[i * self.batch_size : (i + 1) * self.batch_size]
            yield batch[part * len(batch) // parts : (part + 1) * len(batch) // parts]

    def __iter__(self):
        return self.iterate()

    def iterate(self, start_batch=0):
        """Serve the epoch from batch ``start_batch`` on.

        Parameters
        ----------
        start_batch : int, >= 0

        Returns
        -------
        iterator of (Tensor, ndarray)
        """
        batches = list(self.batches(start_batch))
        return self._with_workers(batches) if self.num_workers else self._alone(batches)

    def _alone(self, batches):
        for indices in batches:
            draws = Draws(self.seed, self.epoch, indices)
            batch = augment(self.dataset.images, indices, self.transforms, draws)
            yield self._normalized(*batch), self.dataset.labels[indices]

    def _with_workers(self, batches):
        pool, ahead = self._workers(), collections.deque()
        todo = enumerate(batches)
        slots = self.num_workers * self.prefetch

        def ask_next():
            for i, indices in todo:
                task = Task(i % slots, self.epoch, indices)
                pool.ask(i % self.num_workers, task)
                ahead.append((i % self.num_workers, task))
                return

        try:
            for _ in range(slots):
                ask_next()
            while ahead:
                number, task = ahead[0]
                pool.wait(number, task)
                ahead.popleft()
                count = len(task.indices)
                choice = Choice.everything(count, *pool.slots.shape[2:4])
                images = self._normalized(pool.slots[task.slot], np.arange(count), choice)
                ask_next()  # the slot is free again
                yield images, self.dataset.labels[task.indices]
        finally:
            if ahead:  # the iteration was left: unread answers would be taken for the next ones
                self.close()

    def _workers(self):
        if self._pool is None:
            self._pool = WorkerPool(
                self.dataset.images,
                self.num_workers * self.prefetch,
                self.batch_size,
                self.transforms,
                self.seed,
                self.num_workers,
                self.timeout,
            )
        return self._pool

    def _normalized(self, images, sources, choice):
        """Return the chosen pixels of images[sources] as a float batch: one pass from uint8."""
        shape = (len(sources), choice.rows.shape[1], choice.columns.shape[1], images.shape[3])
        out = kernels.runtime.memory.empty(shape, np.float32)
        kernels.layers.augment.gather_normalize(
            images,
            np.asarray(sources, np.int64),
            choice.rows.astype(np.int16),
            choice.columns.astype(np.int16),
            choice.boxes.astype(np.int16),
            self._table,
            out,
        )
        return Tensor(nchw(out))

    def close(self):
        """Stop the worker processes; the next iteration starts new ones."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
