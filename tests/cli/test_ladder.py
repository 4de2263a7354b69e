"""`mcnn race ladder`: a table of all steps, measured here."""

import json
import re
import sys

import pytest

from minitorch_cnn.diagnose import ladder, measure
from minitorch_kernels import ladder as steps


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(ladder, "_SECONDS", 0.0)
    monkeypatch.setattr(ladder, "_BATCH", 1)
    monkeypatch.setattr(ladder, "SIZE", 4)
    monkeypatch.setattr(ladder, "_PARTS", {"step1_loops": (1, 2, 2)})
    monkeypatch.setattr(measure, "peak_gflops", lambda: 100.0)
    monkeypatch.setattr(measure, "share_of_cores", lambda: 1.0)
    monkeypatch.setattr(ladder, "pytorch_gflops", lambda: 50.0)


def test_the_table_has_a_line_for_every_step(mcnn):
    code, out, err = mcnn("race", "ladder")
    assert code == 0, err
    assert "100 GFLOP/s in registers" in out and "PyTorch: 50 GFLOP/s" in out
    rows = re.split(r"^(?=step\d)|^(?=The factor)", out, flags=re.MULTILINE)[1:-1]
    assert [row.split()[0] for row in rows] == list(steps.STEPS)
    for row, reason in zip(rows, steps.STEPS.values(), strict=True):
        assert " ".join(row.split()).endswith(reason)
    assert [" x " in row for row in rows] == [False] + [True] * (len(rows) - 1)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(("share", "busy"), [(0.5, True), (0.95, False)])
def test_it_says_when_other_programs_make_the_figures_too_low(mcnn, monkeypatch, share, busy):
    monkeypatch.setattr(measure, "share_of_cores", lambda: share)
    _, out, _ = mcnn("race", "ladder")
    assert ("other programs are running" in out) == busy


def test_shares_and_factors_follow_from_the_speeds(mcnn):
    code, out, _ = mcnn("race", "ladder", "--json", "--threads", 1)
    answer = json.loads(out)
    assert code == 0 and answer["peak_gflops"] == 100 and answer["pytorch_gflops"] == 50 and answer["blas_gflops"] > 0
    before = None
    for row in answer["steps"]:
        assert row["gflops"] > 0 and row["threads"] == 1
        assert row["share_of_peak"] == row["gflops"] / 100 and row["share_of_pytorch"] == row["gflops"] / 50
        assert row["factor"] == (row["gflops"] / before if before else None)
        before = row["gflops"]


def test_without_pytorch_its_column_is_empty(mcnn, monkeypatch):
    monkeypatch.setattr(ladder, "pytorch_gflops", lambda: None)
    code, out, _ = mcnn("race", "ladder")
    assert code == 0 and "PyTorch: not installed" in out
    assert re.search(r"^step1_loops +1 +[0-9.]+ +[0-9.]+% +-$", out, re.MULTILINE)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--batch", 2), "leave out --batch - the layer of the ladder is fixed"),
        (("--padding", 0), "leave out --padding - the layer of the ladder is fixed"),
        (("--own", "mine.py"), "leave out --own - the layer of the ladder is fixed"),
        (("--threads", 100_000), "--threads - set_num_threads: count - expected 1 to"),
    ],
)
def test_bad_input(mcnn, words, message):
    code, out, err = mcnn("race", "ladder", *words)
    assert code == 2 and not out and message in err


def test_without_a_compiler_it_says_what_to_do(mcnn, monkeypatch):
    monkeypatch.setattr(ladder.kernels.runtime.jit, "jit_enabled", lambda: False)
    code, _, err = mcnn("race", "ladder")
    assert code == 2 and "unset NUMBA_DISABLE_JIT and repeat - expected a compiler, got plain Python" in err


def test_the_code_that_does_the_same_runs(mcnn, capsys):
    code, out, _ = mcnn("race", "ladder", "--show-code")
    assert code == 0
    exec(compile(out.replace("(4, 32, 128)", "(1, 3, 4)"), "shown", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(steps.STEPS)
    assert sys.modules["minitorch_kernels.ladder"] is steps
