"""The runs in a folder: which there are, what they reached, and how their settings differ.

print(train.runs("runs"))                       a line for each run
train.compare("runs/mlp-1", "runs/mlp-2")       the same for these, with the settings that differ
"""

import dataclasses
import datetime
import json
import os
import pathlib
from typing import TYPE_CHECKING, Any

from minitorch_cnn import arguments, weights
from minitorch_cnn.display import columns, figures, html
from minitorch_cnn.io import json_text, record
from minitorch_cnn.train import state
from minitorch_cnn.train.report import plots
from minitorch_cnn.train.report.reporter import duration
from minitorch_cnn.train.report.run_folder import RunFolder, RunFolderError
from minitorch_cnn.types import Path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHECKPOINTS = "checkpoint-*.safetensors"
_FILES = ("result.json", "run.jsonl", "model.safetensors", _CHECKPOINTS)  # one of them makes a folder that of a run
_UNTOLD = ("data_sha256", "mean", "std")  # follow from other settings
_LONGEST = 40  # characters of a setting in a table
_EPOCH = {**state.FORM["progress"]["history"][0], "seconds": record.real}
_HELD_OUT = {"holdout_accuracy": record.share, "holdout_loss": record.loss}  # of an epoch, where images are held out
_SETTINGS = {**state.FORM["settings"], "recipe": {**state.FORM["settings"]["recipe"], "epochs": record.real}}


@dataclasses.dataclass(frozen=True)
class Run:
    """What one run is and has reached.

    Attributes
    ----------
    path : Path
        Its folder.
    model, dataset : str
    epochs : int
        That are finished.
    planned : float
        Epochs of its recipe.
    accuracy : float or None
        On the images that ``judged_by`` names; None before the end of the first epoch.
    judged_by : str
        "test" or "holdout", or "training" where an unfinished run holds no images out; "" without an accuracy.
    seconds : float
        That its training has taken so far.
    date : datetime
        Of its last file.
    finished : bool
        Whether it has its result.
    settings : dict
        What was chosen before its first step.
    history : list of dict
        The lines of ``run.jsonl``.
    """

    path: pathlib.Path
    model: str
    dataset: str
    epochs: int
    planned: float
    accuracy: float | None
    judged_by: str
    seconds: float
    date: datetime.datetime
    finished: bool
    settings: dict[str, Any]
    history: list[dict[str, Any]]


class Runs:
    """Some runs: printed as a table, drawn as curves.

    Attributes
    ----------
    runs : list of Run
    broken : list of str
        A sentence for each folder that has no run, or one that cannot be read.
    """

    def __init__(self, runs: list[Run], broken: list[str]):
        self.runs, self.broken = arguments.listed("Runs", "runs", runs), arguments.listed("Runs", "broken", broken)
        for number, run in enumerate(self.runs):
            arguments.instance("Runs", Run, **{f"runs[{number}]": run})
        self._names = _names([run.path.resolve() for run in self.runs])

    def _rows(self):
        rows = [("run", "model", "dataset", "epochs", "accuracy", "judged by", "time", "date")]
        for name, run in zip(self._names, self.runs, strict=True):
            epochs = f"{run.epochs}" if run.finished else f"{min(run.epochs, run.planned):g} of {run.planned:g}"
            accuracy = "-" if run.accuracy is None else f"{run.accuracy:.2%}"
            date = run.date.strftime("%Y-%m-%d %H:%M")
            time = duration(run.seconds)
            rows.append((name, run.model, run.dataset, epochs, accuracy, run.judged_by or "-", time, date))
        return rows

    def _cautions(self):
        """Return a sentence for each dataset and network of one name that was not the same in all runs."""
        groups = {}  # by what runs share, and size of the images: names of the runs by digest
        for name, run in zip(self._names, self.runs, strict=True):
            images = f"the images of {run.dataset}", str(run.settings.get("input_size"))
            for shared, digest in (
                (images, run.settings.get("data_sha256")),
                ((f"the code of {run.model}", ""), _code_of(run.settings)),
            ):
                if digest:
                    groups.setdefault(shared, {}).setdefault(repr(digest), []).append(name)
        return [
            f"not the same in all runs: {what}, so that their accuracies do not compare: "
            f"{' / '.join(', '.join(names) for names in parts.values())}"
            for (what, _), parts in groups.items()
            if len(parts) > 1
        ]

    def __str__(self) -> str:
        """The runs as text, a line for each, and for each dataset or network that has changed between them."""
        return "\n".join([columns.table(self._rows(), right=(3, 4, 6)), *self._cautions()]) if self.runs else "no runs"

    def _repr_html_(self):
        return html.table(self._rows()) + "".join(map(html.text, self._cautions()))

    def best_first(self) -> "Runs":
        """Return the same runs ordered by accuracy, those without one last."""
        ordered = sorted(self.runs, key=lambda run: -1.0 if run.accuracy is None else run.accuracy, reverse=True)
        return Runs(ordered, self.broken)

    def differences(self) -> str:
        """Return the settings that differ between the runs as text: a line for each, a column for each run."""
        if absent := [name for name, run in zip(self._names, self.runs, strict=True) if not run.settings]:
            return f"{', '.join(absent)}: no settings are recorded"
        flat = [_flat(run.settings) for run in self.runs]
        keys = list(dict.fromkeys(key for settings in flat for key in settings))
        rows = [[key, *(_shown(settings.get(key)) for settings in flat)] for key in keys]
        told = [row for row, key in zip(rows, keys, strict=True) if len({repr(s.get(key)) for s in flat}) > 1]
        return columns.table([["setting", *self._names], *told]) if told else "all settings are the same"

    def chart(self) -> "Figure":
        """Return loss and accuracy of all runs against the epoch as a matplotlib Figure.

        They are those of the held-out images, or of training where a run holds none out.
        """
        return plots.comparison({name: run.history for name, run in zip(self._names, self.runs, strict=True)})

    def save(self, path: Path) -> None:
        """Write the chart to a ``.png``, ``.svg`` or ``.pdf`` file; errors as `figures.save`."""
        figures.save(self.chart(), path)


def runs(folder: Path = "runs") -> Runs:
    """Find the runs in a folder, and in the folders of sweeps in it.

    Parameters
    ----------
    folder : str or Path
        That of a run counts as well.

    Returns
    -------
    Runs
        The oldest first.

    Raises
    ------
    TypeError
        If ``folder`` is not a path.
    RunFolderError
        If there is no such folder.
    """
    arguments.path("runs", folder=folder)
    folder, found, broken = RunFolder.open(folder).path, [], []
    for path in _run_folders(folder):
        try:
            found.append(_read(path))
        except (RunFolderError, OSError) as error:
            broken.append(str(error))
    return Runs(sorted(found, key=lambda run: (run.date, run.path)), broken)


def compare(*folders: Path) -> Runs:
    """Read some runs, to print their differences and draw their curves.

    Parameters
    ----------
    folders : str or Path
        Of two runs or more.

    Returns
    -------
    Runs

    Raises
    ------
    TypeError
        If one is not a path.
    ValueError
        If there are fewer than two, or one is given twice.
    RunFolderError
        If one is not the folder of a run, or cannot be read.
    """
    for folder in folders:
        arguments.path("compare", folder=folder)
    if len({os.path.realpath(folder) for folder in folders}) != max(len(folders), 2):
        raise ValueError(f"compare: folders - expected two different runs or more, got {', '.join(map(str, folders))}")
    return Runs([_read(RunFolder.open(folder).path) for folder in folders], [])


def _is_run(path):
    return any(next(path.glob(pattern), None) for pattern in _FILES)


def _run_folders(folder):
    """Return the folders of runs in a folder, and all others in it that hold none."""
    if _is_run(folder):
        return [folder]
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        inside = [] if _is_run(path) else [inner for inner in path.iterdir() if inner.is_dir() and _is_run(inner)]
        found += sorted(inside) or [path]
    return found


def _read(path):
    """Return the `Run` in a folder; raise RunFolderError if there is none, or its files are damaged."""
    if not _is_run(path):
        raise RunFolderError(f"{path} - expected the folder of a run, got one without {', '.join(_FILES[:3])}")
    folder = RunFolder(path)
    result, history = folder.read_result(), _history(folder.history)
    settings = _newest_settings(path) if result is None else _checked(folder.result, result.get("settings"))
    newest = max(file.stat().st_mtime for pattern in _FILES for file in path.glob(pattern))
    return Run(
        path=path,
        **(_unfinished(history, settings) if result is None else _finished(result, settings)),
        date=datetime.datetime.fromtimestamp(newest),
        finished=result is not None,
        settings=settings,
        history=history,
    )


def _finished(result, settings):
    kind = "test" if result["test_reads"] else "holdout"
    return {
        "model": _model(settings, result["recipe"]),
        "dataset": result["dataset"],
        "epochs": result["epochs"],
        "planned": settings["recipe"]["epochs"] if settings else result["epochs"],
        "accuracy": result[f"{kind}_accuracy"],
        "judged_by": kind,
        "seconds": result["seconds"],
    }


def _unfinished(history, settings):
    last = history[-1] if history else {}
    held_out = "holdout_accuracy" in last
    return {
        "model": _model(settings, settings["recipe"]["model"]),
        "dataset": settings["dataset"],
        "epochs": last.get("epoch", 0),
        "planned": settings["recipe"]["epochs"],
        "accuracy": last.get("holdout_accuracy" if held_out else "train_accuracy"),
        "judged_by": ("holdout" if held_out else "training") if last else "",
        "seconds": last.get("seconds", 0.0),
    }


def _model(settings, otherwise):
    architecture = settings.get("architecture")  # which older versions did not record
    return str(architecture.get("name", otherwise)) if isinstance(architecture, dict) else otherwise


def _history(path):
    """Return the lines of ``run.jsonl``, none if there is no such file yet."""
    if not path.exists():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        lines = [json.loads(line, object_hook=json_text.read_losses) for line in text.splitlines()]
        record.check(lines, [_EPOCH], "history")
        for line in lines:
            record.check(line, {name: form for name, form in _HELD_OUT.items() if name in line}, "history")
    except ValueError as error:
        raise RunFolderError(f"{path} - expected a line of JSON for each epoch, got another file ({error})") from error
    return lines


def _newest_settings(path):
    """Return the settings in the newest checkpoint of an unfinished run that can be read."""
    reasons = []
    for file in sorted(path.glob(_CHECKPOINTS), reverse=True):
        try:
            return _checked(file, weights.load_metadata(file).get("settings"))
        except (ValueError, OSError) as error:  # the latter: its process has just removed it
            reasons.append(str(error))
    raise RunFolderError(f"{path} - expected a result or a checkpoint, got {'; '.join(reasons) or 'neither'}")


def _checked(path, settings):
    """Return the settings of a run, {} where an older version did not record them; RunFolderError if they are wrong."""
    if settings is None:
        return {}
    try:
        record.check(settings, _SETTINGS, "settings")
    except ValueError as error:
        raise RunFolderError(f"{path} - expected the settings of a run, got others ({error})") from error
    return settings


def _code_of(settings):
    """Return what tells versions of a user's network apart, or None where that is not recorded."""
    architecture = settings.get("architecture")
    factory = architecture.get("factory") if isinstance(architecture, dict) else None
    return [factory.get(key) for key in ("source", "uses", "helpers")] if isinstance(factory, dict) else None


def _names(paths):
    """Return the shortest ends of absolute paths that tell them apart."""
    most = max((len(path.parts) for path in paths), default=0)
    ends = (["/".join(path.parts[-parts:]) for path in paths] for parts in range(1, most + 1))
    return next((names for names in ends if len(set(names)) == len(names)), [])


def _flat(settings):
    """Return the settings of a run as one dict: those of the recipe by their names, others by their path."""
    told = {name: value for name, value in settings.items() if name not in (*_UNTOLD, "recipe")}
    flat = {"recipe" if name == "name" else name: value for name, value in settings.get("recipe", {}).items()}
    for name, value in told.items():
        inner = value if isinstance(value, dict) else {"": value}
        flat |= {f"{name}.{key}".rstrip("."): one for key, one in inner.items()}
    return flat


def _shown(value):
    text = "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
