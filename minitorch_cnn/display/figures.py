"""One style for all pictures: the size of a slide, fonts, margins, colours; and atomic writing of files.

A figure fills a slide of 1280 by 720 pixels. Its text has at least 14 points there, 18.7 pixels, which the last row of
a hall can read. `style` holds while a figure is made; the figure itself uses it again when it is drawn. matplotlib is
imported on the first call and works without a screen; its global settings are as before when a call has returned.
"""

import contextlib
import functools
import io
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minitorch_cnn.display import signs

if TYPE_CHECKING:
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Colours of Okabe and Ito, which people with any colour vision can tell apart.
BLUE, ORANGE, GREEN, YELLOW, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#888888"
PINK, SKY = "#CC79A7", "#56B4E9"
# What the same thing has in every picture and page; dark enough for text on white.
INPUT, KERNEL, OUTPUT, GRADIENT = "#00664D", "#8A3FFC", "#A83C00", "#A3195B"
INK, SOFT, WRONG = "#1B1F24", "#57606A", "#B00020"
GROUND = "#E3E8EE"  # below what belongs together, such as a block that repeats

SLIDE = (40 / 3, 7.5)  # inches; 1280 by 720 pixels
TITLE, HEADING, LABEL, SMALL = 24, 18, 16, 14  # points; the last is the smallest of all
_INSET = (0.012, 0.02, 0.976, 0.96)  # left, bottom, width, height: what remains inside the margin of a slide
KINDS = (".png", ".svg", ".pdf")
_DPI = 96
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": LABEL,
    "figure.titlesize": TITLE,
    "axes.titlesize": HEADING,
    "axes.labelsize": LABEL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": LABEL,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#D0D7DE",
    "lines.linewidth": 3,
    "lines.markersize": 9,
    "figure.constrained_layout.w_pad": 0.2,  # inches
    "figure.constrained_layout.h_pad": 0.15,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "minitorch_cnn",
    "pdf.fonttype": 42,  # fonts are in the file, as TrueType
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Give what is drawn inside the fonts, margins and colours of all pictures; also a decorator, ``@style()``.

    Raises
    ------
    OSError
        If the user's settings of matplotlib cannot be read, or MPLBACKEND is unknown: it cannot be imported then.
    """
    try:
        import matplotlib
    except UnicodeDecodeError as error:
        raise OSError(f"mend or remove the file matplotlibrc, which matplotlib reads first: {error}") from error
    except ValueError as error:
        if not (backend := os.environ.get("MPLBACKEND")):
            raise
        raise OSError(f"unset MPLBACKEND, or set it to a backend of matplotlib: it is {backend!r}") from error

    with matplotlib.rc_context(_STYLE):
        yield


@functools.cache
def _slide():
    """Return the class of our figures: a Figure that keeps the style wherever it is drawn."""
    from matplotlib.figure import Figure

    class Slide(Figure):
        def draw(self, renderer):  # matplotlib makes ticks only now
            with style():
                super().draw(renderer)

        def _repr_png_(self):  # IPython draws by itself only what pyplot has made
            return encoded(self, "png")

    return Slide


def blank(title: str = "", *, slides: float = 1, pads: tuple[float, float] | None = None) -> "Figure":
    """Return a matplotlib Figure of the size of a slide, empty but for its title; a notebook shows it.

    Parameters
    ----------
    title : str
    slides : float, >= 1
        The height in slides, for what would be too small on one.
    pads : (float, float) or None
        Inches between panels that stand closer together than usual: beside, and one above the other.
    """
    with style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        figure = _slide()(figsize=(SLIDE[0], SLIDE[1] * slides), layout="constrained")
        FigureCanvasAgg(figure)
        if title:
            figure.suptitle(title, y=sum(_INSET[1::2]) if pads else None)
        if pads:  # a title would stand that close to the edge, too, if matplotlib placed it
            left, bottom, width, height = _INSET
            height -= 1.3 * TITLE / 72 / figure.get_figheight() if title else 0
            figure.get_layout_engine().set(w_pad=pads[0], h_pad=pads[1], rect=(left, bottom, width, height))
    return figure


def shortened(name: str, most: int) -> str:
    """Return a name of at most ``most`` letters; an ellipsis stands for those that are left out."""
    return name if len(name) <= most else f"{name[: most - 1]}{signs.ELLIPSIS}"


def signed() -> "Colormap":
    """Return the colours of signed numbers: blue, white, orange."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("blue-orange", [BLUE, "white", ORANGE])


def heat() -> "Colormap":
    """Return the colours of sizes from 0: transparent to the colour of gradients, to lie over a picture."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    return LinearSegmentedColormap.from_list("heat", [(*to_rgb(GRADIENT), 0.0), (*to_rgb(GRADIENT), 0.9)])


def encoded(figure: "Figure", kind: str) -> bytes:
    """Return a figure as the bytes of a "png", "svg" or "pdf" file; the same figure gives the same bytes."""
    metadata = {"png": None, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def _pages(slides):
    """Return several figures as the bytes of a PDF file with a page for each."""
    from matplotlib.backends.backend_pdf import PdfPages

    buffer = io.BytesIO()
    with style(), PdfPages(buffer, metadata={"CreationDate": None}) as pages:
        for slide in slides:
            pages.savefig(slide, dpi=_DPI)
    return buffer.getvalue()


def save(figure: "Figure | list[Figure]", path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, all or nothing.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or list of Figure
        Of several, a ``.pdf`` gets a page each.
    path : str or Path
        Ends with ``.png``, 1280 by 720 pixels; ``.svg``, with text as text; or ``.pdf``, with its fonts inside.

    Raises
    ------
    ValueError
        If the path has another extension.
    OSError
        If the file cannot be written.
    """
    kind = pathlib.Path(path).suffix.lower()
    if kind not in KINDS:
        raise ValueError(f"figures.save: path - expected the extension {' or '.join(KINDS)}, got {str(path)!r}")
    from minitorch_cnn.io import files  # imports numpy, which the help of a command does not need

    content = _pages(figure) if isinstance(figure, list) else encoded(figure, kind.removeprefix("."))
    files.atomic_write(path, content)
