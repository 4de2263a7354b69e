"""What resuming a run and training it further share: its folder, its last state, the same images and network."""

import dataclasses
from typing import Any, NamedTuple

from minitorch_cnn import arguments
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
        If an option or the recipe was replaced after the trainer was made: the files would name the first one. Also if
        the loss or another part that the user has set is not that of the run so far, or if a parameter learns that the
        optimiser does not have.
    """
    settings, made = trainer.settings, {"recipe": Recipe(**trainer.settings["recipe"])}
    for name in ("recipe", *state.OPTIONS):
        if (got := getattr(trainer, name)) != (expected := made.get(name, settings.get(name))):
            expected = f"{expected!r}, which the trainer was made with"
            raise ValueError(f"Trainer: {name} - expected {expected}, got {got!r}; make a new one")
    _check_parts(trainer)
    _check_optimised(trainer)
    hooks.warn_of_replaced(trainer.model, "Trainer")
    settings["architecture"] = network.note_changes(trainer.model, settings["architecture"], trainer.watch.look())


def parts(trainer):
    """Return the parts of a trainer that a user may replace by own functions or objects; files hold their names."""
    return {name: getattr(trainer, name) for name in ("loss", "loader", "trainable", "average_gradients")}


def _check_parts(trainer):
    """Record the user's own parts of a trainer; raise ValueError if they are not those of the run so far."""
    own = {name: _name_of(part) for name, part in parts(trainer).items() if part is not trainer.made[name]}
    smoothing = trainer.recipe.label_smoothing
    if getattr(trainer.loss, "label_smoothing", smoothing) != smoothing:
        own["loss"] = f"{_name_of(trainer.loss)}(label_smoothing={trainer.loss.label_smoothing!r})"
    recorded = trainer.settings.setdefault("own_parts", own)
    for name in own.keys() | recorded.keys():
        expected, got = (names.get(name, "that of the recipe") for names in (recorded, own))
        if expected != got:
            cure = "set the attribute, or make a new trainer"
            raise ValueError(f"Trainer: {name} - expected {expected}, as in the run so far, got {got}; {cure}")


def _check_optimised(trainer):
    """Raise ValueError if a parameter learns that the optimiser does not have: it would never change."""
    known = {id(parameter) for group in trainer.optimizer.param_groups for parameter in group["params"]}
    for path, parameter in trainer.model.named_parameters():
        if parameter.requires_grad and id(parameter) not in known:
            expected = "parameters that learned when the trainer was made, for its optimiser has no others"
            cure = "freeze it, or let it learn and make a new trainer, such as by train.more"
            raise ValueError(f"Trainer: model - expected {expected}, got {path}; {cure}")


def _name_of(part):
    return getattr(part, "__qualname__", type(part).__qualname__)


def take_over(trainer, earlier):
    """Let a trainer record the network as the earlier run did, and say which of its checkpoints were skipped.

    If the code of the network has changed, the record names the new one, and a note says so.
    """
    notes, architecture = earlier.notes, earlier.saved["settings"].get("architecture")
    if (own := earlier.saved["settings"].get("own_parts")) is not None:  # which older versions did not record
        arguments.instance("checkpoint: settings", dict, own_parts=own)
        trainer.settings["own_parts"] = own
    if architecture and network.has_other_code(trainer.model, architecture):
        notes = [*notes, f"the code of {architecture['name']} has changed since; the run continues with the new one"]
    elif architecture:
        trainer.settings["architecture"] = architecture
        attributes.restore(trainer.model, architecture.get("changed", {}), "checkpoint")
        trainer.watch = attributes.Watch(trainer.model)
    for note in notes:
        trainer.reporter.say(note)
