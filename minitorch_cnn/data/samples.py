"""Datasets of your own: any object with a length and items (image, label), read once into arrays.

    class Pets:
        def __len__(self):
            return len(self.files)

        def __getitem__(self, index):
            return PIL.Image.open(self.files[index]).resize((64, 64)), self.labels[index]

A list of such pairs is one as well, and so are the datasets of torchvision.
"""

import operator
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import Variable
from minitorch_cnn.data import mapped, pictures
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError, channel_statistics

_CLASSES = 1000  # without names of classes, a larger label is a mistake, unless there are as many samples


@runtime_checkable
class Dataset(Protocol):
    """What `DataLoader`, `train.Trainer` and `train.Classifier.evaluate` take: a length, and items (image, label).

    An image is a Pillow image or uint8 of shape (H, W) or (H, W, C), all of one shape; a label is an integer from 0 to
    the number of classes - 1. Items are read once, from 0 to ``len() - 1``, see `read_samples`.

    Attributes
    ----------
    classes : sequence of str
        The names of the classes. A dataset need not have them.
    """

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __getitem__(self, index: int, /) -> Any:
        """Return image and label of a sample."""
        ...


def read_samples(
    dataset: Dataset,
    classes: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> ArrayDataset:
    """Read all items of a dataset into one array.

    `DataLoader` and `train.Trainer` do so by themselves; a program that gives several of them the same dataset saves
    time by reading it once.

    Parameters
    ----------
    dataset : Dataset
        Such as a list of (image, label). Grey images among those in colour get three equal channels.
    classes : sequence of str or None
        None takes the attribute ``classes`` of the dataset, or of the dataset that it is a part of (its attribute
        ``dataset``), else "0", "1" and so on up to the largest label.
    mean, std : sequence of float or None
        Of each channel, for pixels scaled to 0..1. None computes them from the images.
    name : str or None
        None takes the name of its class.
    progress : callable or None
        Called with the counts of items that are read and of all.

    Returns
    -------
    ArrayDataset
        Many images lie in a temporary file that is mapped into memory, so that only the pages in use take memory, and
        worker processes share them.

    Raises
    ------
    TypeError
        If it has no length or no items.
    DatasetError
        If it has no item, an item is not (image, label) as `Dataset` says, its shape is not that of the first one, or
        reading it fails; the message names the index.

    Notes
    -----
    Each item is asked for once, so chance in ``__getitem__`` has the same result in every epoch: random crops and
    flips belong into the ``transforms`` of the loader. Cost: that of all items, one after the other.
    """
    classes = None if classes is None else arguments.listed("read_samples", "classes", classes)
    if progress is not None:
        arguments.function("read_samples", progress=progress)
    return _read("read_samples: dataset", dataset, classes, (mean, std), name, progress)


def as_arrays(owner: str, argument: str, dataset: Any, classes: Sequence[str] | None = None) -> ArrayDataset:
    """Return a dataset as arrays; errors as `read_samples`, named after the function and its argument.

    ``classes`` are the names where the dataset itself has none.
    """
    if isinstance(dataset, ArrayDataset):
        return dataset
    return _read(f"{owner}: {argument}", dataset, _class_names(dataset) or classes)


def _read(where, dataset, classes=None, normalisation=(None, None), name=None, progress=None):
    """Read all items; ``where`` begins the messages."""
    count = _count(where, dataset)
    classes = classes or _class_names(dataset)
    most = len(classes) if classes else max(count, _CLASSES)
    first = _item(f"{where}[0]", dataset, 0, most)
    shape = first[0].shape
    images, labels = mapped.empty((count, *shape)), np.empty(count, np.int64)
    for index in range(count):
        at = f"{where}[{index}]"
        image, labels[index] = _item(at, dataset, index, most) if index else first
        if image.shape not in (shape, (*shape[:2], 1)):
            cure = "give all one size and number of channels"
            raise DatasetError(f"{at} - expected uint8 {shape} like the first, got {image.shape}: {cure}")
        images[index] = image
        if progress is not None:
            progress(index + 1, count)
    classes = classes or [str(label) for label in range(labels.max() + 1)]
    computed = channel_statistics(images)
    mean, std = (own if given is None else given for given, own in zip(normalisation, computed, strict=True))
    return ArrayDataset(images, labels, classes, mean, std, name or type(dataset).__name__, verified=True)


def _count(where, dataset):
    """Return the number of items; raise unless the dataset has a length and items, and one at least."""
    if not isinstance(dataset, Dataset) or isinstance(dataset, (str, bytes, Mapping, np.ndarray, Variable)):
        expected = "an ArrayDataset, or an object with len() and items (image, label)"
        raise TypeError(f"{where} - expected {expected}, got {type(dataset).__name__}")
    if count := len(dataset):
        return count
    raise DatasetError(f"{where} - expected at least one item, got a {type(dataset).__name__} of length 0")


def _class_names(dataset):
    """Return the names of the classes of a dataset, or of the dataset that it is a part of; None if there are none."""
    whole = getattr(dataset, "dataset", None)
    return getattr(dataset, "classes", None) or getattr(whole, "classes", None)


def _item(where, dataset, index, classes):
    """Return an item as image, uint8 (H, W, C), and label, below ``classes``."""
    try:
        item = dataset[index]
    except MemoryError:
        raise
    except Exception as error:
        length = f", although its length is {len(dataset)}" if isinstance(error, IndexError) else ""
        raise DatasetError(f"{where} - expected (image, label), got {error!r:.200}{length}") from error
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        cure = "; arrays of all images and all labels are an ArrayDataset" if isinstance(item, np.ndarray) else ""
        raise DatasetError(f"{where} - expected (image, label), got {_told(item)}{cure}")
    return _image(f"{where}[0]", item[0]), _label(f"{where}[1]", item[1], classes)


def _image(where, value):
    """Return an image as uint8 (H, W, C)."""
    if hasattr(value, "getexif"):  # a Pillow image; it is not imported where there is none
        try:
            return pictures.pixels(value)
        except (pictures.PictureError, OSError) as error:
            raise DatasetError(f"{where} - {error}") from error
    expected = "expected a Pillow image or uint8 (H, W, C) with 0 to 255"
    if isinstance(value, (str, os.PathLike)):
        raise DatasetError(f"{where} - {expected}, got {value!r:.60}; data.read_picture(path, size) reads a file")
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of different lengths, a tensor on another device
        raise DatasetError(f"{where} - expected an image, got {type(value).__name__} ({error})") from error
    if array.ndim == 2:
        array = array[..., None]
    if array.dtype == np.uint8 and array.ndim == 3 and array.size and not _channels_first(array.shape):
        return array
    cure = ""
    if array.dtype.kind == "f":
        cure = ": leave out what scales or normalises it, such as ToTensor(); the loader does that"
    elif _channels_first(array.shape):
        cure = ": its channels come first; image.transpose(1, 2, 0) puts them last"
    raise DatasetError(f"{where} - {expected}, got {array.dtype} {array.shape}{cure}")


def _channels_first(shape):
    return len(shape) == 3 and shape[0] in (1, 3) and shape[2] > 4 and shape[1] > 4


def _label(where, value, classes):
    """Return a label as an int."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError("a bool counts nothing")
        label = operator.index(value)
    except (TypeError, ValueError) as error:
        expected = "an integer, the index of its class"
        raise DatasetError(f"{where} - expected {expected}, got {_told(value)}") from error
    if not 0 <= label < classes:
        raise DatasetError(f"{where} - expected a label from 0 to {classes - 1}, got {label}")
    return label


def _told(value):
    """Return what a value is, in short."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{type(value).__name__} {value.dtype} {tuple(value.shape)}"
    if isinstance(value, (str, int, float, type(None))):
        return f"{value!r:.60}"
    return f"{type(value).__name__} {value!r:.60}"
