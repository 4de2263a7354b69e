"""Rejects modules and parameters that are not attributes of a module: they would be neither trained nor saved."""

import dataclasses
from collections import UserDict, UserList, deque
from functools import cache, partial
from types import MappingProxyType, SimpleNamespace

import numpy as np

from minitorch_cnn.nn.parameter import Parameter

_DICTS = (dict, UserDict, MappingProxyType)
_VIEWS = tuple(map(type, ({}.keys(), {}.values(), {}.items())))
_CONTAINERS = (list, tuple, set, frozenset, deque, UserList, SimpleNamespace, partial, *_VIEWS, *_DICTS)


def parts_within(value, kinds):
    """Return the objects of the given types in a list, dict, set or array of objects, at any depth."""
    if not (inside := _items(value)):
        return []
    found, seen, stack = [], set(), [inside]
    while stack:
        for item in stack.pop():
            if isinstance(item, kinds):
                found.append(item)
            elif id(item) not in seen and (inside := _items(item)):
                seen.add(id(item))
                stack.append(inside)
    return found


@cache
def _may_hold_parts(kind):
    """Return True for containers, arrays and dataclasses; looked up, as every step asks about every attribute."""
    return issubclass(kind, (np.ndarray, *_CONTAINERS)) or dataclasses.is_dataclass(kind)


def _items(value):
    """Return the elements of a container; nothing for any other object."""
    if not _may_hold_parts(type(value)):
        return ()
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype == object else ()
    if isinstance(value, partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, SimpleNamespace):
        return tuple(vars(value).values())
    if dataclasses.is_dataclass(value):
        return tuple(getattr(value, field.name, None) for field in dataclasses.fields(value))
    return (*value.keys(), *value.values()) if isinstance(value, _DICTS) else tuple(value)


def check(owner, name, value, kinds):
    """Raise if a value is a container with modules or parameters in it, or one of these whose name is taken."""
    if parts_within(value, kinds):
        raise TypeError(_message(owner, value))
    if isinstance(value, kinds):
        _check_name(owner, name, kinds[-1])


def check_buffer(module, name, array, kind):
    """Raise unless a module may keep this array under this name."""
    if not isinstance(name, str):
        raise TypeError(f"register_buffer: name - expected a string, got {name!r}")
    owner = f"{type(module).__name__}.{name}"
    _check_name(owner, name, kind)
    if name in vars(module) and name not in module._buffer_names:
        got = type(vars(module)[name]).__name__
        raise ValueError(f"{owner}: name - expected one that is free, got that of a {got}")
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{owner}: value - expected an ndarray for a buffer, got {type(array).__name__}")


def _check_name(owner, name, module_class):
    """Raise ValueError for a name that would hide a method of all modules, or that a path cannot hold."""
    if not name or "." in name or hasattr(module_class, name):
        raise ValueError(f"{owner}: name - expected one without dots that no module has already, got {name!r}")


def check_attributes(module, kinds):
    """Raise TypeError if a container that was filled after its assignment holds a part that is not an attribute."""
    for name, value in vars(module).items():
        if _may_hold_parts(type(value)) and (parts := parts_within(value, kinds)):
            registered = _registered(module, kinds)
            if any(id(part) not in registered for part in parts):
                raise TypeError(_message(f"{type(module).__name__}.{name}", value))


def _registered(module, kinds):
    """Return the ids of all modules and parameters below a module that are attributes."""
    found, stack = set(), [module]
    while stack:
        for part in vars(stack.pop()).values():
            if isinstance(part, kinds) and id(part) not in found:
                found.add(id(part))
                stack += [] if isinstance(part, Parameter) else [part]
    return found


def _message(owner, value):
    return (
        f"{owner}: value - expected a ModuleList, Sequential or attributes one by one, got a {type(value).__name__} "
        "of modules or parameters, which would be neither trained nor saved"
    )
