"""Shared by all pictures: the size of a slide, colours that everybody can tell apart, atomic writing of files.

Nothing here touches matplotlib's global state, so it works without a screen and inside
notebooks. matplotlib is imported on the first call.
"""

import functools
import io
import os
import pathlib
from typing import TYPE_CHECKING

from minitorch_cnn.io import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of Okabe and Ito, which people with any colour vision can tell apart.
BLUE, ORANGE, GREEN, YELLOW, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#888888"
SLIDE = (12, 6.75)  # inches; 1600 by 900 pixels
_DPI = 1600 / 12


def blank(size: tuple[float, float] = SLIDE) -> "Figure":
    """Return an empty matplotlib Figure of ``size`` inches, (width, height); a notebook shows it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    figure._repr_png_ = functools.partial(encoded, figure, "png")  # IPython draws by itself only what pyplot has made
    return figure


def encoded(figure: "Figure", kind: str) -> bytes:
    """Return a figure as the bytes of a "png" or "svg" file; the same figure gives the same bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "minitorch_cnn"}):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, all or nothing.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or Path
        Ends with ``.png`` or ``.svg``.

    Raises
    ------
    ValueError
        If the path has another extension.
    OSError
        If the file cannot be written.
    """
    kind = pathlib.Path(path).suffix.lower().removeprefix(".")
    if kind not in ("png", "svg"):
        raise ValueError(f"figures.save: path - expected the extension .png or .svg, got {str(path)!r}")
    files.atomic_write(path, encoded(figure, kind))
