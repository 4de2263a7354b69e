"""Compiling ahead: what training needs is there, and a process that fails costs time and nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest

import minitorch_cnn
from minitorch_cnn import nn, rng
from minitorch_cnn.diagnose import compiling
from minitorch_cnn.processes import module_environment
from minitorch_kernels.runtime import cache, jit

SHAPE = (4, 3, 8, 8)
needs_jit = pytest.mark.skipif(not jit.jit_enabled(), reason="nothing is compiled")
PROGRAM = """
import os, signal, sys, warnings
import numpy as np
from minitorch_cnn import Tensor, nn, ops, optim
from minitorch_cnn.diagnose import compiling
from minitorch_kernels.runtime import jit
import minitorch_cnn
compiled, told = [], []
jit.on_compile(lambda name, count: compiled.append(name))
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
{before}
count = minitorch_cnn.compile(model, (4, 3, 8, 8), processes=2, progress=lambda *numbers: told.append(numbers))
warnings.simplefilter("ignore")
optimizer = optim.Adam(model.parameters(), lr=1e-3)
loss = ops.cross_entropy(model(Tensor(np.ones((4, 3, 8, 8), np.float32))), np.zeros(4, int))
loss.backward()
optimizer.step()
print(count, len(told), len(compiled), np.isfinite(loss.item()))
"""


def run(home, before=""):
    """Return (kernels compiled ahead, calls of ``progress``, kernels compiled later, whether a step is right)."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before)],
        env=module_environment(MCNN_HOME=str(home)),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    *numbers, right = done.stdout.split()
    return *map(int, numbers), right == "True"


@pytest.mark.slow
@needs_jit
def test_after_compiling_ahead_a_step_compiles_nothing(tmp_path):
    count, told, later, right = run(tmp_path)
    assert count >= 5 and told == count + 1 and later == 0 and right
    assert run(tmp_path) == (0, 0, 0, True)  # all is there


TRAINING = """
import numpy as np
from minitorch_cnn import data, nn, train
from minitorch_cnn.diagnose import compiling
from minitorch_kernels.runtime import jit
compiled = []
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))
train_set = data.ArrayDataset(np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 3, list("abc"), (0.5,) * 3, (0.5,) * 3)
recipe = train.Recipe("r", model="mlp", epochs=2, batch_size=4, peak_lr=0.1, workers=0, **{changes})
trainer = train.Trainer(recipe, train_set, {folder!r}, model=model, holdout=2)
jit.on_compile(lambda name, count: compiled.append(name))
count = compiling.compile_for(trainer)
trainer.fit()
trainer.final_eval()
print(count, *compiled)
"""


@pytest.mark.slow
@needs_jit
@pytest.mark.parametrize(
    "changes",
    [
        {"mixup": 0.2, "cutmix": 1.0, "label_smoothing": 0.1},
        {"class_weights": "balanced", "label_smoothing": 0.1},
        {"optimizer": "muon", "image_size": 8, "lookahead": 2},
    ],
    ids=" ".join,
)
def test_after_compiling_ahead_no_part_of_a_training_compiles_anything(tmp_path, changes):
    program = TRAINING.format(changes=changes, folder=str(tmp_path / "run"))
    environment = module_environment(MCNN_HOME=str(tmp_path / "home"))
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    count, *later = done.stdout.split()
    assert int(count) >= 5 and later == []


FAILURES = {
    "the first process is killed at its first kernel": """
start = compiling._start
def start_and_kill(count):
    workers = start(count)
    workers[0].kill()
    return workers
compiling._start = start_and_kill
""",
    "every process is killed": """
start = compiling._start
def start_and_kill(count):
    workers = start(count)
    for worker in workers:
        worker.kill()
    return workers
compiling._start = start_and_kill
""",
    "no process can be started": "compiling.module_command = lambda name: ['/no/such/program']",
    "Python's interpreter is not known": "sys.executable = ''",
    "the dry run fails": """
def fail(model, shape):
    raise ZeroDivisionError
compiling._run = fail
""",
}


@pytest.mark.slow
@needs_jit
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_costs_time_and_nothing_else(tmp_path, failure):
    count, _, later, right = run(tmp_path, FAILURES[failure])
    assert right
    assert (count, later > 0) == (0, True) if failure != next(iter(FAILURES)) else count >= 5


EARLY = """
import pathlib, sys
import numpy as np
from minitorch_cnn import data, nn, train
from minitorch_cnn.diagnose import compiling
train_set = data.ArrayDataset(np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 3, list("abc"), (0.5,) * 3, (0.5,) * 3)
model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))
recipe = train.Recipe("r", model="mlp", epochs=1, batch_size=4, peak_lr=0.1, workers=0)
with compiling.started_early() as workers:
    for worker in workers[:{killed}]:
        worker.kill()
    trainer = train.Trainer(recipe, train_set, sys.argv[1], model=model)
    count = compiling.compile_for(trainer, workers)
with compiling.started_early() as more:
    pass
print(len(workers), len(more), count, {{worker.poll() is not None for worker in workers}}, trainer.fit())
"""


@pytest.mark.slow
@needs_jit
@pytest.mark.parametrize("killed", [0, 1])
def test_processes_that_were_started_early_compile_and_are_ended(tmp_path, killed):
    environment = module_environment(MCNN_HOME=str(tmp_path / "home"), NUMBA_NUM_THREADS="2")
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", EARLY.format(killed=killed), str(tmp_path / "run")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0 and "Exception" not in done.stderr, done.stderr
    workers, more, count, ended, finished = done.stdout.split()
    assert (workers, more, ended, finished) == ("2", "0", "{True}", "True")
    assert int(count) >= 5  # also with one process


def test_early_processes_end_with_an_error(monkeypatch):
    monkeypatch.setattr(cache, "is_cache_empty", lambda: True)
    monkeypatch.setattr(compiling.kernels.runtime.threads, "available_threads", lambda: 1)
    with pytest.raises(ZeroDivisionError), compiling.started_early() as (worker,):
        raise ZeroDivisionError  # such as an image that cannot be read
    assert worker.poll() is not None and worker.stdin.closed


@pytest.mark.slow
@needs_jit
def test_a_cache_that_cannot_be_written_ends_it_at_once(tmp_path):
    folder = tmp_path / "kernels"
    folder.write_text("a file where a folder should be")
    assert run(tmp_path)[0] == 0
    folder.unlink()
    # A disk that is full: the processes compile, and what they compile is lost.
    full = "compiling.module_command = lambda name: [sys.executable, '-c', {code!r}]".format(
        code="import errno, pathlib\n"
        "def refuse(self, content):\n    raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "pathlib.Path.write_bytes = refuse\n"
        "from minitorch_kernels.runtime import compile_worker\ncompile_worker.main()\n"
    )
    count, _, later, right = run(tmp_path, full)
    assert count == 0 and later > 0 and right


def test_the_model_and_the_random_stream_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(compiling, "_compile_in_processes", lambda calls, processes, progress, early: len(calls))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2)).eval()
    before, stream = {key: np.array(value) for key, value in model.state_dict().items()}, rng.get_state()
    minitorch_cnn.compile(model, SHAPE)
    assert rng.get_state() == stream and not model.training
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_arguments_are_checked():
    model = nn.Linear(3, 2)
    with pytest.raises(TypeError, match=r"compile: model - expected a Module, got 'cifar4'"):
        minitorch_cnn.compile("cifar4", SHAPE)
    with pytest.raises(ValueError, match=r"compile: shape - expected \(N, C, H, W\), each at least 1, got"):
        minitorch_cnn.compile(model, (3, 8, 8))
    with pytest.raises(ValueError, match=r"compile: shape\[0\] - expected at least 1, got 0"):
        minitorch_cnn.compile(model, (0, 3, 8, 8))
    with pytest.raises(TypeError, match="compile: progress - expected a function, got 3"):
        minitorch_cnn.compile(model, SHAPE, progress=3)
    with pytest.raises(ValueError, match="compile: processes - expected"):
        minitorch_cnn.compile(model, SHAPE, processes=0)


def test_nothing_is_started_where_nothing_is_missing(monkeypatch):
    monkeypatch.setattr(compiling.subprocess, "Popen", lambda *_, **__: os.abort())
    told = []
    assert compiling._compile_in_processes([], 2, lambda *numbers: told.append(numbers)) == 0 and told == []
