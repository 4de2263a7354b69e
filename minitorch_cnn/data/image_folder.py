"""Your own pictures: a folder with one folder of pictures for each class.

    pets/cat/*.jpg, pets/dog/*.png, ...                    divided by a seed into training and test pictures
    pets/train/cat/*.jpg, ..., pets/test/cat/*.jpg, ...    divided by you; also "training", "testing", "val" ...

Pictures of any size and kind are decoded once, cut and scaled to one size, and kept in a file that later runs map into
memory: from then on they are read as fast as CIFAR-10, and only the pages in use take memory.
"""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from minitorch_cnn import arguments, shapes
from minitorch_cnn.data import mapped
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError, channel_statistics
from minitorch_cnn.data.pictures import PictureError, read_picture
from minitorch_cnn.io import files
from minitorch_cnn.types import Path, Size

TRAIN, TESTS = ("train", "training"), ("test", "testing", "val", "valid", "validation")
SMALL, LARGE = 32, 64  # pixels per side, where none are asked for
_LOOKED_AT = 200  # pictures whose sizes decide between the two
_NAMED = 5  # broken files in a message


class _Listing(NamedTuple):
    """The picture files of a folder: the paths of all, and for each its class and whether it is for training."""

    root: pathlib.Path
    paths: list  # relative to the root, in a fixed order
    labels: np.ndarray
    train: np.ndarray  # bool
    classes: tuple


def ImageFolder(
    root: Path,
    train: bool = True,
    image_size: Size | None = None,
    channels: int = 3,
    test_share: float = 0.2,
    seed: int = 0,
    skip_broken: bool = False,
    progress: Callable[[int, int], Any] | None = None,
) -> ArrayDataset:
    """Read a folder with one folder of pictures for each class.

    Parameters
    ----------
    root : str or Path
        Holds a folder for each class; or ``train`` and ``test`` (or ``val``), in any case, which hold them. A class
        may have folders inside. Files and folders whose names begin with a point, and files whose names do not end as
        those of pictures, are left out.
    train : bool
        The training pictures, or the test pictures.
    image_size : int, (int, int) or None, pixels, >= 1
        The largest part of that shape around the middle of each picture is cut out and scaled. None takes 32 where
        most pictures are small, else 64.
    channels : 3 or 1
        Colours, or grey.
    test_share : float, above 0 and below 1
        The share of each class that is kept for testing, where there is no folder for that.
    seed : int, >= 0
        Which ones.
    skip_broken : bool
        Leave out files that cannot be read, in place of an error.
    progress : callable or None
        Called with the counts of pictures that are read and of all, while they are decoded.

    Returns
    -------
    ArrayDataset
        Named "folder", with the mean and standard deviation of the training pictures; classes in alphabetical order.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind or out of range.
    DatasetError
        If there is no such folder, it has fewer than two classes, a class has no picture, training and test
        classes differ, or files are broken; the message names them.

    Notes
    -----
    Decoded pictures are kept below the folder that ``MCNN_HOME`` names, in a file for each combination of files (their
    names, sizes and times), image size and channels. Where it cannot be written, they are decoded again each time.
    """
    arguments.path("ImageFolder", root=root)
    arguments.flag("ImageFolder", train=train, skip_broken=skip_broken)
    arguments.integer("ImageFolder", least=0, seed=seed)
    if isinstance(test_share, bool) or not isinstance(test_share, (int, float)) or not 0 < test_share < 1:
        raise ValueError(f"ImageFolder: test_share - expected a number above 0 and below 1, got {test_share!r}")
    if channels not in (1, 3):
        raise ValueError(f"ImageFolder: channels - expected 3 or 1, got {channels!r}")
    listing = _list(pathlib.Path(root), test_share, seed)
    size = _usual_size(listing) if image_size is None else shapes.pair(image_size, "ImageFolder: image_size")
    images, broken = _decoded(listing, size, channels, progress or (lambda *_: None))
    if broken and not skip_broken:
        raise DatasetError(_told(root, broken))
    kept = np.ones(len(listing.paths), bool)
    kept[np.isin(listing.paths, [name for name, _ in broken])] = False
    _check_counts(listing, kept)
    mean, std = channel_statistics(images, kept & listing.train)
    chosen = np.flatnonzero(kept & (listing.train == train))
    return ArrayDataset(
        mapped.take(images, chosen), listing.labels[chosen], listing.classes, mean, std, "folder", "", True
    )


def has_classes(root: Path) -> bool:
    """Return whether a folder looks as `ImageFolder` wants it: folders inside that hold pictures."""
    folder = pathlib.Path(root)
    if not folder.is_dir():
        return False
    base = _part(folder, TRAIN) or folder
    return any(_pictures(inside) for inside in _folders(base))


def count_pictures(root: Path) -> tuple[int, int]:
    """Return how many classes and how many pictures a folder has, broken ones and those for testing included."""
    listing = _list(pathlib.Path(root), 0.2, 0)
    return len(listing.classes), len(listing.paths)


def _list(root, test_share, seed):
    """Find all pictures of a folder."""
    if not root.is_dir():
        raise DatasetError(f"{root} - expected a folder with one folder for each class, found no folder there")
    base, given = _part(root, TRAIN), _part(root, TESTS)
    if base and given:
        classes = _classes(base)
        if (others := _classes(given)) != classes:
            different = ", ".join(sorted(set(classes) ^ set(others)))
            expected = f"expected the same classes in {base.name} and {given.name}"
            raise DatasetError(f"{root} - {expected}, got {different} in one of them")
        parts = [(base, True), (given, False)]
    else:
        base = base or root
        classes, parts = _classes(base), [(base, None)]
    paths, labels, train = [], [], []
    for base, used in parts:
        for label, name in enumerate(classes):
            found = _pictures(base / name)
            if not found:
                raise DatasetError(f"{base / name} - expected at least one picture of this class, found none")
            paths += [path.relative_to(root).as_posix() for path in found]
            labels += [label] * len(found)
            train += [used] * len(found) if used is not None else _divided(len(found), test_share, [seed, label])
    order = np.argsort(np.logical_not(train), kind="stable")  # training pictures first: either part is a view then
    paths, labels, train = [paths[i] for i in order], np.array(labels, np.int64)[order], np.array(train, bool)[order]
    return _Listing(root, paths, labels, train, classes)


def _divided(count, test_share, seed):
    """Return which of ``count`` pictures of a class train: at least one, if there are two at least one tests."""
    tests = min(max(round(count * test_share), 1), count - 1)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(count)
    return (order >= tests).tolist()


def _part(root, names):
    """Return the folder inside that has the first of the names, in any case, and folders inside itself; or None."""
    found = {path.name.lower(): path for path in _folders(root) if path.name.lower() in names and _folders(path)}
    return next((found[name] for name in names if name in found), None)


def _folders(base):
    return sorted(path for path in base.iterdir() if path.is_dir() and not path.name.startswith("."))


def _classes(base):
    names = tuple(path.name for path in _folders(base))
    if len(names) < 2:
        found = ", ".join(names) or "none"
        raise DatasetError(f"{base} - expected a folder for each of at least two classes, found {found}")
    return names


def _pictures(folder):
    """Return the picture files in a folder and the folders inside, in a fixed order."""
    from PIL import Image

    known = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}  # not those only written
    found = []
    for place, inside, names in os.walk(folder):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        ends = [name for name in sorted(names) if os.path.splitext(name)[1].lower() in known and name[0] != "."]
        found += [path for path in (pathlib.Path(place) / name for name in ends) if path.is_file() or path.is_symlink()]
    return found


def _usual_size(listing):
    """Return 32 x 32 where most pictures are small, else 64 x 64; files that cannot be read do not count."""
    from PIL import Image

    sides = []
    step = max(1, len(listing.paths) // _LOOKED_AT)
    for name in listing.paths[::step]:
        with contextlib.suppress(Exception), Image.open(listing.root / name) as file:  # Pillow raises nearly anything
            sides.append(min(file.size))
    side = SMALL if sides and np.median(sides) < 1.5 * SMALL else LARGE
    return side, side


def _told(root, broken):
    """Return what to do about broken files, and their names."""
    named = "; ".join(reason for _, reason in broken[:_NAMED])
    more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    cure = "mend or remove them, or leave them out by skip_broken=True (--skip-broken)"
    return f"{root} - {cure}: {len(broken)} of its files cannot be read: {named}{more}"


def _check_counts(listing, kept):
    """Raise unless every class keeps a picture to train with."""
    counts = np.bincount(listing.labels[kept & listing.train], minlength=len(listing.classes))
    if not counts.all():
        name = listing.classes[int(np.argmin(counts))]
        raise DatasetError(f"{listing.root} - expected at least one picture of {name!r} to train with, got none")


# ----------------------------------------------------------------------- decoding, once


def _decoded(listing, size, channels, progress):
    """Return all pictures, uint8 (N, H, W, C), and [file, reason] of those that are broken; from the cache or new."""
    shape = (len(listing.paths), *size, channels)
    try:
        path = mapped.folder() / f"{_key(listing, size, channels)}.npy"
        with contextlib.suppress(FileNotFoundError, ValueError, EOFError):  # not there yet, or damaged
            return _from_cache(path, shape)
        return _into_cache(path, listing, shape, progress)
    except OSError:  # no folder that can be written, or a full disk
        images = np.empty(shape, np.uint8)
        return images, _decode(listing, images, progress)


def _key(listing, size, channels):
    """Return a name for the cache that changes with the files, their sizes and times, and the form of the result."""
    digest = hashlib.sha256(json.dumps([str(listing.root.resolve()), *size, channels]).encode())
    for name in listing.paths:
        if os.access(listing.root / name, os.R_OK):  # else it is broken until that changes
            found = (listing.root / name).stat()
            digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:32]


def _from_cache(path, shape):
    images = np.load(path, mmap_mode="r")
    if images.shape != shape or images.dtype != np.uint8:
        raise ValueError(f"{path} - expected uint8 {shape}, got {images.dtype} {images.shape}")
    return images, json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))


def _into_cache(path, listing, shape, progress):
    """Decode into a file, which is given its name when it is complete; memory holds only the pages in use."""
    temporary = files.temporary(path)
    try:
        images = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        mapped.reserve(temporary)
        broken = _decode(listing, images, progress)
        images.flush()
        del images  # Windows renames no file that is mapped
        files.atomic_write(path.with_suffix(".json"), json.dumps(broken).encode())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return _from_cache(path, shape)


def _decode(listing, images, progress):
    """Fill an array with pictures, in several threads; return [file, reason] of those that are broken."""
    _, height, width, channels = images.shape

    def read(index):
        try:
            images[index] = read_picture(listing.root / listing.paths[index], (height, width), channels)
        except PictureError as error:
            told = str(error)
        except (FileNotFoundError, PermissionError) as error:  # a link to nowhere, or a file of somebody else
            told = f"{listing.root / listing.paths[index]} - expected a file that can be read, got {error.strerror}"
        else:
            return None
        images[index] = 0
        return [listing.paths[index], told]

    broken, count = [], len(images)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done, found in enumerate(pool.map(read, range(count)), 1):
            broken += [found] if found else []
            if done % 64 == 0 or done == count:
                progress(done, count)
    return broken
