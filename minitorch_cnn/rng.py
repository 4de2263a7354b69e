"""The random stream of initialisers and dropout; `manual_seed` restarts it.

There is one for the program. A training draws from one of its own, see `using`, so that what else the program draws
meanwhile, such as the weights of another network, does not change it.

Data augmentation does not draw from it: each of its draws depends only on the seed, the epoch and the
sample.
"""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

import numpy as np

_weights_are_drawn = ContextVar("weights_are_drawn", default=True)
_generator = np.random.Generator(np.random.PCG64(0))
_own: ContextVar[np.random.Generator | None] = ContextVar("own", default=None)


def manual_seed(seed: int) -> None:
    """Start the stream at ``seed``.

    Parameters
    ----------
    seed : int, >= 0

    Raises
    ------
    ValueError
        If ``seed`` is negative or not an integer.
    """
    generator().bit_generator.state = stream(seed).bit_generator.state


def stream(seed: int) -> np.random.Generator:
    """Return a new stream, which begins at ``seed``; errors as `manual_seed`."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"manual_seed: seed - expected an integer >= 0, got {seed!r}")
    return np.random.Generator(np.random.PCG64(seed))


def generator() -> np.random.Generator:
    """Return the stream, a `numpy.random.Generator`: that of the program or, inside `using`, another one."""
    return _own.get() or _generator


def using(own: np.random.Generator) -> AbstractContextManager[None]:
    """Return a context manager inside which this thread draws from a stream of its own."""
    return _holding(_own, own)


def undrawn_weights() -> AbstractContextManager[None]:
    """Return a context manager inside which initialisers draw nothing: a new weight is uninitialised memory.

    The random stream does not advance. Use it for models whose weights nobody reads, or that are all written later:
    drawing the 143 million weights of VGG-E takes seconds, making the model without them takes milliseconds.
    """
    return _holding(_weights_are_drawn, False)


@contextlib.contextmanager
def _holding(variable, value):
    before = variable.get()
    try:
        variable.set(value)
        yield
    finally:
        variable.set(before)


def weights_are_drawn() -> bool:
    """Return True except inside `undrawn_weights`."""
    return _weights_are_drawn.get()


def get_state() -> Mapping[str, Any]:
    """Return the position in the stream as a dict that can be stored as JSON."""
    return generator().bit_generator.state


def jump(times: int) -> None:
    """Skip ``times`` long stretches of the stream, so that several processes get streams that never overlap.

    Parameters
    ----------
    times : int, >= 0
        0 does not move.

    Raises
    ------
    ValueError
        If ``times`` is negative.
    """
    if times < 0:
        raise ValueError(f"jump: times - expected an integer >= 0, got {times!r}")
    if times:
        set_state(generator().bit_generator.jumped(times).state)


def set_state(state: Mapping[str, Any]) -> None:
    """Go to a position that `get_state` returned.

    Raises
    ------
    ValueError
        If ``state`` belongs to another kind of stream, or is incomplete.
    """
    expected = get_state()["bit_generator"]
    if not isinstance(state, dict) or state.get("bit_generator") != expected:
        raise ValueError(f"set_state: state - expected a dict of a {expected} stream, got {state!r}")
    try:
        generator().bit_generator.state = state
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"set_state: state - expected what get_state returned, got {state!r}") from error
