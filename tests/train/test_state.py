"""Checkpoints: complete or absent, even if the writer dies."""

import dataclasses
import errno
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from minitorch_cnn import train, weights
from minitorch_cnn.train import CheckpointError, Checkpoints


def state(step):
    return {
        "model": {"fc.weight": np.full((30, 40), step, np.float32), "fc.bias": np.arange(3.0)},
        "optimizer": {"lr": 0.1, "state": {"0": {"m": np.ones(2, np.float32), "step": step}}, "empty": {}},
        "progress": {"step": step, "history": [{"epoch": 1}], "name": "a/b"},
    }


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        if isinstance(a[key], dict):
            assert_same(a[key], b[key])
        elif isinstance(a[key], np.ndarray):
            assert a[key].dtype == b[key].dtype
            np.testing.assert_array_equal(a[key], b[key])
        else:
            assert a[key] == b[key]


def test_what_was_saved_comes_back(tmp_path):
    Checkpoints(tmp_path).save(7, state(7))
    loaded, notes = Checkpoints(tmp_path).load({})
    assert_same(loaded, state(7))
    assert notes == []


def test_the_last_two_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2, 30, 400):
        path = checkpoints.save(step, state(step))
        assert checkpoints.paths()[0] == path
    assert [path.name for path in checkpoints.paths()] == [
        "checkpoint-000000400.safetensors",
        "checkpoint-000000030.safetensors",
    ]


def test_a_checkpoint_can_be_saved_again(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1))
    checkpoints.save(1, state(9))
    assert_same(checkpoints.load({})[0], state(9))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_the_older_one_serves_where_the_newer_is_damaged(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1))
    newest = checkpoints.save(2, state(2))
    contents = bytearray(newest.read_bytes())
    contents[-5] ^= 1
    newest.write_bytes({"cut": contents[: len(contents) // 2], "flip": contents, "empty": b""}[damage])
    loaded, notes = checkpoints.load({})
    assert_same(loaded, state(1))
    assert len(notes) == 1 and "checkpoint-000000002.safetensors is damaged and was skipped" in notes[0]


def test_none_that_is_whole(tmp_path):
    with pytest.raises(CheckpointError, match="expected a whole checkpoint, got no file checkpoint-"):
        Checkpoints(tmp_path).load()
    Checkpoints(tmp_path).save(1, state(1)).write_bytes(b"")
    with pytest.raises(CheckpointError, match="expected a whole checkpoint, got checkpoint-000000001.*is damaged"):
        Checkpoints(tmp_path).load()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rand_augment": None}, "rand_augment - expected 0 to 10, got None"),
        ({"speed": 3}, "speed"),
        ({"epochs": -1}, "epochs - expected"),
    ],
)
def test_a_recipe_that_is_none_is_noticed_when_it_is_read(tmp_path, change, told):
    recipe = dataclasses.asdict(train.recipe("mlp"))
    Checkpoints(tmp_path).save(2, {"settings": {"recipe": recipe | change}})
    with pytest.raises(CheckpointError, match=f"checkpoint-000000002.safetensors is damaged and was skipped .*{told}"):
        Checkpoints(tmp_path).load({})
    Checkpoints(tmp_path).save(1, {"settings": {"recipe": recipe}})
    state, notes = Checkpoints(tmp_path).load({})
    assert state["settings"]["recipe"]["name"] == "mlp" and len(notes) == 1


@pytest.mark.parametrize("rest", [{"step": 1}, {"step": [1]}, {}])
def test_a_file_of_weights_that_is_no_checkpoint_is_passed_over(tmp_path, rest):
    weights.save(tmp_path / "checkpoint-000000002.safetensors", {"step/x": np.zeros(2)}, rest)
    Checkpoints(tmp_path).save(1, {"step": 1})
    state, notes = Checkpoints(tmp_path).load({})
    assert state == {"step": 1} and "checkpoint-000000002.safetensors is damaged and was skipped" in notes[0]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_the_older_checkpoint(tmp_path, monkeypatch, code):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1))

    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=os.strerror(code)):
        checkpoints.save(2, state(2))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000001.safetensors"]
    assert_same(checkpoints.load({})[0], state(1))


WRITER = """
    import sys
    import numpy as np
    from minitorch_cnn.train import Checkpoints
    checkpoints = Checkpoints(sys.argv[1])
    start = int(sys.argv[2])
    print("ready", flush=True)
    for step in range(start, start + 100_000):
        checkpoints.save(step, {"model": {"w": np.full(1 << 18, step, np.float32)}, "step": step})
"""


def test_kill_9_while_saving(tmp_path):
    delays = np.random.default_rng().uniform(0, 0.05, 12)
    for attempt, delay in enumerate(delays):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), str(1 + attempt * 100_000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            while not list(tmp_path.glob("checkpoint-*")):
                time.sleep(0.001)
            time.sleep(delay)
            process.kill()
        assert process.returncode != 0
        loaded, _ = Checkpoints(tmp_path).load({})  # also sweeps up what the killed process left
        assert (loaded["model"]["w"] == loaded["step"]).all(), f"after {delay} s"
        assert os.name == "nt" or not list(tmp_path.glob(".*.tmp"))  # there after an hour


def test_what_is_no_state_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(TypeError, match="Checkpoints.save: step - expected an integer, got '1'"):
        checkpoints.save("1", state(1))
    with pytest.raises(ValueError, match="Checkpoints.save: step - expected at least 0, got -1"):
        checkpoints.save(-1, state(1))
    with pytest.raises(TypeError, match="Checkpoints.save: state - expected an object of dict, got int"):
        checkpoints.save(1, 3)
    assert not list(tmp_path.iterdir())
