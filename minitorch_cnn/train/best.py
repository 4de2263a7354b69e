"""The epoch with the lowest loss on the held-out images: when to stop early, and whose weights to keep."""

import copy
import math

from minitorch_cnn import weights
from minitorch_cnn.io import files
from minitorch_cnn.train import attributes
from minitorch_cnn.train.metrics.classifier import Classifier
from minitorch_cnn.train.state import CheckpointError


def epoch(history):
    """Return the record of the best epoch, the first of equals, or None before the first epoch; NaN is the worst."""
    return min(history, key=lambda record: _order(record["holdout_loss"]), default=None)


def _order(loss):
    return math.isnan(loss), loss


def at_end(recipe, progress, first_epoch):
    """Return whether a training has nothing left to do: all epochs are done, or it stops early.

    Early stopping waits for as many epochs as the recipe says, of those after ``first_epoch``.
    """
    if progress.epoch >= recipe.epochs:
        return True
    if recipe.early_stop is None or not progress.history:
        return False
    return progress.epoch - max(epoch(progress.history)["epoch"], first_epoch) >= recipe.early_stop


def keep(trainer):
    """Write the classifier of an epoch that has just ended, if it is the best and the recipe keeps the best one."""
    history = trainer.progress.history
    if trainer.recipe.keeps_best and trainer.ranks.rank == 0 and epoch(history) is history[-1]:
        now = {"attributes": attributes.plain(trainer.model)}  # later epochs may change them
        Classifier(trainer.model, trainer.settings | now).save(trainer.folder.best)


def inherit(trainer, earlier):
    """Take the classifier of the best epoch of an earlier run, as none of the epochs to come may be better.

    Parameters
    ----------
    trainer : Trainer
        Of a run whose history continues that of the earlier one.
    earlier : RunFolder

    Raises
    ------
    CheckpointError
        If the earlier run has no such classifier any more.
    """
    if not trainer.recipe.keeps_best or trainer.ranks.rank:
        return
    try:
        files.atomic_write(trainer.folder.best, earlier.best.read_bytes())
    except FileNotFoundError:
        expected = f"{earlier.best.name}, the classifier of its best epoch"
        raise CheckpointError(f"{earlier.path} - expected {expected}, got a run without it") from None


def classifier(trainer):
    """Return the classifier that a finished training gives: that of its last epoch, or of its best one."""
    if not trainer.recipe.keeps_best or epoch(trainer.progress.history) is trainer.progress.history[-1]:
        return trainer.classifier
    model = copy.deepcopy(trainer.model)
    arrays, metadata = weights.load(trainer.folder.best)
    model.load_state_dict(arrays)
    earlier = metadata["architecture"].get("changed", {})  # of older versions
    attributes.restore(model, metadata.get("attributes", earlier), trainer.folder.best.name)
    return Classifier(model, trainer.settings | {"architecture": metadata["architecture"]})
