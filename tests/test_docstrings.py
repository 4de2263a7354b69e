"""Every public operation and layer says what it takes, gives and raises, in the words of its signature."""

import ast
import dataclasses
import inspect
import re
import textwrap

import pytest

import minitorch_cnn
from minitorch_cnn import autograd, data, exercises, explain, models, nn, ops, optim, testing, train, weights
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


OTHERS = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (minitorch_cnn, autograd, data, exercises, explain, models, optim, testing, train, weights)
    for name in getattr(module, "__all__", dir(module))
    if callable(getattr(module, name))
}
PARTS_OF_THE_ENGINE = {  # their docstrings tell what they do in other sections
    "Context",
    "Function",
    "Node",
    "Variable",
    "setting",
    "topological_order",
}


def is_made_by_users(subject):
    """Return False for results and exceptions, which users get but do not make; each field of theirs has a comment."""
    if subject.__name__ in PARTS_OF_THE_ENGINE or not subject.__module__.startswith("minitorch_cnn"):
        return False
    if not inspect.isclass(subject):
        return True
    is_result = dataclasses.is_dataclass(subject) and not hasattr(subject, "__post_init__")
    return not is_result and not issubclass(subject, (BaseException, list, tuple))


def returns_something(function):
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(tree.body[0]))


@pytest.mark.parametrize("name", sorted(name for name, subject in OTHERS.items() if is_made_by_users(subject)))
def test_every_other_public_name_says_what_it_takes_and_gives(name):
    subject = OTHERS[name]
    docstring = inspect.getdoc(subject) or ""
    given = [name for name in inspect.signature(subject).parameters if name != "self"]
    if given and not re.search(r"^Attributes\n-+$", docstring, re.MULTILINE):  # of an object that a function returns
        assert re.search(r"^Parameters\n-+$", docstring, re.MULTILINE), f"{name} lacks Parameters"
        assert sorted(documented_names(docstring)) == sorted(given)
    short = len(docstring.splitlines()) == 1 and docstring.startswith("Return")  # says it all
    if inspect.isfunction(subject) and returns_something(subject) and not short:
        assert re.search(r"^Returns\n-+$", docstring, re.MULTILINE), f"{name} lacks Returns"


def test_every_family_is_looked_at():
    assert len([f for f in CALLABLES if inspect.isfunction(f)]) > 50
    assert len(layers()) > 25
