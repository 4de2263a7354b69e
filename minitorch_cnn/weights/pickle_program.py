"""The pickles of PyTorch's weight files: an interpreter that can build dicts of tensors, and nothing else.

`safe_unpickler` runs them. To "call" one of the names that it is given here writes down a `Storage` or a `Tensor`, or
makes an empty dict. That dict also stands for what training scripts keep next to the weights, such as paths, options
and random states: none of it is made.
"""

import struct
from typing import NamedTuple

from minitorch_cnn.io.safe_unpickler import Machine, Name, PickleError, expect
from minitorch_cnn.weights.file import WeightFileError

DTYPES = {  # of the numbers in each kind of storage
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # the upper half of a float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "uint16": "u2",  # these three have no type of storage, but are a dtype of bytes
    "uint32": "u4",
    "uint64": "u8",
}
READ = "bool, uint8 to uint64, int8 to int64, float16, bfloat16, float32, float64"  # in words, for messages
_MODULES = {  # the names that may be asked for
    "collections": {"OrderedDict"},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter"},
    "torch": set(DTYPES),
    "torch.storage": {"UntypedStorage"},
}
_PATHS = {"Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"}
_NUMPY = {"scalar", "_reconstruct"}
_RECORDS = {  # what may be asked for, and is not made
    "argparse": {"Namespace"},
    "collections": {"defaultdict"},
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "_codecs": {"encode"},  # how old pickles hold bytes
    **dict.fromkeys(("builtins", "__builtin__"), {"set", "list", "dict", "int", "float", "str"}),
    "numpy": {"dtype", "ndarray"},
    "numpy.core.multiarray": _NUMPY,
    "numpy._core.multiarray": _NUMPY,
    "torch": {"device", "Size", "bfloat16", *(f"float{bits}" for bits in (16, 32, 64)), "int32", "int64"},
}
_KNOWN = {module: _MODULES.get(module, set()) | _RECORDS.get(module, set()) for module in _MODULES | _RECORDS}


class Storage(NamedTuple):
    """Numbers that tensors share."""

    kind: str  # such as "FloatStorage", a key of `DTYPES`
    key: str  # the name of its entry
    count: int


class Tensor(NamedTuple):
    """A view of a storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in numbers


class _Machine(Machine):
    def known(self, module, name):
        if module.startswith("torch.nn.modules."):
            raise PickleError(f"expected a state_dict, got a whole model ({name}); save model.state_dict() instead")
        if module.partition(".")[0] == "torch" and name not in _KNOWN.get(module, ()):
            raise PickleError(f"expected dense tensors of {READ}, got one that needs {module}.{name}")
        return super().known(module, name)


def run(program):
    """Run a pickle and return what it makes.

    Parameters
    ----------
    program : bytes

    Returns
    -------
    dict, list, tuple, str, number, None, Tensor or Storage

    Raises
    ------
    WeightFileError
        If it uses an instruction, a name or arguments that no file of weights needs, or ends early.

    Notes
    -----
    Cost: time and memory linear in the program: nothing is copied but references.
    """
    try:
        return _Machine(_KNOWN, _call, _build, _storage).run(program)
    except PickleError as error:
        raise WeightFileError(f"data.pkl - {error}") from error


def _count(value):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise PickleError(f"expected a size, got {value!r:.40}")
    return value


def _storage(identity):
    what, kind, key, _, count = expect(identity, tuple)
    if what != "storage" or expect(kind, Name).module not in ("torch", "torch.storage"):
        raise PickleError(f"expected a storage, got {what!r:.40}")
    return Storage(kind.name, expect(key, str), _count(count))


def _call(what, arguments):
    if what.name in _RECORDS.get(what.module, ()):
        return {}
    if what.name == "OrderedDict":
        if arguments not in ((), ([],)):
            raise PickleError("expected an empty OrderedDict to fill")
        return {}
    if what.name == "_rebuild_parameter":
        return expect(arguments[0], Tensor)
    if what.name in ("_rebuild_tensor_v2", "_rebuild_tensor_v3"):
        storage, offset, shape, strides = arguments[:4]
        if what.name == "_rebuild_tensor_v3":
            storage = _of_dtype(expect(storage, Storage), expect(arguments[6], Name).name)
        if storage.kind not in DTYPES:
            raise PickleError(f"expected a dtype with a storage, got {storage.kind}")
        shape, strides = (tuple(_count(n) for n in expect(values, tuple)) for values in (shape, strides))
        if len(shape) != len(strides) or len(shape) > 32:
            raise PickleError(f"expected a stride for each of at most 32 axes, got {len(shape)} axes")
        return Tensor(expect(storage, Storage), _count(offset), shape, strides)
    raise PickleError(f"expected a call that makes a tensor, got one of {what.module}.{what.name}")


def _of_dtype(storage, dtype):
    """Return a storage of bytes as one of numbers."""
    if storage.kind != "UntypedStorage" or dtype not in DTYPES:
        raise PickleError(f"expected bytes for numbers of {READ}, got {storage.kind} for {dtype}")
    return storage._replace(kind=dtype, count=storage.count // int(DTYPES[dtype][-1]))


def _build(value, state):
    expect(value, dict)  # the state is the dict's _metadata: versions of modules, which PyTorch itself only compares


def build(tensors):
    """Return the pickle of a dict of tensors.

    Parameters
    ----------
    tensors : dict of str to Tensor

    Returns
    -------
    bytes
        Protocol 2, as PyTorch writes it.
    """
    parts = [b"\x80\x02", _name("collections", "OrderedDict"), b")R("]
    for name, (storage, offset, shape, strides) in tensors.items():
        parts += [_text(name), _name("torch._utils", "_rebuild_tensor_v2"), b"(("]
        parts += [_text("storage"), _name("torch", storage.kind), _text(storage.key), _text("cpu")]
        parts += [_integer(storage.count), b"tQ", _integer(offset)]
        parts += [b"(", *map(_integer, shape), b"t(", *map(_integer, strides), b"t"]
        parts += [b"\x89", _name("collections", "OrderedDict"), b")R", b"tR"]  # no gradient, no hooks
    return b"".join([*parts, b"u."])


def _name(module, name):
    return f"c{module}\n{name}\n".encode()


def _text(text):
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _integer(number):
    if number < 1 << 31:
        return b"J" + struct.pack("<i", number)
    return b"\x8a\x08" + struct.pack("<q", number)
