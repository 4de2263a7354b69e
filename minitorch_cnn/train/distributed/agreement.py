"""Checks that the ranks of a training agree, before the first step and throughout."""

from minitorch_cnn.train.machine import versions
from minitorch_cnn.train.state import digest

CHECK_EVERY = 50  # steps between two comparisons of the parameters


def at_start(ranks, settings, step, parameters):
    """Refuse to begin if packages, images, settings, the step or the parameters differ between ranks.

    Raises
    ------
    RanksError
        Naming what differs, and both values.
    """
    if ranks.size > 1:
        # The images may be in another folder on another machine: their digest is compared.
        compared = {name: value for name, value in settings.items() if name != "source"}
        ranks.agree(versions() | compared | {"step": step, "parameters": digest(parameters)})


def on_parameters(ranks, step, parameters):
    """Stop, every fifty steps, if the parameters are not the same to the last bit on all ranks.

    Raises
    ------
    RanksError
        Naming the step.
    """
    ranks.compiled = True
    if ranks.size > 1 and step % CHECK_EVERY == 0:
        ranks.agree({f"parameters after step {step}": digest(parameters)})
