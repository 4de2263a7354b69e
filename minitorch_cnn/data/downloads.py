"""All datasets that can be downloaded."""

import pathlib
from collections.abc import Callable
from typing import Any

from minitorch_cnn import arguments
from minitorch_cnn.data import cifar10, cifar100, idx
from minitorch_cnn.data.official import Official
from minitorch_cnn.types import Path

OFFICIAL: dict[str, Official] = {
    files.name: files for files in (cifar10.FILES, cifar100.FILES, idx.MNIST_FILES, idx.FASHION_MNIST_FILES)
}


def recognised(root: Path) -> Official | None:
    """Return the dataset that lies in or around a folder or archive, or None.

    Where several have files of these names and none is the genuine one, the names of the folders decide.
    """
    place = pathlib.Path(root)
    found = [files for files in OFFICIAL.values() if files.is_in(place)]
    named = [files for files in found if _letters(files.name) in _letters(str(place.resolve()))]
    likely = max(named or found[:1], key=lambda files: len(files.name), default=None)
    return next((files for files in found if files.is_genuine(files.find(place))), likely)


def _letters(name):
    """Return a name without what people write in several ways: Fashion-MNIST, fashion_mnist, FashionMNIST."""
    return name.lower().replace("-", "").replace("_", "")


def fetch(
    source: Path | None = None,
    folder: Path | None = None,
    progress: Callable[..., Any] | None = None,
    dataset: str = "cifar10",
) -> pathlib.Path:
    """Get a dataset into a folder, by download or from a file or folder that is already there.

    Parameters
    ----------
    source : str, Path or None
        An archive or a folder to import; None downloads, from the addresses in ``MCNN_MIRROR``
        (separated by spaces) and then from the official ones.
    folder : str, Path or None
        Where to put it; None means ``data`` in ``MCNN_HOME`` or the user's cache. MNIST and Fashion-MNIST, whose files
        have the same names, get a folder of their own inside, ``mnist`` or ``fashion_mnist``; so have mirrors.
    progress : callable or None
        See `files.download`.
    dataset : "cifar10", "cifar100", "mnist" or "fashion_mnist"

    Returns
    -------
    Path
        What `CIFAR10`, `CIFAR100`, `MNIST` or `FashionMNIST` reads.

    Raises
    ------
    TypeError
        If ``source`` or ``folder`` is not a path.
    ValueError
        If there is no such dataset.
    DatasetError
        If what was found is not genuine; nothing is kept of it.
    DownloadError
        If no address serves a file; the message names the file to copy and where to.
    """
    for name, value in (("source", source), ("folder", folder)):
        if value is not None:
            arguments.path("fetch", **{name: value})
    if dataset not in OFFICIAL:
        raise ValueError(f"fetch: dataset - expected one of {', '.join(OFFICIAL)}, got {dataset!r}")
    return OFFICIAL[dataset].get(source, folder, progress)
