"""Markdown files become slides.

A line ``---`` ends a slide. A slide begins with a heading. A fenced block ``figure NAME`` holds the arguments of a
figure as TOML, a block ``formula`` a formula in plain text, a block ``notes`` what only the speaker sees, and a block
named by a language, such as ``python``, a program. A list whose items begin with ``+`` appears item by item. Pictures
are put into the page.
"""

import dataclasses
import html
import re
from typing import Any

from minitorch_cnn.explain.lecture import pictures, settings
from minitorch_cnn.explain.lecture.errors import LectureError
from minitorch_cnn.hints import hint

BLOCKS = ("figure", "formula", "notes")
LANGUAGES = ("python", "bash", "console", "text", "json", "toml", "c", "cpp", "julia", "matlab", "r")  # of programs
MOST_LINES, WIDE, NARROW = 22, 105, 32  # of a program, and the characters of a line: alone on a slide, beside a figure


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure block: the name of the figure, its arguments, and where they stand."""

    name: str
    arguments: dict[str, Any]
    source: str  # the lines of the block
    file: str
    line: int  # of the opening fence

    def place(self, argument=None):
        """Return ``file:line`` of an argument, or of the block where it does not stand in it."""
        for number, text in enumerate(self.source.splitlines(), 1):
            if argument is not None and re.match(rf"\s*(\[*\s*)?{re.escape(argument)}\s*(=|\]|\.)", text):
                return f"{self.file}:{self.line + number}"
        return f"{self.file}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Slide:
    """One slide: its heading as text, and HTML for the screen and for the speaker."""

    title: str
    body: str
    notes: str
    figures: list[Figure]


def read_slides(path):
    """Read the slides of one Markdown file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Slide

    Raises
    ------
    LectureError
        If a slide has no heading or two, or two figures; a block is unknown, has no end, or is not valid TOML; a
        program is higher than a slide; or a picture is not a file of the folder.
    ModuleNotFoundError
        If markdown-it-py is not installed.
    """
    try:
        from markdown_it import MarkdownIt
    except ModuleNotFoundError as error:
        told = "install what lectures need: pip install 'minitorch-cnn[lecture]' (there is no markdown-it-py here)"
        raise ModuleNotFoundError(told, name=error.name) from error
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    slides, part = [], []
    for token in [*markdown.parse(settings.read_text(path)), None]:
        if token is not None and token.type != "hr":
            part.append(token)
        elif part:
            slides.append(_slide(markdown, path, part))
            part = []
    return slides


def _slide(markdown, path, tokens):
    first = tokens[0]
    if first.type != "heading_open":
        expected = 'expected a heading such as "# Pooling" at the beginning'
        raise LectureError(f"{path.name}:{first.map[0] + 1}", f"slide - {expected}, got {first.type.split('_')[0]}")
    shown, notes, figures, programs = [], "", [], []
    for token in tokens:
        if token.type == "bullet_list_open" and token.markup == "+":
            token.attrSet("class", "steps")
        if token.type == "heading_open":
            _check_heading(token, first, path.name)
        if token.type == "fence":
            _check_end(token, path.name)
        for child in token.children or ():
            pictures.embed(child, path, token.map[0] + 1)
        kind = token.info.split()[:1] if token.type == "fence" else []
        if kind == ["notes"]:
            notes += markdown.render(token.content)
        elif kind == ["figure"]:
            figures.append(_figure(token, path.name))
            if len(figures) > 1:
                told = f"expected one figure on a slide, got two: {figures[0].name} and {figures[1].name}"
                raise LectureError(figures[1].place(), f"figure - {told}; a line --- begins the next slide")
        elif kind == ["formula"]:
            token.type, token.content = "html_block", _formula(token.content)
            shown.append(token)
        elif kind and kind[0] not in LANGUAGES:
            expected = f"expected {', '.join(BLOCKS)}, or a program in {', '.join(LANGUAGES)}"
            problem = f"block - {expected}, got {kind[0]!r}{hint(kind[0], [*BLOCKS, *LANGUAGES])}"
            raise LectureError(f"{path.name}:{token.map[0] + 1}", problem)
        else:
            shown.append(token)
            programs += [token] if token.type in ("fence", "code_block") else []
    for token in programs:
        _check_length(token, NARROW if figures else WIDE, path.name)
    body = markdown.renderer.render(shown, markdown.options, {})
    return Slide(tokens[1].content, body, notes, figures)


def _check_heading(token, first, file):
    """Refuse a heading that was meant as the end of a slide, or as the beginning of the next."""
    place = f"{file}:{token.map[1]}"
    if token.markup == "-":  # Markdown makes a heading of a line of text that stands directly above ---
        raise LectureError(place, "slide - expected an empty line before ---, which ends a slide, got text above it")
    if token is not first and token.tag == "h1":
        told = "expected a line --- between empty lines before the next slide, got a second heading with one #"
        raise LectureError(place, f"slide - {told}; headings within a slide begin with ##")


def _check_end(token, file):
    """Refuse a block without its last line: it takes the rest of the file, or the slides before the next block."""
    lines, begin = token.content.splitlines(), token.map[0] + 1
    inside = next((i for i, line in enumerate(lines, begin + 1) if line.startswith(token.markup)), None)
    if inside is not None or token.map[1] - token.map[0] != len(lines) + 2:
        got = "the end of the file" if inside is None else f"another block in line {inside}"
        problem = f"expected a line {token.markup} that ends it, got {got}"
        raise LectureError(f"{file}:{begin}", f"block {token.info.strip()} - {problem}".replace("  ", " "))


def _check_length(token, width, file):
    """Refuse a program that is higher than a slide."""
    lines = sum(max(1, -(-len(line) // width)) for line in token.content.splitlines())
    if lines > MOST_LINES:
        told = f"expected at most {MOST_LINES} lines of {width} characters, got {lines}"
        raise LectureError(f"{file}:{token.map[0] + 1}", f"program - {told}; divide it among several slides")


def _formula(text):
    lines = "<br>".join(html.escape(line) for line in text.strip().splitlines())
    return f'<p class="formula">{lines}</p>\n'


def _figure(token, file):
    line = token.map[0] + 1
    words = token.info.split()
    if len(words) != 2:
        raise LectureError(f"{file}:{line}", f'figure - expected one name, as in "figure window", got {token.info!r}')
    arguments = settings.parse(token.content, lambda inside: f"{file}:{line + inside}", f"figure {words[1]}: ")
    return Figure(words[1], arguments, token.content, file, line)
