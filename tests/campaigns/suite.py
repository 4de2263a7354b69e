"""The bars that the test suite itself holds: which tests, and how many passed.

The short form only looks whether these tests are there, as they run in the same suite as this campaign does.
"""

import os
import re
import shlex
import subprocess
import sys

import harness

HELD = {
    "1 gradients": "tests/ops tests/nn/test_every_layer.py -m 'not oracle'",
    "3 kernels": "tests/kernels -m 'not oracle'",
    "5 networks": "tests/models/test_zoo.py",
    "6 NaN and infinity": "tests/kernels tests/test_architecture.py -k 'nan or flags'",
    "10 workers": "tests/data/test_loader.py",
    "11 streams": "tests/data/test_philox.py",
    "15 stale and unwritable": "tests/kernels/runtime/test_jit.py",
    "17 known files": "tests/models/test_pretrained.py",
    "21 CIFAR-10": "tests/data/test_cifar10.py",
    "22 archives": "tests/data/test_cifar10.py -k archive",
    "23 downloads": "tests/io/test_files.py",
    "25 divergence": "tests/train/test_nan_check.py",
}


def run(*command):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(harness.ROOT), str(harness.ROOT / "kernels")])}
    done = subprocess.run([sys.executable, *command], cwd=harness.ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-500:]


def held(tests):
    """Return the check that runs some tests."""

    def check(length):
        command = shlex.split(tests)
        if not length.full:
            paths = [word for word in command if word.startswith("tests/")]
            return " and ".join(paths), all((harness.ROOT / path).exists() for path in paths)
        code, told = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *command)
        return f"`pytest {tests}`: {re.sub(' in .*', '', told)}", code == 0

    return check


def mutants(length):
    """Bar 2: the classic mistakes in every backward."""
    code, told = run("-m", "minitorch_cnn", "gradcheck", *length(["matmul"], []), "--mutants")
    caught, planted = map(int, re.fullmatch(r"caught (\d+) of (\d+)", told).groups())
    return told, code == 0 and caught >= 0.95 * planted and planted >= length(1, 60)


def arguments(length):
    """Bar 4: the one table of operations."""
    harness.sys.path.append(str(harness.ROOT))
    from tests.ops.table import TABLE

    counts = [len(op.errors) for op in TABLE.values()]
    told, passed = held("tests/ops/test_table.py -k 'row or wrong_arguments'")(length)
    return f"{len(counts)} operations, {min(counts)} to {max(counts)} each, {sum(counts)} in all; {told}", (
        passed and min(counts) >= 3
    )


if __name__ == "__main__":
    checks = {name: held(tests) for name, tests in HELD.items()}
    harness.main(__doc__, {"2 mutants": mutants, "4 wrong arguments": arguments} | checks)
