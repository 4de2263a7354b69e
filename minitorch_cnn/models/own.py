"""User-defined networks, named by the class or function that makes them: ``FILE:NAME``, such as ``own.py:Net``.

A file of weights never decides what code runs. A user names the code once, by ``FILE:NAME`` or by an import; its digest
is kept in the user's folder, and from then on the same code runs again where a record asks for it.
"""

import contextlib
import importlib.util
import inspect
import pathlib
import sys
import traceback
import weakref

from minitorch_cnn.hints import hint
from minitorch_cnn.io import files
from minitorch_cnn.models import own_code, own_loaded
from minitorch_cnn.nn import Module

SIZES = ("num_classes", "in_channels", "image_size")
_made = weakref.WeakKeyDictionary()  # network: the factory and the arguments that made it


def from_file(place: str, **sizes: int) -> Module:
    """Make a network from a class or function in a Python file.

    Parameters
    ----------
    place : str
        ``FILE:NAME``, such as ``"own.py:Net"``. The file is run.
    sizes : int
        ``num_classes``, ``in_channels`` and ``image_size``, each is passed on if the class or function takes it.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If there is no such file or name, or the result is not a Module.
    """
    return build(find(place), accepted(find(place), sizes))


def find(place):
    """Return the class or function at ``FILE:NAME``; raises like `from_file`."""
    path, _, name = str(place).rpartition(":")
    if not (path.endswith(".py") and pathlib.Path(path).is_file()):
        absent = f"; there is no file {path}" if path.endswith(".py") else ""
        raise ValueError(f"from_file: place - expected FILE:NAME of a Python file, got {str(place)!r}{absent}")
    module = run_file(path)
    found = getattr(module, name, None)
    if not callable(found) or isinstance(found, Module):
        got = "none" if found is None else f"an object of {type(found).__name__}"
        known = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        got += hint(name, known)
        raise ValueError(f"from_file: place - expected a class or function {name!r} in {path}, got {got}")
    return found


def accepted(factory, sizes):
    """Return the sizes that a class or function takes, as a dict without those that are None."""
    known = _parameters(factory)
    return {name: sizes[name] for name in SIZES if name in known and sizes.get(name) is not None}


def build(factory, arguments):
    """Return ``factory(**arguments)``; raise ValueError unless that is a Module."""
    try:
        model = factory(**arguments)
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        name = getattr(factory, "__qualname__", repr(factory))
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        got = f"{type(error).__name__}: {error}{where(error)}"
        raise ValueError(f"model: {name} - expected a network from {name}({given}), got {got}") from error
    if not isinstance(model, Module):
        name = getattr(factory, "__qualname__", repr(factory))
        raise ValueError(f"model: {name} - expected it to make a Module, got {type(model).__name__}")
    with contextlib.suppress(TypeError):  # a class without hash or weak references
        _made[model] = factory, arguments
    return model


def made_by(model):
    """Return (class or function, its arguments) of a network that `build` made, or None."""
    return _made.get(model) if getattr(type(model), "__hash__", None) else None


def _parameters(factory):
    """Return the parameters of a class or function by name; a built-in one may not tell them."""
    try:
        return inspect.signature(factory).parameters
    except ValueError:
        return {}


def defaults(place):
    """Return the default values of the class or function at ``FILE:NAME``, by name; raises like `from_file`."""
    known = _parameters(find(place)).values()
    return {parameter.name: parameter.default for parameter in known if parameter.default is not parameter.empty}


def run_file(path):
    """Run a Python file, once per process unless it has changed since, and return its module."""
    path = pathlib.Path(path).resolve()
    key = f"{path.stem} of {path}"  # not an importable name, so it hides no other module
    digest = files.hash_file(path)
    if not own_loaded.is_as_run(key, digest):
        spec = importlib.util.spec_from_file_location(key, path)
        sys.modules[key] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[key])
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            del sys.modules[key]
            got = f"{type(error).__name__}: {error}{where(error)}"
            raise ValueError(f"model: {path} - expected a Python file that runs, got {got}") from error
        own_loaded.note_run(key, digest)
    return sys.modules[key]


def has_run():
    """Return whether this process has run a user's own file."""
    return bool(_files_run())


def _files_run():
    return {module.__file__ for key, module in list(sys.modules.items()) if key.endswith(".py")}


def where(error):
    """Return ", FILE, line N" of the innermost line of a user's own file that an error came through, or nothing."""
    files_run, frames = _files_run(), traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if frame.filename in files_run]
    return f", {pathlib.Path(lines[-1].filename).name}, line {lines[-1].lineno}" if lines else ""


# ------------------------------------------------------------------ code that the user has run before


def _note(digest):
    return files.mcnn_home() / "own-networks" / digest


def remember(path):
    """Keep that the user has run this file, so that `find_known` may run it again; return its sha256."""
    digest = files.hash_file(path)
    with contextlib.suppress(OSError):  # without a folder that can be written, the user names the file each time
        if not _note(digest).exists():
            _note(digest).parent.mkdir(parents=True, exist_ok=True)
            files.atomic_write(_note(digest), f"{pathlib.Path(path).resolve()}\n".encode())
    return digest


def find_known(path, name, digest, helpers):
    """Return the class or function ``name`` of a file that the user has run before, or None.

    Parameters
    ----------
    path, name, digest : str
        Where the file was, and the sha256 of its contents. A file of that name in the current folder serves as well.
    helpers : dict
        What `own_code.helpers` returned: what the files hold that it imports.
    """
    for place in (pathlib.Path(path), pathlib.Path(path).name):
        with contextlib.suppress(OSError):
            same = files.hash_file(place) == digest and own_code.are_as_recorded(place, helpers)
            if same and _note(digest).exists():
                return find(f"{place}:{name}")
    return None
