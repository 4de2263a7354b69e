"""What a user names by ``FILE:NAME`` for a check: a layer, a Function, or a function of Tensors."""

import inspect
from collections.abc import Callable
from typing import Any

from minitorch_cnn.autograd import Function
from minitorch_cnn.models import own


def from_file(place: str) -> Callable[..., Any]:
    """Return what ``FILE:NAME`` names as `gradcheck` takes it.

    Parameters
    ----------
    place : str
        Such as ``"mine.py:Layer"``. The file is run. A class of a Module, or a function that needs no arguments, is
        called to make the layer; of a Function, ``apply`` is checked; any other function takes Tensors itself.

    Returns
    -------
    callable or Module

    Raises
    ------
    ValueError
        If there is no such file or name, or the layer needs arguments.
    """
    found = own.find(place)
    if isinstance(found, type) and issubclass(found, Function):
        return found.apply
    if isinstance(found, type) or not inspect.signature(found).parameters:
        return own.build(found, {})
    return found
