"""How long until the first training step of cifar4 is done: the import alone, with compiled kernels, and without.

    python benchmarks/warmup.py --peer torch

Every sample is a new process. "cold" has an empty folder for compiled kernels, and compiles them in one process, as
they are needed; its CPU time is a line of its own, and hardly depends on what else runs. "ahead" has an empty folder
too, and compiles in as many processes as there are cores, as `mcnn train` does. PyTorch's import and first step stand
beside ours. Python keeps the bytecode of both, as it does after every installation.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import _race

BEGIN = """
import numpy as np
import minitorch_cnn as mt
from minitorch_cnn import Tensor, models, nn, ops, optim
model = nn.fuse(models.create("cifar4"))
"""
AHEAD = "mt.compile(model, (128, 3, 32, 32))\n"
STEP = """
optimizer = optim.Adam(model.parameters(), lr=1e-3)
x = Tensor(np.zeros((128, 3, 32, 32), np.float32))
ops.cross_entropy(model(x), np.zeros(128, int)).backward()
optimizer.step()
"""
TORCH_STEP = """
import torch
import _peers
model = _peers.torch_cifar4(torch)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
x = torch.zeros(128, 3, 32, 32)
torch.nn.functional.cross_entropy(model(x), torch.zeros(128, dtype=torch.long)).backward()
optimizer.step()
"""
LAZY = "import minitorch_cnn, sys; assert not {'numba', 'matplotlib'} & set(sys.modules)"


def seconds(code, **environment):
    """Return (wall time, CPU time) of a new process that runs some code, from its start to its end."""
    path = os.pathsep.join([str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "", **environment}
    start, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)
    wall, now = time.perf_counter() - start, os.times()
    return wall, now.children_user + now.children_system - before.children_user - before.children_system


def ours(options):
    """Measure the import, first steps with an empty folder of kernels, and one more."""

    def measure():
        times = {"import": seconds(LAZY)[0]}
        with tempfile.TemporaryDirectory() as home:
            times["first step, ahead"] = seconds(BEGIN + AHEAD + STEP, MCNN_HOME=home)[0]
            times["first step, warm"] = seconds(BEGIN + STEP, MCNN_HOME=home)[0]
        with tempfile.TemporaryDirectory() as home:
            times["first step, cold"], times["first step, cold, CPU"] = seconds(BEGIN + STEP, MCNN_HOME=home)
        return times

    return measure


def torch_side(options):
    """Measure PyTorch's import and first step, which needs no compilation."""

    def measure():
        step, used = seconds(TORCH_STEP)
        times = dict.fromkeys(("first step, ahead", "first step, warm", "first step, cold"), step)
        return {"import": seconds("import torch")[0], **times, "first step, cold, CPU": used}

    return measure


def main():
    """Measure and report."""
    options = _race.parser(__doc__, rounds=3).parse_args()
    _race.run("warmup", options, {_race.OURS: ours, "torch nchw": torch_side}, warm_up=0)


if __name__ == "__main__":
    main()
