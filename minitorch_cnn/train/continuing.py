"""What resuming a run and training it further share: its folder, its last state, the same images and network."""

import dataclasses
from typing import Any, NamedTuple

from minitorch_cnn.data import ArrayDataset
from minitorch_cnn.data.samples import as_arrays
from minitorch_cnn.nn import hooks
from minitorch_cnn.train import attributes, best, frozen, network, same_data, state
from minitorch_cnn.train.recipes import Recipe
from minitorch_cnn.train.report.run_folder import RunFolder


class Earlier(NamedTuple):
    """An earlier run: its folder, newest complete checkpoint, and what a trainer that continues it is made with."""

    folder: RunFolder
    recipe: Recipe
    saved: dict[str, Any]
    notes: list[str]  # a sentence for each newer checkpoint that was skipped
    train_set: ArrayDataset  # as it was used
    options: dict[str, Any]  # of the `Trainer`, with the network


def read(folder, train_set, model, caller):
    """Return the `Earlier` run in a folder.

    Raises
    ------
    RunFolderError, CheckpointError, ValueError
        As `Trainer.resume`.
    """
    run = RunFolder.open(folder)
    run.refuse_if_locked()
    saved, notes = state.Checkpoints(run.path).load()
    chosen = saved["settings"]
    train_set = as_arrays(caller, "train_set", train_set, chosen["classes"])
    same_data.check_same_data(train_set, chosen, caller)
    train_set = dataclasses.replace(train_set, mean=chosen["mean"], std=chosen["std"])
    if architecture := chosen.get("architecture"):  # checkpoints of older versions have none
        model = network.rebuild(architecture, model, caller)
        frozen.restore(model, chosen.get("frozen"), caller)  # before an optimiser is made of those that learn
    options = {key: chosen[key] for key in state.OPTIONS if key in chosen}
    return Earlier(run, Recipe(**chosen["recipe"]), saved, notes, train_set, options | {"model": model})


def restore(trainer, earlier):
    """Bring a trainer to where an earlier run has stopped."""
    take_over(trainer, earlier)
    state.restore(trainer.state, earlier.saved)
    if best.at_end(trainer.recipe, trainer.progress, trainer.first_epoch):
        trainer.state.finish()  # as `fit` does at the end, after the last checkpoint


def note_changes(trainer):
    """Let the settings of a trainer describe its network as it is now, before a file says so.

    Raises
    ------
    ValueError
        If an option, the recipe or the loss was replaced after the trainer was made, or the loss is not that of the
        run so far: the files would name the first one.
    """
    settings, made = trainer.settings, {"recipe": Recipe(**trainer.settings["recipe"])}
    for name in ("recipe", *state.OPTIONS):
        if (got := getattr(trainer, name)) != (expected := made.get(name, settings.get(name))):
            expected = f"{expected!r}, which the trainer was made with"
            raise ValueError(f"Trainer: {name} - expected {expected}, got {got!r}; make a new one")
    if (loss := _name_of(trainer.loss)) != settings.setdefault("loss", loss):
        expected = f"{settings['loss']}, as in the run so far"
        raise ValueError(f"Trainer: loss - expected {expected}, got {loss}; set the attribute, or make a new one")
    hooks.warn_of_replaced(trainer.model, "Trainer")
    settings["architecture"] = network.note_changes(trainer.model, settings["architecture"], trainer.watch.look())


def _name_of(loss):
    """Return what a record says of a loss: the class or function, and its label smoothing, if it has one."""
    name = getattr(loss, "__qualname__", type(loss).__qualname__)
    return f"{name}(label_smoothing={loss.label_smoothing!r})" if hasattr(loss, "label_smoothing") else name


def take_over(trainer, earlier):
    """Let a trainer record the network as the earlier run did, and say which of its checkpoints were skipped.

    If the code of the network has changed, the record names the new one, and a note says so.
    """
    notes, architecture = earlier.notes, earlier.saved["settings"].get("architecture")
    if loss := earlier.saved["settings"].get("loss"):  # checkpoints of older versions have none
        trainer.settings["loss"] = loss
    if architecture and network.has_other_code(trainer.model, architecture):
        notes = [*notes, f"the code of {architecture['name']} has changed since; the run continues with the new one"]
    elif architecture:
        trainer.settings["architecture"] = architecture
        attributes.restore(trainer.model, architecture.get("changed", {}), "checkpoint")
        trainer.watch = attributes.Watch(trainer.model)
    for note in notes:
        trainer.reporter.say(note)
