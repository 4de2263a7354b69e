"""`mcnn summary`."""

import json
import re

import pytest


def test_the_table(mcnn):
    code, out, err = mcnn("summary", "cifar4")
    assert code == 0 and not err
    assert "parameters   1,557,066" in out and "58,397,696" in out and "sees 46 pixels" in out


def test_json(mcnn):
    code, out, _ = mcnn("summary", "resnet18", "--classes", 10, "--image-size", 64, "--in-channels", 1, "--json")
    answer = json.loads(out)
    assert code == 0 and answer["input_shape"] == [1, 1, 64, 64] and answer["receptive_field"] == [435, 435]
    assert answer["layers"][0] == {
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
        (("resnet19",), "mcnn summary: NAME - expected one of alexnet, .*, got 'resnet19'; did you mean 'resnet"),
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
