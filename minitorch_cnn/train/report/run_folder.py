"""The folder of one run: its history, its result, its model and its pictures.

run.jsonl           one line per epoch
result.json         written last: a run that has one is complete
model.safetensors   the classifier; see `Classifier.load`
best.safetensors    the classifier of the best epoch so far, where the recipe keeps it
curves.png  confusion.png  mistakes.png
checkpoint-<step>.safetensors
run.lock            while a process works in the folder
epoch-<number>.safetensors   the classifier after that epoch, with `save_epochs`
"""

import itertools
import json
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any, Self

from minitorch_cnn import arguments
from minitorch_cnn.display import html
from minitorch_cnn.io import files, json_text, record
from minitorch_cnn.train.report.lock import FolderLock, RunFolderError
from minitorch_cnn.train.state import Checkpoints
from minitorch_cnn.types import Path

_RESULT = {
    "recipe": record.text,
    "dataset": record.text,
    "verified": record.truth,
    "epochs": record.count,
    "seed": record.count,
    "seconds": record.real,
    "test_reads": record.count,
}


class FolderGoneError(OSError):
    """The folder of a run was removed or renamed while it trained; the message says where the state was saved."""

    def __init__(self, path: Path, rescued: Path, step: int):
        super().__init__(
            f"{path} is gone: it was removed or renamed while the run trained. Everything up to step {step} was saved "
            f"in {rescued}"
        )
        self.rescued, self._arguments = rescued, (path, rescued, step)

    def __reduce__(self) -> tuple[Any, ...]:  # a copy: Python would call the class with the message alone
        return type(self), self._arguments


class RunFolder:
    """Paths and records of a run; `create` makes a new one, `open` finds one again.

    Parameters
    ----------
    path : str or Path
    """

    def __init__(self, path: Path):
        arguments.path("RunFolder", path=path)
        self.path = pathlib.Path(path)
        self.history = self.path / "run.jsonl"
        self.result = self.path / "result.json"
        self.model = self.path / "model.safetensors"
        self.best = self.path / "best.safetensors"
        self.curves = self.path / "curves.png"
        self.confusion = self.path / "confusion.png"
        self.mistakes = self.path / "mistakes.png"

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the folder of a new run.

        Raises
        ------
        TypeError
            If ``path`` is not a path.
        RunFolderError
            If something is there already: runs are never overwritten.
        """
        arguments.path("Trainer", folder=path)
        path = pathlib.Path(path)
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} - expected a new or empty folder, got a file")
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        folder.refuse_if_locked()
        files.remove_stale(path)  # of a run that was killed before its first checkpoint
        if any(path.iterdir()):
            raise RunFolderError(
                f"{path} - expected a new or empty folder, got one with files; continue its run with --resume {path}, "
                "or choose another folder with --run"
            )
        return folder

    @classmethod
    def open(cls, path: Path) -> Self:
        """Find the folder of an earlier run.

        Raises
        ------
        TypeError
            If ``path`` is not a path.
        RunFolderError
            If there is no such folder.
        """
        arguments.path("run", folder=path)
        if not pathlib.Path(path).is_dir():
            raise RunFolderError(f"{path} - expected the folder of an earlier run, got no folder")
        return cls(path)

    def lock(self) -> FolderLock:
        """Return a context in which this process alone works in the folder; it raises RunFolderError on entry."""
        return FolderLock(self.path)

    def refuse_if_locked(self) -> None:
        """Raise RunFolderError if a living process works in the folder."""
        with self.lock():
            pass

    def _repr_html_(self):
        """The numbers of the result, if there is one, and the curves, as HTML."""
        result = self.read_result() or {}
        facts = [(name, str(value)) for name, value in result.items() if not isinstance(value, dict)]
        shown = html.table([("run", str(self.path)), *facts])
        return shown + (html.png(self.curves.read_bytes()) if self.curves.exists() else "")

    def write_history(self, records: Sequence[dict[str, Any]]) -> None:
        """Write ``run.jsonl`` anew from a list of dicts; TypeError for anything else."""
        for number, line in enumerate(arguments.listed("write_history", "records", records)):
            arguments.instance("write_history", dict, **{f"records[{number}]": line})
        text = "".join(json_text.dumps(record) + "\n" for record in records)
        files.atomic_write(self.history, text.encode())

    def write_result(self, result: dict[str, Any]) -> None:
        """Write ``result.json`` from a dict; TypeError for anything else."""
        arguments.instance("write_result", dict, result=result)
        files.atomic_write(self.result, (json_text.dumps(result, indent=2) + "\n").encode())

    def read_result(self) -> dict[str, Any] | None:
        """Return ``result.json`` as a dict, or None while the run is not complete.

        Raises
        ------
        RunFolderError
            If the file is not the result of a run.
        """
        if not self.result.exists():
            return None
        try:
            result = json.loads(self.result.read_text(encoding="utf-8"), object_hook=json_text.read_losses)
            record.check(result, _RESULT, "result")
            kind = "test" if result["test_reads"] else "holdout"
            record.check(result, {f"{kind}_accuracy": record.share, f"{kind}_loss": record.loss}, "result")
        except ValueError as error:
            raise RunFolderError(f"{self.result} - expected the result of a run, got another file ({error})") from error
        return result


def save_or_rescue(checkpoints, step, state):
    """Save the state of a run and return the path; if its folder is gone, raise FolderGoneError, which names another.

    Parameters
    ----------
    checkpoints : Checkpoints
    step, state
        As `Checkpoints.save` takes them.
    """
    try:
        return checkpoints.save(step, state)
    except FileNotFoundError:
        if checkpoints.folder.is_dir():
            raise
    rescued = _rescue_folder(checkpoints.folder)
    Checkpoints(rescued).save(step, state)
    raise FolderGoneError(checkpoints.folder, rescued, step)


def _rescue_folder(path):
    """Make and return a folder next to that of a run that is gone; if that fails, a temporary one."""
    names = (path.with_name(f"{path.name}-rescued" + (f"-{i}" if i > 1 else "")) for i in itertools.count(1))
    rescued = next(name for name in names if not name.exists())
    try:
        rescued.mkdir()
    except OSError:  # such as a parent folder that is gone, too
        rescued = pathlib.Path(tempfile.mkdtemp(prefix=f"{path.name}-rescued-"))
    return rescued
