"""The forecast of larger runs is the formula that it states, and a table compares with a process without MPI."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "scaling_mpi.py"
MEASURED = {
    "ranks": 2,
    "model": "cifar4",
    "images": 128,
    "compute": 0.1,
    "step": 0.11,
    "step_without_overlap": 0.12,
    "wait": 0.005,
    "wait_without_overlap": 0.02,
    "bytes": 10_000_000,
    "buckets": 3,
    "latency": 1e-5,
    "bandwidth": 2e9,
}


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("scaling_mpi", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_ring_sends_everything_almost_twice(benchmark):
    assert benchmark.ring(1, 1000, 1.0, 10.0) == 0
    assert benchmark.ring(2, 1000, 0, 10.0) == 100  # half there and half back
    assert benchmark.ring(4, 1000, 0.5, 10.0, buckets=2) == 2 * 3 * (0.5 * 2 + 25)


def test_the_forecast_adds_the_ring_to_the_compute_time(benchmark):
    expected = 0.1 + 2 * 7 * (50e-6 * 3 + 10_000_000 / (8 * 125e6))
    assert benchmark.forecast(MEASURED, 8, 1) == pytest.approx(expected)
    assert benchmark.hidden(MEASURED) == pytest.approx(0.75)


def test_the_report_has_a_row_for_each_number_of_ranks(benchmark):
    lines = list(benchmark.report(MEASURED))
    assert lines[0] == "cifar4, 128 images a step, 2 ranks: 110.0 ms a step"
    assert [int(line.split()[0]) for line in lines[-10:]] == [2**i for i in range(1, 11)]


def test_a_process_without_mpi_has_its_row():
    command = [sys.executable, SCRIPT, "--ranks", "--model", "mlp", "--batch", "4", "--rounds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("no MPI        4") and done.stdout.endswith(" 1.000\n")
