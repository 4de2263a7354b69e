"""Pictures in files, listed with their classes, and how a list becomes a dataset.

Pictures of any size and kind are decoded once, cut and scaled to one size, and kept in a file that later runs map into
memory: from then on they are read as fast as CIFAR-10, and only the pages in use take memory.
"""

import contextlib
import hashlib
import json
import numbers
import os
import pathlib
import unicodedata
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from minitorch_cnn import arguments, shapes
from minitorch_cnn.data import mapped
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError, channel_statistics
from minitorch_cnn.data.pictures import PictureError, check_channels, read_picture
from minitorch_cnn.io import files

TRAIN = ("train", "training")
TESTS = ("test", "testing"), ("val", "valid", "validation")  # names of one part each; of two parts the first is used
SMALL, LARGE = 32, 64  # pixels per side, where none are asked for
_LOOKED_AT = 200  # pictures whose sizes decide between the two
_NAMED = 5  # broken files in a message


class Options(NamedTuple):
    """What the readers of pictures have in common; see `ImageFolder`."""

    image_size: object = None
    channels: int = 3
    test_share: float = 0.2
    seed: int = 0
    skip_broken: bool = False


class Listing(NamedTuple):
    """Picture files: the paths of all, and for each its class and whether it is for training."""

    source: pathlib.Path  # the folder or table, as messages name it
    root: pathlib.Path
    paths: list  # relative to the root, in a fixed order: those for training first
    labels: np.ndarray
    train: np.ndarray  # bool
    classes: tuple
    lines: dict  # the line of the table that names a path; empty for folders
    left_out: list  # a sentence for each file that is not among them, though it should be
    drawn: bool  # whether a seed has chosen those for testing


def make(source, root, entries, classes, drawn, lines=None, left_out=()):
    """Return the `Listing` of entries (path, label, for training), with those for training first: each part is a view.

    Parameters
    ----------
    source, root : Path
    entries : iterable of (str, int, bool)
    classes : tuple of str
    drawn : bool
    lines : dict or None
    left_out : iterable of str
    """
    paths, labels, train = zip(*sorted(entries, key=lambda entry: not entry[2]), strict=True)
    labels, train = np.array(labels, np.int64), np.array(train, bool)
    others = {"lines": lines or {}, "left_out": list(left_out), "drawn": drawn}
    return Listing(source, root, list(paths), labels, train, classes, **others)


def visible(name):
    """Return a name as a reader sees it: one form of each accent, single spaces, nothing invisible."""
    text = unicodedata.normalize("NFC", name)
    return " ".join("".join(c for c in text if c.isprintable() or c.isspace()).split())


def check_told_apart(source, names, form=visible):
    """Raise DatasetError if two different names of classes have the same ``form``: somebody meant one class."""
    seen = {}
    for name in names:
        other = seen.setdefault(form(name), name)
        if other != name:
            raise DatasetError(
                f"{source} - expected names of classes that a reader can tell apart, got {other!a} and {name!a}"
            )


def check_names(source, names):
    """Raise DatasetError if names of classes look alike; warn of the first two that differ in capital letters alone.

    Windows and macOS make one folder of the latter.
    """
    check_told_apart(source, names)
    seen = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            told = f"the classes {other!r} and {name!r} differ in capital letters alone and are learned as two"
            warnings.warn(f"{source}: {told}", stacklevel=2)
            return


def check(owner, source, train, options, progress):
    """Raise TypeError or ValueError unless the arguments of a reader are what they should be."""
    arguments.path(owner, **source)
    arguments.flag(owner, train=train, skip_broken=options.skip_broken)
    arguments.integer(owner, least=0, seed=options.seed)
    if progress is not None:
        arguments.function(owner, progress=progress)
    share, channels = options.test_share, options.channels
    if isinstance(share, bool) or not isinstance(share, numbers.Real) or not 0 < share < 1:
        raise ValueError(f"{owner}: test_share - expected a number above 0 and below 1, got {share!r}")
    check_channels(owner, channels)
    if options.image_size is not None:
        shapes.pair(options.image_size, f"{owner}: image_size")


class Pictures(NamedTuple):
    """The decoded pictures of a list."""

    images: np.ndarray  # uint8 (N, H, W, C)
    kept: np.ndarray  # bool: not broken
    broken: list  # [file, reason]


def read(listing, options, progress):
    """Return the `Pictures` of a list.

    Parameters
    ----------
    listing : Listing
    options : Options
    progress : callable or None

    Raises
    ------
    DatasetError
        If files are broken, or leave a class without a picture to train with.
    """
    size = _usual_size(listing) if options.image_size is None else shapes.pair(options.image_size, "image_size")
    images, broken = _decoded(listing, size, options.channels, progress or (lambda *_: None))
    if broken and not options.skip_broken:
        raise DatasetError(_told(listing, broken))
    kept = np.ones(len(listing.paths), bool)
    kept[np.isin(listing.paths, [name for name, _ in broken])] = False
    _check_counts(listing, kept)
    return Pictures(images, kept, broken)


def part(listing, pictures, kind, train):
    """Return the training pictures or the test pictures, with the mean and standard deviation of those for training.

    Parameters
    ----------
    listing : Listing
    pictures : Pictures
    kind : str
        Begins the name of the dataset; that of the folder or table follows.
    train : bool

    Returns
    -------
    (ArrayDataset, list of str)
        The dataset, and the file of each image.
    """
    images, kept, _ = pictures
    mean, std = channel_statistics(images, kept & listing.train)
    chosen = np.flatnonzero(kept & (listing.train == train))
    name, labels = f"{kind} {listing.source.resolve().name}", listing.labels[chosen]
    found = ArrayDataset(mapped.take(images, chosen), labels, listing.classes, mean, std, name, "", True)
    return found, [listing.paths[i] for i in chosen]


def sizes(listing, step=1):
    """Return {file: (height, width)} of every ``step``-th picture whose size can be read, as it is stored."""
    from PIL import Image

    found = {}
    for name in listing.paths[::step]:
        with contextlib.suppress(Exception), Image.open(listing.root / name) as file:  # Pillow raises nearly anything
            found[name] = file.size[::-1]
    return found


def divided(count, test_share, seed):
    """Return which of ``count`` pictures of a class train: at least one, if there are two at least one tests."""
    tests = min(max(round(count * float(test_share)), 1), count - 1)
    order = np.random.Generator(np.random.PCG64(seed)).permutation(count)
    return (order >= tests).tolist()


def _usual_size(listing):
    """Return 32 x 32 where most pictures are small, else 64 x 64; files that cannot be read do not count."""
    sides = [min(size) for size in sizes(listing, max(1, len(listing.paths) // _LOOKED_AT)).values()]
    side = SMALL if sides and np.median(sides) < 1.5 * SMALL else LARGE
    return side, side


def _told(listing, broken):
    """Return what to do about broken files, and their names."""
    reasons = reasons_of(listing, broken)
    cure = "mend or remove them, or leave them out by skip_broken=True (--skip-broken)"
    return f"{listing.source} - {cure}: {len(broken)} of its files cannot be read: {several(reasons)}"


def reasons_of(listing, broken):
    """Return a sentence for each broken file, [file, reason], with its line in a table."""
    return [f"line {listing.lines[name]}: {told}" if name in listing.lines else told for name, told in broken]


def several(reasons):
    """Return the first reasons, and how many more there are."""
    more = f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    return "; ".join(reasons[:_NAMED]) + more


def _check_counts(listing, kept):
    """Raise unless every class keeps a picture to train with."""
    counts = np.bincount(listing.labels[kept & listing.train], minlength=len(listing.classes))
    if not counts.all():
        name = listing.classes[int(np.argmin(counts))]
        raise DatasetError(f"{listing.source} - expected at least one picture of {name!r} to train with, got none")


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
            # A renamed file keeps its size and its time of change. The time of its entry (ctime) tells, or on Windows,
            # where that is the time of its creation, the file's number.
            renamed = f"{found.st_ctime_ns}\0{found.st_ino}" if os.name == "nt" else found.st_ctime_ns
            told = f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0{renamed}\0"
            digest.update(told.encode(errors="surrogatepass"))  # names need not be valid text
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
