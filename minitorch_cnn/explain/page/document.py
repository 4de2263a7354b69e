"""One HTML file with everything inside: styles, elements, data and script."""

import pathlib
from string import Template

from minitorch_cnn import arguments
from minitorch_cnn.explain.page.bundle import FOLDER, bundle
from minitorch_cnn.io import files, json_text


def page(template, styles, script, content, **texts):
    """Return the text of a page.

    Parameters
    ----------
    template, script : str
        Files below this folder: the elements, and the module that begins.
    styles : sequence of str
        Files below this folder, in their order.
    content : object
        What the script reads; JSON can hold it.
    texts : str
        HTML for the other names in the template.
    """
    return Template(_text(template)).substitute(
        style="".join(map(_text, styles)), script=bundle(script), content=as_json(content), **texts
    )


def save(owner, path, text):
    """Write a page to a file; raise ValueError in the name of ``owner`` if its name does not end with .html."""
    arguments.path(owner, path=path)
    if pathlib.Path(path).suffix != ".html":
        raise ValueError(f"{owner}: path - expected a name that ends with .html, got {str(path)!r}")
    files.atomic_write(path, text.encode())


def as_json(content):
    """Return content as JSON that can stand inside an HTML script element."""
    return json_text.dumps(content, told=False, separators=(",", ":")).replace("<", "\\u003c")


def _text(name):
    return (FOLDER / name).read_text(encoding="utf-8")
