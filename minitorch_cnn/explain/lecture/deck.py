"""Building the page of a lecture from a folder of Markdown, and copying the folder that is shipped."""

import html
import pathlib
import shutil

from minitorch_cnn import arguments
from minitorch_cnn.explain.lecture import blocks, networks
from minitorch_cnn.explain.lecture.errors import LectureError
from minitorch_cnn.explain.lecture.settings import SOURCES, place, read_settings
from minitorch_cnn.explain.lecture.text import Slide, read_slides
from minitorch_cnn.explain.page import document
from minitorch_cnn.types import Path


class Lecture:
    """A deck of slides in one HTML file; `save` writes it.

    Attributes
    ----------
    html : str
    slides : list of Slide
    """

    def __init__(self, text: str, slides: list[Slide]):
        self.html, self.slides = text, slides

    def save(self, path: Path) -> None:
        """Write the page to a file; ValueError if its name does not end with .html."""
        document.save("Lecture.save", path, self.html)


def copy_lecture(folder: Path) -> None:
    """Copy the sources of the lecture into a new folder, to be edited.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    ValueError
        If there is something of this name already.
    """
    arguments.path("copy_lecture", folder=folder)
    if pathlib.Path(folder).exists():
        raise ValueError(f"copy_lecture: folder - expected a name that is not taken, got {str(folder)!r}")
    shutil.copytree(SOURCES, folder)


def lecture_runs(folder: Path | None = None) -> dict[str, pathlib.Path]:
    """Return the runs that ``[networks]`` of a lecture's deck.toml names, as paths by the names of networks.

    Parameters
    ----------
    folder : str, Path or None
        None is the lecture that is shipped, which names none.

    Returns
    -------
    dict

    Raises
    ------
    LectureError
        If deck.toml cannot be read, or a path in it does not exist.
    """
    folder = _folder("lecture_runs", folder)
    runs = {}
    for name, path in read_settings(folder).get("networks", {}).items():
        runs[name] = folder / path
        if not runs[name].exists():
            expected = f"expected a run's folder or model file, seen from {folder}"
            raise LectureError(place(folder, name, "networks"), f"networks: {name} - {expected}, got {str(path)!r}")
    return runs


def build_lecture(folder: Path | None = None, pages: dict | None = None) -> Lecture:
    """Build the page of a lecture.

    Parameters
    ----------
    folder : str, Path or None
        Markdown files, read in the order of their names, and deck.toml; see examples/docs/lecture.md. None builds the
        lecture that is shipped.
    pages : dict or None
        Networks of your own for the figures: from names to what `explain.explore` returned. "yours" takes the
        place of the small network that is otherwise trained while the page is built.

    Returns
    -------
    Lecture

    Raises
    ------
    LectureError
        If the text of the lecture has a mistake; the message names file and line.
    ModuleNotFoundError
        If markdown-it-py is not installed.
    """
    folder = _folder("build_lecture", folder)
    settings, own = read_settings(folder), {name: page.content for name, page in (pages or {}).items()}
    slides = [slide for path in sorted(folder.glob("*.md")) for slide in read_slides(path)]
    if not slides:
        raise LectureError(folder, "slides - expected at least one in files that end with .md, got none")
    known = tuple(dict.fromkeys([*networks.NAMES, *own]))
    figures = [[blocks.content(figure, known) for figure in slide.figures] for slide in slides]
    used = {f["arguments"]["network"] for each in figures for f in each if blocks.FIGURES[f["name"]].networks}
    content = {
        "words": settings.get("words", {}),
        "figures": figures,
        "notes": [slide.notes for slide in slides],
        "networks": {name: own[name] if name in own else networks.shipped(name) for name in sorted(used)},
    }
    return Lecture(_page(settings, slides, content), slides)


def _folder(where, folder):
    if folder is None:
        return SOURCES
    arguments.path(where, folder=folder)
    if not pathlib.Path(folder).is_dir():
        got = "a file" if pathlib.Path(folder).exists() else "no such folder"
        told = "expected the folder of a lecture, which `mcnn lecture new` makes"
        raise LectureError(folder, f"folder - {told}, got {got}")
    return pathlib.Path(folder)


def _page(settings, slides, content):
    """Return the page: styles, slides, data and script in one text."""
    return document.page(
        "deck/deck.html",
        ("views/theme.css", "views/network.css", "deck/deck.css"),
        "deck/deck.mjs",
        content,
        title=html.escape(settings.get("title", "Convolutional networks")),
        lang=html.escape(settings.get("lang", "en"), quote=True),
        slides="".join(_section(number, slide) for number, slide in enumerate(slides, 1)),
    )


def _section(number, slide):
    kind = "slide with-figure" if slide.figures else "slide"
    figures = '<div class="figure"></div>' * len(slide.figures)
    label = html.escape(f"{number}: {slide.title}", quote=True)
    return f'<section class="{kind}" aria-label="{label}"><div class="text">{slide.body}</div>{figures}</section>\n'
