"""`mcnn launch`: restarts after failures, requests to stop that reach every process, and an end with the same bits."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from minitorch_cnn import train
from minitorch_cnn.cli import launch, training
from minitorch_cnn.processes import ASK_TO_STOP
from tests.train.distributed.test_ranks import needs_mpi

# On a busy machine a rank may keep the others waiting for longer than a minute.
TRAIN = ("train", "--recipe", "mlp", "--data", "shapes10", "--workers", 0, "--rank-timeout", 600)
SHORT = (*TRAIN, "--epochs", 2)
# In the place of `python -m minitorch_cnn`: `mcnn` that trains on few images, and fails as often as it is told.
FAILING = """
import os, pathlib, signal, sys
from minitorch_cnn import data, train
from minitorch_cnn.cli import main
from minitorch_cnn.data import shapes10
data.Shapes10 = lambda train=True: shapes10.Shapes10(train=train, size=256 if train else 32)
left = pathlib.Path("failures")
step = train.Trainer.step
def failing(self, *batch):
    step(self, *batch)
    if self.ranks.rank == self.ranks.size - 1 and self.progress.step >= 2 and int(left.read_text()):
        left.write_text(str(int(left.read_text()) - 1))
        os.kill(os.getpid(), signal.SIGKILL)
train.Trainer.step = failing
sys.exit(main())
"""
# A process that misses the first request to stop, as ranks do that have not begun yet.
DEAF = """
import pathlib, signal, sys, time
asked = []
signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))
pathlib.Path("ready").touch()
while len(asked) < 2:
    time.sleep(0.01)
sys.exit(130)
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture
def fails(own_folder, monkeypatch):
    """Return a function that says how often the training is killed at its second step or later."""
    program = own_folder / "failing.py"
    program.write_text(FAILING)
    monkeypatch.setattr(launch, "module_command", lambda _, *words: [sys.executable, str(program), *map(str, words)])
    return lambda count: (own_folder / "failures").write_text(str(count))


def weights_of(folder):
    return json.loads(pathlib.Path(folder, "result.json").read_text())["weights_sha256"]


def launched(mcnn, *options, run="run", words=SHORT):
    return mcnn("launch", *options, "--", *words, "--run", run)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=needs_mpi)])
def test_failures_are_followed_by_restarts_and_the_same_end(mcnn, fails, ranks):
    fails(0)
    assert launched(mcnn, "-n", ranks, run="whole")[0] == 0
    fails(2)
    code, _, err = launched(mcnn, "-n", ranks)
    assert code == 0 and "restart 1 of 3" in err and "restart 2 of 3" in err and "restart 3" not in err
    assert weights_of("run") == weights_of("whole")


def test_after_the_last_restart_it_says_so(mcnn, fails):
    fails(9)
    code, _, err = launched(mcnn, "--max-restarts", 1)
    assert code == 1 and "mcnn launch: exit code 137 at the last of 2 attempts: see above" in err
    assert pathlib.Path("failures").read_text() == "7"


def test_errors_that_stay_are_not_tried_again(mcnn, fails):
    fails(0)
    code, _, err = launched(mcnn, words=("train", "--recipe", "nothing"))
    assert code == 2 and "restart" not in err


@pytest.mark.slow
def test_a_folder_is_chosen_where_none_is_given(mcnn, fails):
    fails(1)
    assert mcnn("launch", "--", *SHORT)[0] == 0
    assert pathlib.Path("runs/launch-1/result.json").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        ((), "add a command of training after --, such as -- train --data shapes10"),
        (("--", "predict", "x.png"), "add a command of training after --"),
        (("--", "train", "--resume", "run"), "leave out --resume: give the folder by --run"),
        (("-n", "0", "--", "train"), "expected an integer of at least 1, got '0'"),
    ],
)
def test_bad_input(mcnn, words, message):
    code, _, err = mcnn("launch", *words)
    assert code == 2 and message in err


def test_without_mpi_the_message_says_what_to_install(mcnn, monkeypatch):
    monkeypatch.setattr(launch.shutil, "which", lambda *_, **__: None)
    code, _, err = launched(mcnn, "-n", 2)
    assert code == 1 and "pip install 'minitorch-cnn[mpi]'" in err


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=needs_mpi)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_a_request_to_stop_reaches_every_process_and_the_same_command_goes_on(own_folder, ranks, number):
    words = [*map(str, TRAIN), "--epochs", "300", "--run", "run"]
    command = [sys.executable, "-m", "minitorch_cnn", "launch", "-n", str(ranks), "--", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not list(pathlib.Path("run").glob("checkpoint-*.safetensors")):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        time.sleep(0.5)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=900)
    assert process.returncode == 130 and "and saved" in err, err
    assert len(list(pathlib.Path("run").glob("checkpoint-*.safetensors"))) == 2


def asked_to_stop(mcnn, folder):
    """Launch a process that says in the folder when it is ready, and ask to stop then; return as `launched` does."""

    def ask():
        while not (folder / "ready").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        return launched(mcnn)
    finally:
        asking.join()


def test_a_request_that_ends_a_starting_process_is_told(mcnn, own_folder, monkeypatch):
    starting = "import os, pathlib, signal, time; pathlib.Path('ready').touch(); time.sleep(600)"
    monkeypatch.setattr(launch, "module_command", lambda *_: [sys.executable, "-c", starting])
    code, _, err = asked_to_stop(mcnn, own_folder)
    assert code == 130 and "stopped at once; the same command continues" in err


def test_a_request_that_was_missed_is_repeated(mcnn, own_folder, monkeypatch):
    monkeypatch.setattr(launch, "module_command", lambda *_: [sys.executable, "-c", DEAF])
    monkeypatch.setattr(launch, "_ASK_AGAIN", 0.05)
    assert asked_to_stop(mcnn, own_folder)[0] == 130


def test_a_training_that_has_saved_hears_no_more_requests(mcnn, monkeypatch):
    said = []
    monkeypatch.setattr(train.Trainer, "fit", lambda _: False)
    monkeypatch.setattr(training, "say", lambda text: said.append((text, signal.getsignal(ASK_TO_STOP))))
    assert mcnn(*SHORT, "--run", "run")[0] == 130
    assert "and saved" in said[-1][0] and said[-1][1] == signal.SIG_IGN
