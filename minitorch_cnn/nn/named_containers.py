"""Containers by name, and containers of parameters."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.tensor import Tensor


class _Named(Module):
    """Attributes of one kind by name, with the methods of a dict."""

    _kind: type = Module

    def __init__(self, items: Mapping[str, Any] | None = None):
        self.update({} if items is None else items)

    def _items(self):
        return {name: value for name, value in vars(self).items() if isinstance(value, self._kind)}

    def update(self, items: Mapping[str, Any]) -> Self:
        """Add or replace several entries and return this container."""
        if not isinstance(items, Mapping):
            raise TypeError(f"{type(self).__name__}: items - expected a dict, got {type(items).__name__}")
        for name, value in items.items():
            self[name] = value
        return self

    def _wrapped(self, value):
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        layer, value = type(self).__name__, self._wrapped(value)
        if not isinstance(value, self._kind):
            raise TypeError(f"{layer}: {name!r} - expected a {self._kind.__name__}, got {type(value).__name__}")
        known = name in self._items() if isinstance(name, str) else False
        if not isinstance(name, str) or not name or "." in name or (not known and hasattr(self, name)):
            raise ValueError(f"{layer}: name - expected a string without dots that no method has, got {name!r}")
        setattr(self, name, value)

    def __getitem__(self, name: str) -> Any:
        try:
            return self._items()[name]
        except KeyError:
            known = ", ".join(map(repr, self._items())) or "none"
            raise KeyError(f"{type(self).__name__}: name - expected one of {known}, got {name!r}") from None

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self, name)

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._items())

    def __contains__(self, name: object) -> bool:
        return name in self._items()

    def keys(self) -> Iterable[str]:
        """Return the names, in the order of assignment."""
        return self._items().keys()

    def values(self) -> Iterable[Any]:
        """Return what is inside, in the order of assignment."""
        return self._items().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return pairs of name and content, in the order of assignment."""
        return self._items().items()


class ModuleDict(_Named):
    """Modules by name. It has no ``forward``: the module that holds the dict runs them.

    Parameters
    ----------
    items : dict of str to Module, or None

    Returns
    -------
    ModuleDict
        It has the methods of a dict.

    Raises
    ------
    TypeError, ValueError
        If an entry is not a Module, or a name is empty, contains a dot or is that of a method.
    NotImplementedError
        On call.
    """


class ParameterDict(_Named):
    """Parameters by name. It has no ``forward``: the module that holds the dict uses them.

    Parameters
    ----------
    items : dict of str to Tensor or ndarray, or None
        What is not a Parameter becomes one.

    Returns
    -------
    ParameterDict
        It has the methods of a dict.

    Raises
    ------
    TypeError, ValueError
        If an entry is not an array of floats, or a name is empty, contains a dot or is that of a method.
    NotImplementedError
        On call.
    """

    _kind = Parameter

    def _wrapped(self, value):
        return value if isinstance(value, (Parameter, Module)) else Parameter(value)


class ParameterList(Module):
    """A list of parameters. It has no ``forward``: the module that holds the list uses them.

    Parameters
    ----------
    parameters : iterable of Tensor or ndarray
        What is not a Parameter becomes one.

    Returns
    -------
    ParameterList
        It has a length, and can be iterated and indexed; an item can be replaced.

    Raises
    ------
    TypeError
        If an element is not an array of floats, or the elements have no order.
    NotImplementedError
        On call.
    """

    def __init__(self, parameters: Iterable[Any] = ()):
        if not np.iterable(parameters) or isinstance(parameters, (set, frozenset)):
            expected = "an ordered collection, such as a list"
            raise TypeError(f"ParameterList: parameters - expected {expected}, got {type(parameters).__name__}")
        for parameter in parameters:
            self.append(parameter)

    def append(self, parameter: Tensor | Any) -> Self:
        """Add a parameter at the end and return this list."""
        setattr(self, str(len(self)), parameter if isinstance(parameter, Parameter) else Parameter(parameter))
        return self

    def __len__(self) -> int:
        return len(self._own_parameters())

    def __iter__(self) -> Iterator[Parameter]:
        return iter([parameter for _, parameter in self._own_parameters()])

    def __getitem__(self, index: int) -> Parameter:
        return list(self)[index]

    def __setitem__(self, index: int, parameter: Tensor | Any) -> None:
        name, _ = self._own_parameters()[index]
        setattr(self, name, parameter if isinstance(parameter, Parameter) else Parameter(parameter))
