"""The batch script for Slurm, run by bash with a `mcnn` and a `scontrol` that only write down how they are called."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "examples" / "slurm" / "train.sbatch"
# `mcnn` that ends with the code in END, or with 130 as soon as it is asked to stop.
MCNN = """#!/usr/bin/env bash
echo "mcnn $* threads $OMP_NUM_THREADS" >> calls
trap 'echo asked >> calls; exit 130' USR1
for _ in $(seq 200); do [ -e end ] && exit "$(cat end)"; sleep 0.05; done
"""
pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="needs bash and its signals"
)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the script as Slurm does."""
    for name, text in (("mcnn", MCNN), ("scontrol", '#!/usr/bin/env bash\necho "scontrol $*" >> calls\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_ID": "17", "SLURM_JOB_NAME": "mcnn", "SLURM_NTASKS": "2", "SLURM_CPUS_PER_TASK": "8"}
    environment = os.environ | slurm | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}

    def begin():
        process = subprocess.Popen(["bash", SCRIPT, "--epochs", "9"], cwd=tmp_path, env=environment)
        while not (tmp_path / "calls").exists():
            time.sleep(0.02)
        return process

    return begin


def calls(tmp_path):
    return (tmp_path / "calls").read_text().splitlines()


def test_a_run_that_ends_is_not_queued_again(start, tmp_path):
    (tmp_path / "end").write_text("0")
    assert start().wait(30) == 0
    words = "launch -n 2 --max-restarts 3 -- train --epochs 9 --run runs/mcnn-17"
    assert calls(tmp_path) == [f"mcnn {words} threads 8"]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM], ids=lambda n: n.name)
def test_before_the_time_limit_it_is_asked_to_save_and_queued_again(start, tmp_path, number):
    process = start()
    time.sleep(0.3)
    process.send_signal(number)
    assert process.wait(30) == 130
    assert calls(tmp_path)[1:] == ["asked", "scontrol requeue 17"]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM], ids=lambda n: n.name)
def test_a_request_that_comes_while_it_starts_queues_it_again(start, tmp_path, number):
    """Python ends by the signal then, before it can say anything."""
    (tmp_path / "end").write_text(str(128 + number))
    assert start().wait(30) == 128 + number
    assert calls(tmp_path)[1:] == ["scontrol requeue 17"]


@pytest.mark.parametrize("code", [3, 128 + signal.SIGKILL])
def test_a_run_that_fails_keeps_its_exit_code(start, tmp_path, code):
    (tmp_path / "end").write_text(str(code))
    assert start().wait(30) == code and len(calls(tmp_path)) == 1
