"""Commands in a process of their own, with surroundings that a test chooses, on few images."""

import os
import subprocess
import sys

import pytest

from minitorch_cnn.processes import module_environment
from minitorch_kernels.runtime import cache

# `mcnn`, with 256 shapes for training and 32 for testing.
PROGRAM = """
import sys
from minitorch_cnn import data
from minitorch_cnn.cli import main
from minitorch_cnn.data import shapes10
data.Shapes10 = lambda train=True: shapes10.Shapes10(train=train, size=256 if train else 32)
sys.exit(main())
"""
TRAIN = ("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", "2", "--workers", "0", "--run", "run")


class Surroundings:
    """Starts processes in a folder, with the kernels that other tests have compiled."""

    def __init__(self, folder):
        self.folder, self.home = folder, folder / "home"
        self.home.mkdir()
        if cache.cache_folder() is not None:
            (self.home / "kernels").symlink_to(cache.cache_folder().parent)

    def start(self, *words, options=(), code=PROGRAM, variables=None, **popen):
        """Start ``mcnn words``, or other Python code; ``options`` are Python's own."""
        environment = module_environment(MCNN_HOME=str(self.home)) | (variables or {})
        environment = {name: value for name, value in environment.items() if value is not None}
        popen = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": self.folder} | popen
        command = [sys.executable, *options, "-c", code, *words]
        return subprocess.Popen(command, env=environment, text=True, encoding="utf-8", **popen)

    def run(self, *words, **options):
        """Run it to the end."""
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture
def around(tmp_path):
    """Return the `Surroundings` of a new folder."""
    return Surroundings(tmp_path)


@pytest.fixture
def full_device():
    """Return a device on which every write says that the disk is full."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as device:
        yield device
