"""The chapters as notebooks of a page that runs in a browser."""

import importlib.util
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope="module")
def make_try_it():
    spec = importlib.util.spec_from_file_location("make_try_it", ROOT / "examples/docs/make_try_it.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cells_of_a_notebook(make_try_it):
    program = "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1\n\nx + 1\n\n# %%\nprint(x)\n"
    book = json.loads(make_try_it.notebook(program))
    assert [(cell["cell_type"], cell["source"]) for cell in book["cells"]] == [
        ("code", "%pip install -q minitorch-cnn"),
        ("markdown", "# Title\n\ntext"),
        ("code", "x = 1\n\nx + 1"),
        ("code", "print(x)"),
    ]
    assert book["nbformat"] == 4 and all("outputs" in cell for cell in book["cells"] if cell["cell_type"] == "code")


def test_every_chapter_of_the_page_is_a_notebook_with_all_of_its_code(make_try_it, tmp_path):
    make_try_it.write_notebooks(tmp_path)
    written = sorted(tmp_path.iterdir())
    assert [int(path.name[:2]) for path in written] == list(make_try_it.CHAPTERS)
    for path in written:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join(cell["source"] for cell in cells[1:] if cell["cell_type"] == "code")
        program = (ROOT / "examples" / f"{path.stem}.py").read_text(encoding="utf-8")
        assert [line for line in code.split("\n") if line] == [
            line for line in program.split("\n") if line and not line.startswith("# ") and line != "#"
        ]
        compile(code, path.name, "exec")
