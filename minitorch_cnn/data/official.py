"""Datasets as their authors offer them: files with known sums, at known addresses."""

import hashlib
import os
import pathlib
from collections.abc import Callable
from typing import Any

from minitorch_cnn import arguments
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError
from minitorch_cnn.io import files


class Official:
    """A dataset that can be downloaded; each dataset says where its files are and how they are read.

    Attributes
    ----------
    title : str
        As people write it, such as "CIFAR-10".
    name : str
        As the command line and records write it, such as "cifar10".
    function : str
        What reads it in `minitorch_cnn.data`.
    may_mirror : bool
        Whether an image that is mirrored left to right still shows its class.
    subfolder : str
        Below the folder of all downloads, and below each mirror; "" if the files stand there themselves.
    address : str
        The official addresses of the folder with the files, separated by spaces.
    downloads : dict
        The files to get: {name: (md5, bytes)}.
    """

    title: str
    name: str
    function: str
    may_mirror = True
    subfolder = ""
    address: Any
    downloads: Any

    def find(self, root: pathlib.Path) -> pathlib.Path:
        """Return the folder or archive with the data in or around ``root``; raise DatasetError if there is none."""
        raise NotImplementedError

    def open(self, root: Any, train: bool = True, verify: bool = True) -> ArrayDataset:
        """Return the training images or the test images."""
        raise NotImplementedError

    def parts(self, place: pathlib.Path) -> list[pathlib.Path]:
        """Return the files and folders to copy of a place that `find` returned."""
        return [place]

    def is_genuine(self, place: pathlib.Path) -> bool:
        """Return whether the place that `find` returned looks like this dataset and no other of the same form."""
        return True

    def is_in(self, root: pathlib.Path) -> bool:
        """Return whether ``root`` holds the data."""
        try:
            self.find(root)
        except DatasetError:
            return False
        return True

    @property
    def command(self) -> str:
        """The command that downloads it."""
        return "mcnn data get" if self.name == "cifar10" else f"mcnn data get {self.name}"

    def not_found(self, expected: str, root: pathlib.Path) -> DatasetError:
        """Return the error for a place without the data."""
        return DatasetError(f"{self.title}: expected {expected} in {root}, found neither; `{self.command}` fetches it")

    def get(self, source: Any, folder: Any, progress: Callable[..., Any] | None) -> pathlib.Path:
        """Download the files or copy them from ``source``; see `fetch`."""
        folder = pathlib.Path(folder) if folder else default_folder()
        if source is not None:
            return self._copy(pathlib.Path(source), folder)
        folder = folder / self.subfolder
        folder.mkdir(parents=True, exist_ok=True)
        for name, (md5, size) in self.downloads.items():
            target = folder / name
            if not (target.is_file() and target.stat().st_size == size and files.hash_file(target, "md5") == md5):
                addresses = [address + name for address in self._addresses()]
                files.download(addresses, target, size=size, digest=md5, algorithm="md5", progress=progress)
        place = folder / next(iter(self.downloads)) if len(self.downloads) == 1 else folder
        self._check(place)
        return place

    def _addresses(self):
        """Return the folders to download from: the mirrors, then the official addresses."""
        mirrors = [f"{mirror.rstrip('/')}/{self.subfolder}" for mirror in os.environ.get("MCNN_MIRROR", "").split()]
        return [f"{address.rstrip('/')}/" for address in [*mirrors, *self.address.split()]]

    def _copy(self, source, folder):
        """Check what lies at ``source``, then copy it."""
        if not source.exists():
            got = f"{str(source)!r}, which does not exist"
            raise DatasetError(f"fetch: source - expected an archive or a folder, got {got}")
        place = self.find(source)
        self._check(place)
        folder = folder / self.subfolder
        folder.mkdir(parents=True, exist_ok=True)
        parts = self.parts(place)
        for part in parts:
            target = folder / part.name
            if os.path.realpath(part) == os.path.realpath(target):  # unlike resolve, it takes links to themselves
                continue
            for path in [part] if part.is_file() else [path for path in sorted(part.rglob("*")) if path.is_file()]:
                inside = target / path.relative_to(part)
                inside.parent.mkdir(parents=True, exist_ok=True)
                files.copy(path, inside)
        return folder / parts[0].name if parts == [place] else folder

    def _check(self, place):
        """Raise DatasetError unless all images are the genuine ones."""
        for train in (True, False):
            self.open(place, train)


def default_folder() -> pathlib.Path:
    """Return the folder that `fetch` fills."""
    return files.mcnn_home() / "data"


def contents_md5(content: bytes) -> str:
    """Return the md5 of the contents of a file, in hexadecimal, as the authors of datasets publish it."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def check_options(owner: str, root: Any, train: Any, verify: Any) -> None:
    """Raise TypeError unless the arguments of a dataset are what they should be."""
    if root is not None:
        arguments.path(owner, root=root)
    arguments.flag(owner, train=train, verify=verify)


def refuse(title: str, name: str, expected: str, got: str, kind: str = "content digest") -> DatasetError:
    """Return the error for images that are not the genuine ones."""
    return DatasetError(
        f"{title}: {name}{kind} - expected {expected}, got {got}; these are not the genuine images (a copy through "
        "JPEG, for example, costs accuracy); `mcnn train --data FOLDER --unverified`, or verify=False, takes them"
    )
