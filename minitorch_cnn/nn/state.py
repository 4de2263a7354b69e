"""State dicts: the parameters and buffers of a module tree as arrays by dotted path."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments as _check
from minitorch_cnn.autograd import FLOAT_DTYPES

if TYPE_CHECKING:
    from minitorch_cnn.nn.module import Module


_SHOWN = 6  # differences in a message: a file of another network has hundreds


class StateDictError(ValueError):
    """A state dict that does not fit the module; the message lists the first differences and counts all.

    Attributes
    ----------
    differences : list of str
        All of them.
    """

    def __init__(self, message: str, differences: Sequence[str] = ()):
        super().__init__(message)
        self.differences = list(differences)


def entries(module, prefix=""):
    """Yield (key, array, Parameter or None): parameters, then buffers, then the modules inside.

    A parameter that two modules share appears under each of its names, as in PyTorch's files.
    """
    for name, parameter in module._own_parameters():
        yield prefix + name, parameter.data, parameter
    for name, array in module._own_buffers():
        yield prefix + name, array, None
    for name, child in module.named_children():
        yield from entries(child, f"{prefix}{name}.")


def state_dict(module: "Module") -> dict[str, Any]:
    """Return all parameters and buffers of a module.

    Parameters
    ----------
    module : Module

    Returns
    -------
    dict of str to ndarray
        Copies of the arrays by dotted path, such as ``"layer1.0.conv1.weight"``; the names are PyTorch's.
        Later training does not change the copies.

    Notes
    -----
    Cost: as much memory as the parameters and buffers themselves.
    """
    return {key: array.copy() for key, array, _ in entries(module)}


def load_state_dict(module: "Module", arrays: Mapping[str, Any], strict: bool = True) -> tuple[list[str], list[str]]:
    """Copy arrays into the parameters and buffers of a module, all or none.

    Parameters
    ----------
    module : Module
    arrays : dict of str to ndarray
        By dotted path. float16, float32 and float64 are converted into the module's dtype; any other difference
        of dtype is an error. ``num_batches_tracked``, which old files do not have, may be absent. Of the names of a
        parameter that several modules share, one is enough; arrays under several of them must be equal.
    strict : bool
        False allows missing and unexpected keys; shapes must still match.

    Returns
    -------
    (list of str, list of str)
        The missing and the unexpected keys, empty if ``strict``.

    Raises
    ------
    TypeError
        If ``arrays`` is not a dict.
    StateDictError
        If keys are missing or unexpected, or arrays do not fit. Its message lists the first differences and counts
        all, its ``differences`` has every one. The module is unchanged.
    """
    _check.flag("load_state_dict", strict=strict)
    if not isinstance(arrays, Mapping):
        raise TypeError(
            f"load_state_dict: arrays - expected a dict of arrays, got {type(arrays).__name__}; "
            "weights.load and weights.load_pth read files"
        )
    found = list(entries(module))
    own = {key: array for key, array, _ in found}
    given = {id(array): key for key, array, _ in reversed(found) if key in arrays}  # the first name that is given
    absent = [key for key, array, _ in found if id(array) not in given]
    missing = [key for key in absent if not key.endswith("num_batches_tracked")]
    unexpected = [key for key in arrays if key not in own]
    faults = [f"missing {key}" for key in missing] + [f"unexpected {key}" for key in unexpected] if strict else []
    for key in own.keys() & arrays.keys():
        faults += _difference(key, own[key], arrays[key])
    if not faults:
        faults += _contradictions(own, given, arrays)
    if faults:
        faults.sort()
        shown, left = faults[:_SHOWN], len(faults) - _SHOWN
        rest = f"\n    and {left} more differences, {len(faults)} in all" if left > 0 else ""
        raise StateDictError(
            f"load_state_dict: arrays - expected the entries of {type(module).__name__}, got\n    "
            + "\n    ".join(shown)
            + rest,
            faults,
        )
    for key, array, parameter in found:
        if key in arrays:
            np.copyto(array, arrays[key], casting="same_kind")
            if parameter is not None:
                parameter.bump_version()
    return missing, unexpected


def _difference(key, own, given):
    """Return the reason why ``given`` cannot be copied into ``own``, as a list of at most one sentence."""
    if not isinstance(given, np.ndarray):
        return [f"{key}: expected an ndarray, got {type(given).__name__}"]
    if given.shape != own.shape:
        return [f"{key}: expected shape {own.shape}, got {given.shape}"]
    if given.dtype != own.dtype and not (given.dtype in (np.float16, *FLOAT_DTYPES) and own.dtype in FLOAT_DTYPES):
        return [f"{key}: expected dtype {own.dtype}, got {given.dtype}"]
    if _check.is_masked(given):
        return [f"{key}: expected an array without masked elements, got one with a mask; use filled()"]
    if given.dtype.itemsize > own.dtype.itemsize and given.size:
        largest = np.abs(np.asarray(given)[np.isfinite(given)]).max(initial=0)
        if largest > np.finfo(own.dtype).max:
            return [f"{key}: expected numbers that {own.dtype} can hold, got {largest}"]
    return []


def _contradictions(own, given, arrays):
    """Return a sentence for each further name of a shared parameter whose array is not that of the first name.

    The last one would win without a word, in a file of a network in which both names have weights of their own.
    """
    firsts = [(key, given[id(array)]) for key, array in own.items() if key in arrays]
    return [
        f"{key}: expected the array of {first}, which this module shares, got another one"
        for key, first in firsts
        if key != first and not np.array_equal(arrays[key], arrays[first], equal_nan=True)
    ]
