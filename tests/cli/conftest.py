"""Commands in this process, in a folder of their own, on few images."""

import os
import shutil
import signal

import pytest

from minitorch_cnn import data
from minitorch_cnn.cli import main
from minitorch_cnn.data import shapes10
from minitorch_cnn.processes import ASK_TO_STOP
from minitorch_kernels.runtime import cache


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Run in a new folder without any CIFAR-10, and draw 256 shapes for training and 64 for testing."""
    home = tmp_path / "home"
    home.mkdir()
    if (
        os.name == "posix" and cache.cache_folder() is not None
    ):  # a process that a test starts should find what others have compiled
        (home / "kernels").symlink_to(cache.cache_folder().parent)
    monkeypatch.setenv("MCNN_HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def few(train=True, size=None):
        return shapes10.Shapes10(train=train, size=size or (256 if train else 64))

    monkeypatch.setattr(data, "Shapes10", few)
    handler = signal.getsignal(ASK_TO_STOP)
    yield tmp_path
    signal.signal(ASK_TO_STOP, handler)  # a training that stops, ignores the signal from then on


@pytest.fixture
def mcnn(capsys):
    """Return a function that runs a command line: (exit code, standard output, standard error)."""

    def run(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """Return a folder to which the first test that needs a finished run copies it, for all others."""
    return tmp_path_factory.mktemp("finished") / "run"


@pytest.fixture
def trained(mcnn, finished_run):
    """Return the folder of a finished run."""
    if finished_run.exists():
        shutil.copytree(finished_run, "run")
        return "run"
    code, _, err = mcnn("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", 1, "--run", "run", "--workers", 0)
    assert code == 0, err
    shutil.copytree("run", finished_run)
    return "run"
