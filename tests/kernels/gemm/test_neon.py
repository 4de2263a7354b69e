"""The micro-kernel for ARM, which any machine can compile but not run: the instructions of its inner loop."""

import re
import subprocess
import sys

import pytest

# In a process of its own: the widths of the vectors are fixed when the package is imported.
TRANSLATE = r"""
import re
import sys
import llvmlite.binding as llvm
from minitorch_kernels.runtime import simd
simd.VECTOR_BYTES, simd.REGISTERS = 16, 32
import numba
from minitorch_kernels.gemm.microkernel import Tile, microkernel

def call(a, b, c, init, rows, c_row_offsets, k_runs, tile):
    microkernel(a, b, c, init, rows, c_row_offsets, k_runs, tile)

f, i = numba.float32, numba.int64
function = numba.njit(fastmath={"contract", "arcp", "nsz"}, error_model="numpy")(call)
function.compile((f[::1],) * 4 + (i[::1], i[::1], i[:, ::1], numba.types.NamedUniTuple(i, 12, Tile)))
code = function.inspect_llvm(function.signatures[0])
code = re.sub(r"target (triple|datalayout) = .*", "", code)
code = re.sub(r'"target-(cpu|features)"="[^"]*"', "", code)
# Numba's reference counting is compiled for the processor at hand.
code = re.sub(r"define [^\n]*@(NRT_\w+)\([^\n]*\{.*?^\}", r"declare void @\1(ptr)", code, flags=re.S | re.M)
llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
machine = llvm.Target.from_triple("aarch64-unknown-linux-gnu").create_target_machine(cpu=sys.argv[1], opt=3)
print(machine.emit_assembly(llvm.parse_assembly(code)))
"""


@pytest.fixture(scope="module", params=["neoverse-n1", "apple-m1"])
def loops(request):
    """Return the blocks of the assembly that jump back to their own beginning and multiply."""
    done = subprocess.run([sys.executable, "-c", TRANSLATE, request.param], capture_output=True, text=True, check=False)
    if "No available targets" in done.stderr or "Unable to find target" in done.stderr:
        pytest.skip("this build of LLVM knows no ARM")
    assert done.returncode == 0, done.stderr
    blocks = re.findall(r"^(\.L\w+):(.*?)(?=^\.L\w+:|\Z)", done.stdout, re.S | re.M)
    found = [
        body[: re.search(rf"\bb\.\w+\s+{re.escape(label)}\b", body).end()]
        for label, body in blocks
        if re.search(rf"\bb\.\w+\s+{re.escape(label)}\b", body)
    ]
    found = [loop for loop in found if "fmla" in loop]
    assert found
    return found


def test_a_term_is_multiplied_without_a_copy_of_the_single_number(loops):
    """8 x 2 or 8 x 1 vectors, each product taking one lane of A: ``fmla v1.4s, v26.4s, v24.s[0]``.

    A loop may hold several terms: how many, LLVM decides by the processor that translates.
    """
    numbers = [len(re.findall(r"\bldr\s+s\d+", loop)) for loop in loops]
    assert {loop.count("fmla") / count for loop, count in zip(loops, numbers, strict=True)} == {1, 2}
    assert all(count % 8 == 0 for count in numbers)
    for loop in loops:
        assert len(re.findall(r"fmla\s+v\d+\.4s, v\d+\.4s, v\d+\.s\[0\]", loop)) == loop.count("fmla")


def test_no_sum_leaves_its_register(loops):
    for loop in loops:
        assert not re.search(r"\b(?:ld[pr]|st[pr])\s+q\d+.*\[sp", loop)
        assert not re.search(r"\bst[pr]\s+q", loop)
