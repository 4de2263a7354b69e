"""User-defined networks, named by the class or function that makes them: ``FILE:NAME``, such as ``own.py:Net``."""

import importlib.util
import inspect
import pathlib
import sys

from minitorch_cnn.nn import Module

SIZES = ("num_classes", "in_channels", "image_size")


def from_file(place, **sizes):
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
        raise ValueError(f"from_file: place - expected FILE:NAME of a Python file, got {str(place)!r}")
    found = getattr(run_file(path), name, None)
    if not callable(found):
        raise ValueError(f"from_file: place - expected a class or function {name!r} in {path}, found none")
    return found


def accepted(factory, sizes):
    """Return the sizes that a class or function takes, as a dict without those that are None."""
    known = inspect.signature(factory).parameters
    return {name: sizes[name] for name in SIZES if name in known and sizes.get(name) is not None}


def build(factory, arguments):
    """Return ``factory(**arguments)``; raise ValueError unless that is a Module."""
    try:
        model = factory(**arguments)
    except Exception as error:  # a user's code may raise anything
        name = getattr(factory, "__qualname__", repr(factory))
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        got = f"{type(error).__name__}: {error}"
        raise ValueError(f"model: {name} - expected a network from {name}({given}), got {got}") from error
    if not isinstance(model, Module):
        name = getattr(factory, "__qualname__", repr(factory))
        raise ValueError(f"model: {name} - expected it to make a Module, got {type(model).__name__}")
    return model


def run_file(path):
    """Run a Python file once per process, and return its module."""
    path = pathlib.Path(path).resolve()
    key = f"{path.stem} of {path}"  # not an importable name, so it hides no other module
    if key not in sys.modules:
        spec = importlib.util.spec_from_file_location(key, path)
        sys.modules[key] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[key])
        except Exception as error:  # a user's code may raise anything
            del sys.modules[key]
            got = f"{type(error).__name__}: {error}"
            raise ValueError(f"model: {path} - expected a Python file that runs, got {got}") from error
    return sys.modules[key]
