"""PyTorch's files of weights, read and written without PyTorch and without running any code of the file.

What `torch.save` has written since version 1.6 is a zip file with nothing compressed in it:

    NAME/data.pkl    a pickle: names, and for each tensor its dtype, storage, offset, shape and strides
    NAME/data/0 ...  the storages: raw numbers
    NAME/byteorder   "little" or "big"; older files have none
    NAME/version     "3"

A pickle is a program that may call any function of any module. `pickle_program` runs the thirty
instructions that such files need, and knows a few names to call, none of which does more than to write
down what was asked for.

Source: pytorch, caffe2/serialize/inline_container.h, and the documentation of `pickletools`.
"""

import io
import math
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.io import files
from minitorch_cnn.types import Array, Path
from minitorch_cnn.weights.file import WeightFileError, check_state_dict, without_prefix
from minitorch_cnn.weights.pickle_program import DTYPES, Storage, Tensor, build, run

_STORAGES = {np.dtype(kind): name for name, kind in DTYPES.items() if name.endswith("Storage") and kind != "u2"}
_LARGEST_PROGRAM = 1 << 20  # bytes; a network of a thousand tensors has a hundred thousand
_LARGEST_REPEATED = 1 << 24  # bytes that may come of a small file, such as one number in all places of a tensor
_LARGEST_TABLE = 1 << 20  # bytes, of contents; an entry of fifty takes 700 in memory
_KEYS = ("model", "state_dict", "model_state_dict", "net", "network", "ema")  # where scripts usually keep weights
_ALIGNMENT, _HEADER = 64, 30  # bytes; the header before an entry's name
_OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$")


def load_pth(path: Path, key: str | None = None) -> dict[str, Array]:
    """Read the tensors of a file that `torch.save` wrote from a state_dict, or from a checkpoint that holds one.

    Parameters
    ----------
    path : str or Path
    key : str or None
        Where a checkpoint holds the state_dict, such as "model", "state_dict" or "ema". None takes the only one.

    Returns
    -------
    dict of str to ndarray
        In the file's order, C-contiguous, of the file's dtypes; bfloat16 becomes float32. Names that share a tensor
        in the file share an array here, as they do in PyTorch. DenseNet's names of before 2017 are given as today's.
        A prefix of all names that `DataParallel` ("module.") or `torch.compile` ("_orig_mod.") wrote is left out; a
        warning says so.

    Raises
    ------
    TypeError
        If ``path`` is not a path.
    WeightFileError
        If it is not such a file, is damaged, was cut short, asks for anything but dense tensors, or claims more
        numbers than it holds; if there is no state_dict at ``key``, or several and no key. The message names them.
    OSError
        If it cannot be read.

    Notes
    -----
    Cost: the arrays and the largest storage; for any file at most three times its size and 25 MB.
    """
    arguments.path("load_pth", path=path)
    if key is not None and not isinstance(key, str):
        raise TypeError(f"load_pth: key - expected a string or None, got {key!r}")
    try:
        with _LimitedFile(io.FileIO(path)) as file:
            if file.read(4) != b"PK\3\4":
                raise WeightFileError(
                    "expected a zip file, which torch.save writes since version 1.6, got another kind"
                )
            with zipfile.ZipFile(file) as archive:
                file.limit = size = os.fstat(file.fileno()).st_size
                return without_prefix(f"load_pth: {path}", _state(archive, size, key))
    except WeightFileError as error:
        raise WeightFileError(f"{path}: {error}") from None
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError, struct.error) as error:
        raise WeightFileError(f"{path}: damaged: {error}") from error


class _LimitedFile(io.BufferedReader):
    """A file that gives no piece larger than ``limit``, at first that of the table of contents."""

    limit = _LARGEST_TABLE

    def read(self, size=-1):
        if size > self.limit:
            raise WeightFileError(f"table of contents - expected at most {self.limit} bytes, got {size}")
        return super().read(size)

    def seek(self, place, whence=os.SEEK_SET):
        try:
            return super().seek(place, whence)
        except OSError as error:
            raise WeightFileError(f"expected places within the file, got {place}") from error


def _state(archive, size, key):
    entries = _entries(archive, size)
    if "data.pkl" not in entries:
        raise WeightFileError("expected an entry data.pkl, got none")
    if entries["data.pkl"].file_size > _LARGEST_PROGRAM:
        raise WeightFileError(f"data.pkl - expected at most {_LARGEST_PROGRAM} bytes")
    byteorder = archive.read(entries["byteorder"]) if "byteorder" in entries else b"little"
    if byteorder not in (b"little", b"big"):
        raise WeightFileError(f"byteorder - expected little or big, got {byteorder[:20]!r}")
    state = run(archive.read(entries["data.pkl"]))
    state = _chosen(state, key)
    if not isinstance(state, dict) or not state:
        raise WeightFileError(f"expected a state_dict, got {type(state).__name__}")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightFileError(f"{name!r} - expected a tensor under a name, got {type(tensor).__name__}")
    names = {}  # of each tensor: heads of a network often share one
    for name, tensor in state.items():
        names.setdefault(tensor, []).append(name)
    wanted = sum(math.prod(tensor.shape) * _itemsize(tensor.storage.kind) for tensor in names)
    most = max(2 * size, _LARGEST_REPEATED)  # strides of 0 could make any number of numbers from one
    if wanted > most:
        raise WeightFileError(f"expected tensors of at most {most} bytes in a file of {size}, got {wanted}")
    arrays, sharing = {}, {}
    for tensor in names:
        sharing.setdefault(tensor.storage, []).append(tensor)
    for storage, tensors in sharing.items():  # one at a time in memory
        numbers = _storage(archive, entries, storage, byteorder)
        arrays |= {tensor: _array(names[tensor][0], tensor, numbers) for tensor in tensors}
    renamed = {_OLD_DENSENET.sub(r"\1\2", name): arrays[tensor] for name, tensor in state.items()}
    if len(renamed) < len(state):
        raise WeightFileError("expected each name once, got an old name of a DenseNet beside the new one")
    return renamed


def _holds_tensors(value):
    return isinstance(value, dict) and bool(value) and all(isinstance(one, Tensor) for one in value.values())


def _chosen(state, key):
    """Return the state_dict of a checkpoint, which training scripts write beside an epoch and an optimiser."""
    found = [name for name, value in state.items() if _holds_tensors(value)] if isinstance(state, dict) else []
    if key is not None:
        if key not in found:
            raise WeightFileError(f"key - expected one of {', '.join(map(repr, found)) or 'none'}, got {key!r}")
        return state[key]
    apart = any(isinstance(value, Tensor) for value in state.values()) if found else False  # such as a random state
    if not found or (apart and found[0] not in _KEYS):
        return state["state_dict"] if isinstance(state, dict) and isinstance(state.get("state_dict"), dict) else state
    if len(found) > 1:
        raise WeightFileError(
            f"expected one state_dict, got {', '.join(map(repr, found))}; name it: load_pth(path, key={found[0]!r})"
        )
    return state[found[0]]


def _itemsize(kind):
    """Return the bytes of a number in memory: bfloat16 becomes float32."""
    return 4 if kind == "BFloat16Storage" else np.dtype(DTYPES[kind]).itemsize


def _entries(archive, size):
    """Return the entries by their name inside the folder; none compressed, encrypted, twice, or overlapping in size."""
    entries = {}
    for info in archive.infolist():
        name = info.filename.partition("/")[2]
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.file_size != info.compress_size:
            raise WeightFileError(f"{info.filename} - expected an entry that is stored as it is")
        if name in entries:
            raise WeightFileError(f"{info.filename} - expected one entry of a name, got two")
        entries[name] = info
    if sum(info.file_size for info in entries.values()) > size:
        raise WeightFileError(f"expected entries of at most {size} bytes in all")
    return entries


def _storage(archive, entries, storage, byteorder):
    name = f"data/{storage.key}"
    dtype = np.dtype(DTYPES[storage.kind])
    if name not in entries:
        raise WeightFileError(f"expected an entry {name}, got none")
    if entries[name].file_size != storage.count * dtype.itemsize:
        expected = f"{storage.count} numbers of {dtype.itemsize} bytes"
        raise WeightFileError(f"{name} - expected {expected}, got {entries[name].file_size} bytes")
    order = "<" if byteorder == b"little" else ">"
    return np.frombuffer(archive.read(entries[name]), dtype.newbyteorder(order)).astype(dtype, copy=False)


def _array(name, tensor, numbers):
    shape, strides = tensor.shape, tensor.strides
    last = tensor.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= len(numbers) and 0 not in shape:
        raise WeightFileError(f"{name} - expected at most {len(numbers)} numbers in its storage, got place {last}")
    steps = [step * numbers.itemsize for step in strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], shape, steps)
    if tensor.storage.kind != "BFloat16Storage":
        return view.copy()
    wide = view.astype(np.uint32, order="C")
    wide <<= 16
    return wide.view(np.float32)


def save_pth(path: Path, state_dict: Mapping[str, Any]) -> None:
    """Write a state_dict as a file that ``torch.load(path, weights_only=True)`` reads, all or nothing.

    Parameters
    ----------
    path : str or Path
    state_dict : dict of str to ndarray
        float16, float32, float64, int8, int16, int32, int64, uint8 or bool, in any byte and memory order.

    Raises
    ------
    TypeError
        If ``path`` is not a path, ``state_dict`` not a dict, a name not a string, or an array has another dtype.
    ValueError
        If a name cannot be written in UTF-8.
    OSError
        If the file cannot be written.
    """
    arguments.path("save_pth", path=path)
    check_state_dict("save_pth", state_dict)
    tensors, storages = {}, []
    for name, array in state_dict.items():
        arguments.unmasked("save_pth", repr(name), array)
        dtype = array.dtype.newbyteorder("=") if isinstance(array, np.ndarray) else None
        if dtype not in _STORAGES:
            got = dtype or type(array).__name__
            expected = ", ".join(sorted(map(str, _STORAGES)))
            raise TypeError(f"save_pth: {name!r} - expected an ndarray of {expected}, got {got}")
        storage = Storage(_STORAGES[dtype], str(len(storages)), array.size)
        strides = tuple(math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim))
        tensors[name] = Tensor(storage, 0, array.shape, strides)
        storages.append(array.astype(array.dtype.newbyteorder("<")).tobytes())  # C-contiguous
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        _add(archive, memory, "data.pkl", build(tensors))
        _add(archive, memory, "byteorder", b"little")
        for number, data in enumerate(storages):
            _add(archive, memory, f"data/{number}", data)
        _add(archive, memory, "version", b"3\n")
    files.atomic_write(path, memory.getvalue())


def _add(archive, memory, name, data):
    """Add an entry whose data begins at a multiple of 64 bytes, so that PyTorch can map it into memory."""
    entry = zipfile.ZipInfo(f"archive/{name}")
    begin = memory.tell() + _HEADER + len(entry.filename)
    entry.extra = b"FB" + struct.pack("<H", gap := -(begin + 4) % _ALIGNMENT) + bytes(gap)
    archive.writestr(entry, data)
