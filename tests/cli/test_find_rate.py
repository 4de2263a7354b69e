"""`mcnn train --find-lr`."""

import os

import pytest

from minitorch_cnn import train

SHORT = ("train", "--recipe", "mlp", "--data", "shapes10", "--workers", 0)


@pytest.fixture
def found(monkeypatch):
    """Return a result that the search is made to give."""
    made = train.FoundRate(0.02, "the loss falls", [0.01, 0.02, 0.03], [2.0, 1.0, 3.0], [2.0, 1.5, 2.5], "mlp")
    trainers = []
    monkeypatch.setattr(train, "find_rate", lambda trainer, on_step: trainers.append(trainer) or on_step(3, 3) or made)
    return made, trainers


def test_a_rate_is_named_with_what_to_do(mcnn, found):
    code, out, err = mcnn(*SHORT, "--find-lr")
    assert code == 0 and out == "learning rate 0.02 (now 0.001): the loss falls; see learning-rate.png\n"
    assert "write --lr 0.02 in the place of --find-lr" in err
    assert os.path.exists("learning-rate.png") and not os.path.exists("runs")
    assert found[1][0].recipe.name == "mlp"


def test_the_reason_is_told_where_no_rate_is_found(mcnn, monkeypatch):
    made = train.FoundRate(None, "nothing fell", [], [], [], "mlp")
    monkeypatch.setattr(train, "find_rate", lambda trainer, on_step: made)
    code, out, err = mcnn(*SHORT, "--find-lr", "a.svg")
    assert code == 1 and out == "" and "no learning rate can be named: nothing fell; see a.svg" in err


@pytest.mark.parametrize("words", [("--lr", 0.1), ("--run", "a"), ("--resume", "a"), ("--tensorboard",)])
def test_options_that_make_no_sense_with_it(mcnn, words):
    code, _, err = mcnn(*SHORT, "--find-lr", "a.png", *words)
    assert code == 2 and f"leave out {words[0]}: --find-lr looks for a rate" in err


def test_the_chart_is_checked_before_the_work(mcnn):
    assert "expected a file name that ends in .png or .svg" in mcnn(*SHORT, "--find-lr", "a.txt")[2]


def test_code_is_shown(mcnn):
    code, out, _ = mcnn(*SHORT, "--find-lr", "--show-code", "--threads", 1)
    assert code == 0 and "found = train.find_rate(trainer)" in out and "set_num_threads(1)" in out
    compile(out, "shown", "exec")
