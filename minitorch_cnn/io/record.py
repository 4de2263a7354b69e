"""Check what a file of ours recorded as JSON before anything uses it: a file may be altered, or another program's."""

import math
from typing import Any


class RecordError(ValueError):
    """A record lacks an entry, or an entry has another type than a record of ours has there."""


def check(record: Any, form: Any, name: str = "record") -> None:
    """Raise RecordError unless a record has a form.

    Parameters
    ----------
    record : anything that JSON can hold
    form : dict, list of one form, or callable
        A dict has these keys at least, each of its form, and a list any count of elements of one form. A callable
        returns whether a value fits; its docstring says what it expects.
    name : str
        Of the record; the message appends the path of the entry that is wrong, such as ``progress/history/0``.
    """
    if isinstance(form, dict):
        _require(isinstance(record, dict), name, "a dict", record)
        for key, inner in form.items():
            _require(key in record, name, f"an entry {key!r}", sorted(map(str, record)))
            check(record[key], inner, f"{name}/{key}")
    elif isinstance(form, list):
        _require(isinstance(record, list), name, "a list", record)
        for index, element in enumerate(record):
            check(element, form[0], f"{name}/{index}")
    else:
        _require(form(record), name, form.__doc__, record)


def _require(fits, name, expected, got):
    if not fits:
        raise RecordError(f"{name} - expected {expected}, got {got!r:.60}")


def count(value: Any) -> bool:
    """an integer of 0 or more"""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def loss(value: Any) -> bool:
    """a number, which may be infinite or NaN"""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and (isinstance(value, float) or abs(value) < 1 << 63)  # JSON has integers that no float holds


def real(value: Any) -> bool:
    """a finite number"""
    return loss(value) and math.isfinite(value)


def share(value: Any) -> bool:
    """a number from 0 to 1"""
    return real(value) and 0 <= value <= 1


def text(value: Any) -> bool:
    """a string"""
    return isinstance(value, str)


def truth(value: Any) -> bool:
    """True or False"""
    return isinstance(value, bool)
