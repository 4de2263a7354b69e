"""Argument checks that the constructors share; ``layer`` is the name in the message."""

import numbers

from minitorch_cnn.shapes import LARGEST


def positive_int(layer, **named):
    """Raise unless every named argument is an integer of at least 1."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{layer}: {name} - expected an integer, got {value!r}")
        if value < 1:
            raise ValueError(f"{layer}: {name} - expected at least 1, got {value}")
        if value > LARGEST:
            raise ValueError(f"{layer}: {name} - expected at most {LARGEST}, got {value}")


def non_negative_int(layer, **named):
    """Raise unless every named argument is an integer of at least 0."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{layer}: {name} - expected an integer, got {value!r}")
        if value < 0:
            raise ValueError(f"{layer}: {name} - expected at least 0, got {value}")


def between(layer, low, high, **named):
    """Raise ValueError unless every named argument is a number in [low, high], not True or False."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= value <= high:
            raise ValueError(f"{layer}: {name} - expected a number from {low} to {high}, got {value!r}")


def one_of(layer, allowed, **named):
    """Raise ValueError unless every named argument is one of the allowed values."""
    for name, value in named.items():
        if value not in allowed:
            raise ValueError(f"{layer}: {name} - expected one of {', '.join(map(repr, allowed))}, got {value!r}")


def modules(layer, kind, *values):
    """Raise TypeError unless every value is of type ``kind``, which is `Module`."""
    for position, value in enumerate(values):
        if not isinstance(value, kind):
            raise TypeError(f"{layer}: module {position} - expected a Module, got {type(value).__name__}")
