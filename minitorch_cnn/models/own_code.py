"""What code a user's own class or function consists of: what it uses of its file, and the files that this imports.

A record names the code that ran. So it has digests only if what this process has loaded is what the files hold now.
"""

import ast
import contextlib
import hashlib
import importlib.util
import inspect
import os.path
import pathlib
import sys
import textwrap
import types

from minitorch_cnn.io import files
from minitorch_cnn.models.own_loaded import is_constant, is_loaded_as_it_is

_OTHERS = ("minitorch_cnn", "minitorch_kernels")
_NONE = object()


def module_of(factory):
    """Return the module of a class or function if it is in a file of the user, else None."""
    name = getattr(factory, "__module__", None) or ""
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return sys.modules[name] if file.endswith(".py") and name.split(".")[0] not in _OTHERS else None


def describe(factory):
    """Return what identifies the code of a class or function.

    Returns
    -------
    dict
        "source": a digest of its own source; "uses": a digest of the functions, classes and constants of its module
        that it uses; "helpers": digests of the user's other files. The first two are None where there is no source, or
        where a file was edited after it was loaded, so that it is not what runs.
    """
    module, found = module_of(factory), {}
    if module is not None:
        found = helpers(module) if is_loaded_as_it_is(module) else None
    source = None if found is None else _source(factory)
    used = None if source is None else _digest(repr(_uses(factory)))
    return {"source": source and _digest(source), "uses": used, "helpers": found or {}}


def is_recorded(factory, recorded):
    """Return whether a class or function still has the code of its record; older records lack two entries."""
    code = describe(factory)
    later = {key: recorded.get(key, code[key]) for key in ("uses", "helpers")}
    return code == {"source": recorded.get("source")} | later


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def _source(value):
    """Return the source of a class or function, or None where there is none."""
    try:
        return inspect.getsource(value)
    except (OSError, TypeError):
        return None


def _uses(factory):
    """Return [(name, source or value)] of what a class or function uses of its module, directly or not."""
    module, found, stack = getattr(factory, "__module__", None) or "", {}, [factory]
    scope = vars(sys.modules[module]) if module in sys.modules and module.split(".")[0] not in _OTHERS else {}
    while stack:
        for name in _names(_source(stack.pop()) or ""):
            value = scope.get(name, _NONE)
            if name in found or value is factory:
                continue
            if is_constant(value):
                found[name] = repr(value)
            elif isinstance(value, (type, types.FunctionType)) and value.__module__ == module:
                found[name] = _source(value)
                stack.append(value)
    return sorted(found.items())


def _names(source):
    """Return the names that a piece of source reads, of a class or function at any depth."""
    with contextlib.suppress(SyntaxError):  # such as a lambda in the middle of a call
        return {node.id for node in ast.walk(ast.parse(textwrap.dedent(source))) if isinstance(node, ast.Name)}
    return set()


def helpers(module):
    """Return {path: sha256} of the user's files that a module imports, directly or not; a path is relative to its own.

    Returns
    -------
    dict or None
        None if one of them is not loaded as it is now. Files of installed packages are left out, and those outside of
        the folder of the module, of a package that of its topmost one.
    """
    folder = pathlib.Path(module.__file__).resolve().parent
    top = folder.parents[len(package.split(".")) - 1] if (package := module.__package__) else folder
    found, seen, stack = {}, {module.__name__}, [module]
    while stack:
        for name in _imports(stack.pop()):
            other = sys.modules.get(name)
            file = pathlib.Path(getattr(other, "__file__", None) or "").resolve()
            if name in seen or file.suffix != ".py" or not file.is_relative_to(top) or _is_installed(name, file):
                continue
            if not is_loaded_as_it_is(other):
                return None
            seen.add(name)
            stack.append(other)
            found[pathlib.Path(os.path.relpath(file, folder)).as_posix()] = files.hash_file(file)
    return dict(sorted(found.items()))


def _is_installed(name, file):
    return name.split(".")[0] in _OTHERS or not {"site-packages", "dist-packages"}.isdisjoint(file.parts)


def _imports(module):
    """Return the names of all modules that a module may have imported, with the packages that they are in."""
    try:
        tree = ast.parse(pathlib.Path(module.__file__).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                try:
                    base = importlib.util.resolve_name("." * node.level + base, module.__package__)
                except ImportError:  # beyond the topmost package
                    continue
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    parts = [name.split(".") for name in names]
    return list(dict.fromkeys(".".join(part[:end]) for part in parts for end in range(1, len(part) + 1)))


def are_as_recorded(file, recorded):
    """Return whether the files that the file of a network imports, {path: sha256}, hold what a record says."""
    folder = pathlib.Path(file).resolve().parent
    try:
        return all(files.hash_file(folder / path) == digest for path, digest in recorded.items())
    except OSError:
        return False
