"""The pytest plugin: a fixture, a marker, and nothing heavy before they are used."""

import subprocess
import sys
import tomllib
from pathlib import Path

import minitorch_cnn

ROOT = Path(minitorch_cnn.__file__).parents[1]

USERS_TESTS = """
import numpy as np
import pytest
from minitorch_cnn import Tensor, nn, ops
from minitorch_cnn.autograd import Function

class Double(Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out

class Mine(nn.Module):
    def forward(self, x):
        return Double.apply(x)

@pytest.mark.gradcheck(mode="projection", training=True)
def test_the_marker_gives_the_keywords(gradcheck):
    assert gradcheck(nn.Linear(2, 3), Tensor(np.ones((1, 2)))).n_checked == 6

def test_without_a_marker_all_is_checked(gradcheck):
    assert gradcheck(ops.exp, Tensor(np.ones(3))).n_checked == 9

def test_a_users_own_wrong_layer(gradcheck):
    gradcheck(Mine(), Tensor(np.ones((2, 3))))
"""


def test_a_users_tests_run_with_it(tmp_path):
    (tmp_path / "test_mine.py").write_text(USERS_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "minitorch_cnn.pytest_plugin", "--strict-markers"]
    result = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "1 failed, 2 passed" in result.stdout, result.stdout + result.stderr
    assert "looks like a factor 1/2: half of the terms, or a missing factor 2" in result.stdout


def test_it_is_registered_and_loads_nothing_heavy():
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert entries == {"minitorch_cnn.pytest_plugin": "minitorch_cnn.pytest_plugin"}
    code = "import sys, minitorch_cnn.pytest_plugin; print([n for n in ('numpy', 'numba') if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
