"""Kernels are called with named arguments: no anonymous tuple of more than three elements."""

import ast
import pathlib

import pytest

import minitorch_kernels

FOLDER = pathlib.Path(minitorch_kernels.__file__).parent
SOURCES = {path.relative_to(FOLDER).as_posix(): ast.parse(path.read_text()) for path in FOLDER.rglob("*.py")}
COMPILES = {"kernel", "compiled", "parallel_kernel", "parallel_task", "team_kernel", "intrinsic"}
TASKS = {"parallel_task"}  # called with the tuple of all arguments, which are named by the function itself
MAKERS = {"sliding_window", "sliding_sums", "two_sided_transform"}  # return an intrinsic


def decorators(function):
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        yield target.id if isinstance(target, ast.Name) else ""


def compiled_functions(trees):
    """Return the names of all functions that are compiled, without those that take all arguments as a tuple."""
    found = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and COMPILES & set(decorators(node)) - TASKS:
                found.add(node.name)
            elif isinstance(node, ast.Assign) and isinstance(node.value, (ast.Call, ast.Tuple)):
                calls = [call for call in ast.walk(node.value) if isinstance(call, ast.Call)]
                if any(isinstance(call.func, ast.Name) and call.func.id in MAKERS for call in calls):
                    found |= {name.id for target in node.targets for name in ast.walk(target) if hasattr(name, "id")}
    return found


def is_long_tuple(node):
    return isinstance(node, ast.Tuple) and (len(node.elts) > 3 or any(isinstance(e, ast.Starred) for e in node.elts))


def anonymous_tuples(tree, compiled):
    """Return (line, function) of calls of compiled functions with a tuple that is written there or just before."""
    found = []
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef):
            continue
        assigned = {
            target.id
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign) and is_long_tuple(node.value)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(scope):
            name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else None
            if name in compiled:
                given = [*call.args, *(keyword.value for keyword in call.keywords)]
                if any(is_long_tuple(a) or (isinstance(a, ast.Name) and a.id in assigned) for a in given):
                    found.append((call.lineno, name))
    return found


COMPILED = compiled_functions(SOURCES.values())


@pytest.mark.parametrize("path", SOURCES)
def test_no_kernel_is_called_with_an_anonymous_tuple(path):
    assert anonymous_tuples(SOURCES[path], COMPILED) == []


def test_the_search_knows_the_micro_kernels_and_finds_such_calls():
    assert {"microkernel", "microkernel_packed_a", "along_1", "sums_2", "to_inputs", "indirect_gemm"} <= COMPILED
    bad = "def f():\n    numbers = (1, 2, 3, 4)\n    microkernel(a, numbers)\n    microkernel(a, (1, *b))\n"
    good = "def f():\n    microkernel(a, Tile(1, 2, 3, 4), (1, 2, 3))\n    microkernel(*arrays)\n"
    assert len(anonymous_tuples(ast.parse(bad), COMPILED)) == 2 and not anonymous_tuples(ast.parse(good), COMPILED)
