"""Whether what this process has loaded of a user's file is what the file holds now.

A file that was edited after its import is not what runs.
"""

import ast
import os.path
import pathlib
import sys
import types
from collections import Counter
from itertools import zip_longest

from minitorch_cnn.io import files

_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))
_run = {}  # by the name of a module that `own.run_file` has run: the digest of what its file held then


def note_run(name, digest):
    """Keep the digest of the file of a module that was run."""
    _run[name] = digest


def is_as_run(name, digest):
    """Return whether a module was run from a file of that digest, in this process."""
    return name in sys.modules and _run.get(name) == digest


def is_loaded_as_it_is(module):
    """Return whether the functions and constants of a module are those that its file holds now.

    Of the constants it compares numbers, strings, booleans, None and tuples of them: those of the module and of its
    classes that are assigned once, and the defaults of arguments.
    """
    name = module.__name__
    digest = _run.get(name)
    if digest is not None:
        return digest == files.hash_file(module.__file__)
    try:
        text = pathlib.Path(module.__file__).read_bytes()
        tree = ast.parse(text)
        now = set(_within(compile(tree, module.__file__, "exec", dont_inherit=True)))
    except (OSError, SyntaxError, ValueError):
        return False
    names = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    assigned = Counter(node.id for node in names if isinstance(node.ctx, ast.Store))
    once = {name for name, times in assigned.items() if times == 1}
    literals = all(_agree(written, loaded) for written, loaded in _literals(tree.body, vars(module), once))
    return literals and all(function.__code__ in now for function in _functions(module))


def _literals(body, holder, once):
    """Yield (expression in the file, value that is loaded) for constants, and for defaults of arguments.

    Parameters
    ----------
    body : list of ast.stmt
        Of a module or a class.
    holder : mapping
        Its names.
    once : set of str
        Those that the file assigns once.
    """
    for node in body:
        loaded = holder.get(getattr(node, "name", None))
        if isinstance(node, ast.ClassDef) and isinstance(loaded, type):
            yield from _literals(node.body, vars(loaded), once)
        elif isinstance(node, ast.FunctionDef):
            function = getattr(loaded, "__func__", loaded)
            if isinstance(function, types.FunctionType) and function.__name__ == function.__code__.co_name == node.name:
                defaults, named = function.__defaults__ or (), function.__kwdefaults__ or {}
                yield from zip_longest(reversed(node.args.defaults), reversed(defaults))
                for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
                    yield default, named.get(argument.arg)
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name) and target.id in once]
            yield from ((node.value, holder.get(name)) for name in names)


def _agree(written, loaded):
    """Return whether an expression in the file is a constant that is loaded, or nothing that can be compared."""
    try:
        value = None if written is None else ast.literal_eval(written)
    except ValueError:  # it computes something
        return True
    return not (is_constant(value) and is_constant(loaded)) or repr(value) == repr(loaded)


def is_constant(value):
    """Return whether a value is a number, string, boolean or None, or a tuple of them."""
    return all(map(is_constant, value)) if isinstance(value, tuple) else type(value) in _CONSTANTS


def _within(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _within(constant)


def _functions(module):
    """Yield the functions of a module and the methods of its classes, as far as they were written in its file."""
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == module.__name__]
    for value in own:
        for one in vars(value).values() if isinstance(value, type) else [value]:
            function = getattr(one, "__func__", one)  # of a class method or static method
            if isinstance(function, types.FunctionType) and _same_file(function.__code__.co_filename, module.__file__):
                yield function


def _same_file(one, other):
    return os.path.abspath(one) == os.path.abspath(other)
