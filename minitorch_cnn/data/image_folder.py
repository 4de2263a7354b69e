"""Your own pictures: a folder with one folder of pictures for each class.

    pets/cat/*.jpg, pets/dog/*.png, ...                    divided by a seed into training and test pictures
    pets/train/cat/*.jpg, ..., pets/test/cat/*.jpg, ...    divided by you; also "training", "testing", "val" ...

They are read as `listing` says.
"""

import pathlib
from collections.abc import Callable
from typing import Any

from minitorch_cnn.data import listing, pictures
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError
from minitorch_cnn.types import Path, Size


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
        Holds a folder for each class; or ``train`` and ``test`` (or ``val``), in any case, which hold them; where there
        are both ``test`` and ``val``, the latter is not used. A class may have folders inside. Files and folders whose
        names begin with a point, folders of a system such as ``__MACOSX`` and ``@eaDir``, and files whose names do not
        end as those of pictures, are left out.
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
        Named "folder" and the name of the folder, with the mean and standard deviation of the training pictures;
        classes in alphabetical order.

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
    names, sizes and times of change), image size and channels. Where it cannot be written, they are decoded again each
    time.
    """
    options = listing.Options(image_size, channels, test_share, seed, skip_broken)
    listing.check("ImageFolder", {"root": root}, train, options, progress)
    found = list_folder(pathlib.Path(root), options)
    return listing.part(found, listing.read(found, options, progress), "folder", train)[0]


def has_classes(root: Path) -> bool:
    """Return whether a folder looks as `ImageFolder` wants it: folders inside that hold pictures."""
    folder = pathlib.Path(root)
    if not folder.is_dir():
        return False
    base = _part(folder, [listing.TRAIN]) or folder
    return any(pictures.files_in(inside) for inside in _folders(base))


def what_else(root: Path) -> str:
    """Return what to do about a folder in which `has_classes` finds none: a clause for the end of a message."""
    folder = pathlib.Path(root)
    if not folder.is_dir():
        packed = folder.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z"))
        return ": unpack it first" if packed else ""
    if found := pictures.files_in(folder):
        return f": sort its {len(found)} pictures into a folder for each class, or list them in a CSV file"
    return pictures.why_none(folder)


def list_folder(root, options):
    """Return the `Listing` of all pictures of a folder."""
    if not root.is_dir():
        raise DatasetError(f"{root} - expected a folder with one folder for each class, found no folder there")
    base, given = _part(root, [listing.TRAIN]), _part(root, listing.TESTS)
    if base and given:
        classes = _classes(base)
        if (others := _classes(given)) != classes:
            alone = ", ".join(
                f"{part.name}/{name}"
                for part, own, other in ((base, classes, others), (given, others, classes))
                for name in sorted(set(own) - set(other))
            )
            expected = f"expected the same classes in {base.name} and {given.name}"
            raise DatasetError(f"{root} - {expected}, got {alone} in one of them alone")
        parts = [(base, True), (given, False)]
    else:
        base = base or root
        classes, parts = _classes(base), [(base, None)]
    entries = []
    for base, used in parts:
        for label, name in enumerate(classes):
            found = pictures.files_in(base / name)
            if not found:
                got = f"found none{what_else(base / name)}"
                raise DatasetError(f"{base / name} - expected at least one picture of this class, {got}")
            train = [used] * len(found)
            if used is None:
                train = listing.divided(len(found), options.test_share, [options.seed, label])
            names = [path.relative_to(root).as_posix() for path in found]
            entries += zip(names, [label] * len(found), train, strict=True)
    return listing.make(root, root, entries, classes, parts[0][1] is None)


def _part(root, parts):
    """Return the folder inside that has a name of the first part there is, in any case, and folders inside; or None."""
    for names in parts:
        found = [path for path in _folders(root) if path.name.lower() in names and _folders(path)]
        if len(found) > 1:
            got = " and ".join(path.name for path in found)
            raise DatasetError(f"{root} - expected one folder for {names[0]}, got {got}: put their pictures into one")
        if found:
            return found[0]
    return None


def _folders(base):
    return sorted(path for path in base.iterdir() if path.is_dir() and not pictures.is_of_system(path.name))


def _classes(base):
    names = tuple(path.name for path in _folders(base))
    if len(names) < 2:
        found = ", ".join(names) or "none"
        inside = [base / name for name in names if len([f for f in _folders(base / name) if pictures.files_in(f)]) > 1]
        hint = f"; there are several in {inside[0]}" if inside else ""
        raise DatasetError(f"{base} - expected a folder for each of at least two classes, found {found}{hint}")
    listing.check_names(base, names)
    return names
