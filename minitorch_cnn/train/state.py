"""The state of a training: everything that its next steps depend on, and the files that keep it.

A checkpoint is a nested dict with string keys: arrays, and what JSON can hold. `weights.save` writes
it as one safetensors file with a checksum, all or nothing; the last two files are kept.
"""

import contextlib
import copy
import dataclasses
import hashlib
import pathlib
import time
from typing import Any

import numpy as np

from minitorch_cnn import arguments, rng, weights
from minitorch_cnn.io import files, record
from minitorch_cnn.nn import Module
from minitorch_cnn.optim.average import WeightAverage, refuse_lent
from minitorch_cnn.optim.optimizer import Optimizer
from minitorch_cnn.optim.schedules import Schedule
from minitorch_cnn.train import frozen, same_data
from minitorch_cnn.train.recipes import Recipe
from minitorch_cnn.types import Path

# Of a `Trainer`, chosen once.
OPTIONS = ("source", "seed", "holdout", "sync_bn", "accumulate", "save_epochs", "first_epoch")
FINGERPRINT_STEP = 20
KEEP = 2  # checkpoints


@dataclasses.dataclass
class Progress:
    """Counters and running sums; every field is a number, a string, or a list of dicts of these.

    Attributes
    ----------
    epoch, batch : int
        Finished epochs, and finished batches of the running epoch.
    step : int
        Finished steps of the optimiser.
    loss_sum, correct, images : float, int, int
        Sum of the losses, right answers and number of images of the running epoch so far.
    epoch_seconds, seconds : float
        Time spent on the running epoch and on all epochs, compilation and checkpoints included.
    fingerprint : str
        The loss of step 20 as eight hexadecimal digits, the bits of a float32; of the last step
        before that, if there are fewer steps. Two runs that agree in it have computed the same so far.
    test_reads : int
        How often the test set was used.
    history : list of dict
        A record for each finished epoch.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    images: int = 0
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    fingerprint: str = ""
    test_reads: int = 0
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def start_clock(self) -> None:
        """Begin to measure; time before this call is not counted."""
        self._last = time.perf_counter()

    def _tick(self):
        now = time.perf_counter()
        self.epoch_seconds += now - self._last
        self.seconds += now - self._last
        self._last = now

    def count(self, loss_sum: float, correct: int, images: int) -> None:
        """Count one step.

        Parameters
        ----------
        loss_sum : float
            Sum of the losses of its images.
        correct, images : int
            Right answers, and number of images.
        """
        self.batch += 1
        self.step += 1
        self.loss_sum += loss_sum
        self.correct += correct
        self.images += images
        if self.step <= FINGERPRINT_STEP:
            self.fingerprint = np.array(loss_sum / images, ">f4").tobytes().hex()
        self._tick()

    def end_epoch(self, rate: float, judged: Any = None) -> dict[str, Any]:
        """Close the running epoch and start the next.

        Parameters
        ----------
        rate : float
            Learning rate of its last step.
        judged : Evaluation or None
            On the held-out images, if there are any.

        Returns
        -------
        dict
            Its record, a line of ``run.jsonl``.
        """
        self._tick()
        record = {
            "epoch": self.epoch + 1,
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "epoch_seconds": round(self.epoch_seconds, 3),
            "lr": rate,
            "train_loss": self.loss_sum / self.images,
            "train_accuracy": self.correct / self.images,
            "images_per_second": round(self.images / self.epoch_seconds, 1),
        }
        if judged is not None:
            record |= {"holdout_loss": judged.loss, "holdout_accuracy": judged.accuracy}
        self.history.append(record)
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum, self.correct, self.images, self.epoch_seconds = 0.0, 0, 0, 0.0
        return record


@dataclasses.dataclass
class TrainingState:
    """What changes while a network is trained. The next steps depend on this and the settings alone.

    Attributes
    ----------
    model : Module
    optimizer : Optimizer
    schedule : Schedule
    progress : Progress
    average : WeightAverage or None
    random : numpy.random.Generator
        The stream that dropout draws from; by default that of the program.
    """

    model: Module
    optimizer: Optimizer
    schedule: Schedule
    progress: Progress
    average: WeightAverage | None = None
    random: np.random.Generator = dataclasses.field(default_factory=rng.generator)

    def follow(self) -> None:
        """Let the average of the weights follow a step."""
        if self.average is not None:
            self.average.step()

    def finish(self) -> None:
        """Put the average of the weights in their place, at the end of a training."""
        if self.average is not None:
            self.average.finish()

    def judged(self) -> contextlib.AbstractContextManager[None]:
        """Return a context in which the model has the weights by which it is judged."""
        return contextlib.nullcontext() if self.average is None else self.average.applied()


def settings(recipe: Any, train_set: Any, architecture: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return what was chosen before the first step, as a dict that JSON can hold.

    Parameters
    ----------
    recipe : Recipe
    train_set : ArrayDataset
    architecture : dict
        As `network.describe` returns it.
    options : dict
        Of a `Trainer`, those in OPTIONS.
    """
    size = [recipe.image_size] * 2 if recipe.image_size else list(train_set.images.shape[1:3])
    return {
        "recipe": dataclasses.asdict(recipe),
        **options,
        "architecture": architecture,
        "input_size": size,
        "dataset": train_set.name,
        **same_data.data_digests(train_set),
        "verified": train_set.verified,
        "classes": [str(name) for name in train_set.classes],
        "mean": list(train_set.mean),
        "std": list(train_set.std),
    }


def snapshot(state, settings):
    """Return the current state.

    Parameters
    ----------
    state : TrainingState
    settings : dict

    Returns
    -------
    dict
        Nested dicts of arrays and of what JSON can hold. The order of the images and their
        augmentation need no state: they depend on seed, epoch and batch alone.

    Raises
    ------
    ValueError
        Inside ``judged()``: the weights are those of an average then.
    """
    refuse_lent("snapshot", state.model.parameters())
    return {
        "settings": settings,
        "progress": dataclasses.asdict(state.progress),
        "random": state.random.bit_generator.state,
        "model": state.model.state_dict(),
        "frozen": frozen.record(state.model),
        "optimizer": state.optimizer.state_dict(),
        "schedule": state.schedule.state_dict(),
        "average": None if state.average is None else state.average.state_dict(),
    }


def restore(state, saved):
    """Set a state that was made with the same settings to that of a snapshot; ValueError if that is of other parts."""
    if (state.average is None) != (saved.get("average") is None):
        expected, got = ("none" if one is None else "one" for one in (state.average, saved.get("average")))
        raise ValueError(f"checkpoint: average - expected {expected}, as the recipe says, got {got}")
    state.progress = Progress(**saved["progress"])
    state.model.load_state_dict(saved["model"])
    frozen.restore(state.model, saved.get("frozen"), "checkpoint")
    state.optimizer.load_state_dict(saved["optimizer"])
    state.schedule.load_state_dict(saved["schedule"])
    if state.average is not None:
        state.average.load_state_dict(saved["average"])
    with rng.using(state.random):
        rng.set_state(saved["random"])


def digest(parameters):
    """Return the sha256 of the bits of parameters, in hexadecimal."""
    sha256 = hashlib.sha256()
    for parameter in parameters:
        sha256.update(parameter.data.tobytes())
    return sha256.hexdigest()


_EPOCH = {
    "epoch": record.count,
    "step": record.count,
    "train_loss": record.loss,
    "train_accuracy": record.share,
}
FORM = {  # what every version has written
    "settings": {
        "recipe": {"name": record.text, "model": record.text, "peak_lr": record.real},
        "holdout": record.count,
        "input_size": [record.count],
        "dataset": record.text,
        "verified": record.truth,
        "classes": [record.text],
        "mean": [record.real],
        "std": [record.real],
    },
    "progress": {
        **dict.fromkeys(("epoch", "batch", "step", "correct", "images", "test_reads"), record.count),
        **dict.fromkeys(("epoch_seconds", "seconds"), record.real),
        "loss_sum": record.loss,
        "fingerprint": record.text,
        "history": [_EPOCH],
    },
    "random": {},
    "optimizer": {},
    "schedule": {},
}


class CheckpointError(ValueError):
    """No checkpoint can be loaded; the message says what is wrong with each."""


class Checkpoints:
    """The checkpoints of one run: ``checkpoint-<step>.safetensors`` in its folder.

    Parameters
    ----------
    folder : str or Path
        Exists. Files that an interrupted save left behind are removed.
    """

    def __init__(self, folder: Path):
        arguments.path("Checkpoints", folder=folder)
        self.folder = pathlib.Path(folder)
        files.remove_stale(self.folder)
        self._known = set(self.paths())

    def paths(self) -> list[pathlib.Path]:
        """Return the files, newest first."""
        return sorted(self.folder.glob("checkpoint-*.safetensors"), reverse=True)

    def of_others(self) -> list[pathlib.Path]:
        """Return the files that another process has written since this object was made."""
        return [path for path in self.paths() if path not in self._known]

    def save(self, step: int, state: dict[str, Any]) -> pathlib.Path:
        """Write a checkpoint, then remove all but the last two.

        Parameters
        ----------
        step : int, >= 0
            Optimiser steps done.
        state : dict
            Nested dicts of arrays and of what JSON can hold; keys without ``"/"``.

        Returns
        -------
        Path
        """
        arguments.integer("Checkpoints.save", least=0, step=step)
        arguments.instance("Checkpoints.save", dict, state=state)
        arrays, rest = _split(state)
        path = self.folder / f"checkpoint-{step:09d}.safetensors"
        weights.save(path, arrays, rest)
        self._known.add(path)
        for old in self.paths()[KEEP:]:
            old.unlink()
        return path

    def load(self, form: dict[str, Any] = FORM) -> tuple[dict[str, Any], list[str]]:
        """Read the newest complete checkpoint.

        Parameters
        ----------
        form : dict
            What it has at least, as `record.check` takes it; by default what a training has.

        Returns
        -------
        state : dict
            As it was saved; tuples come back as lists.
        notes : list of str
            A sentence for each newer file that was skipped.

        Raises
        ------
        CheckpointError
            If there is none.
        """
        notes = []
        for path in self.paths():
            try:
                state = _join(*weights.load(path))
                record.check(state, form, "checkpoint")
                if "recipe" in state.get("settings", ()):
                    Recipe(**state["settings"]["recipe"])  # refuses a value out of range, and a field it does not know
                return state, notes
            except (ValueError, KeyError, TypeError) as error:  # the latter two: names of another program
                notes.append(f"{path.name} is damaged and was skipped ({error})")
        found = "; ".join(notes) or "no file checkpoint-*.safetensors"
        raise CheckpointError(f"Checkpoints: {self.folder} - expected a whole checkpoint, got {found}")


def _split(tree, prefix=""):
    """Split nested dicts into arrays by path, ``"optimizer/state/0/m"``, and the same dicts without them."""
    arrays, rest = {}, {}
    for key, value in tree.items():
        if isinstance(value, np.ndarray):
            arrays[prefix + key] = value
        elif isinstance(value, dict):
            inner, rest[key] = _split(value, f"{prefix}{key}/")
            arrays |= inner
        else:
            rest[key] = value
    return arrays, rest


def _join(arrays, rest):
    """Undo `_split`."""
    tree = copy.deepcopy(rest)
    for path, array in arrays.items():
        *parents, name = path.split("/")
        branch = tree
        for parent in parents:
            branch = branch[parent]
        branch[name] = array
    return tree
