"""A network of one's own from its first training to every command, by FILE:NAME."""

import json
import sys

import pytest
from PIL import Image

from minitorch_cnn import data, train

OWN = """
from minitorch_cnn import nn

class Net(nn.Sequential):
    def __init__(self, num_classes=10):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, num_classes))

def broken():
    raise ValueError("not today")
"""


@pytest.fixture
def own_run(mcnn, own_folder):
    (own_folder / "own.py").write_text(OWN)
    Image.fromarray(data.Shapes10(train=False).images[0]).save("image.png")
    words = ("--recipe", "mlp", "--data", "shapes10", "--epochs", 1, "--workers", 0, "--run", "run")
    code, out, err = mcnn("train", "--model", "own.py:Net", *words)
    assert code == 0, err
    forget_own_files()
    return "run"


def forget_own_files():
    """Make this process like a new one, which has not run the file yet."""
    for name in [name for name in sys.modules if name.endswith("own.py")]:
        del sys.modules[name]


def test_a_run_of_ones_own_network_is_used_by_every_command(mcnn, own_run):
    with open("run/result.json") as file:
        assert json.load(file)["model"] == "own.py:Net"
    named = ("--model", own_run, "--network", "own.py:Net")
    for words in (
        ("predict", "image.png"),
        ("eval",),
        ("explain", "filters"),
        ("explain", "maps", "image.png", "--layer", "0"),
        ("explain", "gradcam", "image.png", "--target", "disk"),
    ):
        code, out, err = mcnn(*words, *named)
        assert code == 0 and out and not err, (words, err)
    forget_own_files()
    code, _, err = mcnn("predict", "image.png", "--model", own_run)
    assert code == 2 and err.startswith("mcnn predict: name your network by --network FILE:NAME, such as own.py:Net")


def test_a_run_of_ones_own_network_goes_on(mcnn, own_run):
    (train.RunFolder(own_run).result).unlink()
    code, _, err = mcnn("train", "--resume", own_run)
    assert code == 2 and "name your network by --model FILE:NAME" in err
    code, out, err = mcnn("train", "--resume", own_run, "--model", "own.py:Net")
    assert code == 0 and out.startswith("test accuracy"), err


def test_networks_by_file_and_by_run_where_a_name_is_expected(mcnn, own_run):
    for words in (("summary",), ("topology",), ("explain", "growth"), ("explain", "graph")):
        code, out, err = mcnn(*words, "own.py:Net")
        assert code == 0 and out and not err, (words, err)
    code, out, err = mcnn("explain", "field", "own.py:Net", "0", 1, 1, "--images", 0)
    assert code == 0 and out, err


def test_a_run_where_a_name_is_expected(mcnn, trained):
    code, out, err = mcnn("summary", trained)
    assert code == 0 and "parameters   1,707,274" in out and not err
    code, _, err = mcnn("summary", trained, "--classes", 3)
    assert code == 2 and "leave out the sizes" in err


@pytest.mark.parametrize(
    "name, message",
    [
        ("own.py:broken", "got ValueError: not today"),
        ("own.py:absent", "expected a class or function 'absent' in own.py"),
        ("absent.py:Net", "expected FILE:NAME of a Python file, got 'absent.py:Net'"),
    ],
)
def test_what_makes_no_network(mcnn, own_folder, name, message):
    (own_folder / "own.py").write_text(OWN)
    for words in (("summary", name), ("train", "--data", "shapes10", "--model", name)):
        code, out, err = mcnn(*words)
        assert code == 2 and not out and message in err and "Traceback" not in err
