"""One process at a time in a run folder; a dead owner does not count."""

import os
import pathlib
import subprocess
import sys
import textwrap
import threading

import pytest

from minitorch_cnn import train

OWNER = """
    import sys, time
    from minitorch_cnn.train.report.lock import FolderLock
    with FolderLock(sys.argv[1]):
        print("locked", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def owner(tmp_path):
    """Start a process that works in the folder ``run``."""
    folder = tmp_path / "run"
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_the_living_owner_is_named(owner, tmp_path):
    folder = train.RunFolder(tmp_path / "run")
    message = rf"in use by process {owner.pid} on .* since \d{{4}}-\d\d-\d\d \d\d:"
    with pytest.raises(train.RunFolderError, match=message):
        folder.refuse_if_locked()
    for use in (train.RunFolder.create, lambda path: train.Trainer.resume(path, None)):
        with pytest.raises(train.RunFolderError, match="in use"):
            use(tmp_path / "run")


def test_a_dead_owner_is_no_obstacle(owner, tmp_path):
    owner.kill()
    owner.wait()
    assert (tmp_path / "run" / "run.lock").exists()
    folder = train.RunFolder.create(tmp_path / "run")  # the folder still counts as empty
    with folder.lock():
        assert str(os.getpid()) in (folder.path / "run.lock").read_text()
    assert not (folder.path / "run.lock").exists()


def test_an_owner_that_is_ending_is_waited_for(owner, tmp_path):
    """As after mpiexec, which returns before the last of its processes is gone."""
    threading.Timer(0.5, owner.kill).start()
    with train.RunFolder(tmp_path / "run").lock():
        assert owner.wait() != 0


def test_the_same_process_may_not_enter_twice(tmp_path):
    folder = train.RunFolder.create(tmp_path / "run")
    with folder.lock(), pytest.raises(train.RunFolderError, match=f"process {os.getpid()}"), folder.lock():
        pass
    with folder.lock():
        pass


def test_training_is_locked_and_free_again_afterwards(start, go_on, monkeypatch):
    trainer, seen = start(), []
    step = trainer.step

    def watched(*batch):
        step(*batch)
        if trainer.progress.step == 2:
            with pytest.raises(train.RunFolderError, match="in use by process"):
                go_on()
            seen.append(True)

    trainer.step = watched
    trainer.fit()
    assert seen and go_on().progress.epoch == 3
    assert not pathlib.Path(trainer.folder.path, "run.lock").exists()


def test_a_run_that_another_has_gone_on_with_is_not_overwritten(start, go_on):
    start(save_every=0.0).save()
    first, second = go_on(), go_on()
    first.fit()
    with pytest.raises(train.RunFolderError, match="continued it since; resume it again"):
        second.fit()
