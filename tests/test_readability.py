"""Limits that keep files and functions readable.

A file has at most 400 lines, a function at most 60 lines of code (its docstring does not count), a statement at most 4
levels of nesting, a call at most 8 positional arguments. `EXCEPTIONS` names what exceeds a limit, and why. A name that
no longer needs an exception fails the test, so the list can only get shorter.
"""

import ast
import pathlib

import pytest

import minitorch_cnn
import minitorch_kernels

PACKAGE = pathlib.Path(minitorch_cnn.__file__).parent
KERNELS = pathlib.Path(minitorch_kernels.__file__).parent
FILE_LINES, FUNCTION_LINES, NESTING, POSITIONAL = 400, 60, 4, 8
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.Match)

VARIADIC = {"Sequential"}  # takes any number of modules: a list, not a signature

EXCEPTIONS = {}  # name of a function: why it exceeds a limit


def sources():
    """Yield (name, text) of every source file."""
    for folder in (PACKAGE, KERNELS):
        for path in sorted(folder.rglob("*.py")):
            yield path.relative_to(folder.parent).as_posix(), path.read_text(encoding="utf-8")


def functions(tree):
    """Yield (qualified name, node) of every function, methods and inner functions included."""
    stack = [("", tree)]
    while stack:
        prefix, node = stack.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
                name = f"{prefix}.{child.name}" if prefix else child.name
                if isinstance(child, FUNCTIONS):
                    yield name, child
                stack.append((name, child))
            else:
                stack.append((prefix, child))


def code_lines(function):
    """Return the lines of a function from ``def`` to its end, without the docstring."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= first.end_lineno - first.lineno + 1
    return lines


def nesting(node, level=0):
    """Return how many blocks the innermost statement of a function lies in; ``elif`` opens no new level."""
    deepest = level
    for name, value in ast.iter_fields(node):
        chain = isinstance(node, ast.If) and name == "orelse" and len(value) == 1 and isinstance(value[0], ast.If)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (*FUNCTIONS, ast.ClassDef)) or not isinstance(child, ast.AST):
                continue
            deeper = isinstance(child, BLOCKS) and not chain
            deepest = max(deepest, nesting(child, level + deeper))
    return deepest


def most_positional(function):
    """Return the largest number of positional arguments in a call inside a function."""
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return max((len(call.args) for call in calls if getattr(call.func, "attr", "") not in VARIADIC), default=0)


def excesses():
    """Yield (file, function, what, value) for everything that exceeds a limit."""
    for file, text in sources():
        for name, function in functions(ast.parse(text)):
            measures = (
                ("lines of code", code_lines(function), FUNCTION_LINES),
                ("levels of nesting", nesting(function), NESTING),
                ("positional arguments", most_positional(function), POSITIONAL),
            )
            yield from ((file, name, what, value) for what, value, most in measures if value > most)


def test_files_stay_short_enough_to_read():
    assert not [file for file, text in sources() if len(text.splitlines()) > FILE_LINES]


def test_functions_stay_within_the_limits():
    found = list(excesses())
    new = [f"{file}: {name} has {value} {what}" for file, name, what, value in found if name not in EXCEPTIONS]
    assert not new, "shorten these, or name them in EXCEPTIONS with the reason:\n" + "\n".join(new)
    stale = EXCEPTIONS.keys() - {name for _, name, _, _ in found}
    assert not stale, f"these need no exception any more: {', '.join(sorted(stale))}"


@pytest.mark.parametrize(
    ("source", "lines", "levels"),
    [
        ("def f():\n    'doc\\\n    string'\n    return 1\n", 2, 0),
        ("def f(x):\n    if x:\n        pass\n    elif x > 1:\n        pass\n    else:\n        pass\n", 7, 1),
        ("def f(x):\n    for i in x:\n        with i:\n            if i:\n                return i\n", 5, 3),
        ("def f(x):\n    def g():\n        if x:\n            return 1\n    return g\n", 5, 0),
    ],
)
def test_the_measures(source, lines, levels):
    (_, function), *_ = functions(ast.parse(source))
    assert (code_lines(function), nesting(function)) == (lines, levels)
