"""Standard streams that are closed, full, or read by nobody: no traceback, and training continues."""

import contextlib
import json
import os
import subprocess

import pytest

from tests.hostile.conftest import TRAIN

pytestmark = pytest.mark.slow  # each starts processes

PRINTING = (("--help",), ("summary", "resnet20"))


@pytest.mark.parametrize("words", PRINTING)
def test_a_full_disk_below_standard_output_is_told(around, full_device, words):
    done = around.run(*words, stdout=full_device)
    assert done.returncode == 1
    assert "the disk is full: free some space" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", PRINTING)
def test_a_reader_that_has_gone_is_no_noise(around, words):
    reading, writing = os.pipe()
    os.close(reading)
    done = around.run(*words, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_reader_of_one_line_gets_it(around):
    with around.start("summary", "densenet121") as process:
        first = process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
    assert first.startswith("DenseNet, input") and told == "" and process.returncode in (0, 1)


def closed(*numbers):
    """Return what closes descriptors in a child before its program begins."""
    return {"preexec_fn": lambda: [os.close(number) for number in numbers]}


@pytest.mark.parametrize("words", PRINTING)
def test_closed_streams_are_no_traceback(around, words):
    with contextlib.ExitStack() as stack:
        err = stack.enter_context(open(around.folder / "err", "w+"))
        assert around.run(*words, **closed(1), stdout=None, stderr=err).returncode == 0
        assert (around.folder / "err").read_text() == ""
    assert around.run(*words, **closed(0, 2), stderr=None).returncode == 0


@pytest.mark.parametrize("broken", ["full", "gone", "closed"])
def test_training_goes_on_where_its_progress_cannot_be_shown(around, broken):
    if broken == "closed":
        done = around.run(*TRAIN, stderr=None, **closed(2))
    else:
        reading, writing = os.pipe()
        os.close(reading)
        if broken == "full" and os.path.exists("/dev/full"):
            os.dup2(os.open("/dev/full", os.O_WRONLY), writing)
        done = around.run(*TRAIN, stderr=writing)
        os.close(writing)
    assert done.returncode == 0 and done.stdout.startswith("test accuracy")
    assert json.loads((around.folder / "run" / "result.json").read_text())["epochs"] == 2


def test_errors_keep_their_exit_code_where_they_cannot_be_told(around, full_device):
    assert around.run("summary", "resnet21", stderr=full_device).returncode == 2
    done = around.run("summary", "resnet21", stderr=None, **closed(2))
    assert (done.returncode, done.stdout) == (2, "")


def test_no_terminal_no_colours_and_narrow_ones(around):
    for variables in ({"COLUMNS": "20", "NO_COLOR": "1"}, {"TERM": "dumb", "LINES": "1"}, {"TERM": None}):
        done = around.run("summary", "mlp", variables=variables, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 and "\033" not in done.stdout + done.stderr
