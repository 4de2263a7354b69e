"""What fails outside while a training runs: a sentence, how to continue, and exit code 1."""

import builtins
import errno
import io
import os
import shutil
import sys

import pytest

from minitorch_cnn import data, train
from minitorch_cnn.cli import errors, main
from minitorch_cnn.train import Checkpoints

TRAIN = ("train", "--recipe", "mlp", "--data", "shapes10", "--epochs", 3, "--workers", 0, "--run", "run")


def fail_at_step(monkeypatch, number, fail):
    step = train.Trainer.step

    def failing(self, *batch):
        step(self, *batch)
        if self.progress.step == number:
            fail()

    monkeypatch.setattr(train.Trainer, "step", failing)


@pytest.mark.parametrize(
    "error, message",
    [
        (data.WorkerError("worker 0 (pid 7) was killed"), "worker 0 (pid 7) was killed"),
        (MemoryError(), "allow this process more memory, or give it smaller images, batches or networks: MemoryError"),
        pytest.param(
            MemoryError("allow this process more address space"),
            "train: allow this process more address space;",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            OSError(errno.ENOSPC, "No space left on device", "run/x"),
            "the disk is full: free some space (run/x: ",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_command_to_continue_with_is_told(mcnn, monkeypatch, error, message):
    def fail():
        raise error

    with monkeypatch.context() as patch:
        fail_at_step(patch, 2, fail)
        code, out, err = mcnn(*TRAIN)
    assert code == 1 and not out and "Traceback" not in err
    assert message in err and "step 0 is saved, continue with: mcnn train --resume run" in err
    assert mcnn("train", "--resume", "run")[0] == 0


def test_a_full_disk_leaves_the_last_checkpoint(mcnn, monkeypatch):
    save = Checkpoints.save

    def full(self, step, state):
        if step > 0:
            raise OSError(errno.ENOSPC, "No space left on device", "run/checkpoint")
        return save(self, step, state)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", full)
        code, _, err = mcnn(*TRAIN)
    assert code == 1 and "the disk is full: free some space" in err and "mcnn train --resume run" in err
    assert mcnn("train", "--resume", "run")[0] == 0


@pytest.mark.posix
def test_a_run_folder_that_is_gone_is_rescued(mcnn, monkeypatch):
    with monkeypatch.context() as patch:
        fail_at_step(patch, 3, lambda: shutil.rmtree("run"))
        code, _, err = mcnn(*TRAIN)
    assert code == 1 and "run is gone" in err and "continue with: mcnn train --resume run-rescued" in err
    assert mcnn("train", "--resume", "run-rescued")[0] == 0


def test_training_without_standard_error(mcnn, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert mcnn(*TRAIN)[0] == 0


def test_a_run_that_is_training_is_not_resumed(mcnn, trained):
    with train.RunFolder(trained).lock():
        code, _, err = mcnn("train", "--resume", trained)
    assert code == 2 and "in use by process" in err


def test_a_folder_in_place_of_a_file(tmp_path):
    with pytest.raises((IsADirectoryError, PermissionError)) as refused:  # on POSIX, on Windows
        tmp_path.read_bytes()
    assert errors.sentence(refused.value) == f"give a file, not a folder ({tmp_path}: Is a directory)"
    (tmp_path / "model.safetensors").touch()
    assert f"give the run by --model {tmp_path}: a picture" in errors.sentence(refused.value)


def test_memory_that_is_short_is_told_without_more_memory(monkeypatch):
    def refuse(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", refuse)
        code, text = errors.explain(MemoryError())
    assert code == 1 and text.startswith("allow this process more memory, or give it smaller images")


def test_sentences_of_errors():
    assert errors.sentence(OSError("worse")) == "worse"
    missing = OSError(errno.ENOENT, "No such file or directory", "a.png")
    assert errors.sentence(missing) == "check the name (a.png: No such file or directory)"
    full = OSError(errno.ENOSPC, "No space left on device")
    assert errors.sentence(full) == f"the disk is full: free some space ({os.strerror(errno.ENOSPC)})"
    assert errors.sentence(OSError(errno.EIO, "worse", "b.png")) == "b.png: worse"
    assert errors.sentence(OSError(errno.ENOSPC, "repeat later")) == "repeat later"


@pytest.mark.parametrize(("encoding", "written"), [("utf-8", "é\\udcff"), ("ascii", r"\xe9\udcff")])
def test_output_escapes_what_its_encoding_lacks(monkeypatch, encoding, written):
    """A file name need not be text, and the output of `mcnn predict > FILE` may be ASCII."""
    output = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["list"]) == 0
    print("é\udcff", flush=True)
    assert output.buffer.getvalue().decode(encoding).splitlines()[-1] == written
