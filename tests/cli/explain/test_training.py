"""`mcnn explain graph`, `shift` and `shortcuts`."""

import re

import pytest


def test_the_graph_and_the_story_of_a_network(mcnn, own_folder):
    code, out, err = mcnn("explain", "graph", "lenet5")
    assert code == 0 and not err and out.splitlines()[0].split()[:4] == ["0", "Conv2d", "in", "conv1"]
    code, out, _ = mcnn("explain", "graph", "lenet5", "--backward")
    assert code == 0 and out.startswith("1. Mean\n     incoming  scalar, norm 1: 1")
    assert mcnn("explain", "graph", "lenet5", "-o", "graph.png")[0] == 0
    assert (own_folder / "graph.png").read_bytes().startswith(b"\x89PNG")


def test_the_measurements(mcnn):
    code, out, _ = mcnn("explain", "shift", "--pixels", 2)
    assert code == 0 and "2 pixels" in out and "3 pixels" not in out
    code, out, _ = mcnn("explain", "shortcuts", "--depths", 8)
    assert code == 0 and re.search(r"^dense +8 ", out, re.MULTILINE)


@pytest.mark.parametrize(
    "words, message",
    [
        (("graph", "lenet6"), "mcnn explain graph: no network is called 'lenet6'"),
        (("graph", "lenet5", "--backward", "-o", "a.png"), "leave out -o: --backward prints text"),
        (("shortcuts", "--depths", 9), r"depth - expected 6n \+ 2, at least 8, got 9"),
        (("shift", "--pixels", 0), "--pixels: expected an integer of at least 1"),
        (("shift", "--pixels", 1, "-o", "a.gif"), "expected a file name that ends in .png or .svg"),
    ],
)
def test_bad_input(mcnn, words, message):
    code, out, err = mcnn("explain", *words)
    assert code == 2 and not out
    assert re.search(message, err)


@pytest.mark.parametrize(
    "words", [("graph", "lenet5"), ("graph", "lenet5", "--backward"), ("shift",), ("shortcuts", "--depths", 8)]
)
def test_the_code_that_does_the_same_runs(mcnn, capsys, words):
    _, shown, _ = mcnn("explain", *words, "--show-code")
    exec(compile(shown, "shown", "exec"), {})
    assert capsys.readouterr().out == mcnn("explain", *words)[1]
