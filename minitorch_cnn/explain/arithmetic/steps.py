"""A worked example: grids of numbers, and for every result the products that add up to it.

`conv` and `pool` build one from a convolution or a pooling; `render` draws it.
"""

import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.display import figures
from minitorch_cnn.io import files
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array, Path

KINDS = (*figures.KINDS, ".gif", ".html", ".txt")


class MismatchError(RuntimeError):
    """The results of a kernel, of the textbook's loops and of the products shown differ."""


@dataclass(frozen=True)
class Grid:
    """Numbers in rows and columns, with the padding around them."""

    name: str
    letter: str  # in equations: x[0, 1]
    values: Array  # (planes, H, W)
    shape: tuple[int, ...]  # of the user's array, which has the same elements in the same order
    padding: tuple[int, ...] = (0, 0, 0, 0)  # top, bottom, left, right
    fill: float = 0.0  # the value of the padding
    unread: Array | None = None  # (H, W), True where no window reads
    columns: int = 1  # planes side by side in a drawing

    def inside(self, place):
        """Return True unless ``place``, (plane, row, column), lies in the padding."""
        return 0 <= place[1] < self.values.shape[1] and 0 <= place[2] < self.values.shape[2]

    def at(self, place):
        """Return the element at (plane, row, column), which may lie in the padding."""
        return float(self.values[place]) if self.inside(place) else self.fill

    def label(self, place):
        """Return the name of an element as in the user's array, such as "x[0, 1]"."""
        index = np.unravel_index(np.ravel_multi_index(place, self.values.shape), self.shape)
        return f"{self.letter}[{', '.join(str(int(i)) for i in index)}]"


@dataclass(frozen=True)
class Step:
    """One result and the elements that it comes from; places are (plane, row, column)."""

    place: tuple[int, ...]
    left: tuple[int, ...]  # places in the first grid
    right: tuple[int, ...]  # places in the second, of the same length; empty where there is none
    value: float  # by the kernel
    equation: str
    chosen: tuple[int, ...] | None = None  # of ``left``, the largest


@dataclass(frozen=True)
class WorkedExample:
    """A computation with all its numbers; prints as text, shows itself in notebooks, and saves as a picture."""

    title: str
    rule: str  # the formula
    sizes: tuple[str, ...]  # sentences on the size of the output, with the numbers in them
    left: Grid
    right: Grid | None
    result: Grid
    steps: tuple[Step, ...]  # a Step for each result, in row-major order
    signs: tuple[str, ...]  # between the grids
    windows: bool = False  # a step's places form the window, (C, KH, KW)
    computed_by: str = ""  # of a convolution: the algorithm that computed the result, and why it was chosen

    def __str__(self) -> str:
        from minitorch_cnn.explain.arithmetic.text import to_text

        return to_text(self)

    def goes_to(self, place: tuple[int, ...]) -> Any:
        """Return the steps whose results use the element of the first grid at ``place``."""
        return [step for step in self.steps if place in step.left]

    def save(self, path: Path, step: int | None = None) -> None:
        """Write a picture, a film, a page or a text, all or nothing.

        Parameters
        ----------
        path : str or Path
            ``.png``, ``.svg`` and ``.pdf`` show the whole, ``.gif`` one result after the other. ``.html`` does so by
            keys and clicks, offline; a click on an element of the first grid shows where it goes. ``.txt`` is the text
            of ``str()``.
        step : int or None
            The result, counted from 0, whose window is marked in one of these; None marks none.

        Raises
        ------
        ValueError
            If the name ends otherwise, if there is no such step, or if there are too many for a film.
        OSError
            If it cannot be written.
        """
        kind = pathlib.Path(path).suffix.lower()
        if kind not in KINDS:
            raise ValueError(f"save: path - expected the extension {' or '.join(KINDS)}, got {str(path)!r}")
        if step is not None and not 0 <= step < len(self.steps):
            raise ValueError(f"save: step - expected 0 to {len(self.steps) - 1}, got {step}")
        files.atomic_write(path, self._encoded(kind, step))

    def _encoded(self, kind, step):
        from minitorch_cnn.explain.arithmetic.render import html, pdf, png, svg

        if kind == ".txt":
            return f"{self}\n".encode()
        if kind == ".html":
            return html.page(self).encode()
        if kind == ".svg":
            return svg.svg(self, step).encode()
        if kind == ".pdf":
            return pdf.pdf(self, step)
        return png.png(self, step) if kind == ".png" else png.gif(self)

    def _repr_svg_(self):
        from minitorch_cnn.explain.arithmetic.render import svg

        return svg.svg(self)

    def _repr_html_(self):
        from minitorch_cnn.explain.arithmetic.render import html

        return html.frame(self)


def numbers(op, name, value, axes):
    """Return a Tensor or an array as float64, which holds every float32 exactly.

    Raises
    ------
    TypeError
        If its dtype is not numeric.
    ValueError
        If the number of its axes is not in ``axes``, or it is empty.
    """
    array = arguments.array(op, name, value.data if isinstance(value, Tensor) else value)
    if array.ndim not in axes or not array.size:
        raise ValueError(f"{op}: {name} - expected {' or '.join(map(str, axes))} axes, got shape {array.shape}")
    return array.astype(np.float64)


def agree(op, kernel, textbook, shown):
    """Require that three ways to compute the same result agree; all are arrays of one shape.

    Raises
    ------
    MismatchError
        If they do not; it names the first place.
    """
    scale = max(1.0, float(np.abs(shown, where=np.isfinite(shown), out=np.zeros_like(shown)).max(initial=0)))
    for name, other in (("the textbook's loops", textbook), ("the products", shown)):
        wrong = ~np.isclose(kernel, other, rtol=0, atol=1e-9 * scale, equal_nan=True)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise MismatchError(f"{op}: at {place} the kernel gives {kernel[place]}, {name} {other[place]}")
