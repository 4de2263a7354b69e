"""Pictures of a lecture: files of its folder, which are put into the page."""

import base64
import re
import urllib.parse
import warnings
from xml.etree import ElementTree

from minitorch_cnn.explain.lecture.errors import LectureError

KINDS = {"PNG": "png", "JPEG": "jpeg", "MPO": "jpeg", "GIF": "gif", "WEBP": "webp", "AVIF": "avif", "BMP": "bmp"}
EXPECTED = "PNG, JPEG, GIF, WebP or SVG"  # all browsers show these


def embed(token, path, line):
    """Put a picture into the page, which has no network; leave other tokens of Markdown alone.

    Parameters
    ----------
    token : markdown_it.token.Token
    path : Path
        The Markdown file.
    line : int
        Where the text begins in it.

    Raises
    ------
    LectureError
        If the file does not exist or is not a picture, or a space in its name hides the picture from Markdown.
    """
    place = f"{path.name}:{line}"
    if token.type == "text" and (hidden := re.search(r"!\[[^]]*\]\(([^)]* [^)]*)\)", token.content)):
        told = f"expected a name with spaces in angle brackets, <{hidden[1]}>, got {hidden[1]!r}"
        raise LectureError(place, f"picture - {told}")
    if token.type != "image":
        return
    source = token.attrGet("src")
    names = urllib.parse.unquote(source), source  # Markdown writes ü as %C3%BC
    file = next((path.parent / name for name in names if (path.parent / name).is_file()), None)
    if file is None:
        raise LectureError(place, f"picture - expected a file, its path seen from {path.parent}, got {names[0]!r}")
    content = file.read_bytes()
    kind = _kind(file, content)
    if kind is None:
        raise LectureError(place, f"picture - expected {EXPECTED}, got another or a damaged file, {names[0]!r}")
    token.attrSet("src", f"data:image/{kind};base64,{base64.b64encode(content).decode()}")


def _kind(file, content):
    """Return the second half of the media type of a picture that browsers show, else None."""
    if file.suffix.lower() == ".svg":
        try:
            return "svg+xml" if ElementTree.fromstring(content).tag.endswith("svg") else None
        except ElementTree.ParseError:
            return None
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(file) as picture:
            warnings.simplefilter("ignore")  # of large pictures
            picture.load()
            return KINDS.get(picture.format)
    except MemoryError:
        raise
    except Exception:  # damaged files make Pillow raise nearly anything
        return None
