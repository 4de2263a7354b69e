"""A network of the user's own from its first training to every command, by FILE:NAME."""

import json
import sys

import pytest
from PIL import Image

from minitorch_cnn import data, train
from minitorch_cnn.models import own

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
    assert code == 0 and ": own.py:Net by mlp on shapes10, 1 epoch in " in out, err
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


def test_a_run_alone_is_enough_for_the_file_that_was_trained(mcnn, own_run, own_folder):
    alone = ("--model", own_run)
    for words in (
        ("predict", "image.png", *alone),
        ("eval", *alone),
        ("explain", "filters", *alone),
        ("explain", "maps", "image.png", *alone),
        ("explain", "patches", "0", "--count", 20, *alone),
        ("explain", "saliency", "image.png", *alone),
        ("explain", "occlusion", "image.png", *alone),
        ("explain", "gradcam", "image.png", *alone),
        ("summary", own_run),
        ("topology", own_run),
        ("explain", "graph", own_run),
        ("explain", "growth", own_run),
        ("explain", "field", own_run, "0", 1, 1, "--images", 0),
    ):
        forget_own_files()
        code, out, err = mcnn(*words)
        assert code == 0 and out and not err, (words, err)


def test_after_a_move_the_file_of_the_same_name_here_is_taken(mcnn, own_run, own_folder, monkeypatch):
    answer = mcnn("predict", "image.png", "--model", own_run)
    moved = own_folder / "moved"
    moved.mkdir()
    for name in ("own.py", "run", "image.png"):
        (own_folder / name).rename(moved / name)
    monkeypatch.chdir(moved)
    forget_own_files()
    assert mcnn("predict", "image.png", "--model", own_run) == answer


@pytest.mark.parametrize("change", ["edited", "gone", "never run here"])
def test_other_code_runs_only_where_it_is_named(mcnn, own_run, own_folder, monkeypatch, change):
    file = own_folder / "own.py"
    if change == "edited":
        file.write_text(OWN + "\nprint('this ran')\n")
    elif change == "gone":
        file.rename(own_folder / "other.py")
    else:
        monkeypatch.setattr(own, "_note", lambda digest: own_folder / "nothing" / digest)
    code, out, err = mcnn("predict", "image.png", "--model", own_run)
    assert code == 2 and not out and f"name your network by --network FILE:NAME, such as {file}:Net" in err
    why = {"gone": "its file is no longer at"}.get(change, "its file has changed since the run, or you have not run it")
    assert why in err and "Traceback" not in err
    name = "other.py:Net" if change == "gone" else "own.py:Net"
    code, out, err = mcnn("predict", "image.png", "--model", own_run, "--network", name)
    assert code == 0 and "image.png" in out, err
    pytest.importorskip("markdown_it")
    (own_folder / "deck").mkdir()
    (own_folder / "deck" / "a.md").write_text('# A\n\n```figure filters\nnetwork = "mine"\n```\n')
    (own_folder / "deck" / "deck.toml").write_text('[networks]\nmine = "../run"\n')
    forget_own_files()
    if change != "never run here":  # by now it has been
        code, _, err = mcnn("lecture", "build", "deck")
        place = "mcnn lecture build: deck.toml:2: networks: mine"
        assert code == 2 and f"{place} - expected --network mine={file}:Net, got none: {why}" in err
    code, out, err = mcnn("lecture", "build", "deck", "--network", f"mine={name}")
    assert code == 0 and "1 slides" in out, err


def test_a_run_of_ones_own_network_goes_on(mcnn, own_run):
    (train.RunFolder(own_run).result).unlink()
    code, out, err = mcnn("train", "--resume", own_run)
    assert code == 0 and out.startswith("test accuracy"), err


def test_a_run_goes_on_with_a_network_that_is_named(mcnn, own_run, own_folder):
    (train.RunFolder(own_run).result).unlink()
    (own_folder / "own.py").rename(own_folder / "other.py")
    code, _, err = mcnn("train", "--resume", own_run)
    assert code == 2 and "name your network by --model FILE:NAME" in err
    code, out, err = mcnn("train", "--resume", own_run, "--model", "other.py:Net")
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
        ("absent.py:Net", "of a Python file, got 'absent.py:Net'; there is no file absent.py"),
    ],
)
def test_what_makes_no_network(mcnn, own_folder, name, message):
    (own_folder / "own.py").write_text(OWN)
    for words in (("summary", name), ("train", "--data", "shapes10", "--model", name)):
        code, out, err = mcnn(*words)
        assert code == 2 and not out and message in err and "Traceback" not in err
