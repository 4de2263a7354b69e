"""Kill a rank at a random moment, many times: every run must end, leave no process, and continue from its checkpoint.

    python tests/campaigns/kill_ranks.py --times 20

Each run trains a small network on two ranks and saves after every step. The campaign prints a line a kill and
fails at the first run that lasts longer than 30 seconds, leaves a process, or cannot be resumed.
"""

import argparse
import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

LIMIT = 30.0  # seconds
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))
TESTS = pathlib.Path(__file__).resolve().parents[1] / "train"


class Enough(Exception):
    """One step was made."""


def trainer(ranks, folder, resume=False):
    """Return the trainer of a run of several thousand steps, or of its resume."""
    import dataclasses

    sys.path.insert(0, str(TESTS))
    from conftest import RECIPE, colours, small_model

    import minitorch_cnn as mt
    from minitorch_cnn import train

    mt.set_num_threads(1)
    options = {"model": small_model(), "ranks": ranks, "save_every": 0.0, "workers": 1}
    if resume:
        return train.Trainer.resume(folder, colours(), **options)
    return train.Trainer(dataclasses.replace(RECIPE, epochs=1000), colours(), folder, **options)


def work(folder):
    """Train as one of the ranks; say when the first step is done."""
    from minitorch_cnn import train

    with train.connect(timeout=10) as ranks:
        running = trainer(ranks, folder)
        pids = ranks.exchange(os.getpid())
        step = running.step

        def told(*batch):
            step(*batch)
            if running.progress.step == 1:
                print("pids", *pids, flush=True)

        running.step = told
        running.fit()


def processes(marker):
    """Return the processes whose environment holds a marker, apart from this one."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def one_kill(folder, delay, victim):
    """Kill a rank after ``delay`` seconds of training; return (seconds until the end, step of the checkpoint)."""
    from minitorch_cnn import train

    marker = f"MCNN_CAMPAIGN={folder}"
    environment = os.environ | dict([marker.split("=")])
    command = [MPIEXEC, "-n", "2", sys.executable, __file__, "--work", folder]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as run:
        pids = [int(word) for word in run.stdout.readline().split()[1:]]
        time.sleep(delay)
        start = time.monotonic()
        os.kill(pids[victim], signal.SIGKILL)
        run.communicate(timeout=LIMIT)
    seconds = time.monotonic() - start
    assert run.returncode != 0, "the run ended as if nothing had happened"
    time.sleep(0.5)  # for workers to notice that nobody listens
    assert not (left := processes(marker)), f"processes are left: {left}"
    resumed = trainer(train.SingleProcess(), folder, resume=True)
    done, step = resumed.progress.step, resumed.step

    def once(*batch):
        step(*batch)
        raise Enough

    resumed.step = once
    with contextlib.suppress(Enough):
        resumed.fit()
    assert resumed.progress.step == done + 1
    return seconds, done


def main():
    """Run the campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    draw, slowest = random.Random(options.seed), 0.0
    with tempfile.TemporaryDirectory() as root:
        for i in range(options.times):
            delay, victim = draw.uniform(0, 1.0), draw.randrange(2)
            seconds, step = one_kill(f"{root}/run-{i}", delay, victim)
            slowest = max(slowest, seconds)
            print(f"{i + 1}: rank {victim} killed, over after {seconds:.2f} s, resumed from step {step}", flush=True)
    print(f"{options.times} of {options.times} runs ended and were resumed, the slowest after {slowest:.2f} s")


if __name__ == "__main__":
    main()
