"""What a lecture's folder says beside its slides: deck.toml with title, language, words and networks."""

import pathlib
import re
import tomllib

from minitorch_cnn.explain.lecture.errors import LectureError
from minitorch_cnn.hints import hint

SOURCES = pathlib.Path(__file__).parent / "sources"  # of the lecture that is shipped
SETTINGS = "deck.toml"
KINDS = {"title": str, "lang": str, "words": dict, "networks": dict}


def read_text(path):
    """Return the text of a file in UTF-8, without the mark that editors on Windows put before it."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        told = f"text - expected UTF-8, got another encoding or no text: byte {content[error.start]:#x}"
        raise LectureError(f"{path.name}:{line}", told) from error
    return text.replace("\r\n", "\n")


def parse(text, place, name=""):
    """Return the entries of TOML.

    Parameters
    ----------
    text : str
    place : callable
        Returns file and line of a line of the text, counted from 1.
    name : str
        What the message says before the problem.

    Raises
    ------
    LectureError
        If the text is not valid TOML; the message names the line.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, found = re.split(r" \(at ", str(error))[0], re.search(r"at line (\d+)", str(error))
        lines = text.rstrip().split("\n")
        line = min(int(found[1]), len(lines)) if found else len(lines)
        expected = 'expected name = value, each name once, texts in "quotes" and lists in [brackets]'
        raise LectureError(place(line), f"{name}TOML - {expected}, got {lines[line - 1]!r} ({reason})") from error


def read_settings(folder):
    """Return the checked entries of deck.toml, all of which are optional.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict

    Raises
    ------
    LectureError
        If an entry is unknown or of another kind.
    """
    path = folder / SETTINGS
    if not path.exists():
        return {}
    settings = parse(read_text(path), lambda line: f"{SETTINGS}:{line}")
    for name, value in settings.items():
        _check(folder, name, value)
    language = settings.get("lang", "en")
    if not re.fullmatch("[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*", language):
        expected = 'expected a code of a language, such as "en", "de" or "pt-BR"'
        raise LectureError(place(folder, "lang"), f"lang - {expected}, got {language!r}")
    known = known_words()
    for word, translation in settings.get("words", {}).items():
        if word not in known:
            expected = f"expected a label of the figures; the {SETTINGS} of `mcnn lecture new` lists them"
            problem = f"words - {expected}, got {word!r}{hint(word, known)}"
            raise LectureError(place(folder, word, "words"), problem)
        if not translation.strip():
            raise LectureError(place(folder, word, "words"), f"words: {word} - expected a translation, got nothing")
    return settings


def _check(folder, name, value):
    kind = KINDS.get(name)
    if kind is None:
        problem = f"settings - expected {', '.join(KINDS)}, got {name!r}{hint(name, KINDS)}"
        raise LectureError(place(folder, name), problem)
    if not isinstance(value, kind):
        expected = "a text" if kind is str else f"a table, [{name}], with texts"
        raise LectureError(place(folder, name), f"{name} - expected {expected}, got {value!r}")
    for key, text in value.items() if kind is dict else ():
        if not isinstance(text, str):
            raise LectureError(place(folder, key, name), f"{name}: {key} - expected a text in quotes, got {text!r}")


def place(folder, name, table=None):
    """Return deck.toml and the line in it that begins with a name of a table, such as ``title =`` or ``[words]``."""
    begins = re.compile(rf"""\s*\[?\s*["']?{re.escape(name)}["']?\s*[\]=.]""")
    lines = read_text(folder / SETTINGS).splitlines()
    start = next((i for i, line in enumerate(lines) if re.match(rf"\s*\[\s*{table}\s*\]", line)), 0)
    found = (i for i, line in enumerate(lines[start:], start + 1) if begins.match(line))
    return f"{SETTINGS}:{next(found, start + 1)}"


def known_words():
    """Return the labels of the figures that ``[words]`` may translate: those that the shipped deck.toml lists."""
    return re.findall(r'^# "?(.*?)"? = ""$', read_text(SOURCES / SETTINGS), re.MULTILINE)
