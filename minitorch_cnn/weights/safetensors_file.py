"""Files of safetensors that other programs wrote, such as those of Hugging Face and timm, bfloat16 included.

    8 bytes      the length of the header, little-endian
    header       JSON: for each name its dtype, shape and the range of its bytes; "__metadata__" holds strings
    the rest     raw numbers, little-endian, in C order
"""

import json
import math
import os

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.types import Array, Path
from minitorch_cnn.weights.file import WeightFileError, without_prefix

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_LONGEST_HEADER = 100_000_000  # bytes, as the format itself has it


def load_safetensors(path: Path) -> dict[str, Array]:
    """Read the tensors of a safetensors file of any program; `load` reads our own, with checks of every byte.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to ndarray
        In the file's order and dtypes; bfloat16 becomes float32. A prefix of all names that `DataParallel` ("module.")
        or `torch.compile` ("_orig_mod.") wrote is left out; a warning says so.

    Raises
    ------
    TypeError
        If ``path`` is not a path.
    WeightFileError
        If it is not such a file, is damaged or cut short, or holds a dtype that NumPy lacks.
    OSError
        If it cannot be read.
    """
    arguments.path("load_safetensors", path=path)
    if os.path.isdir(path):
        raise WeightFileError(f"load_safetensors: {path} - expected a file, got a folder")
    with open(path, "rb") as file:
        size, length = os.fstat(file.fileno()).st_size, int.from_bytes(file.read(8), "little")
        if length > min(_LONGEST_HEADER, size - 8):
            raise WeightFileError(f"load_safetensors: {path} - expected a header inside the file, got {length} bytes")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise WeightFileError(f"load_safetensors: {path} - expected a header of JSON, got {error}") from error
        numbers = file.read()
    try:
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        state = {name: _array(name, entry, numbers) for name, entry in entries.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightFileError(f"load_safetensors: {path} - expected dtype, shape and data_offsets: {error}") from error
    return without_prefix(f"load_safetensors: {path}", state)


def _array(name, entry, numbers):
    """Return one tensor; raise ValueError unless its range holds exactly its elements."""
    kind, shape, (first, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    if kind not in _DTYPES:
        raise ValueError(f"{name!r} - expected one of {', '.join(_DTYPES)}, got {kind!r}")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (*shape, first, end)):
        raise ValueError(f"{name!r} - expected lengths and places of at least 0, got {shape}, {first}, {end}")
    dtype = np.dtype(_DTYPES[kind])
    if end > len(numbers) or end - first != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name!r} - expected {math.prod(shape)} elements of {dtype.itemsize} bytes inside the file")
    array = np.frombuffer(numbers[first:end], dtype).reshape(shape)
    if kind != "BF16":
        return array.astype(dtype.newbyteorder("="))
    return (array.astype(np.uint32) << 16).view(np.float32)  # bfloat16 is the upper half of a float32
