"""The ladder is measured step by step, each by the operations of the definition."""

import subprocess
import sys

import numpy as np
import pytest

from minitorch_cnn.diagnose import ladder
from minitorch_kernels import ladder as steps
from minitorch_kernels.runtime import simd


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(ladder, "_SECONDS", 0.0)
    monkeypatch.setattr(ladder, "_BATCH", 2)
    monkeypatch.setattr(ladder, "SIZE", 3)
    monkeypatch.setattr(ladder, "_PARTS", {"step1_loops": (1, 2, 1)})


def test_steps_come_one_by_one_with_their_reason():
    first, second, *_ = measured = list(ladder.measure_steps())
    assert [(step.name, step.reason) for step in measured] == list(steps.STEPS.items())
    assert (first.images, second.images) == (1, 2) and all(step.gflops > 0 for step in measured)
    assert [step.threads for step in measured[:6]] == [1] * 6


def test_a_processor_without_a_tile_leaves_out_what_needs_one(monkeypatch):
    monkeypatch.setattr(simd, "supports", lambda dtype: False)
    assert [step.name for step in ladder.measure_steps()] == list(steps.STEPS)[:7]


def test_speed_counts_two_operations_for_each_product_of_the_definition(monkeypatch):
    clock = iter([0, 9, 10, 12])  # the first call compiles, the second takes 2 seconds
    monkeypatch.setattr(ladder.time, "perf_counter", lambda: next(clock))
    calls = []
    x, weight = ladder._operands(2, 3, 5, True)
    gflops = ladder._gflops(lambda *operands, **rest: calls.append(rest), x, weight)
    assert calls == [{"stride": 1, "padding": 1}] * 2
    assert gflops == pytest.approx(2 * (2 * 5 * 3 * 3) * (128 * 3 * 3) / 2 / 1e9)


def test_a_step_gets_its_images_in_the_layout_that_it_wants():
    for channels_last in (False, True):
        x, weight = ladder._operands(2, 3, 5, channels_last)
        assert x.shape == (2, 128, 3, 3) and weight.shape == (5, 128, 3, 3)
        assert (x.transpose(0, 2, 3, 1) if channels_last else x).flags.c_contiguous
    np.testing.assert_array_equal(x, ladder._operands(2, 3, 5, False)[0])


def test_numpys_product_computes_the_same_convolution(monkeypatch):
    seen = []
    monkeypatch.setattr(ladder, "_gflops", lambda conv2d, x, weight: seen.append((conv2d, x, weight)) or 1.0)
    assert ladder.blas_gflops() == 1
    ((conv2d, x, weight),) = seen
    want = steps.step3_channels_last.conv2d(x, weight, stride=2, padding=1)
    np.testing.assert_allclose(conv2d(x, weight, stride=2, padding=1), want, rtol=0, atol=1e-4)


@pytest.mark.oracle
def test_pytorch_runs_in_a_process_of_its_own():
    pytest.importorskip("torch")
    assert ladder.pytorch_gflops() > 0


def test_where_pytorch_is_missing_there_is_no_speed(monkeypatch):
    monkeypatch.setattr(ladder, "_PYTORCH", "import a_module_that_nobody_has")
    assert ladder.pytorch_gflops() is None


def test_its_program_counts_the_faster_layout():
    """With a module that stands in for PyTorch, and a clock that moves by what each layout takes."""
    stand_in = """
import sys, time, types
now = 0.0
time.perf_counter = lambda: now
class Array:
    def to(self, memory_format):
        array = Array()
        array.seconds = memory_format
        return array
class Mode:
    __enter__ = lambda self: self
    __exit__ = lambda self, *error: None
def conv2d(x, weight, padding):
    global now
    now += x.seconds
sys.modules["torch"] = types.SimpleNamespace(
    set_num_threads=lambda count: None, randn=lambda *shape: Array(), inference_mode=Mode, conv2d=conv2d,
    contiguous_format=0.5, channels_last=0.25,
)
"""
    arguments = [sys.executable, "-c", stand_in + ladder._PYTORCH, "1", "2", "3", "4", "1", "0"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert float(done.stdout) == 0.25
