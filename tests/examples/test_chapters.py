"""Every chapter runs without a screen, a network or arguments, and writes the pictures that its text promises."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "examples").glob("[0-9][0-9]_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_writes_its_pictures(chapter, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLBACKEND")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    out = tmp_path / "new" / "pictures"
    done = subprocess.run(
        [sys.executable, "-W", "error", chapter, "--out", out],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "new"], "a chapter writes into --out alone"
    written = sorted(out.iterdir())
    assert any(path.suffix in (".png", ".gif", ".svg") for path in written)
    for path in written:
        assert path.name.startswith(chapter.stem[:2]), f"{path.name} does not say which chapter it is from"
        if path.suffix in (".png", ".gif"):
            with Image.open(path) as image:
                colours = image.convert("RGB").getcolors(1 << 24)
                assert min(image.size) >= 200 and len(colours) > 2, f"{path.name} is empty"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_opens_as_a_notebook(chapter):
    """The percent format: a heading in Markdown first, then cells, each of them Python by itself."""
    cells = re.split(r"^# %%", chapter.read_text(), flags=re.MULTILINE)
    assert cells[0] == "" and re.match(r" \[markdown\]\n# # \d+\. ", cells[1])
    for cell in cells[1:]:
        kind, _, body = cell.partition("\n")
        if kind.strip() == "[markdown]":
            assert all(line.startswith("#") for line in body.splitlines() if line), body
        else:
            compile(body, chapter.name, "exec")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_a_cell_saves(chapter):
    """A notebook shows the last expression of a cell."""
    for cell in re.split(r"^# %%", chapter.read_text(), flags=re.MULTILINE)[1:]:
        if re.search(r"\bsave\(", cell):
            last = ast.parse("#" + cell).body[-1]
            assert isinstance(last, ast.Expr) and isinstance(last.value, (ast.Name, ast.Attribute)), cell


def test_chapters_are_found():
    assert {"01_cross_correlation", "06_padding_stride", "07_pooling"} <= {path.stem for path in CHAPTERS}
