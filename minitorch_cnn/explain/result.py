"""What every result that has a drawing can do with it."""

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

    def save(self, path: Path) -> None:
        """Write the drawing to a .png, .svg or .pdf file; ValueError if the name ends otherwise."""
        figures.save(self.figure(), path)

    def _repr_png_(self):
        return None if self.vector else figures.encoded(self.figure(), "png")

    def _repr_svg_(self):
        return figures.encoded(self.figure(), "svg").decode() if self.vector else None
