"""`mcnn doctor`: what it measures, and what it advises."""

import re
import sys
import types

import numpy as np
import pytest

import minitorch_kernels as kernels
from minitorch_cnn import train
from minitorch_cnn.cli import doctor
from minitorch_cnn.diagnose import compiling, measure

OPENBLAS = {"library": "openblas", "version": "0.3.31", "core": "Haswell", "threads": 2}
AVX512 = {"name": "a processor", "vendor": "x", "avx512": True}
GOOD = {"core": "Haswell", "error": 0.1, "gflops": 100.0}


FORECAST = {name: recipe for name, recipe in train.RECIPES.items() if not name.startswith("transfer")}


def test_the_report(mcnn, monkeypatch):
    monkeypatch.setattr(measure, "step_seconds", lambda recipe: 0.25)
    code, out, err = mcnn("doctor")
    assert code == 0 and err.count("\n") == err.count("compiling kernel")
    for word in ("python 3.", "numpy", "numba", "threads", "cache", "GFLOP/s by our own kernel", "GB/s"):
        assert word in out
    assert re.search(r"BLAS .* core \w+: right, \d+ GFLOP/s", out)
    for name, recipe in FORECAST.items():
        assert re.search(rf"{name} .* epochs on \w+: about .* \(250 ms a step of {recipe.batch_size} images\)", out)
    assert re.search(r"compiled +\d+ kernels now", out)


@pytest.mark.parametrize("shares, warnings", [((1.0, 0.9), 0), ((0.4, 1.0), 1), ((1.0, 0.3), 1), ((0.2, 0.2), 1)])
def test_a_busy_machine_makes_the_figures_worthless(mcnn, monkeypatch, shares, warnings):
    answers = iter(shares)
    monkeypatch.setattr(measure, "share_of_cores", lambda: next(answers))
    for name in ("step_seconds", "forecast"):
        monkeypatch.setattr(measure, name, lambda *_: 0.25)
    for name in ("matmul_gflops", "memory_gbytes"):
        monkeypatch.setattr(measure, name, lambda: 1.0)
    monkeypatch.setattr(measure, "blas_check", lambda core=None: GOOD)
    code, out, _ = mcnn("doctor")
    assert code == 0 and out.count("load       BUSY: other programs use the cores") == warnings


def test_the_share_of_the_cores():
    assert 0 < measure.share_of_cores(seconds=0.05) <= 1


def blas_lines(*checks, library=OPENBLAS, cpu=AVX512):
    answers = iter(checks)
    return list(doctor._blas_lines(library, cpu, lambda core: next(answers)))


def test_advice_where_another_core_is_faster():
    lines = blas_lines(GOOD, {"core": "SkylakeX", "error": 0.1, "gflops": 200.0})
    assert "core Haswell: right, 100 GFLOP/s" in lines[0]
    assert "advice: OPENBLAS_CORETYPE=SkylakeX is right in the self-test and reaches 200 GFLOP/s" in lines[1]


def test_no_advice_where_it_gains_nothing_or_cannot():
    assert len(blas_lines(GOOD, {"core": "SkylakeX", "error": 0.1, "gflops": 105.0})) == 1
    assert len(blas_lines(GOOD, cpu=AVX512 | {"avx512": False})) == 1
    assert len(blas_lines(GOOD | {"core": "SkylakeX"})) == 1
    assert len(blas_lines(GOOD, library=OPENBLAS | {"library": "mkl"})) == 1


def test_advice_against_a_core_that_fails():
    for other in (None, {"core": "SkylakeX", "error": 9.0, "gflops": 200.0}):
        assert "leave OPENBLAS_CORETYPE alone" in blas_lines(GOOD, other)[1]


def test_a_library_that_is_wrong_or_crashes():
    assert "WRONG (error 12 times the bound)" in blas_lines(GOOD | {"core": "Zen4", "error": 12.0})[0]
    assert "CRASHED in the self-test" in blas_lines(None)[0]


@pytest.mark.posix
def test_a_crash_of_the_self_test_is_noticed(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert measure.blas_check() is None


class FakeRuntime:
    def __init__(self, folder, enabled=True):
        self.cache = types.SimpleNamespace(cache_folder=lambda: folder)
        self.jit = types.SimpleNamespace(jit_enabled=lambda: enabled)


def test_the_state_of_the_kernel_cache(tmp_path):
    kernels.gemm.matmul.matmul(np.ones((2, 3), np.float32), np.ones((3, 4), np.float32))
    assert re.search(r"kernels    cache .*: [1-9]\d* compiled, \d+\.\d MB$", doctor._cache_line(kernels.runtime))
    assert doctor._cache_line(FakeRuntime(tmp_path)).endswith(f"cache {tmp_path}: empty")
    assert "no cache folder is writable" in doctor._cache_line(FakeRuntime(None))
    assert "NUMBA_DISABLE_JIT is set" in doctor._cache_line(FakeRuntime(tmp_path, enabled=False))


def test_the_code_that_does_the_same(mcnn, monkeypatch, capsys):
    monkeypatch.setattr(measure, "step_seconds", lambda recipe: 0.25)
    _, shown, _ = mcnn("doctor", "--show-code")
    exec(compile(shown, "shown", "exec"), {})
    out = capsys.readouterr().out
    assert "GFLOP/s" in out and all(name in out for name in FORECAST)


def test_only_compiling(mcnn, monkeypatch):
    asked = []

    def compile(model, shape, progress):
        asked.append((type(model).__name__, shape))
        return 3

    monkeypatch.setattr(compiling, "compile", compile)
    for words, network, shape in (
        (("--compile",), "Cifar4", (128, 3, 32, 32)),
        (("--compile", "lenet5"), "LeNet5", (128, 1, 32, 32)),
    ):
        code, out, _ = mcnn("doctor", *words)
        assert code == 0 and out.startswith("compiled   3 kernels of ") and asked[-1] == (network, shape)
    code, _, err = mcnn("doctor", "--compile", "lenet")
    assert code == 2 and "mcnn doctor: no network is called 'lenet'" in err


def test_speeds_are_numbers_of_this_world():
    for speed in (measure.matmul_gflops(256), measure.peak_gflops(), measure.memory_gbytes(1)):
        assert 0 < speed < 100_000  # which is the larger one says the noise of the machine, too


def test_the_layout_of_ranks():
    assert list(doctor.layout(train.SingleProcess())) == []
    ranks = train.SingleProcess()
    ranks.size, ranks.threads, ranks.layout = 3, 1, [["a", [0, 1]], ["a", [0, 1]], ["b", [0]]]
    ranks.exchange = lambda threads: [threads] * 3
    assert list(doctor.layout(ranks)) == [
        "ranks      2 of 3 on a, cores: 2; threads of rank 0: 1, rank 1: 1",
        "ranks      1 of 3 on b, cores: 1; threads of rank 2: 1",
    ]
