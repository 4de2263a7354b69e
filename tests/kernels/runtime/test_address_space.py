"""The addresses that `ulimit -v` leaves: where LLVM would end the process, an error says what to allow."""

import subprocess
import sys

import numpy as np
import pytest

from minitorch_kernels.layers import elementwise
from minitorch_kernels.runtime import address_space

LEFT = """
import resource
import sys
import numpy as np
from minitorch_kernels.layers import elementwise
from minitorch_kernels.runtime import address_space, jit
assert address_space.left() is None
jit.import_compiler()
with open("/proc/self/statm") as sizes:
    taken = int(sizes.read().split()[0]) * resource.getpagesize()
limit = taken + (int(sys.argv[1]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
if address_space.limit() is None:
    sys.exit("the limit is not kept")
print(0 <= limit - taken - address_space.left() < 1 << 20)
print(elementwise.relu_forward(np.ones(3, np.float32)).tolist())
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="no other system keeps to the limit and tells what is taken")


def run(megabytes):
    done = subprocess.run([sys.executable, "-c", LEFT, str(megabytes)], capture_output=True, text=True)
    if done.stderr == "the limit is not kept\n":
        pytest.skip("this system lets processes set no limit, as qemu does")
    return done


@linux
@pytest.mark.parametrize("megabytes", [4, 20, 40])
def test_a_kernel_that_may_not_fit_is_refused_before_llvm_begins(megabytes):
    done = run(megabytes)
    assert done.returncode == 1 and done.stdout == "True\n"
    assert "MemoryError: allow this process more address space by `ulimit -v " in done.stderr


@linux
def test_a_kernel_that_fits_runs():
    done = run(1000)
    assert (done.returncode, done.stdout) == (0, "True\n[1.0, 1.0, 1.0]\n"), done.stderr


def test_more_is_asked_for_than_there_was(monkeypatch):
    monkeypatch.setattr(address_space, "left", lambda: 1000)
    monkeypatch.setattr(address_space, "limit", lambda: 1 << 30)
    with pytest.raises(MemoryError, match=r"by `ulimit -v 1572864` or more: it has 1048576, and work may not fit"):
        address_space.require(1001, "work")
    address_space.require(1000, "work")


def test_without_a_limit_all_is_allowed():
    assert address_space.left() is None
    address_space.require(1 << 60, "work")
    assert elementwise.relu_forward(np.float32([-1, 2])).tolist() == [0, 2]
