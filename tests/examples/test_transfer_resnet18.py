"""The table of transfer learning, on a few images of twelve pixels."""

import importlib.util
import pathlib
import sys

import pytest

from minitorch_cnn import models, rng, weights
from minitorch_cnn.data import shapes10

PROGRAM = pathlib.Path(__file__).parents[2] / "examples" / "transfer_resnet18.py"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that runs the program on 128 shapes with ResNet-18's weights for 4 classes."""
    spec = importlib.util.spec_from_file_location("transfer_resnet18", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = shapes10.Shapes10
    monkeypatch.setattr(module.data, "Shapes10", lambda train: drawn(train=train, size=128 if train else 32))
    monkeypatch.chdir(tmp_path)
    rng.manual_seed(0)
    weights.save_pth("r18.pth", models.create("resnet18", num_classes=4).state_dict())

    def run(*words):
        shared = ("--data", "shapes10", "--weights", "r18.pth", "--image-size", "32", "--epochs", "1")
        monkeypatch.setattr(sys, "argv", ["transfer_resnet18.py", *shared, *words])
        module.main()

    return run


@pytest.mark.slow
def test_the_table_has_a_line_a_run_and_is_not_computed_twice(program, capsys):
    program()
    first, log = capsys.readouterr()
    assert [line.split()[0] for line in first.splitlines()] == ["run", "scratch", "head", "fine"]
    assert "running the frozen layers once over 128 images" in log
    program()
    assert capsys.readouterr() == (first, "")


def test_one_run_alone(program, capsys, tmp_path):
    program("--only", "head", "--run", "r")
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert [path.name for path in (tmp_path / "r").iterdir()] == ["head"]


def test_a_folder_that_is_not_there(program, capsys):
    with pytest.raises(SystemExit):
        program("--data", "nowhere")
    assert "--data - expected shapes10 or a folder, got 'nowhere'" in capsys.readouterr().err
