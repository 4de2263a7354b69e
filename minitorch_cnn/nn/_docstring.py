"""Docstrings of layers that differ in little: what they share is written once."""

import inspect


def add_sections(layer: type, sections: str) -> None:
    """Append sections to the docstring of a layer of this package; classes that users derive keep theirs."""
    if layer.__doc__ and layer.__module__.startswith(__package__):  # python -OO has no docstrings
        layer.__doc__ = inspect.cleandoc(layer.__doc__) + "\n\n" + sections
