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


def run(model, folder, images=4):
    """Return what ``benchmarks/kernels.py`` prints and writes for two steps."""
    command = [sys.executable, "benchmarks/kernels.py", "--model", model]
    command += ["--batch", str(images), "--steps", "2", "--out", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / f"kernels_{model}.json").read_text())
    return done.stdout, record, {row["kernel"]: row for row in record["rows"]}


@pytest.mark.slow
def test_a_run_accounts_for_the_whole_step(tmp_path):
    output, record, rows = run("lenet5_cifar", tmp_path)
    assert sum(row["ms"] for row in rows.values()) == pytest.approx(sum(record["step_ms"]) / 2)
    assert rows["elementwise._tanh_forward"]["calls"] == 4  # two convolutions, two fully connected layers
    products = rows["matmul.indirect_gemm"]
    assert products["share"] >= products["gflops"] / record["peak_gflops"] > 0
    assert list(rows)[-1] == "all else" and all(name in output for name in rows)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "images", "kernels"),
    [
        ("resnet20", 4, ("correlate._by_tiles", "weight._sum_apart")),
        ("vgg_a_cifar", 4, ("panels._by_panels", "weight._by_runs")),
        ("allcnn_c", 16, ("weight._sum_together",)),
    ],
)
def test_products_of_every_winograd_kernel_are_counted(model, images, kernels, tmp_path):
    rows = run(model, tmp_path, images)[2]
    for kernel in kernels:
        assert rows[kernel]["gflops"] > 0 and rows[kernel]["gbytes"] > 0, kernel
