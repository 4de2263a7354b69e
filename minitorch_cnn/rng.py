"""The random stream of initialisers and dropout; `manual_seed` starts it again.

Data augmentation does not draw from it: there each draw depends on the seed, the epoch and the
sample alone.
"""

import contextlib
from contextvars import ContextVar

import numpy as np

_weights_are_drawn = ContextVar("weights_are_drawn", default=True)
_generator = np.random.Generator(np.random.PCG64(0))


def manual_seed(seed: int) -> None:
    """Start the stream at ``seed``.

    Parameters
    ----------
    seed : int, >= 0

    Raises
    ------
    ValueError
        If ``seed`` is negative or no integer.
    """
    global _generator
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"manual_seed: seed - expected an integer >= 0, got {seed!r}")
    _generator = np.random.Generator(np.random.PCG64(seed))


def generator() -> np.random.Generator:
    """Return the stream, an `numpy.random.Generator`."""
    return _generator


@contextlib.contextmanager
def undrawn_weights():
    """Return a context manager inside which initialisers draw nothing: a new weight holds what its memory held.

    The stream stays where it is. For models whose weights nobody reads, or that are all written later: drawing the
    143 million of VGG-E takes seconds, making the model without them milliseconds.
    """
    token = _weights_are_drawn.set(False)
    try:
        yield
    finally:
        _weights_are_drawn.reset(token)


def weights_are_drawn():
    """Return True except inside `undrawn_weights`."""
    return _weights_are_drawn.get()


def get_state():
    """Return the position in the stream as a dict that JSON can hold."""
    return _generator.bit_generator.state


def jump(times):
    """Skip ``times`` stretches, each so long that streams never overlap: one stream for each of several processes.

    Parameters
    ----------
    times : int, >= 0
        0 stays where it is.

    Raises
    ------
    ValueError
        If it is negative.
    """
    if times < 0:
        raise ValueError(f"jump: times - expected an integer >= 0, got {times!r}")
    if times:
        set_state(_generator.bit_generator.jumped(times).state)


def set_state(state):
    """Go to a position that `get_state` gave.

    Raises
    ------
    ValueError
        If ``state`` is not of this kind of stream.
    """
    expected = _generator.bit_generator.state["bit_generator"]
    if not isinstance(state, dict) or state.get("bit_generator") != expected:
        raise ValueError(f"set_state: state - expected a dict of a {expected} stream, got {state!r}")
    _generator.bit_generator.state = state
