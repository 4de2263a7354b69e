"""What a record says about a network, so that the same one comes back: a name of `models.list`, or a user's own.

A file never decides what code runs: a network of a user's own comes back by itself only where this process has its
class already; otherwise loading asks for ``model=``.
"""

import functools
import hashlib
import inspect
import pathlib
import sys
from collections.abc import Callable
from typing import TypeAlias

from minitorch_cnn import models, nn
from minitorch_cnn.models import own

Model: TypeAlias = nn.Module | Callable[..., nn.Module] | str


class OwnNetworkError(ValueError):
    """A record of a user's own network, which loading cannot make by itself: ``model`` has to name it."""


def describe(model, name, sizes):
    """Make the network of a new run, and say what it is.

    Parameters
    ----------
    model : Module, callable, str or None
        A network, a class or function that makes one, its ``FILE:NAME``; None makes the network ``name``.
    name : str
        One of `models.list`: the recipe's network.
    sizes : dict
        "num_classes", "in_channels" and "image_size" of the images.

    Returns
    -------
    (Module, dict)
        The network, and its "architecture", which JSON can hold: "name", the sizes and, of a user's own, "factory"
        and "structure".

    Raises
    ------
    TypeError, ValueError
        If no network comes out of ``model``, or its arguments cannot be recorded.
    """
    if model is None:
        architecture = {"name": name} | _registry_sizes(name, sizes)
        return models.create(**architecture), architecture
    if isinstance(model, nn.Module):
        return model, _of_instance(model, name, sizes)
    factory, given = _factory(model)
    arguments = own.accepted(factory, sizes) | given
    module = own.build(factory, arguments)
    return module, _of_own(module, factory, arguments, sizes)


def rebuild(architecture, model=None, caller="load"):
    """Make the network again that a record describes.

    Parameters
    ----------
    architecture : dict
        As `describe` returned it.
    model : Module, callable, str or None
        As for `describe`; None takes what the record names.
    caller : str
        Whose errors these are.

    Returns
    -------
    Module
        Its weights are still to be loaded.

    Raises
    ------
    OwnNetworkError
        If the record is of a user's own network that this process does not know.
    ValueError
        If ``model`` is another network than the recorded one.
    """
    if "structure" not in architecture:
        return models.create(**architecture, drawn=False) if model is None else _made(model, architecture)
    module = _made(_known_class(architecture, caller) if model is None else model, architecture)
    recorded, got = architecture["structure"], _structure(module)
    if recorded != got:
        pairs = zip(recorded + [""] * len(got), got + [""] * len(recorded), strict=False)
        expected, found = next((old, new) for old, new in pairs if old != new)
        raise ValueError(
            f"{caller}: model - expected the network that was trained, {architecture['name']}, with "
            f"{expected.strip() or 'no further layer'}, got {found.strip() or 'no further layer'} in its place"
        )
    return module


def _made(model, architecture):
    """Return a network from a Module, callable or ``FILE:NAME``, made with the recorded arguments."""
    if isinstance(model, nn.Module):
        return model
    factory, given = _factory(model)
    recorded = (architecture.get("factory") or {}).get("arguments", {})
    return own.build(factory, own.accepted(factory, architecture) | recorded | given)


def _factory(model):
    """Return (class or function, its keyword arguments) of a callable or ``FILE:NAME``."""
    if isinstance(model, str):
        return own.find(model), {}
    if not callable(model):
        expected = "a Module, a class or function that makes one, its FILE:NAME, or None"
        raise TypeError(f"Trainer: model - expected {expected}, got {model!r}")
    if isinstance(model, functools.partial) and not model.args:
        return model.func, dict(model.keywords)
    return model, {}


def _registry_sizes(name, sizes):
    """Return the arguments of `models.create`: channels only where they are not the network's own."""
    native, _ = models.native_input(name)
    return {key: value for key, value in sizes.items() if key != "in_channels" or value != native}


def _of_instance(model, name, sizes):
    """Describe a network that exists already: it is the recipe's, or has a class without arguments, or nobody knows."""
    if name in models.list():
        architecture = {"name": name} | _registry_sizes(name, sizes)
        try:
            twin = models.create(**architecture, drawn=False)
        except ValueError:  # such as images that are too small for it
            twin = None
        if type(twin) is type(model) and _structure(twin) == _structure(model):
            return architecture
    return _of_own(model, type(model), None if inspect.signature(type(model)).parameters else {}, sizes)


def _of_own(model, factory, arguments, sizes):
    """Describe a network of a user's own; ``arguments`` of None: how it was made is not known."""
    name = getattr(factory, "__qualname__", type(model).__name__)
    file, known = _file(factory), arguments is not None and "<" not in name
    for key, value in (arguments or {}).items():
        if not isinstance(value, (str, int, float, type(None))):
            expected = "a number or a string, which the record of the run can hold"
            raise TypeError(f"Trainer: model - expected {expected}, for its argument {key}, got {value!r}")
    ours = factory.__module__.startswith("minitorch_cnn.")
    record = {"file": file, "module": factory.__module__, "name": name, "source": _source(factory)}
    return {
        "name": name if ours or file is None else f"{pathlib.Path(file).name}:{name}",
        **sizes,
        "factory": record | {"arguments": arguments} if known else None,
        "structure": _structure(model),
    }


def _known_class(architecture, caller):
    """Return the recorded class, if this process has it in the form in which it was trained."""
    factory, name = architecture["factory"], architecture["name"]
    asked = f"{caller}: model - expected model=, a network like {name}: "
    if factory is None:
        raise OwnNetworkError(asked + "the run was given a network, and how it was made is not recorded; got None")
    found = None
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == factory["file"] is not None or (
            getattr(module, "__name__", None) == factory["module"] != "__main__"
        ):
            found = getattr(module, factory["name"], None)
            if isinstance(found, type) and issubclass(found, nn.Module):
                break
            found = None
    if found is None:
        raise OwnNetworkError(asked + "code of your own runs only where you name it; got None")
    if _source(found) != factory["source"]:
        raise OwnNetworkError(asked + "its source has changed since the run; got None")
    return found


def _file(factory):
    try:
        return inspect.getsourcefile(factory)
    except TypeError:  # built in, or made without a file
        return None


def _source(factory):
    """Return a digest of the source of a class or function, or None where there is none."""
    try:
        return hashlib.sha256(inspect.getsource(factory).encode()).hexdigest()
    except (OSError, TypeError):
        return None


def _structure(model):
    """Return the tree of a network as it prints, a line a layer."""
    return [type(model).__name__, *str(model).splitlines()[1:]]
