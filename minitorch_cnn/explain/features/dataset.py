"""A dataset at a glance: a grid of its images, how many each class has, and which are there twice."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.data import ArrayDataset, Dataset
from minitorch_cnn.data.samples import as_arrays
from minitorch_cnn.data.transforms import Resize, finished
from minitorch_cnn.display import figures
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROWS = 10  # classes with a row of images each; of more, one image each
_COLUMNS = 16
_AUGMENTED = 6, 8  # images, and the epochs in which each is shown
_ACROSS, _ON_SLIDE, _MOST = 10, 40, 120  # classes with one image each: in a row, on a slide, in the drawing
_LETTERS = 10  # of their names
_NAMED = 5  # duplicates in the text


@dataclass(frozen=True)
class DatasetView(Picture):
    """What `dataset` has found; ``print`` shows counts and duplicates, ``save`` draws the images.

    Attributes
    ----------
    train : ArrayDataset
    test : ArrayDataset or None
    leaked : list of (int, int)
        Pairs of test and training images with the same pixels, by their indices.
    contradictions : list of (int, int)
        Pairs of training images with the same pixels and different classes.
    transforms : tuple of callables
        What the drawing shows: the images as they are if it is empty.
    """

    train: ArrayDataset = field(repr=False)
    test: ArrayDataset | None = field(repr=False)
    leaked: list[tuple[int, int]]
    contradictions: list[tuple[int, int]]
    transforms: tuple[Callable[[Any, Any], Array], ...] = ()
    seed: int = 0
    files: tuple[Sequence[str], Sequence[str]] | None = field(repr=False, default=None)

    def __str__(self) -> str:
        """Counts of each class, and duplicates, as text."""
        train, test = self.train, self.test
        height, width, channels = train.images.shape[1:]
        size = f"{height} x {width} pixels in {'colour' if channels == 3 else 'grey' if channels == 1 else channels}"
        counts = [np.bincount(part.labels, minlength=len(train.classes)) for part in (train, test) if part is not None]
        tests = "" if test is None else f" and {len(test):,} test"
        lines = [f"{train.name}: {len(train):,} training{tests} images of {len(train.classes)} classes, {size}"]
        longest = max(5, *map(len, train.classes))
        lines.append(f"{'class':{longest}}  {'train':>7}" + ("" if test is None else f"  {'test':>7}"))
        for name, *row in zip(train.classes, *counts, strict=True):
            lines.append(f"{name:{longest}}" + "".join(f"  {count:7,}" for count in row))
        if test is not None:
            lines.append(f"in test and training: {self._pairs(self.leaked, 1)}")
        lines.append(f"the same image in two classes: {self._pairs(self.contradictions, 0)}")
        return "\n".join(lines)

    def _pairs(self, pairs, part):
        """Return how many pairs there are, and the first; ``part``: 0 if the first index is of a training image."""
        named = [f"{self._name(first, part)} = {self._name(second, 0)}" for first, second in pairs[:_NAMED]]
        more = f", and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
        return f"{len(pairs)}" + (f" ({', '.join(named)}{more})" if pairs else "")

    def _name(self, index, part):
        return f"{('train', 'test')[part]}[{index}]" if self.files is None else self.files[part][index]

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing: a row for each class, or one image of each; with transforms, images in several epochs."""
        many = not self.transforms and len(self.train.classes) > _ROWS
        drawing = figures.blank(slides=max(1, min(len(self._firsts()), _MOST) / _ON_SLIDE) if many else 1)
        axes = drawing.subplots()
        axes.set(xticks=[], yticks=[])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        draw = self._draw_augmented if self.transforms else self._draw_rows
        if many:
            draw = self._draw_one_each
        drawing.suptitle(draw(axes))
        return drawing

    def _order(self, label):
        """Return the training images of a class, in an order chosen by the seed."""
        return np.random.Generator(np.random.PCG64([self.seed, label])).permutation(
            np.flatnonzero(self.train.labels == label)
        )

    def _firsts(self):
        """Return a training image of each class that has one."""
        return [order[0] for label in range(len(self.train.classes)) if len(order := self._order(label))]

    def _draw_rows(self, axes):
        names = self.train.classes
        lines = max(1, 8 // len(names))  # of each class
        chosen = [self._order(label)[: lines * _COLUMNS] for label in range(len(names))]
        rows = [indices[i * _COLUMNS : (i + 1) * _COLUMNS] for indices in chosen for i in range(lines)]
        down, _ = _show(axes, [self.train.images[indices] for indices in rows])
        axes.set_yticks([(row + 0.5) * lines * down for row in range(len(names))], names, parse_math=False)
        return f"{self.train.name}: training images"

    def _draw_one_each(self, axes):
        found = self._firsts()
        shown = np.array(found[:_MOST])
        rows = [shown[first : first + _ACROSS] for first in range(0, len(shown), _ACROSS)]
        down, right = _show(axes, [self.train.images[indices] for indices in rows], below=0.3)
        for i, index in enumerate(shown):
            name = figures.shortened(self.train.classes[self.train.labels[index]], _LETTERS)
            place = (i % _ACROSS + 0.5) * right, (i // _ACROSS + 0.98) * down
            axes.text(*place, name, fontsize=figures.SMALL, ha="center", va="bottom", parse_math=False)
        some = f" (the first {len(shown)} of {len(found)})" if len(found) > len(shown) else ""
        return f"{self.train.name}: a training image of each class{some}"

    def _draw_augmented(self, axes):
        count, epochs = _AUGMENTED
        indices = np.array(self._firsts()[:count])
        images = self.train.images
        changed = [finished(images, indices, self.transforms, self.seed, epoch) for epoch in range(epochs)]
        plain = Resize(changed[0].shape[1:3])(np.ascontiguousarray(images[indices]), None)
        pitch = _show(axes, np.stack([plain, *changed], axis=1))
        axes.set_yticks(
            [(row + 0.5) * pitch[0] for row in range(len(indices))],
            [self.train.classes[self.train.labels[index]] for index in indices],
            parse_math=False,
        )
        names = ["as it is", *(f"epoch {epoch + 1}" for epoch in range(epochs))]
        axes.set_xticks([(column + 0.5) * pitch[1] for column in range(len(names))], names)
        axes.xaxis.tick_top()
        return f"{self.train.name}: what a network sees in training"


def _show(axes, rows, below=0.0):
    """Draw rows of images (N, H, W, C) with gaps between them; return the pixels from one to the next, down and right.

    ``below`` is the room below each image, as a share of its height.
    """
    height, width, channels = rows[0].shape[1:]
    gap = max(1, width // 16)
    down, right = height + gap + round(below * height), width + gap
    columns = max(map(len, rows))
    sheet = np.full((len(rows) * down, columns * right, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * down + gap // 2, j * right + gap // 2
            sheet[top : top + height, left : left + width] = image if channels == 3 else image[..., :1]
    axes.imshow(sheet, interpolation="nearest", extent=(0, sheet.shape[1], sheet.shape[0], 0))
    return down, right


def dataset(
    train_set: Dataset,
    test_set: Dataset | None = None,
    *,
    transforms: Sequence[Callable[[Any, Any], Array]] = (),
    files: tuple[Sequence[str], Sequence[str]] | None = None,
    seed: int = 0,
) -> DatasetView:
    """Look at a dataset: its images, the counts of each class, and images that are there twice.

    Parameters
    ----------
    train_set : Dataset
    test_set : Dataset or None
    transforms : sequence of callables
        Where there are some, the drawing shows images as they leave them in the first epochs; see `data.transforms`.
    files : (sequence of str, sequence of str) or None
        What to call the training and test images, such as `data.Survey.train_files` and ``test_files``; None calls
        them by their indices.
    seed : int, >= 0
        Which images are drawn, and the chance in the transforms.

    Returns
    -------
    DatasetView

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind, there are no images, or as `data.read_samples`.

    Notes
    -----
    Images count as the same if all pixels are, as they are in the dataset: pictures of a folder after scaling.
    """
    arguments.integer("dataset", least=0, seed=seed)
    if files is not None:
        both = arguments.listed("dataset", "files", files)
        files = tuple(arguments.listed("dataset", "files", part) for part in both)
    transforms = arguments.listed("dataset", "transforms", transforms)
    for number, transform in enumerate(transforms):
        arguments.function("dataset", **{f"transforms[{number}]": transform})
    train = as_arrays("dataset", "train_set", train_set)
    test = None if test_set is None else as_arrays("dataset", "test_set", test_set, train.classes)
    if len(train) == 0:
        raise ValueError("dataset: train_set - expected at least one image, got none")
    first, contradictions = {}, []
    for index, key in enumerate(_keys(train)):
        earlier = first.setdefault(key, index)
        if train.labels[earlier] != train.labels[index]:
            contradictions.append((earlier, index))
    tests = [] if test is None else enumerate(_keys(test))
    leaked = [(index, first[key]) for index, key in tests if key in first]
    return DatasetView(train, test, leaked, contradictions, tuple(transforms), seed, files)


def _keys(found):
    """Yield a digest of the pixels of each image."""
    for image in found.images:
        yield hashlib.blake2b(np.ascontiguousarray(image), digest_size=16).digest()
