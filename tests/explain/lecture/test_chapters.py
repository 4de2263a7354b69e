"""Chapters as notebooks."""

import json
import sys

import pytest

from minitorch_cnn.explain.lecture import chapters

CHAPTER = "# %% [markdown]\n# # 1. Title\n#\n#     code\n# text\n\n# %%\nx = 6\nprint(x)\n\n# %%\nx * 7\n"


@pytest.fixture
def chapter(tmp_path):
    path = tmp_path / "01_one.py"
    path.write_text(CHAPTER)
    return path


def test_cells_are_text_or_programs(chapter):
    text = "# 1. Title\n\n    code\ntext"
    assert chapters.read_cells(chapter) == [(True, text), (False, "x = 6\nprint(x)"), (False, "x * 7")]


def test_every_chapter_becomes_a_valid_notebook(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    assert len(chapters.chapters()) >= 15
    for path in chapters.chapters():
        written = chapters.write_notebook(path, tmp_path, run=False)
        nbformat.validate(nbformat.read(written, as_version=4))
        assert written.name == f"{path.stem}.ipynb"


def test_a_notebook_holds_its_results(chapter, tmp_path):
    for name in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(name)
    cells = json.loads(chapters.write_notebook(chapter, tmp_path / "out").read_text())["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code"]
    assert cells[1]["outputs"][0]["text"] == ["6\n"] and cells[2]["outputs"][0]["data"]["text/plain"] == ["42"]
    chapter.write_text("# %%\n1 / 0\n")
    with pytest.raises(chapters.ChapterError, match="01_one.py - expected cells that run, got ZeroDivisionError"):
        chapters.write_notebook(chapter, tmp_path / "out")


def test_a_picture_is_no_chapter(chapter):
    chapter.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(chapters.ChapterError, match="expected a program that begins with a cell, # %%, got another"):
        chapters.read_cells(chapter)


def test_what_is_missing_is_named(chapter, tmp_path, monkeypatch):
    chapter.write_text("x = 1\n# %%\n")
    with pytest.raises(
        chapters.ChapterError, match="01_one.py - expected a program that begins with a cell, # %%, got"
    ):
        chapters.write_notebook(chapter, tmp_path)
    chapter.write_text(CHAPTER)
    monkeypatch.setitem(sys.modules, "nbformat", None)
    with pytest.raises(ModuleNotFoundError, match="install what notebooks need: pip install 'minitorch-cnn.chapters.'"):
        chapters.write_notebook(chapter, tmp_path)


def test_chapters_of_the_working_directory_if_the_package_was_installed(tmp_path, monkeypatch):
    (tmp_path / "examples").mkdir()
    for name in ("02_b.py", "01_a.py", "other.py"):
        (tmp_path / "examples" / name).touch()
    monkeypatch.setattr(chapters, "CLONE", tmp_path / "none")
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in chapters.chapters()] == ["01_a.py", "02_b.py"]
