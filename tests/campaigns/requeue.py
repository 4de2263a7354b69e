"""Interrupt a training at fifty random moments: begun again each time, it must end with the bits of an undisturbed run.

    python tests/campaigns/requeue.py --times 50 --ranks 2

Two kinds of interruption, one after the other. "kill": a random rank is killed, and `mcnn launch` restarts all of them.
"term": the launcher itself gets SIGTERM, as from a scheduler that wants the machine back, saves, and is started again
by the same command.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

NETWORK = """
from minitorch_cnn import nn


class Net(nn.Sequential):
    def __init__(self, num_classes, in_channels):
        body = nn.Conv2d(in_channels, 4, 3, stride=4, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)
        super().__init__(*body, nn.GlobalAvgPool(), nn.Linear(4, num_classes))
"""
# In the place of `python -m minitorch_cnn`: `mcnn` on few images, which saves after every step and is interrupted some
# steps after its start, in the middle of one.
PROGRAM = """
import os, pathlib, random, signal, sys, threading
from minitorch_cnn import data, train
from minitorch_cnn.cli import launch, main
from minitorch_cnn.data import shapes10

launch.module_command = lambda module, *words: [sys.executable, __file__, *words]
data.Shapes10 = lambda train=True: shapes10.Shapes10(train=train, size=256 if train else 32)
count, kind, step, init = pathlib.Path("count"), os.environ["KIND"], train.Trainer.step, train.Trainer.__init__

def begin(self, *arguments, **options):
    undisturbed = os.environ["TIMES"] == "0"  # it saves at other times, which must not change a bit
    init(self, *arguments, **{**options, "save_every": 1e9 if undisturbed else 0.0})
    self.number = self.ranks.first(int(count.read_text()))
    draw = random.Random(f"{kind} {self.number}")
    self.last, self.victim, self.delay = draw.randrange(1, 8), draw.randrange(self.ranks.size), draw.uniform(0, 0.02)

def interrupted(self, *batch):
    self.last -= 1
    if self.last == 0 and self.number < int(os.environ["TIMES"]) and self.ranks.rank == self.victim:
        count.write_text(str(self.number + 1))
        target = (os.getpid(), signal.SIGKILL) if kind == "kill" else (int(os.environ["LAUNCHER"]), signal.SIGTERM)
        threading.Timer(self.delay, os.kill, target).start()
    step(self, *batch)

if sys.argv[1] == "launch":
    os.environ["LAUNCHER"] = str(os.getpid())
train.Trainer.__init__, train.Trainer.step = begin, interrupted
sys.exit(main())
"""


def run(folder, kind, times, ranks):
    """Train in a folder, interrupted ``times`` times; return (sha256 of the weights, how often it was started)."""
    folder.mkdir()
    (folder / "own.py").write_text(NETWORK)
    (folder / "program.py").write_text(PROGRAM)
    (folder / "count").write_text("0")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "KIND": kind, "TIMES": str(times)}
    launch = ["launch", "-n", str(ranks), "--max-restarts", str(times + 1), "--"]
    training = ["train", "--recipe", "mlp", "--model", "own.py:Net", "--data", "shapes10", "--epochs", "130"]
    command = [sys.executable, "program.py", *launch, *training, "--workers", "0", "--threads", "1", "--run", "run"]
    for start in range(1, times + 2):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            break
        assert done.returncode == 130 and kind == "term", f"exit code {done.returncode}\n{done.stderr}"
        print(f"{kind}: interrupted {start} times", flush=True)
    assert int((folder / "count").read_text()) == times, f"{done.stderr}\nexpected {times} interruptions"
    attempts = start if kind == "term" else 1 + done.stderr.count("mcnn launch: exit code")
    return json.loads((folder / "run" / "result.json").read_text())["weights_sha256"], attempts


def main():
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--kind", choices=("kill", "term"), help="one of the two (default: both)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        whole, _ = run(pathlib.Path(root, "whole"), "term", 0, options.ranks)
        for kind in [options.kind] if options.kind else ("kill", "term"):
            began = time.monotonic()
            end, attempts = run(pathlib.Path(root, kind), kind, options.times, options.ranks)
            assert end == whole, f"{kind}: expected the weights {whole}, got {end}"
            told = f"{kind}: {options.times} interruptions, {attempts} attempts, the same bits"
            print(f"{told}, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
