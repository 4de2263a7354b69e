"""`mcnn runs`."""

import os

import pytest


@pytest.mark.slow
def test_runs_are_listed_and_compared(mcnn, trained):
    assert mcnn("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", 1, "--seed", 1, "--workers", 0)[0] == 0
    os.mkdir("runs/other")
    code, out, err = mcnn("runs")
    assert code == 0 and out.splitlines()[1].startswith("mlp-1  mlp    shapes10       1")
    assert f"left out: {os.path.join('runs', 'other')} - expected the folder of a run" in err
    assert not os.path.exists("runs.png")
    code, out, err = mcnn("runs", trained, "runs/mlp-1")
    assert code == 0 and "setting  run  mlp-1\nseed     0    1\n" in out
    assert "wrote runs.png" in err and os.path.exists("runs.png")
    assert mcnn("runs", "-o", "all.svg")[0] == 0 and os.path.exists("all.svg")


def test_what_is_wrong_is_said(mcnn):
    code, _, err = mcnn("runs")
    assert code == 2 and "name a folder of runs: there is no folder runs here" in err
    assert mcnn("runs", "nothing")[0] == 2
    assert mcnn("runs", "")[2].startswith("mcnn runs: argument FOLDER: expected a value, got ''")
    assert "compare: folders - expected two different runs" in mcnn("runs", "a", "a")[2]
    assert "ends in .png or .svg" in mcnn("runs", "a", "b", "-o", "a.txt")[2]
