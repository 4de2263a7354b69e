"""Images in memory with their labels, and what must travel with them."""

import hashlib
import json
import math
import numbers
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.data import mapped
from minitorch_cnn.shapes import nchw
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array


class DatasetError(ValueError):
    """Data that are not what they should be; the message says what to do."""


@dataclass(frozen=True, eq=False)
class ArrayDataset:
    """Labelled images in one array.

    Two datasets are equal if images, labels, classes, mean and standard deviation are.

    Parameters
    ----------
    images : uint8 ndarray, shape (N, H, W, C), H, W and C at least 1
        Kept as a view that cannot be written to: loaders may hold copies in other processes.
    labels : integer ndarray, shape (N,), 0 .. number of classes - 1
    classes : sequence of str, all different
    mean : sequence of float, one per channel, 0..1
    std : sequence of float, one per channel, above 0 to 1
        What a network's input is normalised with: mean and standard deviation of pixels scaled to 0..1.
    name : str
    digest : str
        Identifies images, labels and classes; "" computes it when it is first asked for.
    verified : bool
        Whether the contents are known to be genuine.

    Raises
    ------
    DatasetError
        If one of them is something else, or they do not fit each other.
    """

    images: Array
    labels: Array
    classes: Sequence[str]
    mean: Sequence[float]
    std: Sequence[float]
    name: str = "array"
    digest: str = field(default_factory=str)  # a default in the class would hide `__getattr__`
    verified: bool = field(default=False)

    def __post_init__(self) -> None:
        images, labels = _array("images", self.images), _array("labels", self.labels)
        if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape[1:]:
            raise DatasetError(f"images - expected uint8 (N, H, W, C), got {images.dtype} {images.shape}")
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise DatasetError(f"labels - expected {len(images)} integers, got {labels.dtype} {labels.shape}")
        classes = _class_names(self.classes)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
            raise DatasetError(
                f"labels - expected 0 to {len(classes) - 1} for {len(classes)} classes, "
                f"got {labels.min()} to {labels.max()}"
            )
        mean, std = _numbers(self.mean, self.std, images.shape[3])
        digest = vars(self)["digest"]
        for argument, text in (("name", self.name), ("digest", digest)):
            if not isinstance(text, str):
                raise DatasetError(f"{argument} - expected a string, got {text!r:.60}")
        arguments.flag("ArrayDataset", verified=self.verified)
        images, labels = images.view(), labels.astype(np.int64)
        images.flags.writeable = labels.flags.writeable = False
        changes = {"images": images, "labels": labels, "classes": classes, "mean": mean, "std": std}
        changes["verified"] = bool(self.verified)
        for name, value in changes.items():
            object.__setattr__(self, name, value)
        if not digest:
            object.__delattr__(self, "digest")  # `__getattr__` computes it: that takes a while for many images

    def __getattr__(self, name: str) -> Any:
        if name != "digest":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        object.__setattr__(self, "digest", contents_digest(self))
        return self.digest

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Array, int]:
        """Return image, uint8 (H, W, C), and label of a sample; `select` takes several."""
        try:
            index = operator.index(index)
        except TypeError:
            got = f"{index!r:.60}; select() takes several samples"
            raise TypeError(f"ArrayDataset: index - expected an integer, got {got}") from None
        return self.images[index], int(self.labels[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayDataset):
            return NotImplemented
        settings = ((d.classes, d.mean, d.std) for d in (self, other))
        arrays = ((self.images, other.images), (self.labels, other.labels))
        return len(set(settings)) == 1 and all(a is b or np.array_equal(a, b) for a, b in arrays)

    def __hash__(self) -> int:
        return hash((self.images.shape, self.classes, self.mean, self.std))

    def select(self, indices: Any) -> "ArrayDataset":
        """Return the dataset of some samples, with a digest of its own.

        Parameters
        ----------
        indices : integer or bool ndarray, or slice
        """
        try:
            labels = self.labels[indices]
        except IndexError as error:
            got = f"{str(indices):.60} ({error})"
            raise IndexError(f"select: indices - expected integers, bools or a slice, got {got}") from None
        return replace(self, images=mapped.take(self.images, indices), labels=labels, digest="")

    def batch(self, count: int) -> tuple[Tensor, Array]:
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
        TypeError
            If ``count`` is not an integer.
        ValueError
            If there are fewer images.
        """
        arguments.integer("batch", least=-math.inf, count=count)
        if not 1 <= count <= len(self):
            raise ValueError(f"batch: count - expected 1 to {len(self)}, got {count}")
        return Tensor(nchw(self.images[:count].astype(np.float32) / 255)), self.labels[:count]


def contents_digest(dataset):
    """Return the sha256 of images, labels and class names in their order, 64 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps([dataset.images.shape, dataset.classes]).encode())
    for block in range(0, len(dataset), 1024):  # views of any memory order are copied piece by piece
        digest.update(np.ascontiguousarray(dataset.images[block : block + 1024]))
    digest.update(dataset.labels.astype("<i8"))
    return digest.hexdigest()


def channel_statistics(images, chosen=None):
    """Return mean and standard deviation of each channel, of pixels in 0..1: exact, from counts of the 256 values.

    Parameters
    ----------
    images : uint8 ndarray, shape (N, H, W, C)
    chosen : bool ndarray, shape (N,), or None
        Which of them count, at least one; None means all.
    """
    counts = np.zeros((images.shape[3], 256), np.int64)
    indices = np.arange(len(images)) if chosen is None else np.flatnonzero(chosen)
    for block in range(0, len(indices), 1024):
        part = images[indices[block : block + 1024]]
        counts += [np.bincount(part[..., channel].ravel(), minlength=256) for channel in range(images.shape[3])]
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(1)
    variance = (counts * (values - mean[:, None]) ** 2).sum(1) / counts.sum(1)
    return tuple(mean), tuple(np.maximum(np.sqrt(variance), 1 / 255))  # of images of one colour, too


def _array(name, value):
    try:
        return np.asarray(value)
    except ValueError as error:  # such as rows of different lengths
        raise DatasetError(f"{name} - expected an array, got {type(value).__name__} ({error})") from error


def _class_names(classes):
    """Return class names as a tuple of plain strings."""
    names = () if isinstance(classes, str) or not np.iterable(classes) else tuple(classes)
    if not names or not all(isinstance(name, str) for name in names):
        raise DatasetError(f"classes - expected a sequence of strings, got {classes!r:.60}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"classes - expected different names, got {twice!r} more than once")
    return tuple(map(str, names))


def _numbers(mean, std, channels):
    """Return mean and standard deviation as tuples of plain floats, one per channel."""
    for name, values in (("mean", mean), ("std", std)):
        listed = list(values) if np.iterable(values) and not isinstance(values, str) else []
        if len(listed) != channels or not all(_is_real(value) for value in listed):
            raise DatasetError(f"mean, std - expected {channels} numbers each, got {name} {values!r:.60}")
        if name == "mean" and not all(0 <= value <= 1 for value in listed):
            raise DatasetError(f"mean - expected numbers from 0 to 1, of pixels divided by 255, got {values!r:.60}")
        if name == "std" and not all(0 < value <= 1 for value in listed):
            raise DatasetError(f"std - expected numbers above 0 to 1, of pixels divided by 255, got {values!r:.60}")
    return tuple(map(float, mean)), tuple(map(float, std))


def _is_real(value):
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
