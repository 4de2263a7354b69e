"""How long until the first training step of cifar4 is done: the import alone, with compiled kernels, and without.

    python benchmarks/warmup.py --peer torch

Every sample is a new process; "cold" has an empty folder for compiled kernels. PyTorch's import and
first step stand beside ours.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import _race

STEP = """
import numpy as np
import minitorch_cnn as mt
from minitorch_cnn import Tensor, models, nn, ops, optim
model = nn.fuse(models.create("cifar4"))
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
    """Return how long a new process takes to run some code, less what an empty one takes."""
    times = []
    for program in ("pass", code):
        start = time.perf_counter()
        _run(program, environment)
        times.append(time.perf_counter() - start)
    return times[1] - times[0]


def _run(program, environment):
    path = os.pathsep.join([str(pathlib.Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path, **environment}, check=True)


def ours(options):
    """Measure the import, a first step with an empty folder of kernels, and one more."""

    def measure():
        times = {"import": seconds(LAZY)}
        with tempfile.TemporaryDirectory() as home:
            for case in ("first step, cold", "first step, warm"):
                times[case] = seconds(STEP, MCNN_HOME=home)
        return times

    return measure


def torch_side(options):
    """Measure PyTorch's import and first step, which needs no compilation."""

    def measure():
        step = seconds(TORCH_STEP)
        return {"import": seconds("import torch"), "first step, cold": step, "first step, warm": step}

    return measure


def main():
    """Measure and report."""
    options = _race.parser(__doc__, rounds=3).parse_args()
    _race.run("warmup", options, {_race.OURS: ours, "torch nchw": torch_side}, warm_up=0)


if __name__ == "__main__":
    main()
