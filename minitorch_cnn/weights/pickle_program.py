"""The pickles of PyTorch's weight files: an interpreter that can build dicts of tensors, and nothing else.

A pickle is a program for a machine with a stack and a memo. Python's own machine imports and calls what
the program names. This one knows the instructions below; the names it knows stand for themselves until
they are "called", which writes down a `Storage` or a `Tensor`, or makes an empty dict.
"""

import pickletools
import struct
from typing import NamedTuple

from minitorch_cnn.weights.file import WeightFileError

DTYPES = {  # of the numbers in each kind of storage
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",  # the upper half of a float32
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_MODULES = {  # the names that may be asked for
    "collections": {"OrderedDict"},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter"},
    "torch": set(DTYPES),
}
_MARK = object()


class Storage(NamedTuple):
    """Numbers that tensors share."""

    kind: str  # such as "FloatStorage"
    key: str  # the name of its entry
    count: int


class Tensor(NamedTuple):
    """A view of a storage."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple  # in numbers


class _Name(NamedTuple):
    module: str
    name: str


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
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name == "STOP":
                return machine.pop()
            machine.step(opcode.name, argument)
    except WeightFileError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
        raise WeightFileError(
            f"data.pkl - expected a program that makes tensors, got {type(error).__name__}"
        ) from error
    raise WeightFileError("data.pkl - expected an end, got none")


class _Machine:
    _CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    _PUSH = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
    _TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

    def __init__(self):
        self.stack, self.memo = [], {}

    def pop(self):
        value = self.stack.pop()
        if value is _MARK:
            raise WeightFileError("data.pkl - expected a value, got a mark")
        return value

    def pop_to_mark(self):
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def step(self, name, argument):
        """Run one instruction."""
        stack = self.stack
        if name in self._PUSH:
            stack.append(argument)
        elif name in self._CONSTANTS:
            stack.append(self._CONSTANTS[name])
        elif name in self._TUPLES:
            count = self._TUPLES[name]
            stack.append(tuple([self.pop() for _ in range(count)][::-1]))
        elif name == "TUPLE":
            stack.append(tuple(self.pop_to_mark()))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if argument is None else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in ("SETITEM", "SETITEMS"):
            values = [self.pop(), self.pop()][::-1] if name == "SETITEM" else self.pop_to_mark()
            for key, value in zip(values[::2], values[1::2], strict=True):
                _expect(key, (str, int))
                _expect(stack[-1], dict)[key] = value
        elif name in ("APPEND", "APPENDS"):
            values = [self.pop()] if name == "APPEND" else self.pop_to_mark()
            _expect(stack[-1], list).extend(values)
        elif name == "GLOBAL":
            stack.append(_known(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            stack.append(_known(module, attribute))
        elif name == "BINPERSID":
            stack.append(_storage(self.pop()))
        elif name == "REDUCE":
            arguments = self.pop()
            stack.append(_call(_expect(self.pop(), _Name), _expect(arguments, tuple)))
        elif name == "BUILD":
            self.pop()  # the dict's _metadata: versions of modules, which PyTorch itself only compares
            _expect(stack[-1], dict)
        elif name not in ("PROTO", "FRAME"):
            raise WeightFileError(f"data.pkl - expected instructions that make tensors, got {name}")


def _expect(value, kinds):
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise WeightFileError(f"data.pkl - expected {kinds}, got {type(value).__name__}")
    return value


def _known(module, name):
    if name not in _MODULES.get(module, ()):
        raise WeightFileError(
            f"data.pkl - expected names of tensors alone, got {module}.{name}, which might do anything"
        )
    return _Name(module, name)


def _count(value):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise WeightFileError(f"data.pkl - expected a size, got {value!r:.40}")
    return value


def _storage(identity):
    what, kind, key, _, count = _expect(identity, tuple)
    if what != "storage" or _expect(kind, _Name).module != "torch":
        raise WeightFileError(f"data.pkl - expected a storage, got {what!r:.40}")
    return Storage(kind.name, _expect(key, str), _count(count))


def _call(what, arguments):
    if what.name == "OrderedDict":
        if arguments not in ((), ([],)):
            raise WeightFileError("data.pkl - expected an empty OrderedDict to fill")
        return {}
    if what.name == "_rebuild_parameter":
        return _expect(arguments[0], Tensor)
    if what.name == "_rebuild_tensor_v2":
        storage, offset, shape, strides = arguments[:4]
        shape, strides = (tuple(_count(n) for n in _expect(values, tuple)) for values in (shape, strides))
        if len(shape) != len(strides) or len(shape) > 32:
            raise WeightFileError(f"data.pkl - expected a stride for each of at most 32 axes, got {len(shape)} axes")
        return Tensor(_expect(storage, Storage), _count(offset), shape, strides)
    raise WeightFileError(f"data.pkl - expected a call that makes a tensor, got one of {what.module}.{what.name}")


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
