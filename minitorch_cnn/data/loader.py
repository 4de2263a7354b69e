"""DataLoader: batches of normalised images, in an order and with an augmentation that can be repeated."""

import contextlib
import math
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.data.iterator import BatchIterator, from_workers
from minitorch_cnn.data.mixing import Mixing
from minitorch_cnn.data.philox import Draws
from minitorch_cnn.data.pool import WorkerPool, pickled, possible_workers
from minitorch_cnn.data.samples import Dataset, as_arrays
from minitorch_cnn.data.transforms import Choice, augment
from minitorch_cnn.shapes import nchw
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array

_EPOCHS = 1 << 32  # the random numbers of an augmentation count epochs in 32 bits, and seeds in 64
_SEEDS = 1 << 64
_OF_THIS_PROCESS = ("_lock", "_idle", "_pools", "_running")  # not copied with a loader


class DataLoader:
    """Serves a dataset in batches.

    Which samples a batch holds and how each is augmented depends on (seed, epoch, sample) alone: any
    number of workers gives the same bytes, and an epoch can be entered at any batch.

    Parameters
    ----------
    dataset : ArrayDataset or another `Dataset`
        The latter is read once, into an ArrayDataset, see `read_samples`.
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
    seed : int, 0 .. 2**64 - 1
    timeout : float, seconds, above 0
        How long a worker may take for a batch.
    share : (int, int)
        (i, n): serve the i-th of n nearly equal parts of every batch; n loaders serve the batches of
        one. Needs ``drop_last``.
    mixing : Mixing or None
        Mixes the normalised images of each batch in pairs; labels are then probabilities, float32 (N, K).

    Attributes
    ----------
    epoch : int, 0 .. 2**32 - 1
        That of the latest iteration, or what `set_epoch` has chosen for the next one. Each loop over a loader continues
        to the next epoch, so that several loops see several orders and augmentations. The arguments are attributes
        too, and stay as they are.

    Raises
    ------
    TypeError
        If the dataset or the transforms are something else, or a transform cannot be sent to a worker.
    ValueError
        If a number is out of range.
    DatasetError
        If the items of the dataset are not what they should be, see `read_samples`.

    Notes
    -----
    Iterating gives (images, labels): a float32 Tensor (N, C, H, W), channels-last in memory and
    normalised with the dataset's mean and standard deviation, and an int64 ndarray (N,).

    Several iterations may run at once, nested or in several threads: each has its own epoch, and its own worker
    processes while it runs.
    """

    _SETTINGS = (
        "dataset",
        "batch_size",
        "shuffle",
        "drop_last",
        "num_workers",
        "prefetch",
        "transforms",
        "seed",
        "timeout",
        "share",
        "mixing",
    )

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 128,
        shuffle: bool = False,
        drop_last: bool = False,
        num_workers: int = 0,
        prefetch: int = 2,
        transforms: Sequence[Callable[[Any, Any], Array]] = (),
        seed: int = 0,
        timeout: float = 60.0,
        share: tuple[int, int] = (0, 1),
        mixing: Mixing | None = None,
    ):
        limits = {
            "batch_size": (batch_size, 1),
            "num_workers": (num_workers, 0),
            "prefetch": (prefetch, 1),
            "seed": (seed, 0),
        }
        for name, (value, least) in limits.items():
            if not _is_integer(value) or value < least:
                raise ValueError(f"DataLoader: {name} - expected an integer >= {least}, got {value!r}")
        if seed >= _SEEDS:
            raise ValueError(f"DataLoader: seed - expected an integer below 2**64, got {seed!r}")
        arguments.flag("DataLoader", shuffle=shuffle, drop_last=drop_last)
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float, np.number)) or not 0 < timeout < math.inf:
            raise ValueError(f"DataLoader: timeout - expected a positive number of seconds, got {timeout!r}")
        dataset = self.dataset = as_arrays("DataLoader", "dataset", dataset)
        self.batch_size, self.shuffle, self.drop_last = int(batch_size), shuffle, drop_last
        self.prefetch, self.transforms, self.seed = int(prefetch), _listed(transforms), int(seed)
        self.timeout, self.share = float(timeout), _checked_share(share, self.batch_size, drop_last)
        if mixing is not None:
            arguments.instance("DataLoader", Mixing, mixing=mixing)
        self.mixing, self.num_workers = mixing, _workers(int(num_workers))
        if self.num_workers:
            pickled(self.transforms)  # here, and not only when the first batch is asked for
        # The normalised value of each of the 256 bytes, per channel: (C, 256).
        values = (np.arange(256) / 255 - np.array(dataset.mean)[:, None]) / np.array(dataset.std)[:, None]
        self._table = values.astype(np.float32)
        self._begin_alone()
        self.epoch = 0

    def _begin_alone(self):
        """Start without workers: those of a loader belong to it and to the process that started them."""
        self._lock = threading.RLock()  # for what follows and the epoch; a collected iterator may want it again
        self._idle = None  # a pool of workers that no iteration uses
        self._pools = weakref.WeakSet()  # all pools
        self._running = weakref.WeakSet()  # iterators with workers

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._SETTINGS and name in self.__dict__:
            raise AttributeError(
                f"DataLoader: {name} - expected to stay {getattr(self, name)!r:.40}, got {value!r:.40}: iterations and "
                "workers rely on it; make another loader"
            )
        if name == "epoch" and not (_is_integer(value) and 0 <= value < _EPOCHS):
            raise ValueError(f"DataLoader: epoch - expected an integer, 0 to 2**32 - 1, got {value!r}")
        object.__setattr__(self, name, value)
        if name == "epoch":
            object.__setattr__(self, "_begun", False)  # whether an iteration of this epoch has begun

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _OF_THIS_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin_alone()

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        whole, rest = divmod(len(self.dataset.images), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration serves; an iteration that is running keeps its own.

        Parameters
        ----------
        epoch : int, 0 .. 2**32 - 1

        Raises
        ------
        ValueError
            If it is something else.
        """
        self.epoch = epoch

    def order(self) -> Array:
        """Return the samples of this epoch in order, int64, shape (N,)."""
        return self._order(self.epoch)

    def _order(self, epoch):
        count = len(self.dataset.images)
        if not self.shuffle:
            return np.arange(count)
        return np.random.Generator(np.random.PCG64([self.seed, int(epoch), 1])).permutation(count)

    def batches(self, start_batch: int = 0) -> Any:
        """Return the samples of each batch of this epoch from ``start_batch`` on.

        Parameters
        ----------
        start_batch : int, 0 .. number of batches

        Returns
        -------
        list of ndarray
            The loader's share of each batch, int64, shape (N,).

        Raises
        ------
        ValueError
            If there is no such batch.
        """
        return self._batches(start_batch, self.epoch)

    def _batches(self, start_batch, epoch):
        if not _is_integer(start_batch) or not 0 <= start_batch <= len(self):
            raise ValueError(f"DataLoader: start_batch - expected an integer, 0 to {len(self)}, got {start_batch!r}")
        order, (part, parts) = self._order(epoch), self.share
        whole = [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(start_batch, len(self))]
        return [batch[part * len(batch) // parts : (part + 1) * len(batch) // parts] for batch in whole]

    def __iter__(self) -> Iterator[tuple[Tensor, Array]]:
        with self._lock:
            if self._begun:
                self.epoch = (self.epoch + 1) % _EPOCHS
            return self.iterate()

    def iterate(self, start_batch: int = 0) -> BatchIterator:
        """Serve the epoch from batch ``start_batch`` on; unlike a loop over the loader, again if it was served before.

        Parameters
        ----------
        start_batch : int, 0 .. number of batches

        Returns
        -------
        iterator of (Tensor, ndarray)
            Of the epoch that the loader has now; a later choice does not change it. It has a ``close()``.

        Raises
        ------
        ValueError
            If there is no such batch.
        """
        epoch = self.epoch
        batches = self._batches(start_batch, epoch)
        self._begun = True
        with_workers = self.num_workers and batches
        served = self._with_workers(batches, epoch) if with_workers else self._alone(batches, epoch)
        if self.mixing is not None:
            served = self._mixed(served, start_batch, epoch)
        iterator = BatchIterator(served, len(batches))
        if not with_workers:
            return iterator
        with self._lock:
            self._running.add(iterator)
        return iterator

    def _alone(self, batches, epoch):
        for indices in batches:
            batch = augment(self.dataset.images, indices, self.transforms, Draws(self.seed, epoch, indices))
            yield self._normalized(*batch), self.dataset.labels[indices]

    def _with_workers(self, batches, epoch):
        pool = self._take_pool()
        try:
            for indices, images in from_workers(pool, batches, epoch, self.prefetch, self._normalized_slot):
                yield images, self.dataset.labels[indices]
        finally:
            self._give_back(pool)

    def _mixed(self, served, start_batch, epoch):
        """Yield batches whose images are mixed, in a way that depends on seed, epoch and batch alone."""
        part, parts = self.share
        with contextlib.closing(served):
            for number, (images, labels) in enumerate(served, start_batch):
                stream = np.random.Generator(np.random.PCG64([self.seed, int(epoch), 2, number]))
                pixels = images.data.transpose(0, 2, 3, 1)  # (N, H, W, C), as it lies in memory
                count = self.batch_size if parts > 1 else len(labels)  # of the whole batch
                first = part * count // parts
                weights = self.mixing.weights(count, *pixels.shape[1:3], stream)[first : first + len(labels)]
                pixels, targets = self.mixing(pixels, labels, len(self.dataset.classes), weights)
                yield Tensor(nchw(pixels)), targets

    def _take_pool(self):
        """Return workers for one iteration: those of an earlier one, or new ones."""
        with self._lock:
            pool, self._idle = self._idle, None
        if pool is not None and pool.owner == os.getpid():
            return pool
        rows = min(self.batch_size, len(self.dataset.images))
        slots = self.num_workers * self.prefetch
        images, workers = self.dataset.images, self.num_workers
        pool = WorkerPool(images, slots, rows, self.transforms, self.seed, workers, self.timeout)
        with self._lock:
            self._pools.add(pool)
        return pool

    def _give_back(self, pool):
        """Keep the workers of an iteration for the next one, unless they are busy or others are kept already."""
        with self._lock:
            keep = self._idle is None and pool.at_rest
            if keep:
                self._idle = pool
        if not keep:
            pool.close()

    def _normalized_slot(self, images):
        """Return a finished batch of a worker as a float batch, out of the memory that is shared."""
        return self._normalized(images, np.arange(len(images)), Choice.everything(*images.shape[:3]))

    def _normalized(self, images, sources, choice):
        """Return the chosen pixels of images[sources] as a float batch: one pass from uint8."""
        shape = (len(sources), choice.rows.shape[1], choice.columns.shape[1], images.shape[3])
        out = kernels.runtime.memory.empty(shape, np.float32)
        sources = np.asarray(sources, np.int64)
        kernels.layers.augment.gather_normalize(
            images, sources, choice.rows, choice.columns, choice.boxes, self._table, out
        )
        return Tensor(nchw(out))

    def close(self) -> None:
        """Stop the worker processes; the next iteration starts new ones.

        An iteration that still runs with workers ends with an error when it is asked for its next batch.
        """
        with self._lock:
            running, self._idle = list(self._running), None
        for iterator in running:
            iterator.abort()
        with self._lock:
            pools, self._idle = list(self._pools), None
        for pool in pools:
            pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_integer(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _listed(transforms):
    """Return transforms as a tuple, or raise TypeError."""
    is_sequence = np.iterable(transforms) and not callable(transforms)
    listed = tuple(transforms) if is_sequence else ()
    wrong = [transform for transform in listed if not callable(transform)] if is_sequence else [transforms]
    if wrong:
        raise TypeError(f"DataLoader: transforms - expected a sequence of callables, got {wrong[0]!r}")
    return listed


def _checked_share(share, batch_size, drop_last):
    fits = isinstance(share, (tuple, list)) and len(share) == 2 and all(map(_is_integer, share))
    if not fits or not 0 <= share[0] < share[1] <= batch_size:
        expected = f"(i, n) with 0 <= i < n <= {batch_size}, the size of a batch"
        raise ValueError(f"DataLoader: share - expected {expected}, got {share!r}")
    if share[1] > 1 and not drop_last:
        raise ValueError(f"DataLoader: share - expected drop_last=True with it, got {share!r} of a smaller last batch")
    return int(share[0]), int(share[1])


def _workers(count):
    """Return how many worker processes there can be."""
    possible = possible_workers(count)
    if possible < count:
        warnings.warn(
            f"DataLoader: num_workers - expected {possible} on this system, which has no processes, got "
            f"{count}; this process prepares the batches, with the same result",
            RuntimeWarning,
            stacklevel=3,
        )
    return possible
