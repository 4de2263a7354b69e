"""`mcnn race conv`: every algorithm measured on the same convolution, a user's own among them."""

import json
import re

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops
from minitorch_cnn.cli import race
from minitorch_cnn.diagnose import measure
from minitorch_cnn.ops import conv_algorithms
from minitorch_cnn.shapes import nchw

SMALL = ("--batch", 2, "--channels", 3, "--filters", 4, "--size", 6)
OWN = """
import numpy as np

def by_shifts(x, weight, bias, *, stride, padding, dilation, groups):
    x = np.pad(x, ((0, 0), (0, 0), padding[:2], padding[2:]))
    height, width = x.shape[2] - weight.shape[2] + 1, x.shape[3] - weight.shape[3] + 1
    out = 0
    for u, v in np.ndindex(weight.shape[2:]):
        out = out + np.einsum("nchw,oc->nohw", x[:, :, u : u + height, v : v + width], weight[:, :, u, v])
    return out

def forward(*arguments, **hyper):
    return 2 * by_shifts(*arguments, **hyper)

def infinite(*arguments, **hyper):
    return np.inf * by_shifts(*arguments, **hyper)

def of_another_shape(x, weight, bias, **hyper):
    return x

def broken(*arguments, **hyper):
    raise KeyError("oops")
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(conv_algorithms, "_registered", {})  # other tests' own ones
    monkeypatch.setattr(race, "_SECONDS", 0.0)
    monkeypatch.setattr(measure, "peak_gflops", lambda: 100.0)


@pytest.fixture
def own(tmp_path):
    """Return a function that races a function of a user's file, and returns its results."""
    (tmp_path / "mine.py").write_text(OWN)

    def run(mcnn, name, code=0):
        got, out, err = mcnn("race", "conv", *SMALL, "--json", "--own", f"{tmp_path}/mine.py{name}")
        assert got == code, err
        return json.loads(out)["results"]["own"]

    return run


def test_the_table(mcnn):
    code, out, err = mcnn("race", "conv", *SMALL)
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "images (2, 3, 6, 6), filters (4, 3, 3, 3), stride 1, padding 1"
    assert "100 GFLOP/s" in lines[1]
    assert [line.split()[0] for line in lines[4:8]] == ["reference", "im2col", "direct", "winograd"]
    assert all(len(line.split()) == 11 for line in lines[4:8])


def test_it_tells_what_a_network_takes_and_what_ran(mcnn):
    x, weight = Tensor.like_shape((2, 3, 6, 6)), Tensor.like_shape((4, 3, 3, 3))
    told = ops.conv_algorithm(x, weight, padding=1)
    _, out, _ = mcnn("race", "conv", *SMALL)
    expected = [f"{which} {name}: {reason}" for which, (name, reason) in zip(race.PASSES, told, strict=True)]
    assert [" ".join(line.split()) for line in out.splitlines()[9:]] == expected
    answer = json.loads(mcnn("race", "conv", *SMALL, "--json")[1])
    assert [(one["algorithm"], one["reason"]) for one in answer["auto"].values()] == list(map(tuple, told))
    ran = {name: result["forward"]["kernel"] for name, result in answer["results"].items()}
    named = ops.conv_algorithm(x, weight, padding=1, algorithm="direct")
    assert ran == {"reference": "reference", "im2col": "im2col", "direct": named.forward.name, "winograd": "winograd"}


def test_json_holds_what_was_measured(mcnn):
    code, out, _ = mcnn("race", "conv", *SMALL, "--stride", 3, "--json")
    answer = json.loads(out)
    assert code == 0 and answer["peak_gflops"] == 100
    assert "expected 3 x 3 filters with stride 1 or 2" in answer["results"]["winograd"]["failure"]
    for which in race.PASSES:
        cell = answer["results"]["direct"][which]
        work = 2 * 2 * 4 * 3 * 3 * 3 * 4  # batch, filters, channels, kernel, 2 x 2 outputs
        assert cell["gflops"] == pytest.approx(work / (cell["ms"] / 1e3) / 1e9)
        assert 0 < cell["error"] < 1e-5


@pytest.mark.parametrize("hyper", [{"stride": (1, 1), "padding": (0,) * 4}, {"stride": (2, 2), "padding": (1,) * 4}])
def test_a_right_algorithm_is_right_for_one_output_and_for_zeros_alone(hyper):
    x, weight = (np.full((1, 1, 1, 1), 2, np.float32) for _ in range(2))
    result = race.race(x, weight, ["im2col"], **hyper, dilation=(1, 1), groups=1)["im2col"]
    assert "wrong" not in result and all(result[which]["error"] == 0 for which in race.PASSES)


def test_json_has_no_infinity(mcnn, own):
    wrong = own(mcnn, ":infinite", code=1)
    assert wrong["forward"]["error"] is None and wrong["wrong"]


def test_the_loops_run_on_a_part_and_the_rest_is_estimated():
    rng = np.random.default_rng(0)
    x, weight = nchw(rng.standard_normal((8, 20, 20, 16), np.float32)), rng.standard_normal((9, 16, 3, 3), np.float32)
    hyper = {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    image, filters = race._part(x, weight, hyper)
    assert len(image) == 1 and image.shape[1] == filters.shape[1]
    products = filters.size * 18 * 18
    assert 0.5 * race._LOOP_PRODUCTS < products <= race._LOOP_PRODUCTS
    measured = race.race(x, weight, ["reference"], **hyper)["reference"]["forward"]
    assert measured["ms"] / 1e3 * measured["gflops"] * 1e9 == pytest.approx(2 * 8 * 18 * 18 * weight.size)


def test_a_users_own_function_joins(mcnn, own):
    result = own(mcnn, ":by_shifts")
    assert result["forward"]["error"] < 1e-5 and "wrong" not in result
    assert "weight gradient" not in result  # it has none of its own


def test_an_own_function_that_is_wrong_shows_its_error(mcnn, own):
    wrong = own(mcnn, "", code=1)
    assert wrong["forward"]["error"] > 0.5 and wrong["wrong"]
    other = own(mcnn, ":of_another_shape", code=1)["failure"]
    assert "forward - expected shape (2, 4, 6, 6), got (2, 3, 6, 6)" in other
    assert own(mcnn, ":broken", code=1)["failure"] == "KeyError: 'oops'"


@pytest.mark.parametrize(
    "words, message",
    [
        (("--own", "none.py"), "--own - expected FILE:NAME of a Python file, got 'none.py:forward'"),
        (("--own", "."), "--own - expected FILE:NAME of a Python file, got '.:forward'"),
        (("--own", f"{__file__}:nothing"), "--own - expected a class or function 'nothing' in .*, got none"),
        (("--kernel", 9), "--kernel - expected at most the padded size of the images, 8, got 9"),
        (("--threads", 100_000), "--threads - set_num_threads: count - expected 1 to"),
    ],
)
def test_bad_input(mcnn, words, message):
    code, out, err = mcnn("race", "conv", *SMALL, *words)
    assert code == 2 and not out
    assert re.search(message, err)


def test_the_code_that_does_the_same_runs(mcnn, capsys):
    code, out, _ = mcnn("race", "conv", *SMALL, "--show-code")
    assert code == 0
    exec(compile(out, "shown", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["im2col", "direct", "winograd"]
