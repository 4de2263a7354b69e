"""Picture files beside what a network sees of them, and what it answers."""

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minitorch_cnn import arguments
from minitorch_cnn.data import read_picture
from minitorch_cnn.data.pictures import check_channels
from minitorch_cnn.display import figures
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.shapes import pair
from minitorch_cnn.types import Path, Size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS, _ROWS = 4, 3  # pictures of a slide, and the slides that one drawing has at most
_BARS = 3  # classes of a picture, the most probable
_LETTERS, _LABEL = 20, 10  # of a file's name, and of a class
_PIXELS = 1000  # per side of a picture as it is; of more, some rows and columns are left out


@dataclass(frozen=True)
class SeenPictures(Picture):
    """What `seen` shows: each picture, its pixels as the network gets them, and its most probable classes.

    Attributes
    ----------
    files : tuple of str
    probabilities : tuple of dict
        Class -> probability.
    size : (int, int), pixels
        Height and width of what the network gets.
    channels : 3 or 1
    """

    files: tuple[str, ...]
    probabilities: tuple[Mapping[str, float], ...] = field(repr=False)
    size: tuple[int, int]
    channels: int

    def __str__(self) -> str:
        """Each file with its most probable classes."""
        return "\n".join(
            f"{file}: {', '.join(f'{name} {value:.1%}' for name, value in _best(row))}"
            for file, row in zip(self.files, self.probabilities, strict=True)
        )

    def figure(self) -> "Figure":
        """Return the drawing of all pictures, or of the first twelve."""
        return self._drawn(range(len(self.files))[: _ACROSS * _ROWS])

    def slides(self) -> "list[Figure]":
        """Return all pictures, four on a slide."""
        indices = range(len(self.files))
        return [self._drawn(indices[first : first + _ACROSS]) for first in indices[::_ACROSS]]

    @figures.style()
    def _drawn(self, indices):
        bands, across = -(-len(indices) // _ACROSS), min(len(indices), _ACROSS)
        some = f", {indices[0] + 1} to {indices[-1] + 1} of {len(self.files)}" if len(indices) < len(self.files) else ""
        drawing = figures.blank(f"Pictures, and what the network sees of them{some}", slides=bands)
        if len(indices) == 1:
            panels = drawing.subplots(1, 3, width_ratios=(5, 5, 3))
            self._draw(indices[0], *panels)
            panels[2].set_box_aspect(0.8)
            return drawing
        grid = drawing.subplots(3 * bands, across, squeeze=False, height_ratios=(5, 5, 2) * bands)
        for place in range(bands * across):
            column = grid[3 * (place // across) :][:3, place % across]
            if place < len(indices):
                self._draw(indices[place], *column)
                column[0].set_anchor("S")  # so that it stands above its copy
            else:
                for axes in column:
                    axes.axis("off")
        return drawing

    def _draw(self, index, whole, small, bars):
        """Draw one picture: as it is, with a frame around what is used of it; as it is seen; and the answer."""
        picture, image = (read_picture(self.files[index], size, self.channels) for size in (None, self.size))
        for axes, pixels in ((whole, picture), (small, image)):
            axes.axis("off")
            step = 1 + max(pixels.shape) // _PIXELS
            extent = (0, pixels.shape[1], pixels.shape[0], 0)
            axes.imshow(pixels[::step, ::step].squeeze(), cmap="gray", vmin=0, vmax=255, extent=extent)
        left, top, width, height = used(picture.shape[:2], image.shape[:2])
        whole.add_patch(_frame(left, top, width, height))
        name = figures.shortened(pathlib.PurePath(self.files[index]).name, _LETTERS)
        whole.set_title(f"{name}\n{picture.shape[1]} x {picture.shape[0]}", fontsize=figures.SMALL, parse_math=False)
        small.set_title(f"seen: {image.shape[1]} x {image.shape[0]}", fontsize=figures.SMALL)
        names, values = zip(*_best(self.probabilities[index])[::-1], strict=True)
        bars.barh(range(len(names)), values, color=figures.BLUE)
        bars.set(xlim=(0, 1.35), xticks=[])
        bars.set_yticks(range(len(names)), [figures.shortened(name, _LABEL) for name in names], parse_math=False)
        bars.spines[["top", "right", "bottom"]].set_visible(False)
        for row, value in enumerate(values):
            bars.text(value + 0.03, row, f"{value:.0%}", va="center", fontsize=figures.SMALL)


def used(size, shape):
    """Return left, top, width and height, in pixels, of the largest part of a picture that has the shape of another.

    Both are (H, W). This is the part that `data.read_picture` crops around the middle.
    """
    height, width = size
    wide, high = min(width, height * shape[1] / shape[0]), min(height, width * shape[0] / shape[1])
    return (width - wide) / 2, (height - high) / 2, wide, high


def _frame(left, top, width, height):
    from matplotlib.patches import Rectangle

    return Rectangle((left, top), width, height, fill=False, edgecolor=figures.ORANGE, linewidth=2.5, clip_on=False)


def _best(row):
    """Return the most probable classes of a picture with their probabilities, the first first."""
    return sorted(row.items(), key=lambda item: -item[1])[:_BARS]


def seen(
    files: Sequence[Path], probabilities: Sequence[Mapping[str, Any]], size: Size, channels: int = 3
) -> SeenPictures:
    """Show picture files beside what a network sees of them.

    Parameters
    ----------
    files : sequence of str or Path, N >= 1
        The pictures; only the drawing reads them, so that there may be many.
    probabilities : sequence of dict, class -> probability
        The answer to each: `train.Prediction.probabilities`.
    size : int or (int, int), pixels
        Height and width of what the network gets: `train.Classifier.input_size`.
    channels : 3 or 1
        Colours or grey.

    Returns
    -------
    SeenPictures

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind, there are no files, or not as many answers as files.
    """
    files, answers = arguments.listed("seen", "files", files), arguments.listed("seen", "probabilities", probabilities)
    for file in files:
        arguments.path("seen", files=file)
    names = tuple(map(str, files))
    if not names:
        raise ValueError("seen: files - expected at least one picture, got none")
    if len(answers) != len(names):
        raise ValueError(f"seen: probabilities - expected {len(names)}, one for each file, got {len(answers)}")
    arguments.instance("seen", Mapping, **{f"probabilities[{i}]": row for i, row in enumerate(answers)})
    check_channels("seen", channels)
    return SeenPictures(names, tuple(answers), pair(size, "seen: size"), channels)
