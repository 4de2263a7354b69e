"""A safe interpreter for pickles: it builds plain values and what the caller allows, and nothing else.

A pickle is a program for a machine with a stack and a memo. Python's own interpreter imports and calls any
name in the program. This one knows only the instructions below, which files of arrays need. A known name stays
a `Name` until the program "calls" it; then the caller's functions decide.
"""

import pickletools
import struct
from typing import NamedTuple

_MARK = object()
_MOST_STEPS = 1 << 18  # a network of a thousand tensors takes 40,000; one byte of program may make 64 steps
_MOST_TEXT = 1 << 20  # bytes in total; a single rare letter makes each take four in memory
_LONGEST_NAME = 200  # bytes, of a module or a name in it
_NUMBERS = {"uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q", "float8": ">d"}
_LENGTHS = {"string1": "<B", "string4": "<i", "unicodestring1": "<B", "unicodestring4": "<I", "long1": "<B"}
_FAULTS = (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error)


class PickleError(ValueError):
    """A pickle with an instruction, a name or arguments that are not allowed, or one that is cut off."""


class Name(NamedTuple):
    """The name that a program has for a class or function."""

    module: str
    name: str


class Machine:
    """Runs pickles.

    Parameters
    ----------
    names : dict of str to set of str
        The allowed names, by module.
    call : callable
        ``call(name, arguments)`` returns the result of calling a `Name` with a tuple.
    build : callable
        ``build(value, state)`` sets the state of a value.
    persistent : callable or None
        ``persistent(identity)`` returns the object of a persistent id.
    """

    _CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
    _PUSH = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
    _PUSH |= {"BINSTRING", "SHORT_BINSTRING"}  # of Python 2
    _TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

    def __init__(self, names, call, build, persistent=None):
        self._names, self._call, self._build, self._persistent = names, call, build, persistent

    def run(self, program):
        """Run a pickle and return the value that it builds.

        Parameters
        ----------
        program : bytes

        Returns
        -------
        dict, list, tuple, str, bytes or a view of them, number, None, or what ``call`` and ``persistent`` returned

        Raises
        ------
        PickleError
            Unless it is a valid program of allowed instructions, names and arguments.

        Notes
        -----
        Cost: time and memory linear in the program, because only references are copied; at most 25 MB more.
        """
        self.stack, self.memo = [], {}
        try:
            for count, (name, argument) in enumerate(_instructions(program)):
                if count == _MOST_STEPS:
                    raise PickleError(f"expected at most {_MOST_STEPS} instructions")
                if name == "STOP":
                    return self.pop()
                self.step(name, argument)
        except PickleError:
            raise
        except _FAULTS as error:
            raise PickleError(f"expected a valid program that builds arrays, got {type(error).__name__}") from error

    def pop(self):
        value = self.stack.pop()
        if value is _MARK:
            raise PickleError("expected a value, got a mark")
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
                expect(key, (str, bytes, int))
                expect(stack[-1], dict)[key] = value
        elif name in ("APPEND", "APPENDS"):
            values = [self.pop()] if name == "APPEND" else self.pop_to_mark()
            expect(stack[-1], list).extend(values)
        elif name == "GLOBAL":
            stack.append(self.known(*argument))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            stack.append(self.known(module, attribute))
        elif name == "BINPERSID" and self._persistent:
            stack.append(self._persistent(self.pop()))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments = self.pop()
            stack.append(self._call(expect(self.pop(), Name), expect(arguments, tuple)))
        elif name == "BUILD":
            state = self.pop()
            self._build(stack[-1], state)
        elif name not in ("PROTO", "FRAME"):
            raise PickleError(f"expected only instructions that build arrays, got {name}")

    def known(self, module, name):
        """Return the `Name` that a program asks for, if it is allowed."""
        if name not in self._names.get(module, ()):
            raise PickleError(f"expected only names that build arrays, got {module}.{name}, which could run any code")
        return Name(module, name)


def _instructions(program):
    """Yield the name and the argument of each instruction; long strings are views of the program, not copies."""
    place = text = 0
    while place < len(program):
        code, place = chr(program[place]), place + 1
        if code not in pickletools.code2op:
            raise PickleError(f"expected an instruction, got {code!r}")
        opcode, argument = pickletools.code2op[code], None
        kind = opcode.arg.name if opcode.arg else None
        if layout := _NUMBERS.get(kind) or _LENGTHS.get(kind):
            (argument,) = struct.unpack_from(layout, program, place)
            place += struct.calcsize(layout)
        if kind in _LENGTHS:
            begin, place = place, place + argument
            if not begin <= place <= len(program):
                raise PickleError(f"expected {argument} more bytes, got {len(program) - begin}")
            argument = memoryview(program)[begin:place]
            if kind == "long1":
                argument = int.from_bytes(argument, "little", signed=True)
            elif kind == "string1":
                argument = bytes(argument)
            elif kind != "string4":
                text += len(argument)
                if text > _MOST_TEXT:
                    raise PickleError(f"expected at most {_MOST_TEXT} bytes of text")
                argument = str(argument, "utf-8")
        elif kind == "stringnl_noescape_pair":
            lines = program[place : place + _LONGEST_NAME].split(b"\n", 2)
            if len(lines) < 3:
                raise PickleError(f"expected a name of at most {_LONGEST_NAME} bytes")
            argument = [line.decode() for line in lines[:2]]
            place += len(lines[0]) + len(lines[1]) + 2
        elif kind not in (None, *_NUMBERS):
            raise PickleError(f"expected only instructions that build arrays, got {opcode.name}")
        yield opcode.name, argument
    raise PickleError("expected an end, got none")


def expect(value, kinds):
    """Return a value of these types, but not a bool; else raise PickleError."""
    if not isinstance(value, kinds) or isinstance(value, bool):
        names = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        raise PickleError(f"expected {names}, got {type(value).__name__}")
    return value
