"""The machine for pickles: plain values come out, and nothing is run."""

import pickle
import tracemalloc

import pytest

from minitorch_cnn.io.safe_unpickler import Machine, Name, PickleError, expect


def run(program, names=None, call=None, build=None, persistent=None):
    return Machine(names or {}, call, build, persistent).run(program)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values(protocol):
    value = {"a": [1, 300, 70_000, -5, 1 << 40, 2.5], "b": (None, True, False, ()), 7: {"c": ("x", "y", "z", "w")}}
    assert run(pickle.dumps(value, protocol)) == value


def test_strings_of_python_2_are_bytes():
    assert run(b"\x80\x02}U\x01aT\x03\x00\x00\x00\xff\x00bs.") == {b"a": b"\xff\x00b"}


def test_allowed_names_are_called_built_and_looked_up_by_their_user_alone():
    told = []
    program = b"\x80\x02cmodule\nname\nK\x01\x85R(K\x02tb" + b"K\x03Q\x86."
    got = run(
        program,
        names={"module": {"name"}},
        call=lambda name, arguments: [name, arguments],
        build=lambda value, state: told.append((value, state)),
        persistent=lambda identity: identity + 1,
    )
    assert got == ([Name("module", "name"), (1,)], 4) and told == [([Name("module", "name"), (1,)], (2,))]


@pytest.mark.parametrize(
    "program, message",
    [
        (b"\x80\x02cos\nsystem\nX\x01\x00\x00\x00x\x85R.", "names that build arrays, got os.system, which could run"),
        (b"\x80\x02K\x01Q.", "expected only instructions that build arrays, got BINPERSID"),
        (b"\x80\x02\x82\x01.", "expected only instructions that build arrays, got EXT1"),
        (b"\x80\x02K\x01)R.", "expected .*Name.*, got int"),
        (b"\x80\x02}}K\x01s.", "got dict"),
        (b"\x80\x02(.", "expected a value, got a mark"),
        (b"\x80\x02}", "expected an end, got none|got ValueError"),
        (b"\x80\x02" + b"]" * 300_000, "expected at most 262144 instructions"),
        (b"\x80\x02\xff.", "expected an instruction, got '\xff'"),
        (b"\x80\x02I5\n.", "expected only instructions that build arrays, got INT"),
        (b"\x80\x02X\x09\x00\x00\x00abc.", "expected 9 more bytes, got 4"),
        (b"\x80\x02T\xff\xff\xff\xffabc.", "expected -1 more bytes, got 4"),
        (b"\x80\x02c" + bytes(300) + b"\n\n.", "expected a name of at most 200 bytes"),
        (b"\x80\x02" + (b"X\x00\x00\x10\x00" + bytes(1 << 20)) * 2, "expected at most 1048576 bytes of text"),
        (b"\x80\x02R.", "expected a valid program that builds arrays, got IndexError"),
    ],
)
def test_refusals(program, message):
    with pytest.raises(PickleError, match=message):
        run(program)


def test_long_strings_are_not_copied():
    program = b"\x80\x02T" + (5_000_000).to_bytes(4, "little") + bytes(5_000_000) + b"."
    tracemalloc.start()
    value = run(program)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(value) == 5_000_000 and peak < 100_000


def test_a_large_memo_takes_no_memory():
    assert run(b"\x80\x02}r\xff\xff\xff\xff.") == {}


def test_expect():
    assert expect(3, int) == 3
    with pytest.raises(PickleError, match="expected int, got bool"):
        expect(True, int)
