"""What all tests share: guarded memory, numbers of threads."""

import os
import secrets
import sys

import numpy as np
import pytest
import threadpoolctl
from hypothesis import HealthCheck, settings

if "numba" not in sys.modules and len(getattr(os, "sched_getaffinity", lambda _: "12")(0)) == 1:
    os.environ.setdefault("NUMBA_NUM_THREADS", "2")  # two threads on one core prove as much as on two

from minitorch_kernels.runtime import memory, threads

# A machine that others use too may take any time for an example: no test asserts one.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_runtest_setup(item):
    """Skip on Windows, real or simulated (`platforms/simulated`), what needs signals, links or permissions."""
    if sys.platform == "win32" or os.environ.get("MCNN_SIMULATED") == "windows":
        if item.get_closest_marker("posix"):
            pytest.skip("needs what Windows lacks")


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Begin every test at the same place of the random stream, whichever tests ran before it."""
    from minitorch_cnn import rng

    rng.manual_seed(0)


@pytest.fixture(autouse=True)
def own_networks(tmp_path_factory, monkeypatch):
    """Keep what a test says about networks of its own out of the user's folder, and of other tests."""
    from minitorch_cnn.models import own

    folder = tmp_path_factory.getbasetemp() / "own-networks" / secrets.token_hex(8)
    monkeypatch.setattr(own, "_note", lambda digest: folder / digest)


@pytest.fixture
def same_bits_for_any_threads(monkeypatch):
    """Return a function that requires the same bytes from a call with 1, 2 and all threads, on little data too."""
    most = threads.available_threads()
    if most < 2:
        pytest.skip("this process may use one thread alone")

    def check(call):
        results = []
        for count in (1, 2, most):
            threads.set_num_threads(count)
            results.append([np.asarray(array).tobytes() for array in call()])
        assert results[0] == results[1] == results[2]

    monkeypatch.setattr(threads, "_SMALL_BYTES", -1)
    before = threads._limit
    with threadpoolctl.threadpool_limits(1):  # gives BLAS its own number back afterwards
        yield check
    threads._limit = before


class GuardedMemory:
    """Hands out arrays in the middle of larger ones, full of NaN, which shows what was read or not written."""

    MARGIN = 1024  # elements; a tile is 8 rows of 32

    def __init__(self):
        self.blocks = []

    def empty(self, shape, dtype):
        shape = tuple(int(n) for n in shape)
        size, dtype = int(np.prod(shape)), np.dtype(dtype)
        block = np.full(size + 2 * self.MARGIN, np.nan if dtype.kind == "f" else 0x5A, dtype)
        self.blocks.append((block, size, block.tobytes()))
        return block[self.MARGIN : self.MARGIN + size].reshape(shape)

    def hold(self, array):
        """Return a guarded copy."""
        copy = self.empty(array.shape, array.dtype)
        copy[...] = array
        return copy

    def check(self):
        """Require that something was guarded, and that no guard has changed."""
        assert self.blocks
        for block, size, before in self.blocks:
            start, end = self.MARGIN * block.itemsize, (self.MARGIN + size) * block.itemsize
            assert block.tobytes()[:start] == before[:start] and block.tobytes()[end:] == before[end:]


@pytest.fixture
def guarded(monkeypatch):
    """Put every large array of the kernels between guards; checked at the end of the test."""
    guard = GuardedMemory()
    monkeypatch.setattr(memory, "empty", guard.empty)
    yield guard
    guard.check()


@pytest.fixture
def undrawn_weights():
    """Let nobody draw weights: of large networks that takes most of the time, and counts do not need them."""
    from minitorch_cnn import rng

    with rng.undrawn_weights():
        yield
