"""`mcnn chapters`."""

import sys

import pytest

from minitorch_cnn.explain.lecture import chapters


def test_chapters_become_notebooks(mcnn, own_folder):
    pytest.importorskip("nbformat")
    (own_folder / "01_a.py").write_text("# %%\nprint(1)\n")
    code, out, err = mcnn("chapters", "01_a.py", "-o", "made", "--no-run")
    assert code == 0 and not err and (own_folder / "made" / "01_a.ipynb").exists() and "01_a.ipynb" in out


def test_mistakes_are_named(mcnn, own_folder, monkeypatch):
    (own_folder / "01_a.py").write_text("print(1)\n")
    code, _, err = mcnn("chapters", "01_a.py")
    assert code == 2 and err.startswith("mcnn chapters: 01_a.py - expected a program that begins with a cell, # %%")
    assert mcnn("chapters", "none.py")[0] == 2
    monkeypatch.setitem(sys.modules, "nbformat", None)
    (own_folder / "01_a.py").write_text("# %%\nprint(1)\n")
    code, _, err = mcnn("chapters", "01_a.py")
    assert code == 2 and err.startswith("mcnn chapters: install what notebooks need: pip install")
    monkeypatch.setattr(chapters, "CLONE", own_folder / "none")
    code, _, err = mcnn("chapters")
    assert code == 2 and err == (
        "mcnn chapters: run this in a clone, whose folder examples has the chapters, or name programs\n"
    )
