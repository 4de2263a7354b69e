"""`mcnn summary` and `mcnn topology`."""

import json
import re

import pytest

from minitorch_cnn import explain
from minitorch_cnn.display import figures


def test_the_table(mcnn):
    code, out, err = mcnn("summary", "cifar4")
    assert code == 0 and not err
    assert "parameters   1,557,066" in out and "58,397,696" in out and "sees 46 pixels" in out


def test_json(mcnn):
    code, out, _ = mcnn("summary", "resnet18", "--classes", 10, "--image-size", 64, "--in-channels", 1, "--json")
    answer = json.loads(out)
    assert code == 0 and answer["input_shape"] == [1, 1, 64, 64] and answer["receptive_field"] == [435, 435]
    first = answer["layers"][0]
    assert list(first.pop("algorithm")) == ["forward", "backward_input", "backward_weight"]
    assert first == {
        "name": "conv1",
        "type": "Conv2d",
        "output_shape": [1, 64, 32, 32],
        "params": 64 * 49,
        "macs": 64 * 49 * 32 * 32,
        "flops": 2 * 64 * 49 * 32 * 32,
        "activation_bytes": 64 * 32 * 32 * 4,
        "receptive_field": [7, 7],
        "jump": [2, 2],
        "frozen": False,
    }
    assert answer["layers"][-1]["output_shape"] == [1, 10]


@pytest.mark.parametrize(
    "words, message",
    [
        (("resnet19",), "mcnn summary: no network is called 'resnet19'; did you mean 'resnet9'"),
        (("vgg_a", "--image-size", 16), "mcnn summary: VGG: image_size - expected at least 32"),
    ],
)
def test_bad_input(mcnn, words, message):
    code, out, err = mcnn("summary", *words)
    assert code == 2 and not out
    assert re.search(message, err)


def test_the_code_that_does_the_same_runs(mcnn, capsys):
    _, shown, _ = mcnn("summary", "lenet5", "--classes", 3, "--show-code")
    exec(compile(shown, "shown", "exec"), {})
    assert capsys.readouterr().out == mcnn("summary", "lenet5", "--classes", 3)[1]


# ---------------------------------------------------------------------------------- topology


def test_a_topology_as_text_and_as_a_picture(mcnn, own_folder):
    code, out, _ = mcnn("topology", "lenet5")
    assert code == 0 and out.startswith("lenet5\n   0  input") and out.endswith("then 3 fully connected layers\n")
    for kind, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
        code, out, err = mcnn("topology", "resnet20", "--classes", 4, "-o", f"r.{kind}")
        assert (code, out, err) == (0, "", f"wrote r.{kind}\n")
        assert (own_folder / f"r.{kind}").read_bytes().startswith(start)


def test_the_poster_and_the_chart(mcnn, own_folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(explain, "poster", lambda: drawn.append("poster") or figures.blank())
    monkeypatch.setattr(explain, "efficiency", lambda: drawn.append("efficiency") or figures.blank())
    for name in ("poster", "efficiency"):
        assert mcnn("topology", f"--{name}", "-o", f"{name}.png")[0] == 0
        assert (own_folder / f"{name}.png").exists()
    assert drawn == ["poster", "efficiency"]


@pytest.mark.parametrize(
    "words, message",
    [
        ((), "give one of NAME, --poster and --efficiency"),
        (("lenet5", "--poster"), "give one of NAME, --poster and --efficiency"),
        (("--poster",), "add -o FILE.png or .svg or .pdf: --poster is a picture"),
        (("lenet5", "-o", "a.jpg"), "-o - expected a file name that ends in .png or .svg or .pdf, got 'a.jpg'"),
        (("lenet6",), "no network is called 'lenet6'; did you mean 'lenet5'? `mcnn list`"),
        (("vgg_a", "--image-size", 16), "mcnn topology: VGG: image_size - expected at least 32"),
        (("lenet5", "-o", "nowhere/a.png"), "make the folder 'nowhere' first"),
    ],
)
def test_what_cannot_be_drawn(mcnn, words, message):
    code, out, err = mcnn("topology", *words)
    assert code == 2 and not out and message in err and "Traceback" not in err


def test_the_code_of_a_topology_draws_the_same(mcnn, own_folder):
    for words in (("lenet5", "-o", "a.svg"), ("lenet5",)):
        code, text, _ = mcnn("topology", *words, "--show-code")
        assert code == 0
        exec(text, {})
    drawn = (own_folder / "a.svg").read_bytes()
    assert mcnn("topology", "lenet5", "-o", "a.svg")[0] == 0
    assert (own_folder / "a.svg").read_bytes() == drawn
    assert "figures.save(explain.poster(), 'p.png')" in mcnn("topology", "--poster", "-o", "p.png", "--show-code")[1]
