"""Images in memory with their labels, and what must travel with them."""

from dataclasses import dataclass, field, replace

import numpy as np

from minitorch_cnn.shapes import nchw
from minitorch_cnn.tensor import Tensor


class DatasetError(ValueError):
    """Data that are not what they should be; the message says what to do."""


@dataclass(frozen=True)
class ArrayDataset:
    """Labelled images in one array.

    Parameters
    ----------
    images : uint8 ndarray, shape (N, H, W, C)
    labels : integer ndarray, shape (N,), 0 .. number of classes - 1
    classes : sequence of str
    mean, std : sequence of float, one per channel, of values 0..1
        What a network's input is normalised with.
    name : str
    digest : str
        Identifies the contents, "" if unknown.
    verified : bool
        Whether the contents are known to be genuine.

    Raises
    ------
    DatasetError
        If arrays do not fit each other.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple
    mean: tuple
    std: tuple
    name: str = "array"
    digest: str = ""
    verified: bool = field(default=False)

    def __post_init__(self):
        images, labels = np.asarray(self.images), np.asarray(self.labels)
        if images.dtype != np.uint8 or images.ndim != 4:
            raise DatasetError(f"images - expected uint8 (N, H, W, C), got {images.dtype} {images.shape}")
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DatasetError(f"labels - expected {len(images)} integers, got {labels.dtype} {labels.shape}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.classes):
            raise DatasetError(
                f"labels - expected 0 to {len(self.classes) - 1} for {len(self.classes)} classes, "
                f"got {labels.min()} to {labels.max()}"
            )
        if not len(self.mean) == len(self.std) == images.shape[3]:
            raise DatasetError(f"mean, std - expected {images.shape[3]} numbers each, got {self.mean}, {self.std}")
        if not min(self.std) > 0:
            raise DatasetError(f"std - expected positive numbers, got {self.std}")
        changes = {"labels": labels.astype(np.int64), "classes": tuple(self.classes)}
        changes |= {"mean": tuple(map(float, self.mean)), "std": tuple(map(float, self.std))}
        for name, value in changes.items():
            object.__setattr__(self, name, value)

    def __len__(self):
        return len(self.images)

    def select(self, indices):
        """Return the dataset of some samples; it is not the whole any more, so it has no digest."""
        return replace(self, images=self.images[indices], labels=self.labels[indices], digest="")

    def batch(self, count):
        """Return the first ``count`` images as a network takes them, with their labels.

        For experiments and tests; `DataLoader` gives shuffled, augmented and normalised batches.

        Parameters
        ----------
        count : int, 1 to N

        Returns
        -------
        (Tensor, ndarray)
            Images, float32 of shape (count, C, H, W) and values 0..1, and labels, int64 of shape (count,).

        Raises
        ------
        ValueError
            If there are fewer images.
        """
        if not 1 <= count <= len(self):
            raise ValueError(f"batch: count - expected 1 to {len(self)}, got {count}")
        return Tensor(nchw(self.images[:count].astype(np.float32) / 255)), self.labels[:count]


def hold_out(dataset, count, seed=0):
    """Divide a dataset: all but ``count`` samples, and ``count`` samples to choose settings with.

    Parameters
    ----------
    dataset : ArrayDataset
    count : int, 0 < count < N
    seed : int
        Which samples.

    Returns
    -------
    (ArrayDataset, ArrayDataset)

    Raises
    ------
    ValueError
        If ``count`` leaves nothing on one side.
    """
    if not 0 < count < len(dataset):
        raise ValueError(f"hold_out: count - expected 1 to {len(dataset) - 1}, got {count}")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(dataset))
    return dataset.select(np.sort(order[count:])), dataset.select(np.sort(order[:count]))
