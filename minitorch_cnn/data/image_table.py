"""Your own pictures with their classes in a table: a CSV file as spreadsheets and competitions write it.

    path,label,split
    photos/0001.jpg,cat,train
    photos/0002.jpg,dog,test

They are read as `listing` says.
"""

import codecs
import contextlib
import csv
import glob
import io
import itertools
import math
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from minitorch_cnn.data import listing
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError
from minitorch_cnn.hints import hint
from minitorch_cnn.types import Path, Size

ENDS = (".csv", ".tsv", ".txt")  # of the names of tables
_PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img", "picture")
_LABELS = ("label", "labels", "class", "class_name", "category", "target")
_SPLITS = ("split", "subset", "set", "part", "partition")
_DELIMITERS = ",;\t|"


class _Columns(NamedTuple):
    """Where a row has what."""

    path: int
    label: int
    split: int | None
    count: int


class _Row(NamedTuple):
    line: int
    path: str
    label: str
    split: str  # "" without such a column


def ImageTable(
    file: Path,
    train: bool = True,
    image_size: Size | None = None,
    channels: int = 3,
    test_share: float = 0.2,
    seed: int = 0,
    skip_broken: bool = False,
    progress: Callable[[int, int], Any] | None = None,
    root: Path | None = None,
) -> ArrayDataset:
    """Read pictures that a table lists with their classes.

    Parameters
    ----------
    file : str or Path
        A CSV file in UTF-8 or UTF-16, its columns separated by commas, semicolons, tabs or vertical bars. The first
        line names them: ``path`` (or ``file``, ``filename``, ``image`` ...), ``label`` (or ``class``, ``category``,
        ``target`` ...) and, if there is one, ``split`` (or ``subset`` ...); others are ignored. Without such a line
        they are path, label and split, in this order. A label is any text; numbers are sorted as numbers. A split is
        ``train``, ``test`` or ``val``, in any case; where there are both ``test`` and ``val``, the rows of ``val`` are
        left out.
    train : bool
        The training pictures, or the test pictures.
    image_size, channels, test_share, seed, skip_broken, progress
        As for `ImageFolder`. ``skip_broken`` also leaves out rows whose file does not exist.
    root : str, Path or None
        The folder that relative paths begin at; None means that of the table.

    Returns
    -------
    ArrayDataset
        Named "table" and the name of the file, with the mean and standard deviation of the training pictures; classes
        in alphabetical order, numbers by size. It does not depend on the order of the rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind or out of range.
    DatasetError
        If there is no such file, it is not a table with these columns, a row lacks something, names a file twice, a
        file that is missing, an unknown split or a class that no training row has, there are fewer than two classes, or
        pictures are broken; the message names the line.
    """
    options = listing.Options(image_size, channels, test_share, seed, skip_broken)
    paths = {"file": file} if root is None else {"file": file, "root": root}
    listing.check("ImageTable", paths, train, options, progress)
    found = list_table(pathlib.Path(file), options, root)
    return listing.part(found, listing.read(found, options, progress), "table", train)[0]


def list_table(file, options, root=None):
    """Return the `Listing` of the pictures of a table."""
    root = file.parent if root is None else pathlib.Path(root)
    rows, missing = _existing(file, root, _rows(file, root), options.skip_broken)
    _check_once(file, root, rows)
    rows, trains = _divided_by_split(file, sorted(rows, key=lambda row: row.path))
    classes = _class_names(file, [row for row, train in zip(rows, trains, strict=True) if train is not False])
    indices = {name: label for label, name in enumerate(classes)}
    entries = [[] for _ in classes]
    for row, train in zip(rows, trains, strict=True):
        if row.label not in indices:
            raise _unknown(file, row, classes)
        label = indices[row.label]
        entries[label].append((row.path, label, train))
    if None in trains:
        entries = [_divided(own, options.test_share, [options.seed, label]) for label, own in enumerate(entries)]
    lines = {row.path: row.line for row in rows}
    return listing.make(file, root, itertools.chain.from_iterable(entries), classes, None in trains, lines, missing)


def _divided(entries, test_share, seed):
    """Return the entries of a class with a choice of those that are for training."""
    chosen = listing.divided(len(entries), test_share, seed)
    return [(path, label, train) for (path, label, _), train in zip(entries, chosen, strict=True)]


# ------------------------------------------------------------------------------- rows of the file


def _rows(file, root):
    """Return the rows of a table; every error names the line."""
    text = _text(file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    reader, columns, rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), None, []
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if columns is None:
                columns, header = _columns(file, reader.line_num, cells, root)
                if header:
                    continue
            rows.append(_row(file, reader.line_num, cells, columns))
    except csv.Error as error:
        raise DatasetError(f"{file}:{reader.line_num} - expected a row of a CSV file, got {error}") from error
    if not rows:
        raise DatasetError(f"{file} - expected at least one row with path and label, got none")
    return rows


def _text(file):
    """Return the text of a table."""
    if not file.is_file():
        raise DatasetError(f"{file} - expected a table of pictures, found no file there")
    content = file.read_bytes()
    code = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(code)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        got = f"byte {content[error.start]:#04x}"
        raise DatasetError(f"{file}:{line} - expected text in UTF-8, got {got}; save it as CSV in UTF-8") from error


def _columns(file, line, cells, root):
    """Return the `_Columns` that the first row shows, and whether it is a header."""
    names = [cell.lower().replace(" ", "_") for cell in cells]
    path, label, split = (
        next((names.index(name) for name in known if name in names), None) for known in (_PATHS, _LABELS, _SPLITS)
    )
    if len(names) == 2 and (path is None) != (label is None):  # the other one has a name of its own, such as "breed"
        path, label = (1 - label, label) if path is None else (path, 1 - path)
    for index in (path, label, split):
        if index is not None and names.count(names[index]) > 1:
            raise DatasetError(f"{file}:{line} - expected one column called {cells[index]!r}, got several")
    if path is not None and label is not None:
        return _Columns(path, label, split, len(cells)), True
    if len(cells) in (2, 3) and os.path.isfile(root / _slashes(cells[0])):
        return _Columns(0, 1, 2 if len(cells) == 3 else None, len(cells)), False
    got = ", ".join(map(repr, cells))
    raise DatasetError(
        f"{file}:{line} - expected the names of columns, such as path,label or path,label,split, got {got:.200}"
    )


def _row(file, line, cells, columns):
    if len(cells) != columns.count:
        raise DatasetError(f"{file}:{line} - expected {columns.count} columns as in the first line, got {len(cells)}")
    path, label = _slashes(cells[columns.path]), cells[columns.label]
    for name, text in (("path", path), ("label", label)):
        if not text:
            raise DatasetError(f"{file}:{line} - expected a {name}, got an empty cell")
    split = "" if columns.split is None else cells[columns.split].lower()
    if columns.split is not None and split not in itertools.chain(listing.TRAIN, *listing.TESTS):
        raise DatasetError(f"{file}:{line} - expected the split train, test or val, got {cells[columns.split]!r}")
    return _Row(line, path, label, split)


def _slashes(path):
    """Return a path as this system writes it, if it was written on Windows."""
    return path if os.sep == "\\" else path.replace("\\", "/")


# ------------------------------------------------------------------------------- what the rows say


def _existing(file, root, rows, skip):
    """Return the rows whose files exist, and a sentence for each other; raise DatasetError if these are not skipped."""
    found = [row for row in rows if os.path.isfile(root / row.path)]  # False for names that no system allows, too
    missing = [] if len(found) == len(rows) else sorted({*rows} - {*found})
    reasons = [f"line {row.line}: {row.path}{_near(root / row.path)}" for row in missing]
    if missing and not skip:
        named = listing.several(reasons)
        cure = "mend the paths, or leave the rows out by skip_broken=True (--skip-broken)"
        raise DatasetError(f"{file} - {cure}: {len(missing)} of {len(rows)} files are not in {root}: {named}")
    if not found:
        raise DatasetError(f"{file} - expected files in {root}, found none of its {len(rows)}")
    return found, [f"{reason} - expected a file, found none" for reason in reasons]


def _near(path):
    """Return a hint if the path of a missing file lacks its end, such as ".jpg"."""
    near = glob.glob(glob.escape(str(path)) + ".*")
    return f" (there is {os.path.basename(near[0])})" if near else ""


def _check_once(file, root, rows):
    """Raise DatasetError if a file is listed twice."""
    seen = {}
    for row in rows:
        earlier = seen.setdefault(os.path.normpath(root / row.path), row)
        if earlier is not row:
            labels = "" if row.label == earlier.label else f", as {earlier.label!r} and not {row.label!r}"
            raise DatasetError(
                f"{file}:{row.line} - expected each file once, got {row.path}, which is in line {earlier.line}{labels}"
            )


def _divided_by_split(file, rows):
    """Return the rows that are used, and for each whether it is for training; None if that is still to be chosen."""
    found = {row.split for row in rows}
    tests = next((names for names in listing.TESTS if not found.isdisjoint(names)), None)
    if tests is None:
        return rows, [None] * len(rows)
    if found.isdisjoint(listing.TRAIN):
        raise DatasetError(f"{file} - expected rows with the split train, got {', '.join(sorted(found))} alone")
    used = [row for row in rows if row.split in (*listing.TRAIN, *tests)]
    return used, [row.split not in tests for row in used]


def _class_names(file, rows):
    """Return the names of all classes of the training rows in order."""
    names = sorted({row.label for row in rows})
    if len(names) < 2:
        raise DatasetError(f"{file} - expected at least two classes to train with, got {', '.join(names)} alone")
    listing.check_names(file, names)
    sizes = _numbers(names)
    if sizes:
        listing.check_told_apart(file, names, sizes.get)  # 1 and 01 are one class
    return tuple(sorted(names, key=sizes.get) if sizes else names)


def _numbers(names):
    """Return the number that each name is, or {} if one is text or not finite; integers are exact."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            sizes = {name: kind(name) for name in names}
            return {} if kind is float and not all(map(math.isfinite, sizes.values())) else sizes
    return {}


def _unknown(file, row, classes):
    """Return the error for a test row of a class that no training row has."""
    named = listing.several([repr(name) for name in classes])
    got = f"{row.label!r}{hint(row.label, classes)}"
    return DatasetError(f"{file}:{row.line} - expected a label that training rows have, {named}, got {got}")
