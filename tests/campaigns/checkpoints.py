"""Checkpoints and resumes: killed writers, full and failing disks, and resumed trainings with equal bits."""

import builtins
import contextlib
import errno
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import harness
import numpy as np

sys.path.append(str(harness.ROOT / "tests" / "train"))
import conftest as small

from minitorch_cnn import train
from minitorch_cnn.io import files
from minitorch_cnn.train import Checkpoints

MODE = 0o640


def state(step):
    return {"model": {"w": np.full(1 << 17, step, np.float32)}, "step": step}


class FaultyFile:
    """A file that fails or kills its process once a number of bytes has been written."""

    def __init__(self, file, limit, fault):
        self.file, self.limit, self.fault = file, limit, fault

    def write(self, content):
        written = self.file.tell()
        if written + len(content) > self.limit:
            self.file.write(content[: self.limit - written])
            self.file.flush()
            self.fault()
        return self.file.write(content)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


@contextlib.contextmanager
def faulty_files(limit, fault):
    """Let every file that `files` opens fail after ``limit`` bytes."""
    files.open = lambda *args, **options: FaultyFile(builtins.open(*args, **options), limit, fault)  # noqa: SIM115
    try:
        yield
    finally:
        del files.open


def fail_with(code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    return fail


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def save_until_killed(folder, step, limit):
    """Save again and again, or, with a limit, die after that number of bytes of the first file."""
    checkpoints = Checkpoints(folder)
    with contextlib.nullcontext() if limit is None else faulty_files(limit, kill_self):
        for number in range(step, step + 1000):
            checkpoints.save(number, state(number))


def loadable(folder):
    """Return whether the newest whole checkpoint is as it was saved, after a new start cleaned up."""
    loaded, _ = Checkpoints(folder).load({})
    return bool((loaded["model"]["w"] == loaded["step"]).all())


def strays(folder):
    return [path.name for path in pathlib.Path(folder).iterdir() if not path.name.startswith("checkpoint-")]


def kills(length):
    """Bar 19: SIGKILL at a random time, and after a random number of bytes."""
    rng, good, stray, signals, count = length.rng, 0, 0, set(), length(20, 500)
    with tempfile.TemporaryDirectory() as folder:
        Checkpoints(folder).save(0, state(0))
        size = next(pathlib.Path(folder).iterdir()).stat().st_size
        for attempt in range(count):
            limit = None if attempt % 2 else int(rng.integers(0, size))
            process = harness.Forked(save_until_killed, folder, 1 + attempt * 1000, limit)
            if limit is None:
                time.sleep(rng.uniform(0, 0.06))
                process.kill()
            signals.add(process.wait()[0])
            good += loadable(folder)
            stray += len(strays(folder))
    return f"{good}/{count} loadable, {stray} stray files", good == count and not stray and signals == {"SIGKILL"}


def bad_disks(length):
    """Bar 19: no room, input/output errors, a read-only folder; the old checkpoint and its mode stay."""
    rng, tried, good, wrong = length.rng, 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(folder)
        path = checkpoints.save(1, state(1))
        path.chmod(MODE)
        for code in (errno.ENOSPC, errno.EIO):
            for limit in rng.integers(0, path.stat().st_size, length(5, 50)):
                for step in (1, 2):  # over the old file, and beside it
                    tried += 1
                    try:
                        with faulty_files(int(limit), fail_with(code)):
                            checkpoints.save(step, state(step))
                    except OSError as error:
                        good += error.errno == code and loadable(folder) and not strays(folder)
                        good -= len(checkpoints.paths()) != 1 or path.stat().st_mode & 0o777 != MODE
            for call in ("fsync", "replace", "chmod"):
                tried, saved = tried + 1, getattr(os, call)
                setattr(os, call, fail_with(code))
                try:
                    checkpoints.save(1, state(1))
                    wrong.append(f"an error of {call} was not told")
                except OSError:
                    good += loadable(folder) and not strays(folder)
                finally:
                    setattr(os, call, saved)
        checkpoints.save(1, state(7))
        mode = path.stat().st_mode & 0o777
    figure = f"{good}/{tried} errors leave the old checkpoint, mode {mode:o} of {MODE:o} kept"
    return "; ".join([figure, *wrong]), good == tried and mode == MODE and not wrong


def full_disk(length):
    """Bar 19: a file system of three megabytes that fills up."""
    folder = tempfile.mkdtemp()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", folder], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        os.rmdir(folder)
        return "not tried: only root may mount a small file system", True
    try:
        checkpoints, failures = Checkpoints(folder), 0
        checkpoints.save(1, state(1))
        (pathlib.Path(folder) / "checkpoint-filler").write_bytes(bytes(2_300_000))
        for step in range(2, length(7, 52)):
            try:
                checkpoints.save(step, state(step))
            except OSError as error:
                failures += error.errno == errno.ENOSPC and loadable(folder) and not strays(folder)
        expected = length(5, 50)
        return f"{failures}/{expected} saves refused on a full disk, the old checkpoint loadable", failures == expected
    finally:
        subprocess.run(["umount", folder], check=True)
        shutil.rmtree(folder, ignore_errors=True)


# --------------------------------------------------------------------------------------- resumes


class Stop(Exception):
    """The training ends here."""


def digest_after(folder, step, workers, epochs):
    """Train; at the step, stop and resume in a new trainer; return the sha256 of the weights."""
    options = {"workers": workers, "save_every": 0.0, "reporter": train.Reporter(io.StringIO())}
    recipe = small.RECIPE.__class__(**{**vars(small.RECIPE), "epochs": epochs})
    trainer = train.Trainer(recipe, small.colours(), folder, seed=0, model=small.small_model(), **options)
    count = trainer.progress.count

    def counted(*arguments):
        count(*arguments)
        if trainer.progress.step == step:
            raise Stop

    trainer.progress.count = counted
    try:
        trainer.fit()
    except Stop:
        trainer = train.Trainer.resume(folder, small.colours(), model=small.small_model(), **options)
        trainer.fit()
    trainer.save()
    return files.hashlib.sha256(b"".join(a.tobytes() for a in trainer.model.state_dict().values())).hexdigest()


def resumes(length):
    """Bar 20: stop at random steps, also in the middle of an epoch, with 0 and 2 workers."""
    epochs, equal, count = 6, 0, length(3, 30)
    steps = length.rng.permutation(np.arange(1, 7 * epochs + 1))[:count]
    with tempfile.TemporaryDirectory() as folder:
        whole = digest_after(pathlib.Path(folder) / "whole", None, 0, epochs)
        for step in steps:
            for workers in (0, 2):
                run = pathlib.Path(folder) / f"{step}-{workers}"
                equal += digest_after(run, step, workers, epochs) == whole
    return f"{equal}/{2 * count} bit-equal, {count} random steps of {7 * epochs} with 0 and 2 workers", (
        equal == 2 * count
    )


if __name__ == "__main__":
    saving = {"19 kills while saving": kills, "19 failing disks": bad_disks, "19 full disk": full_disk}
    harness.main(__doc__, saving | {"20 resume": resumes})
