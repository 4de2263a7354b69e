"""Build a page on which the chapters run in a browser: JupyterLite, with Python compiled to WebAssembly.

pip install '.[try-it]'
python examples/docs/make_try_it.py --out try_it     # then python -m http.server --directory try_it

The folder can be put on any web server that serves files. While a reader uses the page, it loads Pyodide (Python,
NumPy, Matplotlib and others) from cdn.jsdelivr.net; JupyterLite, the notebooks and this package come from the folder.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHAPTERS = (1, 2, 3, 6, 7, 8, 9, 14, 15)  # the others train for minutes, or need a compiler
BEGIN = "# %%"
INSTALL = "%pip install -q minitorch-cnn"


def notebook(program):
    """Return the notebook, as JSON, of a program whose cells begin with ``# %%``.

    Parameters
    ----------
    program : str

    Returns
    -------
    str
        With one cell more, the first, which installs this package.
    """
    cells = [_cell(f"\n{INSTALL}")]
    cells += [_cell(text) for text in f"\n{program}".split(f"\n{BEGIN}") if text.strip()]
    language = {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": language}, "nbformat": 4, "nbformat_minor": 4})


def _cell(text):
    """Return the cell of a text, whose first line is the rest of the line that begins the cell."""
    kind, _, body = text.partition("\n")
    if kind.strip() == "[markdown]":
        lines = [line.removeprefix("#").removeprefix(" ") for line in body.splitlines()]
        return {"cell_type": "markdown", "metadata": {}, "source": "\n".join(lines).strip()}
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": body.strip()}


def write_notebooks(folder):
    """Write the notebooks of the chapters that a browser can run."""
    for path in sorted((ROOT / "examples").glob("[0-9]*.py")):
        if int(path.name[:2]) in CHAPTERS:
            (folder / f"{path.stem}.ipynb").write_text(notebook(path.read_text(encoding="utf-8")), encoding="utf-8")


def run(*words):
    """Run a module of Python; what it says goes to the terminal."""
    environment = {**os.environ, "MCNN_PREPARE": "0"}  # a browser runs no compiled kernels
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True, env=environment)


def main():
    """Build the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default="try_it", metavar="DIR", help="default: try_it")
    out = parser.parse_args().out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        (notebooks := pathlib.Path(folder, "notebooks")).mkdir()
        write_notebooks(notebooks)
        run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
        (wheel,) = pathlib.Path(folder).glob("*.whl")
        lite = ["jupyterlite_core", "build", "--lite-dir", folder, "--contents", notebooks, "--output-dir", out]
        run(*lite, "--piplite-wheels", wheel, "--apps", "lab", "--no-sourcemaps")
    print(f"ready: python -m http.server --directory {out}")


if __name__ == "__main__":
    main()
