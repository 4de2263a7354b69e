"""Files of weights: safetensors, with a sha256 of the arrays and a dict of metadata inside.

A safetensors file is the length of a JSON header, the header, and the bytes of the arrays; to read
it runs no code. The header's ``__metadata__`` holds three strings here:

    sha256            of all names, dtypes, shapes and bytes, in the order of the names
    metadata          the caller's dict as JSON
    metadata_sha256   of that JSON
"""

import collections.abc
import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from minitorch_cnn import arguments
from minitorch_cnn.io import files
from minitorch_cnn.types import Array, Path

_KINDS = "fiub"  # floats, integers and booleans; of at most 8 bytes, which is what safetensors has
# Bytes; a network of a thousand tensors has a hundred thousand. Its parser takes six times as much memory.
_LONGEST_HEADER = 1 << 22


class WeightFileError(ValueError):
    """A file that is not a file of weights, or that has changed since it was written."""


def save(path: Path, state_dict: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> str:
    """Write arrays and a dict into one file, all or nothing.

    Parameters
    ----------
    path : str or Path
        A file there is replaced only when the new one is complete.
    state_dict : dict of str to ndarray
        Numbers of any shape and memory order; they are stored C-contiguous and little-endian.
    metadata : dict or None
        What JSON can hold, with strings as keys; comes back from `load`, tuples as lists, NumPy's numbers as Python's
        and Paths as strings.

    Returns
    -------
    str
        The sha256 of the arrays, 64 hexadecimal digits: the same arrays under the same names give
        the same.

    Raises
    ------
    TypeError
        If ``path`` is not a path, ``state_dict`` not a dict, a name not a string, an array not numeric, or the
        metadata not JSON; the message says where in them.
    ValueError
        If a name cannot be written in UTF-8, or is the one that the format itself uses.
    OSError
        If the file cannot be written.

    Notes
    -----
    Cost: twice the memory of the arrays while writing.
    """
    arguments.path("weights.save", path=path)
    check_state_dict("weights.save", state_dict)
    arrays = {name: _stored_form(name, array) for name, array in state_dict.items()}
    text, digest = as_text("weights.save", metadata), digest_of(arrays)
    header = {"sha256": digest, "metadata": text, "metadata_sha256": _text_digest(text)}
    np.empty(sum(array.nbytes for array in arrays.values()), np.uint8)  # MemoryError here, where safetensors aborts
    files.atomic_write(path, safetensors.numpy.save(arrays, header))
    return digest


def load(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Read a file that `save` wrote, and check every byte.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    state_dict : dict of str to ndarray
    metadata : dict

    Raises
    ------
    TypeError
        If ``path`` is not a path.
    WeightFileError
        If the file is cut short, was changed, or was not written by `save`.
    FileNotFoundError
        If there is none.
    """
    header, arrays = _read(path, with_arrays=True)
    _check_digest(path, header, "sha256", digest_of(arrays))
    return arrays, _metadata(path, header)


def is_own(path: Path) -> bool:
    """Return whether `save` wrote a safetensors file, and no other program; the arrays are neither read nor checked.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    bool

    Raises
    ------
    TypeError, WeightFileError, FileNotFoundError
        As `load`, if it is not a safetensors file.
    """
    return not _absent(_open(path, with_arrays=False)[0])


def load_metadata(path: Path) -> dict[str, Any]:
    """Read the dict in a file that `save` wrote; the arrays are neither read nor checked.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict

    Raises
    ------
    TypeError, WeightFileError, FileNotFoundError
        As `load`.
    """
    return _metadata(path, _read(path, with_arrays=False)[0])


def _read(path, with_arrays):
    """Return (the strings in the header, the arrays if they are wanted) of a file that `save` wrote."""
    header, arrays = _open(path, with_arrays)
    if absent := _absent(header):
        raise WeightFileError(
            f"weights.load: {path} - expected a file of weights.save, got no {', '.join(sorted(absent))}"
        )
    return header, arrays


def _absent(header):
    """Return what `save` writes into a header and this one lacks."""
    return {"sha256", "metadata", "metadata_sha256"} - header.keys()


def _open(path, with_arrays):
    """Return (the strings in the header, the arrays if they are wanted) of a safetensors file."""
    arguments.path("weights.load", path=path)
    if os.path.isdir(path):
        raise WeightFileError(f"weights.load: {path} - expected a file, got a folder")
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _LONGEST_HEADER:
        raise WeightFileError(
            f"weights.load: {path} - expected a safetensors file, its header of at most {_LONGEST_HEADER} bytes, "
            f"got {length}"
        )
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            names = file.keys() if with_arrays else ()
            arrays = {name: file.get_tensor(name) for name in names}
    except (safetensors.SafetensorError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise WeightFileError(f"weights.load: {path} - expected a safetensors file, got {error}") from error
    return header, arrays


def _check_digest(path, header, key, got):
    if header[key] != got:
        raise WeightFileError(f"weights.load: {path} - expected {key} {header[key]}, got {got}: the file was changed")


def _metadata(path, header):
    """Return the caller's dict of a header, checked."""
    _check_digest(path, header, "metadata_sha256", _text_digest(header["metadata"]))
    try:
        metadata = json.loads(header["metadata"])
    except (ValueError, RecursionError) as error:
        raise WeightFileError(f"weights.load: {path} - expected metadata of JSON, got {error}") from error
    if not isinstance(metadata, dict):
        raise WeightFileError(f"weights.load: {path} - expected a dict as metadata, got {type(metadata).__name__}")
    return metadata


def check_state_dict(function, state_dict):
    """Raise unless this is a dict with names that a file can hold."""
    if not isinstance(state_dict, collections.abc.Mapping):
        raise TypeError(f"{function}: state_dict - expected a dict of arrays, got {type(state_dict).__name__}")
    for name in state_dict:
        if not isinstance(name, str):
            raise TypeError(f"{function}: state_dict - expected strings as names, got {name!r}")
        if name == "__metadata__":
            raise ValueError(f"{function}: state_dict - expected other names than {name!r}, which safetensors uses")
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{function}: state_dict - expected names in UTF-8, got {name!a} ({error})") from error


def as_text(function, metadata, *, standard=False):
    """Return metadata, a dict or None, as JSON; raise TypeError in the name of a function if JSON cannot hold it.

    Python writes and reads NaN and infinities, which the standard lacks; with ``standard`` they raise ValueError.
    """
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict):
        raise TypeError(f"{function}: metadata - expected a dict, got {type(metadata).__name__}")
    try:
        return json.dumps(_plain(function, metadata, "metadata"), allow_nan=not standard)
    except ValueError as error:
        expected = "finite numbers, as other programs cannot read NaN and infinities"
        raise ValueError(f"{function}: metadata - expected {expected}, got {metadata!r:.200}") from error
    except RecursionError as error:
        raise TypeError(f"{function}: metadata - expected what JSON can hold, got a dict that holds itself") from error


def _plain(function, value, where):
    """Return what JSON can hold of a value, or raise TypeError that says where in the metadata it cannot."""
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{function}: metadata - expected strings as keys, got {wrong[0]!r} in {where}")
        return {key: _plain(function, inner, f"{where}[{key!r}]") for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(function, inner, f"{where}[{i}]") for i, inner in enumerate(value)]
    if isinstance(value, (np.bool_, np.integer, np.floating)) and value.dtype.itemsize <= 8:
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if value is not None and not isinstance(value, (str, bool, int, float)):
        raise TypeError(f"{function}: metadata - expected what JSON can hold, got {type(value).__name__} as {where}")
    return value


def _stored_form(name, array):
    """Return an array as the file holds it; safetensors itself writes other memory orders wrongly."""
    arguments.unmasked("weights.save", name, array)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in _KINDS or array.dtype.itemsize > 8:
        got = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"weights.save: {name} - expected an ndarray of numbers, got {got}")
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little_endian).reshape(array.shape)  # a scalar would come back with one axis


def digest_of(arrays):
    """Return the sha256 over names, dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(json.dumps([name, array.dtype.str, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    return digest.hexdigest()


def _text_digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def without_prefix(what, state):
    """Return a state_dict without the prefix that wrappers of PyTorch put before every name, and warn of it."""
    stripped = []
    while state and (found := [p for p in ("module.", "_orig_mod.") if all(name.startswith(p) for name in state)]):
        state = {name.removeprefix(found[0]): array for name, array in state.items()}
        stripped += found
    if stripped:
        warnings.warn(f"{what}: left out the prefix {''.join(stripped)!r} of every name", stacklevel=3)
    return state
