"""Build the API reference from the docstrings.

pip install '.[docs]'
python examples/docs/make_api.py --out api     # then open api/index.html
"""

import argparse
import inspect
import pathlib
import re
import tempfile
from unittest import mock

import pdoc
from numpy.typing import ArrayLike

import minitorch_cnn
from minitorch_cnn.types import Array, Operand

FORMULA = re.compile(r"[a-z]\w*(\[[^]]*\])? = |def |@")  # how the paragraph of a formula or a program begins
TABLE = re.compile(r"\S {2,}\S")
STYLE = """
.pdoc pre > code { font-size: 12px; }
.pdoc .docstring li > p { margin: 0; }
@media (min-width: 770px) { main { width: calc(64rem + var(--sidebar-width)) !important; } }
"""
WITHOUT = [f"!minitorch_cnn.ops.{name}$" for name in ("dropout", "matmul", "resize", "softmax")]  # functions, too
CODE = re.compile(r"(`+[^`]*`+|(?<![\w*])\*\w[^*\n]*\w\*(?![\w*]))")  # ``code``, and *emphasis* of whole words


def as_markdown(docstring):
    """Return a docstring as Markdown: formulas and tables become blocks of code, and other asterisks stay visible."""
    return "\n\n".join(map(_paragraph, docstring.split("\n\n")))


def _paragraph(text):
    lines = text.splitlines()
    if len(lines) > 1 and set(lines[1]) == {"-"}:  # a section of numpydoc, such as Parameters
        return _escaped(text)
    if text.startswith("    "):
        return text  # code already
    if FORMULA.match(text) or any(TABLE.search(line) for line in lines):
        return "\n".join(f"    {line}" for line in lines)
    return _escaped(text)


def _escaped(text):
    """Put a backslash before each asterisk outside of code, where Markdown would take it for emphasis."""
    parts = CODE.split(text)
    parts[::2] = [part.replace("*", r"\*") for part in parts[::2]]
    return "".join(parts)


def annotation(value, base_module=None, *, plain=inspect.formatannotation):
    """Return a type as the reader knows it: the aliases of `minitorch_cnn.types`, not what they stand for."""

    def written(value):
        return re.sub(r"\btyping\.", "", plain(value, base_module))

    text = written(value)
    for name, alias in (("Tensor | ArrayLike", Operand), ("ArrayLike", ArrayLike)):
        text = text.replace(written(alias)[len("Union[") : -1], name)
    text = re.sub(r"Union\[([\w| ]+), NoneType\]", r"\1 | None", text)
    text = re.sub(r"Union\[([\w| ]+)\]", r"\1", text)
    return text.replace(written(Array), "numpy.ndarray").replace("minitorch_cnn.autograd.engine.Variable", "Variable")


def build(out):
    """Write one HTML page per module into the folder ``out``."""
    for name in minitorch_cnn.__all__:  # pdoc does not call the package's __getattr__, so load every name first
        setattr(minitorch_cnn, name, getattr(minitorch_cnn, name))
    convert, footer = pdoc.docstrings.convert, f"minitorch_cnn {minitorch_cnn.__version__}"
    with (
        tempfile.TemporaryDirectory() as templates,
        mock.patch.object(pdoc.docstrings, "convert", lambda docstring, *how: convert(as_markdown(docstring), *how)),
        mock.patch.object(pdoc.doc, "formatannotation", annotation),
        mock.patch.object(inspect, "formatannotation", annotation),
    ):
        pathlib.Path(templates, "custom.css").write_text(STYLE)
        pdoc.render.configure(docformat="numpy", footer_text=footer, template_directory=pathlib.Path(templates))
        pdoc.pdoc("minitorch_cnn", "minitorch_kernels", *WITHOUT, output_directory=out)
    for page in out.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r"<h2>Submodules</h2>\s*<ul>\s*</ul>", "", text), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default="api", metavar="DIR", help="(default: api)")
    build(parser.parse_args().out)
