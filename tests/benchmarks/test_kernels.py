"""The table by kernel: its columns add up, and a run writes what it prints."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from minitorch_kernels.runtime import simd

ROOT = pathlib.Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")


@pytest.mark.slow
def test_a_run_accounts_for_the_whole_step(tmp_path):
    command = [sys.executable, "benchmarks/kernels.py", "--model", "lenet5_cifar"]
    command += ["--batch", "4", "--steps", "2", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "kernels_lenet5_cifar.json").read_text())
    rows = {row["kernel"]: row for row in record["rows"]}
    assert sum(row["ms"] for row in rows.values()) == pytest.approx(sum(record["step_ms"]) / 2)
    assert rows["elementwise._tanh_forward"]["calls"] == 4  # two convolutions, two fully connected layers
    products = rows["matmul.indirect_gemm"]
    assert products["share"] >= products["gflops"] / record["peak_gflops"] > 0
    assert list(rows)[-1] == "all else" and all(name in done.stdout for name in rows)
