"""Argument checks of optimisers, schedules, data and files; ``owner`` is the name in the message."""

import math
import numbers
import os

import numpy as np


def number(owner, *, least=-math.inf, most=math.inf, **named):
    """Raise unless every named argument is a finite number from ``least`` to ``most``."""
    for name, value in named.items():
        real(owner, **{name: value})
        if not least <= value <= most:
            expected = f"at least {least}" if most == math.inf else f"{least} to {most}"
            raise ValueError(f"{owner}: {name} - expected {expected}, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{owner}: {name} - expected a finite number, got {value!r}")


def positive(owner, *, finite=False, **named):
    """Raise unless every named argument is a number above 0; infinity is one, unless ``finite`` is asked for."""
    for name, value in named.items():
        real(owner, **{name: value})
        if not value > 0:
            raise ValueError(f"{owner}: {name} - expected a positive number, got {value!r}")
        if finite:
            number(owner, **{name: value})


def integer(owner, *, least, **named):
    """Raise unless every named argument is an integer of at least ``least``."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise TypeError(f"{owner}: {name} - expected an integer, got {value!r}")
        if value < least:
            raise ValueError(f"{owner}: {name} - expected at least {least}, got {value!r}")


def flag(owner, *, also=None, **named):
    """Raise unless every named argument is True, False or the text ``also``: another text would count as True."""
    for name, value in named.items():
        known = isinstance(value, (bool, np.bool_)) or (isinstance(value, str) and value == also)
        if not known:
            expected = "True or False" if also is None else f"True, False or {also!r}"
            raise TypeError(f"{owner}: {name} - expected {expected}, got {value!r:.60}")


def path(owner, **named):
    """Raise unless every named argument is a path: a number would be taken for an open file."""
    for name, value in named.items():
        if not isinstance(value, (str, os.PathLike)):
            raise TypeError(f"{owner}: {name} - expected a string or a Path, got {value!r:.60}")
        if "\0" in str(value):
            raise ValueError(f"{owner}: {name} - expected a path without the character of code 0, got {value!r:.60}")


def mapping(owner, name, value, *keys):
    """Raise unless ``value`` is a dict with these keys, such as ``state_dict`` returns."""
    expected = " and ".join(map(repr, keys))
    if not isinstance(value, dict):
        raise TypeError(f"{owner}: {name} - expected a dict with {expected}, got {type(value).__name__}")
    if missing := [key for key in keys if key not in value]:
        got = ", ".join(map(repr, value)) or "an empty dict"
        raise ValueError(f"{owner}: {name} - expected {expected}, got {got} without {', '.join(map(repr, missing))}")


def real(owner, **named):
    """Raise TypeError unless every named argument is a number; NaN and infinities are."""
    for name, value in named.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"{owner}: {name} - expected a number, got {value!r}")


def rows(owner, name, value):
    """Return ``value`` as an ndarray; the error for masked elements, or rows of two lengths, names the argument."""
    unmasked(owner, name, value)
    try:
        return np.asarray(value)
    except ValueError as error:
        expected = "rows of one length"
        raise ValueError(f"{owner}: {name} - expected {expected}, got {type(value).__name__}: {error}") from None


def array(owner, name, value, dtype=None):
    """Return ``value`` as an ndarray of numbers; the error names the argument, such as one with rows of two lengths."""
    unmasked(owner, name, value)
    try:
        converted = np.asarray(value, dtype)
    except (TypeError, ValueError) as error:
        expected = "numbers in rows of one length"
        raise type(error)(f"{owner}: {name} - expected {expected}, got {type(value).__name__}: {error}") from None
    if converted.dtype.kind not in "fiub":
        raise TypeError(f"{owner}: {name} - expected numbers, got dtype {converted.dtype}")
    return converted


def is_masked(value):
    """Return whether elements of a masked array are masked."""
    return hasattr(value, "filled") and np.ma.is_masked(value)


def unmasked(owner, name, value):
    """Raise TypeError if elements of a masked array are masked: as an array, it would show what lies below the mask."""
    if is_masked(value):
        expected = "an array without masked elements"
        raise TypeError(f"{owner}: {name} - expected {expected}, got {np.ma.count_masked(value)}; use filled()")


def instance(owner, kind, **named):
    """Raise TypeError unless every named argument is an object of a class."""
    for name, value in named.items():
        if not isinstance(value, kind):
            got = type(value).__name__
            if isinstance(value, type):
                got = f"the class {value.__name__} itself"
            raise TypeError(f"{owner}: {name} - expected an object of {kind.__name__}, got {got}")


def function(owner, **named):
    """Raise TypeError unless every named argument can be called."""
    for name, value in named.items():
        if not callable(value):
            raise TypeError(f"{owner}: {name} - expected a function, got {value!r:.60}")


def listed(owner, name, value):
    """Return the elements of a sequence or generator as a list, so that they can be read twice; text is refused."""
    if isinstance(value, (str, bytes, bytearray)) or not np.iterable(value):
        raise TypeError(f"{owner}: {name} - expected a sequence, got {value!r:.60}")
    return list(value)


def one_of(owner, allowed, **named):
    """Raise ValueError unless every named argument is one of the allowed strings."""
    for name, value in named.items():
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{owner}: {name} - expected one of {', '.join(map(str, allowed))}, got {value!r:.60}")
