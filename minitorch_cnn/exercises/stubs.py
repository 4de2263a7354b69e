"""The files that `mcnn exercise start` writes: formula, shapes, and two functions without a body."""

import pathlib

from minitorch_cnn.display import shell
from minitorch_cnn.exercises.tasks import TASKS
from minitorch_cnn.io import files

_TEXT = '''"""Exercise: {name}

{formula}

{shapes}

Write forward and backward with NumPy alone; loops are welcome, speed does not count.
Then: {check}
"""

import numpy as np  # noqa: F401

EXERCISE = "{name}"


def forward({arguments}):
    """Return {returns}."""
    raise NotImplementedError("write forward")


def backward(grad_out, {arguments}):
    """Return {gradients}; grad_out is that of forward's result."""
    raise NotImplementedError("write backward")
'''


def start(name, path=None):
    """Write the stub of an exercise.

    Parameters
    ----------
    name : str
        A key of TASKS.
    path : str or Path, or None
        None means ``<name>.py`` in the present folder.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If there is no such exercise, or the file exists: nobody's work is overwritten.
    """
    if name not in TASKS:
        raise ValueError(f"exercise: name - expected one of {', '.join(TASKS)}, got {name!r}")
    path = pathlib.Path(path or f"{name}.py")
    if path.exists():
        raise ValueError(f"exercise: path - expected a new file, got {path}, which exists")
    task = TASKS[name]
    text = _TEXT.format(
        name=name,
        formula=task.formula,
        shapes=task.shapes,
        check=shell.line("mcnn", "exercise", "check", path.name),
        arguments=", ".join([*task.inputs, *task.hyper]),
        returns=task.returns,
        gradients=", ".join(task.gradients),
    )
    files.atomic_write(path, text.encode())
    return path
