"""What every result that has a drawing can do with it."""

import pathlib
from typing import TYPE_CHECKING

from minitorch_cnn.display import figures
from minitorch_cnn.types import Path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Picture:
    """A result that has a ``figure()``: it can be saved, and a notebook shows it, as SVG if ``vector`` is set."""

    vector: bool = False

    def figure(self) -> "Figure":
        """Return the drawing as a matplotlib Figure; every subclass writes its own."""
        raise NotImplementedError(f"{type(self).__name__}: figure - expected a method, got none; write one")

    def slides(self) -> "list[Figure]":
        """Return the drawing divided among slides: one, unless a subclass divides it."""
        return [self.figure()]

    def save(self, path: Path) -> None:
        """Write the drawing to a .png, .svg or .pdf file, this with a page for each slide; else ValueError."""
        pages = self.slides() if pathlib.Path(path).suffix.lower() == ".pdf" else [self.figure()]
        figures.save(pages[0] if len(pages) == 1 else pages, path)

    def _repr_png_(self):
        return None if self.vector else figures.encoded(self.figure(), "png")

    def _repr_svg_(self):
        return figures.encoded(self.figure(), "svg").decode() if self.vector else None
