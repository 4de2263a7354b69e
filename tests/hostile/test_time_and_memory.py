"""Clocks that jump, processes that sleep, memory and disks that end, images that change while a network trains."""

import contextlib
import io
import os
import signal
import time

import numpy as np
import pytest

from minitorch_cnn import data, nn, train, weights
from tests.hostile.conftest import PROGRAM, TRAIN

RECIPE = train.Recipe("small", model="mlp", epochs=2, batch_size=8, peak_lr=1e-2, crop_padding=1, workers=0)


def images():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3)).astype(np.uint8)
    return data.ArrayDataset(pixels, np.arange(32) % 2, ("red", "blue"), (0.4,) * 3, (0.3,) * 3)


def fit(folder, train_set=None, at_step_3=lambda: None, **options):
    """Train, and return the digest of the weights; something happens at the third of eight steps."""
    reporter = train.Reporter(io.StringIO())
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2, bias=False))
    model[1].weight.data[...] = 0
    trainer = train.Trainer(RECIPE, train_set or images(), folder, model=model, reporter=reporter, **options)
    step = trainer.step

    def eventful(*batch):
        step(*batch)
        if trainer.progress.step == 3:
            at_step_3()

    trainer.step = eventful
    assert trainer.fit()
    return weights.save(folder / "weights.safetensors", trainer.model.state_dict())


@pytest.mark.parametrize("clock", ["time", "monotonic", "perf_counter"])
@pytest.mark.parametrize("jump", [-1e6, 1e6], ids=["back", "on"])
def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch, clock, jump):
    """A clock that is set jumps back or on; the others stop while a machine sleeps, or count its sleep as one step."""
    if jump < 0 and clock != "time":
        pytest.skip("these clocks never run backwards")
    whole, right = fit(tmp_path / "whole"), getattr(time, clock)
    with monkeypatch.context() as patch:

        def at_step_3():
            patch.setattr(time, clock, lambda: right() + jump)

        assert fit(tmp_path / "run", at_step_3=at_step_3, save_every=30.0) == whole


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system has no SIGSTOP")
def test_a_training_that_is_stopped_for_a_while_goes_on(around):
    with around.start(*TRAIN, "--save-epochs", start_new_session=True) as process:
        wait_for(around.folder / "run" / "epoch-000.safetensors", process)
        os.killpg(process.pid, signal.SIGSTOP)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and out.startswith("test accuracy"), err


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="Windows ends the process")
def test_a_scheduler_that_tells_all_processes_to_end(around):
    """It signals the workers too, perhaps while they start."""
    endless = (*TRAIN[:-6], "--epochs", "1000", "--workers", "1", "--run", "run")
    with around.start(*endless, start_new_session=True) as process:
        wait_for(around.folder / "run" / "checkpoint-000000000.safetensors", process)
        os.killpg(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130 and "and saved" in err and "mcnn train --resume run" in err, err
    with pytest.raises(ProcessLookupError):  # no worker is left
        os.killpg(process.pid, 0)


def test_images_that_change_on_the_disk_change_nothing_in_memory(tmp_path):
    archive = tmp_path / "pixels.npy"
    np.save(archive, images().images)
    read = np.load(archive)
    train_set = data.ArrayDataset(read, np.arange(32) % 2, ("red", "blue"), (0.4,) * 3, (0.3,) * 3)
    run = tmp_path / "run"
    assert fit(run, train_set, at_step_3=archive.unlink) == fit(tmp_path / "whole")
    changed = images().images.copy()
    changed[5, 0, 0, 0] ^= 1
    other = data.ArrayDataset(changed, np.arange(32) % 2, ("red", "blue"), (0.4,) * 3, (0.3,) * 3)
    with pytest.raises(ValueError, match="resume: train_set - expected array of digest"):
        train.Trainer.resume(run, other, model=nn.Sequential(nn.Flatten(), nn.Linear(192, 2, bias=False)))


@contextlib.contextmanager
def address_space(kilobytes):
    resource = pytest.importorskip("resource", reason="this system has no such limit")
    yield {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (kilobytes << 10, kilobytes << 10))}


def test_an_address_space_that_is_too_small_is_told(around):
    with address_space(500_000) as limit:
        done = around.run(*TRAIN, **limit)
    assert done.returncode == 1 and "allow this process more address space by `ulimit -v 716800` or more" in done.stderr
    assert "Traceback" not in done.stderr and not (around.folder / "run").exists()


def test_memory_that_ends_while_training_is_told_with_the_way_to_go_on(around):
    code = """
import sys
from minitorch_cnn import train
step = train.Trainer.step
def greedy(self, *batch):
    step(self, *batch)
    if self.progress.step == 2:
        bytearray(1 << 34)
train.Trainer.step = greedy
"""
    with address_space(4_000_000) as limit:
        done = around.run(*TRAIN, code=code + PROGRAM, **limit)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "allow this process more memory" in done.stderr
    assert "step 0 is saved" in done.stderr and "mcnn train --resume run" in done.stderr
