"""CIFAR-10: 60,000 photographs of 32 by 32 pixels in ten classes (Krizhevsky 2009).

It has no licence, so no copy comes with this package; `fetch` gets the official archive. The images
are recognised by a digest that does not depend on their order: any genuine copy passes, and nothing
else does.
"""

import hashlib
import pathlib

import numpy as np

from minitorch_cnn.data import archive
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError
from minitorch_cnn.data.official import Official, check_options, default_folder, refuse
from minitorch_cnn.io.safe_unpickler import Machine, PickleError, expect
from minitorch_cnn.types import Path

ADDRESS = "https://www.cs.toronto.edu/~kriz/"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (0.49139968, 0.48215841, 0.44653091), (0.24703223, 0.24348513, 0.26158784)
ARCHIVES = {  # name -> (md5, bytes)
    "cifar-10-binary.tar.gz": ("c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),
    "cifar-10-python.tar.gz": ("c58f30108f718f92721af3b95e74349a", 170_498_071),
}
# sha256 over the sorted sha256 digests of the records of 1 label byte and 3,072 image bytes
DIGESTS = {
    True: "55a61f79a40ece2ceda9fb5f9f7078f6ea2fc4952489cef56682bcf92cfcc260",
    False: "325704b01eb92e1e2a6215ae6a916bb7db7de054af0c496be1c7be2e0fcfbf5f",
}
_RECORD, _PER_FILE = 3073, 10_000
_BINARY, _PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"


def CIFAR10(root: Path | None = None, train: bool = True, verify: bool = True) -> ArrayDataset:
    """Read CIFAR-10 from the official archive, its folder, or a folder that holds either.

    Parameters
    ----------
    root : str, Path or None
        ``cifar-10-batches-bin``, ``cifar-10-batches-py``, an archive of either, or the folder around
        them; None means where `fetch` puts it.
    train : bool
        The 50,000 training images, or the 10,000 test images.
    verify : bool
        False also takes changed images, and says so in ``verified``.

    Returns
    -------
    ArrayDataset

    Raises
    ------
    TypeError
        If ``root`` is not a path, or ``train`` or ``verify`` is not True or False.
    DatasetError
        If nothing is found, a file is damaged, or the images are not the genuine ones.
    """
    check_options("CIFAR10", root, train, verify)
    records = _records(find(root or default_folder()), train)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise DatasetError(f"CIFAR-10: labels - expected 0 to 9, got {labels.max()}")
    counts = np.bincount(labels, minlength=10)
    digest = content_digest(records)
    genuine = digest == DIGESTS[train]
    if verify and (counts != len(records) // 10).any():
        raise DatasetError(f"CIFAR-10: expected {len(records) // 10} images of every class, got {counts.tolist()}")
    if verify and not genuine:
        raise refuse("CIFAR-10", "", DIGESTS[train], digest)
    # (N, 3, 32, 32) planes -> (N, 32, 32, 3)
    images = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return ArrayDataset(images, labels, CLASSES, MEAN, STD, "cifar10", digest, genuine)


def content_digest(records):
    """Return the sha256 over the sorted sha256 digests of records (N, 3073), in any order."""
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(record).digest() for record in records))).hexdigest()


def find(root):
    """Return the folder or the archive that holds the data; raise DatasetError if there is neither."""
    root = pathlib.Path(root)
    places = [root, root / _BINARY, root / _PYTHON, *(root / name for name in ARCHIVES)]
    for place in places:
        if place.name in (_BINARY, _PYTHON) and place.is_dir():
            return place
        if place.name.endswith(".tar.gz") and place.is_file():
            return place
    if (root / "data_batch_1.bin").is_file():
        return root
    raise FILES.not_found(f"{_BINARY} or {next(iter(ARCHIVES))}", root)


def _names(train):
    return [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]


def _records(place, train):
    """Return uint8 records (N, 3073) of a folder or an archive."""
    parts = []
    for name in _names(train):
        if place.is_file():
            parts.append(_parse(name, *_member(place, name)))
            continue
        binary, python = place / f"{name}.bin", place / name
        found = binary if binary.is_file() else python
        if not found.is_file():
            raise DatasetError(f"CIFAR-10: expected {binary.name} or {name} in {place}, found neither")
        parts.append(_parse(name, found.read_bytes(), found is binary))
    return np.concatenate(parts)


def _member(place, name):
    """Return (bytes, is binary) of a file in an archive; pickles are a little larger than their records."""
    largest = 1.05 * _RECORD * _PER_FILE + 2000
    found, content = archive.member("CIFAR-10", place, (f"{name}.bin", name), largest, 7 * largest, "its eight files")
    return content, found.endswith(".bin")


def _parse(name, data, is_binary):
    if is_binary:
        if len(data) != _RECORD * _PER_FILE:
            raise DatasetError(f"CIFAR-10: {name}.bin - expected {_RECORD * _PER_FILE} bytes, got {len(data)}")
        return np.frombuffer(data, np.uint8).reshape(_PER_FILE, _RECORD)
    return _unpickle(name, data)


_NAMES = {"numpy.core.multiarray": {"_reconstruct"}, "numpy": {"ndarray", "dtype"}}


class _Array:
    """A pickled array, which gets its pixels after it has been made."""

    pixels = None


def _call(name, arguments):
    """Return what NumPy's functions would make; of dtypes there is one."""
    if name.name == "dtype":
        if arguments[:1] != (b"u1",):
            raise PickleError(f"expected bytes as pixels, got {arguments!r:.40}")
        return np.uint8
    return _Array()


def _build(value, state):
    if isinstance(value, _Array):
        _, shape, dtype, column_order, content = state
        if dtype is not np.uint8 or column_order is not False:
            raise PickleError("expected rows of bytes")
        value.pixels = np.frombuffer(content, np.uint8).reshape(shape)
    elif value is not np.uint8:  # the state of a dtype says what its name says
        raise PickleError(f"expected an array, got {type(value).__name__}")


def _unpickle(name, data):
    try:
        batch = Machine(_NAMES, _call, _build).run(data)
        pixels, labels = expect(expect(batch, dict)[b"data"], _Array).pixels, expect(batch[b"labels"], list)
        if pixels is None or pixels.shape != (_PER_FILE, 3072) or len(labels) != _PER_FILE:
            raise PickleError(f"got {getattr(pixels, 'shape', None)} with {len(labels)} labels")
        labels = np.array([expect(label, int) for label in labels], np.uint8)
    except (PickleError, KeyError, OverflowError) as error:
        raise DatasetError(f"CIFAR-10: {name} - expected a pickled batch of {_PER_FILE} images: {error}") from error
    return np.concatenate([labels[:, None], pixels], 1)


class _Files(Official):
    """The official archives: binary, which is downloaded, and pickled."""

    title, name, function = "CIFAR-10", "cifar10", "CIFAR10"

    @property
    def address(self):
        return ADDRESS

    @property
    def downloads(self):
        return dict([next(iter(ARCHIVES.items()))])

    def find(self, root):
        return find(root)

    def open(self, root, train=True, verify=True):
        return CIFAR10(root, train, verify)


FILES = _Files()
