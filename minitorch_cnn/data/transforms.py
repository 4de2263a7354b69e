"""Augmentation of uint8 images.

A transform is a callable ``transform(images, draws)``: uint8 images (1, H, W, C) in, uint8 images out,
random numbers from ``draws`` alone (`data.philox.Draws`), so that a sample's augmentation depends on
the seed, the epoch and the sample. With worker processes it must be picklable: defined in a module.
It is called sample by sample, so that the one on which it fails, hangs or dies can be named.

Crops, flips, shifts and cut-outs only choose pixels. They are written as a `Choice` of rows and
columns; several of them in a row become one pass over all images.
"""

from dataclasses import dataclass

import numpy as np

from minitorch_cnn import arguments, shapes
from minitorch_cnn.data.philox import Draws
from minitorch_cnn.types import Array


@dataclass
class Choice:
    """Which pixel of the source every output pixel shows: rows (N, OH) and columns (N, OW), int64, -1 for black.

    ``boxes``, int64 (N, 4), are black: top, bottom, left, right, the ends excluded.
    """

    rows: Array
    columns: Array
    boxes: Array

    @classmethod
    def everything(cls, count, height, width):
        """Return the choice that changes nothing."""
        rows, columns = (np.tile(np.arange(length), (count, 1)) for length in (height, width))
        return cls(rows, columns, np.zeros((count, 4), np.int64))

    def then(self, rows, columns):
        """Choose rows (N, OH) and columns (N, OW) of what was chosen before."""

        def compose(before, after):
            return np.where(after < 0, -1, np.take_along_axis(before, np.maximum(after, 0), 1))

        return Choice(compose(self.rows, rows), compose(self.columns, columns), self.boxes)

    def apply(self, images, sources):
        """Return the chosen pixels of images[sources], uint8 (N, OH, OW, C)."""
        rows, columns = self.rows[:, :, None], self.columns[:, None, :]  # (N, OH, 1), (N, 1, OW)
        _, height, width, channels = images.shape
        pixels = (sources[:, None, None] * height + rows) * width + columns
        out = images.reshape(-1, channels).take(pixels, axis=0, mode="clip")  # (N, OH, OW, C); black comes below
        i, j = np.arange(self.rows.shape[1])[:, None], np.arange(self.columns.shape[1])
        top, bottom, left, right = (self.boxes[:, k, None, None] for k in range(4))
        dark = (rows < 0) | (columns < 0) | ((top <= i) & (i < bottom) & (left <= j) & (j < right))
        out[dark] = 0
        return out


class _Chooser:
    """A transform that only chooses pixels."""

    def choose(self, choice: Choice, draws: Draws) -> Choice:
        """Return ``choice`` with this transform after it."""
        raise NotImplementedError

    def __call__(self, images: Array, draws: Draws) -> Array:
        choice = Choice.everything(*images.shape[:3])
        return self.choose(choice, draws).apply(images, np.arange(len(images)))


def _shifted(length, shift, mode):
    """Return (N, length): the indices from ``shift`` on; outside, -1 or the mirrored index."""
    index = np.arange(length) + shift[:, None]  # (N, length)
    if mode == "reflect":  # there and back again without the ends twice, as often as it takes
        index = index % max(2 * (length - 1), 1)
        return np.minimum(index, 2 * (length - 1) - index)
    return np.where((index < 0) | (index >= length), -1, index)


@dataclass(frozen=True)
class PadCrop(_Chooser):
    """Pad by some pixels and cut out a window of the old size at a random place.

    Parameters
    ----------
    padding : int, pixels, >= 0
    mode : "zero" or "reflect"
        Black, or the image mirrored at its border, as often as a large padding needs.

    Raises
    ------
    TypeError
        If the padding is not an integer.
    ValueError
        If it is negative, or there is no such mode.
    """

    padding: int = 4
    mode: str = "zero"

    def __post_init__(self) -> None:
        if self.mode not in ("zero", "reflect"):
            raise ValueError(f"{type(self).__name__}: mode - expected 'zero' or 'reflect', got {self.mode!r}")
        arguments.integer(type(self).__name__, least=0, padding=self.padding)

    def choose(self, choice: Choice, draws: Draws) -> Choice:
        down, right = (draws.integers(-self.padding, self.padding + 1) for _ in range(2))
        height, width = choice.rows.shape[1], choice.columns.shape[1]
        return choice.then(_shifted(height, down, self.mode), _shifted(width, right, self.mode))


@dataclass(frozen=True)
class Translate(PadCrop):
    """Move the image by a random number of pixels in each direction; black moves in, or the mirrored border.

    Parameters
    ----------
    padding : int, pixels, >= 0
        The largest shift.
    mode : "zero" or "reflect"
        What moves in.

    Raises
    ------
    TypeError, ValueError
        As `PadCrop`, which computes the same.
    """


@dataclass(frozen=True)
class Flip(_Chooser):
    """Mirror left and right with some probability.

    Parameters
    ----------
    probability : float, 0..1

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is outside 0..1.
    """

    probability: float = 0.5

    def __post_init__(self) -> None:
        arguments.number("Flip", least=0, most=1, probability=self.probability)

    def choose(self, choice: Choice, draws: Draws) -> Choice:
        return _mirrored(choice, draws.uniform() < self.probability)


@dataclass(frozen=True)
class AlternatingFlip(_Chooser):
    """Mirror every image in every other epoch: half of them in the even epochs, the other half in the odd ones.

    `Flip` shows a quarter of the images in the same form in two epochs and in the other form in none. Here any two
    epochs in a row show each image once in both forms.

    Notes
    -----
    Which half it is depends on the seed and the sample.
    Source: ``CifarLoader`` of ``airbench94.py`` in https://github.com/KellerJordan/cifar10-airbench.
    """

    def choose(self, choice: Choice, draws: Draws) -> Choice:
        return _mirrored(choice, (draws.uniform_for_all_epochs() < 0.5) ^ (draws.epoch % 2 == 1))


def _mirrored(choice, flipped):
    """Return ``choice`` with some of the images, a boolean array (N,), mirrored left to right after it."""
    column = np.arange(choice.columns.shape[1])
    rows = np.tile(np.arange(choice.rows.shape[1]), (len(flipped), 1))
    return choice.then(rows, np.where(flipped[:, None], column[::-1], column))


@dataclass(frozen=True)
class Cutout(_Chooser):
    """Black out a square with its centre anywhere in the image.

    Parameters
    ----------
    size : int, pixels, >= 1

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is below 1.

    Notes
    -----
    Source: DeVries and Taylor 2017, arXiv 1708.04552.
    """

    size: int = 8

    def __post_init__(self) -> None:
        arguments.integer("Cutout", least=1, size=self.size)

    def choose(self, choice: Choice, draws: Draws) -> Choice:
        height, width = choice.rows.shape[1], choice.columns.shape[1]
        top, left = (draws.integers(0, length) - self.size // 2 for length in (height, width))
        ends = [top, top + self.size, left, left + self.size]
        limits = [height, height, width, width]
        boxes = np.stack([end.clip(0, limit) for end, limit in zip(ends, limits, strict=True)], 1)
        return Choice(choice.rows, choice.columns, boxes)


@dataclass(frozen=True)
class Resize:
    """Scale images with Pillow, antialiased; each channel by itself.

    Parameters
    ----------
    size : int or (int, int), pixels, >= 1
        Height and width; an int counts for both.

    Raises
    ------
    TypeError
        If it is neither an int nor two ints.
    ValueError
        If one is below 1.
    """

    size: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", shapes.pair(self.size, "Resize: size"))

    def __call__(self, images: Array, draws: Draws | None) -> Array:
        return np.stack([scaled(image, *self.size) for image in images])


def scaled(image, height, width):
    """Return an image, uint8 (H, W, C), scaled to uint8 (height, width, C); the channels are scaled one by one."""
    from PIL import Image  # as slow to import as the rest of this package, and seldom used

    channels = [Image.fromarray(np.ascontiguousarray(image[:, :, c])) for c in range(image.shape[2])]
    return np.stack([np.asarray(c.resize((width, height), Image.Resampling.BILINEAR)) for c in channels], axis=2)


def augment(images, sources, transforms, draws, begin=lambda sample: None):
    """Run transforms on some images as far as they cannot be left to one last pass.

    Parameters
    ----------
    images : uint8 ndarray, shape (M, H, W, C)
    sources : int64 ndarray, shape (N,)
        Which of them.
    transforms : sequence of callables
    draws : Draws of these N samples
    begin : callable
        Called with each sample before a transform that does more than to choose pixels, and with None when all
        are done and the batch is processed as a whole.

    Returns
    -------
    images : uint8 ndarray, shape (M, H, W, C) or (N, H', W', C)
    sources : int64 ndarray, shape (N,)
    choice : Choice
        What remains to be done: ``choice.apply(images, sources)`` gives the final images.

    Raises
    ------
    TypeError
        If a transform returns no uint8 images.
    """
    count = len(sources)
    choice = Choice.everything(count, *images.shape[1:3])
    for transform in transforms:
        if isinstance(transform, _Chooser) and not choice.boxes.any():
            choice = transform.choose(choice, draws)
            continue
        images, sources = choice.apply(images, sources), np.arange(count)
        if isinstance(transform, _Chooser):
            images = transform(images, draws)
        else:
            images = _one_by_one(transform, images, draws, begin)
        choice = Choice.everything(*images.shape[:3])
    return images, sources, choice


def _one_by_one(transform, images, draws, begin):
    results, singles = [], draws.singles()
    for row, single in enumerate(singles):
        begin(int(single.indices[0]))
        result = transform(images[row : row + 1], single)
        is_image = isinstance(result, np.ndarray) and (result.dtype, result.ndim, len(result)) == (np.uint8, 4, 1)
        fits = is_image and result.shape[3] == images.shape[3] and 0 not in result.shape
        if not fits or (results and result.shape != results[0].shape):
            one = f"(1, H, W, {images.shape[3]})" if is_image else "(1, H, W, C)"
            expected = results[0].shape if results else one
            got = f"{result.dtype} {result.shape}" if isinstance(result, np.ndarray) else type(result).__name__
            raise TypeError(f"{transform!r}: result - expected uint8 {expected}, got {got}")
        results.append(result)
    begin(None)
    draws.count = max(single.count for single in singles)
    return np.concatenate(results)


def finished(images, indices, transforms, seed, epoch, begin=lambda sample: None):
    """Return the augmented uint8 images (N, H, W, C) of some samples."""
    images, sources, choice = augment(images, indices, transforms, Draws(seed, epoch, indices), begin)
    return choice.apply(images, sources)
