"""Checks that the ranks of a training agree, before the first step and throughout."""

import contextlib

from minitorch_cnn.train import attributes, frozen
from minitorch_cnn.train.distributed.ranks import RanksError
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



@contextlib.contextmanager
def unchanged(ranks, model, parameters):
    """Return a context in which rank 0 alone calls a function of the user: it must not change the network there.

    Raises
    ------
    RanksError
        On all ranks, at its end.
    """
    if ranks.size == 1:
        yield
        return
    before = _network(model, parameters) if ranks.rank == 0 else {}
    yield
    after = _network(model, parameters) if ranks.rank == 0 else {}
    if changed := ranks.first([name for name in after if after[name] != before[name]]):
        expected = "a function that leaves the network as it is, because rank 0 alone calls it"
        raise RanksError(f"ranks: on_epoch - expected {expected}, got other {' and '.join(changed)}")


def _network(model, parameters):
    return {
        "parameters": digest(parameters),
        "frozen layers": frozen.record(model),
        "attributes of layers": attributes.plain(model),
    }
