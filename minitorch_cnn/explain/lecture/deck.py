"""Building the page of a lecture from a folder of Markdown, and copying the folder that is shipped."""

import html
import pathlib
import re
import shutil
import tomllib

from minitorch_cnn import arguments
from minitorch_cnn.explain.lecture import blocks, networks
from minitorch_cnn.explain.lecture.errors import LectureError
from minitorch_cnn.explain.lecture.text import Slide, read_slides
from minitorch_cnn.explain.page import document
from minitorch_cnn.hints import hint
from minitorch_cnn.types import Path

SOURCES = pathlib.Path(__file__).parent / "sources"
SETTINGS = "deck.toml"


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
    for name, path in _settings(folder).get("networks", {}).items():
        runs[name] = folder / path
        if not runs[name].exists():
            expected = f"expected a run's folder or model file, seen from {folder}"
            raise LectureError(_place(folder, name, "networks"), f"networks: {name} - {expected}, got {str(path)!r}")
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
    settings, own = _settings(folder), {name: page.content for name, page in (pages or {}).items()}
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
        raise LectureError(folder, "folder - expected the folder of a lecture, got something else")
    return pathlib.Path(folder)


def _place(folder, name, table=None):
    """Return deck.toml and the line in it that begins with a name of a table, such as ``title =`` or ``[words]``."""
    begins = re.compile(rf"""\s*\[?\s*["']?{re.escape(name)}["']?\s*[\]=]""")
    lines = (folder / SETTINGS).read_text(encoding="utf-8").splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(rf"\s*\[\s*{table}\s*\]", line)), 0)
    found = (i for i, line in enumerate(lines[start:], start + 1) if begins.match(line))
    return f"{SETTINGS}:{next(found, start + 1)}"


def _settings(folder):
    """Return deck.toml: title, lang, [words] and [networks], all of them optional."""
    path = folder / SETTINGS
    if not path.exists():
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LectureError(SETTINGS, f"TOML - {error}") from error
    kinds = {"title": str, "lang": str, "words": dict, "networks": dict}
    for name, value in settings.items():
        kind = kinds.get(name)
        if kind is None:
            got = f"{name!r}{hint(name, kinds)}"
            raise LectureError(_place(folder, name), f"settings - expected {', '.join(kinds)}, got {got}")
        texts = [value] if kind is str else [*value.values()] if isinstance(value, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            expected = "a text" if kind is str else "a table of texts"
            raise LectureError(_place(folder, name), f"{name} - expected {expected}, got {value!r}")
    known = known_words()
    for word, translation in settings.get("words", {}).items():
        if word not in known:
            expected = "expected a label of the figures; the deck.toml of `mcnn lecture new` lists them"
            problem = f"words - {expected}, got {word!r}{hint(word, known)}"
            raise LectureError(_place(folder, word, "words"), problem)
        if not translation.strip():
            raise LectureError(_place(folder, word, "words"), f"words: {word} - expected a translation, got nothing")
    return settings


def known_words():
    """Return the labels of the figures that ``[words]`` may translate: those that the shipped deck.toml lists."""
    listed = (SOURCES / SETTINGS).read_text(encoding="utf-8")
    return re.findall(r'^# "?(.*?)"? = ""$', listed, re.MULTILINE)


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
