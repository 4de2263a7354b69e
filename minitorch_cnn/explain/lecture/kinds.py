"""What the argument of a figure may be: a description for messages, and a test."""

import dataclasses
import json
import math
from collections.abc import Callable, Collection
from typing import Any

from minitorch_cnn import models
from minitorch_cnn.hints import hint


@dataclasses.dataclass(frozen=True)
class Kind:
    """``expected`` completes the sentence "expected ..."; ``fits`` tells whether a value is of this kind.

    ``choices`` returns the words that a value, or an element of it, may be; nothing where all are allowed.
    """

    expected: str
    fits: Callable[[Any], bool]
    choices: Callable[[], Collection[str]] = tuple

    def hint(self, value):
        """Return "; did you mean ...?" for the first word of a value that is not a choice, or nothing."""
        words, choices = value if isinstance(value, list) else [value], self.choices()
        return next((hint(word, choices) for word in words if word not in choices), "")


def whole(least, most):
    """Return the kind of integers from ``least`` to ``most``."""
    return Kind(f"an integer of {least} to {most}", lambda value: type(value) is int and least <= value <= most)


def one_of(*choices):
    """Return the kind of a word out of several."""
    return Kind(f"one of {', '.join(choices)}", lambda value: value in choices, lambda: choices)


def some_of(*choices):
    """Return the kind of a list of words out of several."""

    def fits(value):
        return isinstance(value, list) and all(entry in choices for entry in value)

    return Kind(f"a list of words out of {', '.join(choices)}", fits, lambda: choices)


def grid(rows, columns):
    """Return the kind of rows of numbers of equal length."""

    def fits(value):
        if not isinstance(value, list) or not 1 <= len(value) <= rows or not all(isinstance(r, list) for r in value):
            return False
        flat = [number for row in value for number in row]
        same = len({len(row) for row in value}) == 1 and 1 <= len(value[0]) <= columns
        return same and all(type(number) in (int, float) and abs(number) < 1000 for number in flat)

    shape = f"at most {rows} rows of equal length" if rows > 1 else "one row"
    size = f"{shape} of at most {columns} numbers"
    return Kind(f"{size} below 1000, such as [[1, 2], [3, 4]]" if rows > 1 else f"{size}, such as [[1, 2, 3]]", fits)


def shape(rows):
    """Return the counts of rows and columns of a grid."""
    return len(rows), len(rows[0])


def known_networks(most):
    """Return the kind of lists of names of networks."""

    def fits(value):
        return isinstance(value, list) and 1 <= len(value) <= most and all(name in models.list() for name in value)

    count = f"1 to {most} names of `mcnn list`" if most > 1 else 'one name of `mcnn list`, such as ["resnet18"]'
    return Kind(f"a list of {count}", fits, models.list)


def table(**example):
    """Return the kind of a list of tables with the entries of an example: texts, and numbers of at least 0."""

    def fits(value):
        return isinstance(value, list) and bool(value) and all(map(row_fits, value))

    def row_fits(row):
        return isinstance(row, dict) and row.keys() == example.keys() and all(map(entry_fits, row.values(), row))

    def entry_fits(entry, name):
        if isinstance(example[name], str):
            return isinstance(entry, str)
        return type(entry) in (int, float) and 0 <= entry < math.inf

    row = ", ".join(f"{name} = {json.dumps(entry)}" for name, entry in example.items())
    return Kind(f"a list of tables with {', '.join(example)}, such as [{{ {row} }}]", fits)


TRUTH = Kind("true or false", lambda value: isinstance(value, bool))
TEXT = Kind("a text", lambda value: isinstance(value, str))
