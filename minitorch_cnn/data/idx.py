"""MNIST and Fashion-MNIST: 70,000 grey pictures of 28 by 28 pixels in ten classes, in the format IDX.

An IDX file has two bytes of zeros, one that names the type of the values, one that counts the axes, the length of each
axis in four bytes, the highest first, and the values. Both datasets have the same four files under the same names,
which are told apart by their sums.

Sources: LeCun, Cortes and Burges, "The MNIST database"; Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747.
"""

import math
import pathlib
from dataclasses import dataclass

import numpy as np

from minitorch_cnn.data import archive
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError
from minitorch_cnn.data.official import Official, check_options, contents_md5, default_folder, refuse
from minitorch_cnn.types import Path

_NAMES = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_BYTES = 0x08  # the type of the values
_MOST = 1 << 30  # bytes of a file


@dataclass
class IdxFiles(Official):
    """A dataset of four IDX files.

    ``downloads`` has the sums of the compressed files, and ``contents`` the md5 of what is in them: a copy that was
    unpacked, or packed again, is genuine as well.
    """

    title: str
    name: str
    function: str
    address: str
    downloads: dict
    contents: dict
    classes: tuple
    mean: float
    std: float
    around: tuple  # folders in which it is also found
    may_mirror: bool = True

    @property
    def subfolder(self):
        return self.name

    def find(self, root):
        root = pathlib.Path(root)
        if root.is_file() and root.name.removesuffix(".gz") in (*_NAMES[True], *_NAMES[False]):
            root = root.parent
        for place in (root, *(root / inside for inside in self.around)):
            if all(_path(place, name) for name in _NAMES[True]) or all(_path(place, name) for name in _NAMES[False]):
                return place
        raise self.not_found(f"{_NAMES[True][0]} or {_NAMES[True][0]}.gz", root)

    def parts(self, place):
        return [path for name in self.contents if (path := _path(place, name))]

    def is_genuine(self, place):
        for _, name in _NAMES.values():
            if path := _path(place, name):
                return contents_md5(archive.unpacked(self.title, path, _MOST)) == self.contents[name]
        return False

    def open(self, root, train=True, verify=True):
        check_options(self.function, root, train, verify)
        place = self.find(root or default_folder())
        (images, whole), (labels, whole_labels) = (
            self._read(place, name, axes, verify) for name, axes in zip(_NAMES[train], (3, 1), strict=True)
        )
        if len(images) != len(labels):
            raise DatasetError(
                f"{self.title}: {place} - expected as many labels as images, {len(images)}, got {len(labels)}"
            )
        if len(labels) and labels.max() >= len(self.classes):
            raise DatasetError(f"{self.title}: labels - expected 0 to {len(self.classes) - 1}, got {labels.max()}")
        genuine = whole and whole_labels
        return ArrayDataset(images[..., None], labels, self.classes, (self.mean,), (self.std,), self.name, "", genuine)

    def _read(self, place, name, axes, verify):
        """Return the array in a file, and whether it is the genuine one."""
        path = _path(place, name)
        if path is None:
            raise DatasetError(f"{self.title}: expected {name} or {name}.gz in {place}, found neither")
        content = archive.unpacked(self.title, path, _MOST)
        digest = contents_md5(content)
        genuine = digest == self.contents[name]
        array = _parsed(f"{self.title}: {path}", content, axes)
        if verify and not genuine:
            raise refuse(self.title, f"{path.name} - ", self.contents[name], digest, "md5 of the contents")
        return array, genuine


def _path(place, name):
    """Return the path of a file, unpacked or packed, or None."""
    return next((path for path in (place / name, place / f"{name}.gz") if path.is_file()), None)


def _parsed(owner, content, axes):
    """Return the uint8 array of an IDX file."""
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes([0, 0, _BYTES, axes]):
        raise DatasetError(f"{owner} - expected an IDX file of bytes with {axes} axes, got {content[:4].hex(' ')}")
    shape = tuple(int(length) for length in np.frombuffer(content, ">u4", axes, 4))
    if len(content) != start + math.prod(shape) or 0 in shape[1:]:
        raise DatasetError(f"{owner} - expected {start} bytes and those of {shape}, got {len(content)} bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


MNIST_FILES = IdxFiles(
    title="MNIST",
    name="mnist",
    function="MNIST",
    may_mirror=False,  # a mirrored digit is not a digit
    address="https://ossci-datasets.s3.amazonaws.com/mnist/ https://storage.googleapis.com/cvdf-datasets/mnist/",
    downloads={
        "train-images-idx3-ubyte.gz": ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
        "train-labels-idx1-ubyte.gz": ("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
        "t10k-images-idx3-ubyte.gz": ("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
        "t10k-labels-idx1-ubyte.gz": ("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
    },
    contents={
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    },
    classes=tuple("0123456789"),
    mean=0.13066,
    std=0.30811,
    around=("mnist", "MNIST/raw", "raw"),
)

FASHION_MNIST_FILES = IdxFiles(
    title="Fashion-MNIST",
    name="fashion_mnist",
    function="FashionMNIST",
    address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/ "
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    downloads={
        "train-images-idx3-ubyte.gz": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        "train-labels-idx1-ubyte.gz": ("25c81989df183df01b3e8a0aad5dffbe", 29_515),
        "t10k-images-idx3-ubyte.gz": ("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        "t10k-labels-idx1-ubyte.gz": ("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    },
    contents={
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    },
    classes=("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    mean=0.28604,
    std=0.35302,
    around=("fashion_mnist", "FashionMNIST/raw", "raw"),
)


def MNIST(root: Path | None = None, train: bool = True, verify: bool = True) -> ArrayDataset:
    """Read MNIST, handwritten digits, from its four official files, packed or unpacked.

    Parameters
    ----------
    root : str, Path or None
        The folder with the files, or the folder around ``mnist``, ``MNIST/raw`` or ``raw``; None means where
        ``fetch(dataset="mnist")`` puts them.
    train : bool
        The 60,000 training images, or the 10,000 test images.
    verify : bool
        False also takes other files of the format, of any number and size of images, and says so in ``verified``.

    Returns
    -------
    ArrayDataset
        Grey: images (N, 28, 28, 1), 0 is the paper.

    Notes
    -----
    A mirrored digit is not a digit: train without flips, as the recipe "mnist" does.

    Raises
    ------
    TypeError
        If ``root`` is not a path, or ``train`` or ``verify`` is not True or False.
    DatasetError
        If nothing is found, a file is damaged, or the images are not the genuine ones.
    """
    return MNIST_FILES.open(root, train, verify)


def FashionMNIST(root: Path | None = None, train: bool = True, verify: bool = True) -> ArrayDataset:
    """Read Fashion-MNIST, pictures of clothes, from its four official files, packed or unpacked.

    Parameters
    ----------
    root, train, verify
        As for `MNIST`; the folders inside are ``fashion_mnist``, ``FashionMNIST/raw`` and ``raw``.

    Returns
    -------
    ArrayDataset
        Grey: images (N, 28, 28, 1).

    Raises
    ------
    TypeError, DatasetError
        As for `MNIST`.
    """
    return FASHION_MNIST_FILES.open(root, train, verify)
