"""What a record says about a network, so that the same one can be made again: one of `models.list`, or a user's own.

A file of weights never decides what code runs. A user's own network comes back by itself where this process has its
class already, or where the user has run the very same file before; otherwise loading asks for ``model=``.
"""

import contextlib
import functools
import inspect
import os
import pathlib
import sys
from collections.abc import Callable
from typing import TypeAlias

from minitorch_cnn import models, nn, rng
from minitorch_cnn.models import own, own_code
from minitorch_cnn.train import attributes

Model: TypeAlias = nn.Module | Callable[..., nn.Module] | str


class OwnNetworkError(ValueError):
    """A record of a user's own network that loading cannot make by itself: ``model`` has to name it.

    Attributes
    ----------
    reason : str
        Why it cannot.
    place : str
        What the record names, ``FILE:NAME``, or an example.
    """

    def __init__(self, expected: str, reason: str = "", place: str = "own.py:Net"):
        super().__init__(expected, reason, place)  # all of them, so that a copy has them, too
        self.reason, self.place = reason, place

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.reason}; got None" if self.reason else self.args[0]


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
        The function that error messages name.

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
    check_record(architecture, caller)
    changed = architecture.get("changed", {})
    module = _rebuilt(architecture, model, caller)
    attributes.restore(module, changed, caller)
    return module


def _rebuilt(architecture, model, caller):
    if "structure" not in architecture:
        return _of_registry(architecture, caller) if model is None else _made(model, architecture)
    module = _made(_known(architecture, caller) if model is None else model, architecture)
    _refuse_other_tree(architecture, _plain(architecture["structure"]), _structure(module), caller)
    return module


def _refuse_other_tree(architecture, recorded, got, caller):
    """Raise ValueError unless two trees of a network are the same."""
    if recorded != got:
        pairs = zip(recorded + [""] * len(got), got + [""] * len(recorded), strict=False)
        expected, found = next((old, new) for old, new in pairs if old != new)
        raise ValueError(
            f"{caller}: model - expected the network that was trained, {architecture['name']}, with "
            f"{expected.strip() or 'no further layer'}, got {found.strip() or 'no further layer'} in its place"
        )


def _of_registry(architecture, caller):
    """Return the network of `models.list` that a record names."""
    try:
        return models.create(**{key: value for key, value in architecture.items() if key != "changed"}, drawn=False)
    except TypeError as error:  # such as an argument that the network does not have
        raise ValueError(f"{caller}: architecture - expected arguments of models.create, got {error}") from error


def note_changes(model, architecture, changed):
    """Return the record of a network that has changed since it was described.

    Parameters
    ----------
    model : Module
    architecture : dict
        As `describe` returned it.
    changed : dict or None
        As `attributes.Watch.look` returns it.

    Returns
    -------
    dict
        Where layers were replaced, that of a network which loading cannot make by itself.
    """
    if changed is None:
        sizes = {key: architecture[key] for key in own.SIZES if key in architecture}
        name = architecture["name"]
        return {"name": name, **sizes, "factory": None, "structure": _structure(model)}
    return architecture | ({"changed": attributes.merged(architecture.get("changed", {}), changed)} if changed else {})


def as_it_is(model, metadata, caller):
    """Return the metadata of a classifier with the attributes that its network has now, for a file.

    Raises
    ------
    ValueError
        If the network has other layers than the metadata say: the file would be loaded as another network.
    """
    architecture = metadata["architecture"]
    own_record = architecture.get("structure")
    described, got = own_record or _tree_of(architecture), _structure(model)
    if described is not None and _kinds(described) != _kinds(got):
        _refuse_other_tree({"name": architecture.get("name")}, _kinds(described), _kinds(got), caller)
    if not own_record:
        return metadata
    return metadata | {"architecture": note_changes(model, architecture, attributes.of_users(model))}


def _tree_of(architecture):
    """Return the tree of a network of `models.list`, or None where these arguments make no network."""
    with contextlib.suppress(TypeError, ValueError):
        return _structure(_of_registry(architecture, ""))
    return None


def _kinds(lines):
    """Return what a tree says of each layer but for its arguments, which a run may change: depth, name and class."""
    return [line.partition("(")[0].replace("SyncBatchNorm", "BatchNorm") for line in lines]


def check_record(architecture, caller):
    """Raise ValueError unless a record describes a network in the form of `describe`."""

    def require(fits, where, got):
        if not fits:
            raise ValueError(f"{caller}: architecture - expected {where} as a training records it, got {got!r:.80}")

    require(isinstance(architecture, dict), "a dict", architecture)
    require(isinstance(architecture.get("name"), str), "a string as name", architecture.get("name"))
    for key in own.SIZES:
        value = architecture.get(key, 1)
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 20
        require(fits, f"a positive integer as {key}", value)
    if "structure" not in architecture:
        return
    lines, factory = architecture["structure"], architecture.get("factory")
    require(isinstance(lines, list) and all(isinstance(line, str) for line in lines), "lines as structure", lines)
    if factory is None:
        return
    require(isinstance(factory, dict), "a dict as factory", factory)
    require(isinstance(factory.get("arguments"), dict), "a dict as arguments of the factory", factory.get("arguments"))
    helpers = factory.get("helpers", {})
    texts = isinstance(helpers, dict) and all(isinstance(value, str) for value in helpers.values())
    require(texts, "digests by path as helpers of the factory", helpers)
    for key in ("name", "module"):
        require(isinstance(factory.get(key), str), f"a string as {key} of the factory", factory.get(key))
    for key in ("file", "source", "uses", "file_sha256"):
        require(
            isinstance(factory.get(key, ""), (str, type(None))), f"a string as {key} of the factory", factory.get(key)
        )


def has_other_code(model, architecture):
    """Return whether the class or function that made a network has changed since a record of it was written."""
    factory = architecture.get("factory")
    made = own.made_by(model)[0] if own.made_by(model) else type(model)
    if factory is None or factory["name"] != getattr(made, "__qualname__", None):
        return False
    return not own_code.is_recorded(made, factory)


def _made(model, architecture):
    """Return a network from a Module, callable or ``FILE:NAME``, made with the recorded arguments."""
    if isinstance(model, nn.Module):
        return model
    factory, given = _factory(model)
    if isinstance(model, str):
        own.remember(model.rpartition(":")[0])
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
    """Describe a network that exists already: the recipe's, one of a known class or function, or an unknown one."""
    if name in models.list():
        architecture = {"name": name} | _registry_sizes(name, sizes)
        try:
            twin = models.create(**architecture, drawn=False)
        except ValueError:  # such as images that are too small for it
            twin = None
        if type(twin) is type(model) and _structure(twin) == _structure(model):
            return note_changes(model, architecture, _differences(twin, model))
    if made := own.made_by(model):
        factory, arguments = made[0], made[1] | own.accepted(made[0], sizes)  # the classes may be others now
        twin = own.build(factory, arguments)
        if _structure(twin) == _structure(model):
            return note_changes(model, _of_own(model, factory, arguments, sizes), _differences(twin, model))
    if inspect.signature(type(model)).parameters:
        return _of_own(model, type(model), None, sizes)
    architecture = _of_own(model, type(model), {}, sizes)
    with contextlib.suppress(ValueError), rng.using(rng.stream(0)):  # not made twice: loading will say so
        return note_changes(model, architecture, _differences(own.build(type(model), {}), model))
    return architecture


def _differences(twin, model):
    """Return the attributes of a network that are not as its class or function makes them."""
    return attributes.changes(attributes.look(twin), attributes.look(model))


def _of_own(model, factory, arguments, sizes):
    """Describe a user's own network; ``arguments`` is None if it is not known how the network was made."""
    name = getattr(factory, "__qualname__", type(model).__name__)
    file, known = _file(factory), arguments is not None and "<" not in name
    for key, value in (arguments or {}).items():
        if not isinstance(value, (str, int, float, type(None))):
            expected = "a number or a string, which the record of the run can hold"
            raise TypeError(f"Trainer: model - expected {expected}, for its argument {key}, got {value!r}")
    module = getattr(factory, "__module__", None) or ""
    ours = module.startswith("minitorch_cnn.")
    record = {"file": file, "module": module, "name": name, **own_code.describe(factory)}
    if file is not None and os.path.isfile(file) and module != "__main__" and not ours and record["source"]:
        record["file_sha256"] = own.remember(file)
    architecture = {
        "name": name if ours or file is None else f"{pathlib.Path(file).name}:{name}",
        **sizes,
        "factory": record | {"arguments": arguments} if known else None,
        "structure": _structure(model),
    }
    return architecture if known else note_changes(model, architecture, attributes.of_users(model))


def _known(architecture, caller):
    """Return the recorded class or function, if it is the one that was trained and no other code has to run."""
    factory, name = architecture["factory"], architecture["name"]
    asked = f"{caller}: model - expected model=, a network like {name}"
    if factory is None:
        raise OwnNetworkError(asked, "the run was given a network, and how it was made is not recorded")
    place = f"{factory.get('file') or 'own.py'}:{factory['name']}"
    if found := _imported(factory):
        if own_code.is_recorded(found, factory):
            return found
        raise OwnNetworkError(asked, "its source has changed since the run", place)
    why = ""
    if factory.get("file") and factory.get("file_sha256"):
        helpers = factory.get("helpers", {})
        if found := own.find_known(factory["file"], factory["name"], factory["file_sha256"], helpers):
            return found
        if os.path.isfile(factory["file"]):
            why = "its file has changed since the run, or you have not run it on this computer yet, "
            why += "or a file that it imports has changed; "
        else:
            why = f"its file is no longer at {factory['file']}; "
    raise OwnNetworkError(asked, why + "code of your own runs only where you name it", place)


def _imported(factory):
    """Return the recorded class of a network if this process has it, else None."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == factory.get("file") is not None or (
            getattr(module, "__name__", None) == factory["module"] != "__main__"
        ):
            found = getattr(module, factory["name"], None)
            if isinstance(found, type) and issubclass(found, nn.Module):
                return found
    return None


def _file(factory):
    try:
        return inspect.getsourcefile(factory)
    except TypeError:  # built in, or made without a file
        return None


def _structure(model):
    """Return the tree of a network as it prints, one line per layer, whether it learns or not."""
    return [type(model).__name__, *_plain(str(model).splitlines()[1:])]


def _plain(lines):
    """Return lines of a tree without the marks of frozen layers, which a run may change, and without columns."""
    depths = [len(line) - len(line.lstrip()) for line in lines]
    words = [line.replace(" [frozen]", "").split() for line in lines]
    return [" " * depth + " ".join(line) for depth, line in zip(depths, words, strict=True)]
