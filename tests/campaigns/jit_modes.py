"""The tests of kernels and operations with bounds checked, and without compilation."""

import os
import re
import subprocess
import sys
import tempfile

import harness

FEW, ALL = ["tests/kernels/layers/test_elementwise.py"], ["tests/kernels", "tests/ops"]
COMPILED = "not test_jit"  # it is about compilation itself, which these settings change
# Nor about threads, nor large arrays that plain Python would take minutes for. What needs a register tile skips itself
# there: operations run `im2col` and NumPy.
PLAIN = f"{COMPILED} and not test_neon and not threads and not large and not long and not huge and not any_"


def suite(tests, choice, **settings):
    """Run tests in a process of its own with an empty cache; return what pytest says in its last line."""
    with tempfile.TemporaryDirectory() as home:
        paths = os.pathsep.join(filter(None, sys.path))
        environment = {**os.environ, "PYTHONPATH": paths, "MCNN_HOME": home, **settings}
        # plain Python warns of the infinities and NaN that these tests are about; compiled code does not
        quiet = ["-W", "ignore::RuntimeWarning", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-q", *quiet, "-k", choice, *tests]
        done = subprocess.run(command, cwd=harness.ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr)
    return done.returncode == 0, re.sub(r" in .*", "", done.stdout.strip().splitlines()[-1])


def bounds(length):
    """Bar 7: every index is checked."""
    passed, told = suite(length(FEW, ALL), COMPILED, NUMBA_BOUNDSCHECK="1")
    return f"NUMBA_BOUNDSCHECK=1: {told}", passed


def interpreted(length):
    """Bar 7: the same as plain Python, with small arrays."""
    passed, told = suite(length(FEW, ALL), PLAIN, NUMBA_DISABLE_JIT="1")
    return f"NUMBA_DISABLE_JIT=1: {told}", passed


if __name__ == "__main__":
    harness.main(__doc__, {"7 bounds": bounds, "7 plain Python": interpreted})
