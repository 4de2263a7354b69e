"""Recycled memory: reused when nothing refers to it any more, and never before."""

import functools
import gc
import inspect
import os
import sys
import weakref

import numpy as np
import pytest

from minitorch_kernels.runtime import memory

SHAPE = (64, 1024)


@pytest.fixture(autouse=True)
def nothing_left():
    gc.collect()
    memory.release_memory()
    yield
    memory.release_memory()


@pytest.fixture
def statistics():
    """Return a function that gives the bytes that have come into use since the test began, and the further bytes."""
    before = memory.statistics()  # tests that ran before may hold arrays

    def since():
        return tuple(now - then for now, then in zip(memory.statistics(), before, strict=True))

    return since


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_the_array_dies():
    first = memory.empty(SHAPE, np.float32)
    where = address(first)
    del first
    assert address(memory.empty(SHAPE, np.float32)) == where


def test_a_view_keeps_the_memory():
    first = memory.empty(SHAPE, np.float32)
    view = first[3:5].T.reshape(-1)[1:].view(np.int32)
    corner = first[2:, ::2].transpose()
    first[...] = 7
    del first
    other = memory.empty(SHAPE, np.float32)
    other[...] = 1
    assert (corner == 7).all()
    assert not np.shares_memory(other, view)


def test_what_is_held_is_never_handed_out():
    rng = np.random.default_rng(0)
    held = []
    for value in range(300):
        array = memory.empty((int(rng.integers(16, 40)), 1024), np.float32)
        array[...] = value
        held.append((value, array))
        if len(held) > 10:
            held.pop(int(rng.integers(len(held))))
        assert all((array == value).all() for value, array in held)


def test_shapes_and_dtypes():
    for dtype in (np.float32, np.float64, np.uint8):
        for shape in (SHAPE, (0, 5), (), (3,)):
            array = memory.empty(shape, dtype)
            assert array.shape == shape and array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable
    assert memory.empty_like(np.zeros((2, 3), np.float32)).shape == (2, 3)


def test_small_arrays_own_their_memory():
    assert memory.empty((4,), np.float32).base is None


def test_arenas_stay_within_a_limit(statistics):
    before = sum(memory.statistics())
    for megabytes in range(40, 140):
        memory.empty((megabytes << 20,), np.uint8)
    used, further = statistics()
    assert used == 0 and further <= 2 * (before + (139 << 20)) + (32 << 20)


@pytest.fixture
def arena(monkeypatch):
    """Return a function that makes sizes in KiB into arrays of one arena of 1 MiB, the only one with free spans."""
    monkeypatch.setattr(memory, "_ARENA", 0)  # each as large as the array that it is made for
    monkeypatch.setattr(memory, "_free", [])
    monkeypatch.setattr(memory, "_starts", {})
    monkeypatch.setattr(memory, "_ends", {})
    memory.empty((1 << 20,), np.uint8)
    return lambda kib: memory.empty((kib << 10,), np.uint8)


def test_an_array_takes_a_part_of_a_span_and_leaves_the_rest(arena):
    first, second = arena(512), arena(256)
    assert address(second) == address(first) + first.nbytes
    third = arena(256)  # the arena is full
    assert address(third) == address(second) + second.nbytes


def test_the_smallest_span_that_is_large_enough_is_taken(arena):
    large, between, small, last = arena(400), arena(100), arena(200), arena(324)
    where = address(small)
    del large, small
    assert address(arena(160)) == where
    del between, last


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 0, 2)])
def test_neighbours_that_are_free_become_one_span(arena, order):
    parts = [arena(256) for _ in range(3)]
    last, where = arena(256), address(parts[0])
    for part in order:
        parts[part] = None
    assert address(arena(768)) == where
    del last


def test_a_rest_that_is_too_small_for_an_array_stays_with_its_span(arena, statistics):
    held = arena(1024 - 60)
    assert memory._free == [] and held.base.nbytes == 1 << 20


def test_release_leaves_what_is_in_use(statistics):
    held = memory.empty((40 << 20,), np.uint8)
    held[...] = 3
    memory.empty((50 << 20,), np.uint8)
    memory.release_memory()
    used, further = statistics()
    assert used == held.nbytes and further <= 0
    assert (held == 3).all()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems may leave the contents")
def test_release_gives_back_what_lies_beside_memory_in_use(arena):
    held, free = arena(256), arena(512)
    held[...] = free[...] = 7
    where = address(free)
    del free
    memory.release_memory()
    again = arena(512)
    assert address(again) == where and not again.any() and (held == 7).all()


def interrupted_at(line, call):
    """Return whether Ctrl-C came: as the given line, counted over all of `memory`, is about to run in a call."""
    left, traced = line, sys.gettrace()
    lines = inspect.getsource(memory).splitlines()

    def look(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename != memory.__file__:
            return None
        # Python does not look for signals where a `with` statement gives its lock back; a tracer is called there.
        if event == "line" and not lines[frame.f_lineno - 1].lstrip().startswith("with "):
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return look

    sys.settrace(look)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(traced)
    return False


def test_ctrl_c_at_any_line_leaves_memory_in_order(arena):
    def exchange(parts):
        parts[1] = parts[3] = None  # neighbours of one that stays
        parts[1], parts[3] = arena(80), arena(200)
        parts[2] = None  # the neighbour of both
        parts.append(arena(64))

    interrupted = 0
    for line in range(1, 100):
        parts = [arena(kib) for kib in (128, 96, 64, 160, 128)]
        interrupted += interrupted_at(line, functools.partial(exchange, parts))
        parts = [arena(128) if part is None else part for part in parts]
        for value, part in enumerate(parts):
            part[...] = value
        assert all((part == value).all() for value, part in enumerate(parts))
    assert interrupted > 60


def test_spans_come_back_while_another_is_taken(monkeypatch):
    """The collector may end an array at any moment, even within `empty`, and in another thread."""
    lost = [memory.empty(SHAPE, np.float32)]
    lost.append(lost)
    real = memory._free_the_dead
    monkeypatch.setattr(memory, "_free_the_dead", lambda: (lost.clear(), real()))
    used, _ = memory.statistics()
    held = memory.empty(SHAPE, np.float32)
    assert memory.statistics()[0] == used + held.nbytes


def test_arrays_leave_no_cycle_behind():
    gc.disable()
    try:
        array = memory.empty(SHAPE, np.float32)
        dead = weakref.ref(array.base)
        del array
        assert dead() is None
    finally:
        gc.enable()


def test_an_array_alone_in_its_memory_is_not_copied():
    whole = memory.empty(SHAPE, np.float32)
    assert memory.unshared(whole) is whole
    turned = whole.T
    assert memory.unshared(turned) is not turned and not np.shares_memory(memory.unshared(whole), whole)
    del whole
    assert memory.unshared(turned) is turned
    owner = np.zeros(3)
    assert memory.unshared(owner) is owner and memory.unshared(owner[:2]).base is None


def test_a_view_of_memory_from_elsewhere_is_copied():
    buffer = bytearray(1 << 17)
    view = np.frombuffer(buffer, np.uint8)[1:]
    assert not np.shares_memory(memory.unshared(view), view)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_does_not_write_to_the_memory_of_its_parent():
    array = memory.empty(SHAPE, np.float32)
    array[...] = 1
    child = os.fork()
    if child == 0:
        array[...] = 7
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0 and (array == 1).all()
