"""What code a user's own class or function consists of: its file, and the files of the user that this imports.

A record names the code that ran. So it has the digest of a file only if what this process has loaded is what the file
holds now: a file that was edited after its import is not what runs.
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
from collections import Counter
from itertools import zip_longest

from minitorch_cnn.io import files

_OTHERS = ("minitorch_cnn", "minitorch_kernels")
_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))
_NONE = object()
_run = {}  # by the name of a module that `own.run_file` has run: the digest of what its file held then


def note_run(name, digest):
    """Keep the digest of the file of a module that was run."""
    _run[name] = digest


def is_as_run(name, digest):
    """Return whether a module was run from a file of that digest, in this process."""
    return name in sys.modules and _run.get(name) == digest


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
        "source": a digest of its own; "uses": one of the functions, classes and constants of its module that it uses;
        "helpers": those of the user's other files. The first two are None where there is no source, or where a file
        was edited after it was loaded, so that it is not what runs.
    """
    module, found = module_of(factory), {}
    if module is not None:
        found = helpers(module) if is_loaded_as_it_is(module) else None
    source = None if found is None else _source(factory)
    used = None if source is None else _digest(repr(_uses(factory)))
    return {"source": source and _digest(source), "uses": used, "helpers": found or {}}


def is_recorded(factory, recorded):
    """Return whether a class or function has the code that a record of one says; older records lack two entries."""
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
            if _is_constant(value):
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
        now = set(_within(compile(text, module.__file__, "exec", dont_inherit=True)))
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return False
    assigned = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
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
    return not (_is_constant(value) and _is_constant(loaded)) or repr(value) == repr(loaded)


def _is_constant(value):
    return all(map(_is_constant, value)) if isinstance(value, tuple) else type(value) in _CONSTANTS


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
