"""Recycled memory: reused when nothing refers to it any more, and never before."""

import gc
import os
import weakref

import numpy as np
import pytest

from minitorch_kernels.runtime import memory

SHAPE = (64, 1024)


@pytest.fixture(autouse=True)
def clean_shelf():
    gc.collect()
    memory.release_memory()
    yield
    memory.release_memory()


@pytest.fixture
def statistics():
    """Return a function that gives the bytes in use since the test began, and the bytes on the shelf."""
    before, _ = memory.statistics()  # tests that ran before may hold arrays

    def since():
        used, shelved = memory.statistics()
        return used - before, shelved

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


def test_all_blocks_together_stay_within_twice_the_peak_of_use(statistics):
    before, _ = memory.statistics()
    for rows in range(64, 164):
        memory.empty((rows, 1024), np.float32)
    used, shelved = statistics()
    assert used == 0 and shelved <= 2 * (before + 2 * 163 * 1024 * 4)


def test_a_slightly_larger_block_serves_and_a_much_larger_one_does_not(statistics):
    memory.empty((100, 1024), np.float32)
    taken = memory.empty((80, 1024), np.float32)
    assert statistics() == (100 * 1024 * 4, 0)
    small = memory.empty((60, 1024), np.float32)
    del taken
    assert statistics() == (small.nbytes, 100 * 1024 * 4)
    small = None
    memory.empty((20, 1024), np.float32)
    assert statistics() == (0, (100 + 60 + 20) * 1024 * 4)


def test_release_empties_the_shelf_and_leaves_what_is_in_use(statistics):
    held = memory.empty(SHAPE, np.float32)
    held[...] = 3
    memory.empty(SHAPE, np.float64)
    assert statistics() == (held.nbytes, 2 * held.nbytes)
    memory.release_memory()
    assert statistics() == (held.nbytes, 0)
    assert (held == 3).all()


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
