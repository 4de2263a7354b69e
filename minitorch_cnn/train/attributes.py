"""Plain attributes of layers, such as a rate of dropout or a number of the user's own: no array holds them.

A run may change them, and its classifier computes with them; so the record of a network has those that are not as its
class or function makes them. What JSON cannot hold, such as a plain array, is in no file; a warning says so.
"""

import contextlib
import math
import warnings
import zlib
from typing import Any, NamedTuple

import numpy as np

from minitorch_cnn.autograd import Variable
from minitorch_cnn.nn import Module, Parameter

_OWN = ("training", "frozen", "fused", "forward_hooks", "_buffer_names")  # of every module
_NONE = object()
_DEPTH = 8  # of lists in lists: one that contains itself has no end


class Seen(NamedTuple):
    """The attributes of all layers of a network at one time, without modules, parameters and buffers."""

    values: dict[str, dict[str, Any]]  # by path and name, as JSON holds them
    others: dict[tuple[str, str], Any]  # by (path, name): of an array its shape and checksum, else a type


def look(model):
    """Return what is `Seen` of a network.

    Parameters
    ----------
    model : Module
    """
    values, others = {}, {}
    for path, module in model.named_modules():
        values[path] = {}
        for name, value in vars(module).items():
            if name in (*_OWN, *module._buffer_names) or isinstance(value, (Parameter, Module)):
                continue
            held = _as_json(value)
            if held is _NONE:
                others[path, name] = _identity(value)
            else:
                values[path][name] = held
    return Seen(values, others)


def _identity(value):
    array = value.data if isinstance(value, Variable) else value
    if isinstance(array, np.ndarray) and not array.dtype.hasobject:
        return array.shape, zlib.crc32(array.tobytes())
    return type(value).__name__


def plain(model):
    """Return {path: {name: value}} of the attributes of all layers that JSON can hold, as it holds them.

    These are finite numbers, booleans, strings, None, and lists, tuples and dicts of them.
    """
    return look(model).values


def of_users(model):
    """Return what `plain` does, of the layers alone whose classes the user has written: the tree shows the others'."""
    users = {path for path, module in model.named_modules() if not type(module).__module__.startswith("minitorch_cnn.")}
    return {path: values for path, values in plain(model).items() if values and path in users}


def _as_json(value, depth=_DEPTH):
    """Return a copy of a value as JSON holds it, with lists in place of tuples, or _NONE if that cannot hold it."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value)):
        return value
    if type(value) in (list, tuple) and depth:
        items = [_as_json(item, depth - 1) for item in value]
        return _NONE if any(item is _NONE for item in items) else items
    if type(value) is dict and depth and all(type(key) is str for key in value):
        items = {key: _as_json(item, depth - 1) for key, item in value.items()}
        return _NONE if any(item is _NONE for item in items.values()) else items
    return _NONE


def changes(before, after):
    """Return {path: {name: value}} of what is `Seen` after, and not before, of the layers that are in both.

    An attribute that is None after, and was of another kind than the plain ones before, is left out. A warning names
    each that was plain before and is not after, and each array that has other values.
    """
    found = {}
    for path in before.values.keys() & after.values.keys():
        old = before.values[path]
        new = {name: value for name, value in after.values[path].items() if value is not None or name in old}
        if own := {name: value for name, value in new.items() if not _same(old.get(name, _NONE), value)}:
            found[path] = own
    for (path, name), now in after.others.items():
        old, was_plain = before.others.get((path, name), ""), before.values.get(path, {}).get(name) is not None
        other_array = isinstance(now, tuple) and old[:1] == now[:1] and old != now
        if was_plain or other_array:
            _warn(f"{path}.{name}" if path else name, name, isinstance(now, tuple))
    return found


def _warn(owner, name, is_array):
    expected = "a buffer or a number" if is_array else "a number, boolean or string, or lists or dicts of them"
    got = "a plain array" if is_array else "another object"
    cure = f"; call self.register_buffer({name!r}, array) in __init__" if is_array else ""
    why = "which differs from that of a newly made network, and is in no file"
    warnings.warn(f"{owner}: expected {expected}, got {got}, {why}{cure}", stacklevel=3)


def _same(one, other):
    """Return whether two values are equal, where 1, 1.0 and True are not."""
    return repr(one) == repr(other)


def merged(earlier, later):
    """Return the changes of two stretches of time, the later ones last."""
    return {path: earlier.get(path, {}) | later.get(path, {}) for path in sorted(earlier.keys() | later.keys())}


def restore(model, changed, caller):
    """Set attributes that `changes` returned.

    Parameters
    ----------
    model : Module
    changed : dict
    caller : str
        What the message names.

    Raises
    ------
    ValueError
        If it is of another form, or of a layer or an attribute that the model does not have. Nothing has changed then.
    """
    modules = dict(model.named_modules())
    for path, values in changed.items() if isinstance(changed, dict) else [("", None)]:
        if path not in modules or not isinstance(values, dict):
            expected = f"attributes of layers of {type(model).__name__}"
            raise ValueError(f"{caller}: changed - expected {expected}, got {path!r}: {values!r:.80}")
        for name, value in values.items():
            now = getattr(modules[path], name, None)  # None: one that the first call of the network makes
            if _as_json(value) is _NONE or name in _OWN or _as_json(now) is _NONE:
                expected = f"a plain value for {name} of {path or type(model).__name__}"
                raise ValueError(f"{caller}: changed - expected {expected}, got {value!r:.80}")
    _set(modules, changed)


def _set(modules, values):
    """Set attributes of modules by path; where a tuple is now, a list becomes one."""
    for path, own in values.items():
        for name, value in own.items():
            is_tuple = isinstance(vars(modules[path]).get(name), tuple)
            vars(modules[path])[name] = _tuples(value) if is_tuple else _as_json(value)


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


@contextlib.contextmanager
def kept(model):
    """Return a context after which the attributes of all layers are what they were, but for what arrays hold."""
    before, values = [(module, dict(vars(module))) for module in model.modules()], plain(model)
    try:
        yield
    finally:
        for module, own in before:
            vars(module).clear()
            vars(module).update(own)
        _set(dict(model.named_modules()), values)


class Watch:
    """Notices what a training changes in its network beside parameters and buffers.

    Parameters
    ----------
    model : Module
        As it was described.
    """

    def __init__(self, model):
        self._model = model
        self._types, self._before = self._seen()
        self._others = self._before.others

    def _seen(self):
        return {path: type(module) for path, module in self._model.named_modules()}, look(self._model)

    def look(self):
        """Return the attributes that have changed since the last look, or None if layers were replaced."""
        (types, now), (types_before, before) = self._seen(), (self._types, self._before)
        self._types, self._before = types, now
        before = before._replace(others=self._others)  # without what forward keeps to be looked at
        return changes(before, now) if types == types_before else None
