"""Containers: sequences, lists, residual connections and parallel branches of modules."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.nn import _check
from minitorch_cnn.nn.fuse import run_in_row
from minitorch_cnn.nn.module import Module
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor


class ModuleList(Module):
    """A list of modules. It has no ``forward``: the module that holds the list runs them.

    Parameters
    ----------
    modules : iterable of Module

    Returns
    -------
    ModuleList
        It has a length, and can be iterated, indexed and sliced; an item can be replaced.

    Raises
    ------
    TypeError
        If an element is not a Module.
    NotImplementedError
        On call.
    """

    def __init__(self, modules: Iterable[Module] = ()):
        if not np.iterable(modules) or isinstance(modules, (set, frozenset)):
            expected = "an ordered collection, such as a list"
            raise TypeError(f"{type(self).__name__}: modules - expected {expected}, got {type(modules).__name__}")
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Self:
        """Add a module at the end and return this list."""
        _check.modules(type(self).__name__, Module, module)
        number = len(self)
        while hasattr(self, str(number)):  # a dict may already use numbers as names
            number += 1
        setattr(self, str(number), module)
        return self

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self.children()))

    def __getitem__(self, key: int | slice) -> Any:
        """Return one module; a slice gives a new Sequential or ModuleList of the same modules."""
        if not isinstance(key, slice):
            return list(self)[key]
        modules = list(self)[key]
        return Sequential(*modules) if isinstance(self, Sequential) else ModuleList(modules)

    def __setitem__(self, index: int, module: Module) -> None:
        _check.modules(type(self).__name__, Module, module)
        name, _ = list(self.named_children())[index]
        setattr(self, name, module)


class Sequential(ModuleList):
    """Modules in sequence: the output of each is the input of the next.

    Parameters
    ----------
    modules : Module, or one dict of str to Module
        Without a dict, the names are "0", "1", ...

    Returns
    -------
    Tensor
        On call, the output of the last module, for any x that the first one takes.

    Raises
    ------
    TypeError
        If an element is not a Module.
    ValueError
        If a name is empty, contains a dot, or is one that every module has, such as "train".
    """

    def __init__(self, *modules: Module | Mapping[str, Module]):
        if len(modules) == 1 and isinstance(modules[0], dict):
            _check.modules("Sequential", Module, *modules[0].values())
            for name, module in modules[0].items():
                if not isinstance(name, str) or not name or "." in name or hasattr(self, name):
                    raise ValueError(f"Sequential: name - expected a new string without dots, got {name!r}")
                setattr(self, name, module)
        else:
            super().__init__(modules)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the last module."""
        return run_in_row(list(self), x)


class Residual(Module):
    """body(x) + shortcut(x): the body learns what to add.

    Parameters
    ----------
    body : Module
    shortcut : Module or None
        None passes x itself.

    Returns
    -------
    Tensor, of the shape of the body's output
        On call, for any x that body and shortcut take.

    Raises
    ------
    TypeError
        If ``body`` or ``shortcut`` is not a Module.
    ShapeError
        On call, if the two shapes differ.

    Notes
    -----
    Source: He, Zhang, Ren and Sun 2015, "Deep Residual Learning for Image Recognition", figure 2.
    """

    body: Module
    shortcut: Module | None

    def __init__(self, body: Module, shortcut: Module | None = None):
        _check.modules("Residual", Module, body, *([] if shortcut is None else [shortcut]))
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return body(x) + shortcut(x)."""
        out = self.body(x)
        kept = x if self.shortcut is None else self.shortcut(x)
        if out.shape != kept.shape:  # without this check, the sum would broadcast
            raise ShapeError(f"Residual: shortcut - expected the body's shape {out.shape}, got {kept.shape}")
        return ops.add(out, kept)


class Concat(Module):
    """Parallel branches on one input, whose outputs are concatenated along an axis.

    Parameters
    ----------
    branches : Module, at least one
        The names are "0", "1", ...; `Identity` passes the input on.
    axis : int
        1 joins channels.

    Returns
    -------
    Tensor, of the branches' shape, with their lengths along ``axis`` added up
        On call, for any x that all branches take.

    Raises
    ------
    TypeError
        If a branch is not a Module.
    ValueError
        If there are no branches.
    """

    axis: int

    def __init__(self, *branches: Module, axis: int = 1):
        if not branches:
            raise ValueError("Concat: branches - expected at least one Module, got none")
        _check.modules("Concat", Module, *branches)
        self.axis = axis
        for number, branch in enumerate(branches):
            setattr(self, str(number), branch)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all branches, joined."""
        return ops.concat([branch(x) for branch in self.children()], axis=self.axis)
