"""What the ranks of a training must have in common, before the first step and all the way."""

from minitorch_cnn.train import state
from minitorch_cnn.train.machine import versions

CHECK_EVERY = 50  # steps between two comparisons of the parameters


def at_start(trainer):
    """Refuse to begin if packages, images, settings, the step or the parameters differ between ranks.

    Raises
    ------
    RanksError
        Naming what differs, and both values.
    """
    if trainer.ranks.size > 1:
        settings = state.settings(trainer)
        del settings["source"]  # the images may lie elsewhere on another machine: their digest is compared
        start = {"step": trainer.progress.step, "parameters": state.digest(trainer.parameters)}
        trainer.ranks.agree(versions() | settings | start)


def on_parameters(trainer):
    """Refuse to go on, every fifty steps, with parameters that are not the same to the last bit on all ranks.

    Raises
    ------
    RanksError
        Naming the step.
    """
    trainer.ranks.compiled = True
    if trainer.ranks.size > 1 and trainer.progress.step % CHECK_EVERY == 0:
        digest = state.digest(trainer.parameters)
        trainer.ranks.agree({f"parameters after step {trainer.progress.step}": digest})
