"""Every public operation and layer says what it takes, gives and raises, in the words of its signature."""

import inspect
import re

import pytest

from minitorch_cnn import nn, ops
from minitorch_cnn.nn import init

SECTIONS = ("Parameters", "Returns", "Raises")


def public(module):
    return [getattr(module, name) for name in module.__all__]


def documented_names(docstring):
    """Return the names of the Parameters section, one or several a line, in order."""
    section = re.search(r"Parameters\n-+\n(.*?)(?=\n\n[A-Z]\w+\n-+\n|\Z)", docstring, re.DOTALL)
    names = []
    for line in section[1].splitlines():
        if line and not line[0].isspace():
            names += [name.strip(" *") for name in line.split(":")[0].split(",")]
    return names


def layers():
    return [layer for layer in public(nn) if inspect.isclass(layer) and issubclass(layer, nn.Module)]


CALLABLES = [*(f for f in public(ops) if inspect.isfunction(f)), *layers(), *public(init)]


@pytest.mark.parametrize("subject", CALLABLES, ids=lambda f: f"{f.__module__}.{f.__name__}")
def test_sections_and_names(subject):
    docstring = inspect.getdoc(subject) or ""
    parameters = [name for name in inspect.signature(subject).parameters if name != "self"]
    sections = [name for name in SECTIONS if not re.search(rf"^{name}\n-+$", docstring, re.MULTILINE)]
    if not parameters and "Parameters" in sections:
        sections.remove("Parameters")
    assert not sections, f"{subject.__name__} lacks the sections {sections}"
    if parameters:
        assert documented_names(docstring) == parameters


def test_every_family_is_looked_at():
    assert len([f for f in CALLABLES if inspect.isfunction(f)]) > 50
    assert len(layers()) > 25
