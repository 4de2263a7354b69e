"""Kernels of single elements fill all lanes of a vector register, whichever instruction set they are compiled for."""

import os
import subprocess
import sys

import pytest

from tests.kernels.assembly import reads_x86

# Prints the kernels without a loop that stores whole registers, and how many there are in all.
LOOK = r"""
import importlib, inspect, re
import numba
from tests.kernels.assembly import compiled_assembly

ARRAYS = {"x", "a", "b", "out", "grad_out", "grad_x", "slope", "factors"}
count = 0
for name in ("elementwise", "gelu", "pieces", "sigmoid", "smooth"):
    module = importlib.import_module("minitorch_kernels.layers." + name)
    for kernel in vars(module).values():
        if not inspect.isfunction(kernel) or not hasattr(kernel, "entry") or kernel.__module__ != module.__name__:
            continue
        parameters = list(inspect.signature(kernel).parameters)
        if not ARRAYS.issuperset(parameters) or "doubles" in kernel.__name__:
            continue
        assembly = compiled_assembly(kernel, [numba.float32[::1]] * len(parameters))
        blocks = re.findall(r"^(\.L\w+):\n((?:\t.*\n)+)", assembly, re.MULTILINE)
        loops = [block for label, block in blocks if re.search(rf"\tj\w+\s+{re.escape(label)}$", block, re.MULTILINE)]
        count += 1
        if not any(re.search(r"\tv?movu?a?ps\t%[yz]mm\d+, [^%]*\(", block) for block in loops):
            print(name, kernel.__name__)
print(count)
"""


@reads_x86
@pytest.mark.parametrize("processor", ["haswell", "skylake-avx512"])
def test_every_loop_stores_whole_registers(processor):
    """They are compiled here and do not run, so any processor will do."""
    settings = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {**os.environ, **settings}
    command = [sys.executable, "-c", LOOK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    *slow, count = done.stdout.splitlines()
    assert slow == []
    assert int(count) > 25
