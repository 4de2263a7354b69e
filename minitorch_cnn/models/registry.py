"""Models by name."""

import builtins
import contextlib
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from minitorch_cnn import arguments, rng
from minitorch_cnn.hints import hint
from minitorch_cnn.nn.module import Module

_models = {}

F = TypeVar("F", bound=Callable[..., Any])


def register(name: str) -> Callable[[F], F]:
    """Return a decorator that makes a class or function available as ``create(name)``.

    Parameters
    ----------
    name : str
        A new name.

    Returns
    -------
    callable
        Takes and returns the model's class, or a function that returns a Module. `create` calls it with those of
        ``num_classes``, ``in_channels`` and ``image_size`` that the user gave.

    Raises
    ------
    ValueError
        If the name is taken.
    """

    def add(build):
        if name in _models:
            known = getattr(_models[name], "__qualname__", repr(_models[name]))
            raise ValueError(f"register: name - expected a new name, got {name!r}, which is {known}")
        _models[name] = build
        return build

    return add


def create(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | None = None,
    drawn: bool = True,
    **options: Any,
) -> Module:
    """Make a model with random weights.

    Parameters
    ----------
    name : str
        One of `list`.
    num_classes, in_channels, image_size : int or None
        Length of the output, channels of the images, and pixels per side; None takes the model's
        defaults: 10, 3 and 32 for CIFAR-10 models.
    drawn : bool
        Whether weights are drawn. False takes neither time nor memory; see `rng.undrawn_weights`. It suits code
        that only looks at shapes, such as `explain.summary`, or that loads all weights afterwards.
    options
        Further arguments of the model.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If there is no such model; the message suggests the nearest name.
    """
    build = _find("create", name)
    arguments.flag("create", drawn=drawn)
    given = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    with contextlib.nullcontext() if drawn else rng.undrawn_weights():
        return build(**{key: value for key, value in given.items() if value is not None}, **options)


def native_input(name: str) -> tuple[int, int]:
    """Return (channels, pixels per side) of the images that a model is made for.

    Parameters
    ----------
    name : str
        One of `list`.

    Returns
    -------
    (int, int)

    Raises
    ------
    ValueError
        If there is no such model.
    """
    known = inspect.signature(_find("native_input", name)).parameters
    return known["in_channels"].default, known["image_size"].default


def _find(function, name):
    if not isinstance(name, str) or name not in _models:
        near = hint(str(name).lower(), _models)
        expected = f"expected one of {', '.join(list())}"
        raise ValueError(f"{function}: name - {expected}, got {name!r}{near}")
    return _models[name]


def list() -> builtins.list[str]:
    """List the models.

    Returns
    -------
    list of str
        The names that `create` takes, sorted.
    """
    return sorted(_models)
