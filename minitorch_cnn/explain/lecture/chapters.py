"""Chapters as notebooks: programs in the percent format become .ipynb files with their results."""

import os
import pathlib
import re

from minitorch_cnn import arguments
from minitorch_cnn.io import files
from minitorch_cnn.types import Path

CLONE = pathlib.Path(__file__).parents[3]  # if the package was not installed from it
LIMIT = 3600  # seconds that one cell may take


class ChapterError(ValueError):
    """A file that is not a chapter, or a cell that fails."""


def chapters() -> list[pathlib.Path]:
    """Return the programs of all chapters in their order: of the clone of this package, or of one that is the working
    directory; none elsewhere.
    """
    found = (sorted((place / "examples").glob("[0-9][0-9]_*.py")) for place in (CLONE, pathlib.Path()))
    return next(filter(None, found), [])


def write_notebook(chapter: Path, folder: Path, run: bool = True) -> pathlib.Path:
    """Write a chapter as a notebook.

    Parameters
    ----------
    chapter : str or Path
        A program whose cells begin with ``# %%``, those of text with ``# %% [markdown]``.
    folder : str or Path
        Gets the notebook, and the pictures that its cells save.
    run : bool
        Whether to run it, so that it holds its results. That takes as long as the program.

    Returns
    -------
    Path
        The notebook.

    Raises
    ------
    ChapterError
        If the file has no cells, or a cell fails.
    ModuleNotFoundError
        If nbformat is not installed; to run, nbclient and ipykernel as well.
    """
    arguments.path("write_notebook", chapter=chapter, folder=folder)
    arguments.flag("write_notebook", run=run)
    source, target = pathlib.Path(chapter), pathlib.Path(folder)
    cells = read_cells(source)
    try:
        from nbformat import v4, writes

        notebook = v4.new_notebook(
            cells=[(v4.new_markdown_cell if is_text else v4.new_code_cell)(text) for is_text, text in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        for number, cell in enumerate(notebook.cells):
            cell.id = f"cell-{number}"  # the same in every run
        target.mkdir(parents=True, exist_ok=True)
        if run:
            _run(notebook, source, target)
    except ModuleNotFoundError as error:
        told = f"install what notebooks need: pip install 'minitorch-cnn[chapters]' (there is no {error.name} here)"
        raise ModuleNotFoundError(told, name=error.name) from error
    path = target / f"{source.stem}.ipynb"
    files.atomic_write(path, writes(notebook).encode())
    return path


def read_cells(path):
    """Return (whether it is text, its content) of every cell of a program in the percent format."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        text = ""  # a picture, for example
    first, *parts = re.split(r"^# %%", text, flags=re.MULTILINE)
    if first.strip() or not parts:
        raise ChapterError(f"{path} - expected a program that begins with a cell, # %%, got another file")
    cells = []
    for part in parts:
        kind, _, body = part.partition("\n")
        is_text = kind.strip() == "[markdown]"
        cells.append((is_text, re.sub(r"^# ?", "", body, flags=re.MULTILINE).strip() if is_text else body.strip()))
    return cells


def _run(notebook, source, folder):
    """Run all cells in a new process of Python that works in the folder."""
    import ipykernel  # noqa: F401  it is the process that runs the cells
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    client = NotebookClient(
        notebook,
        timeout=LIMIT,
        startup_timeout=300,
        extra_arguments=["--log-level=40"],  # errors alone
        resources={"metadata": {"path": os.fspath(folder)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        raise ChapterError(f"{source} - expected cells that run, got {error.ename}: {error.evalue}") from error
