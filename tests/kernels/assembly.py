"""What the compiler made of a kernel: the loops that multiply and add, as x86 assembly."""

import platform
import re

import numba
import pytest

MULTIPLY_ADD = "vfmadd|vdpbf16ps"
reads_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")


def inner_loops(assembly):
    """Return the blocks of instructions that multiply and add and then jump back to their beginning."""
    found = []
    for label, block in re.findall(r"^(\.L\w+):\n((?:\t.*\n)+)", assembly, re.MULTILINE):
        if re.search(MULTIPLY_ADD, block) and re.search(rf"\tj\w+\s+{re.escape(label)}$", block, re.MULTILINE):
            found.append(block)
    return found


def compiled_assembly(kernel, signature):
    """Return the assembly of a kernel's tasks, whose arguments have these types.

    It is compiled once more, as what comes from the cache shows no assembly.
    """
    options = {"nogil": True, "fastmath": {"contract", "arcp", "nsz"}, "error_model": "numpy"}
    fresh = numba.njit(**options)(kernel.__wrapped__)
    fresh.compile((numba.int64, numba.int64, *signature))  # first and end of a range of tasks come first
    return fresh.inspect_asm(fresh.signatures[0])


def compiled_loops(kernel, signature):
    """Return `inner_loops` of a kernel's tasks, see `compiled_assembly`."""
    return inner_loops(compiled_assembly(kernel, signature))
