"""Progress: plain lines in a pipe, a bar on a terminal, and nothing on standard output."""

import io
import os
import re
import sys
import types

import pytest

from minitorch_cnn import train
from minitorch_cnn.train.report.reporter import duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def progress(step, batch):
    return types.SimpleNamespace(step=step, batch=batch, epoch=0, loss_sum=20.0, images=10, correct=5)


RECORD = {"epoch": 1, "train_loss": 1.5, "train_accuracy": 0.5, "images_per_second": 1234.5, "seconds": 65.2}


def test_a_line_every_ten_seconds_in_a_pipe(recipe):
    stream, clock = io.StringIO(), Clock()
    reporter = train.Reporter(stream, clock)
    reporter.begin(recipe, batches=100, step=0, steps=300)
    for step in range(1, 31):
        clock.now += 1.0
        reporter.step(progress(step, step))
    reporter.end()
    lines = stream.getvalue().splitlines()
    assert lines == [
        "epoch 1/3, batch 10/100: loss 2.000, accuracy 50.0%, about 4 min 50 s left",
        "epoch 1/3, batch 20/100: loss 2.000, accuracy 50.0%, about 4 min 40 s left",
        "epoch 1/3, batch 30/100: loss 2.000, accuracy 50.0%, about 4 min 30 s left",
    ]


def run_steps(reporter, clock, first, seconds):
    for step, time in enumerate(seconds, start=first):
        clock.now += time
        reporter.step(progress(step, step))


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_no_forecast_before_enough_steps_are_measured(recipe, stream):
    clock = Clock()
    reporter = train.Reporter(stream, clock)
    reporter.begin(recipe, batches=100, step=0, steps=300)
    run_steps(reporter, clock, 1, [60.0, 11.0, 11.0, 11.0, 11.0])
    reporter.end()
    assert "measuring the time left" in stream.getvalue() and "about" not in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_the_forecast_counts_neither_compilation_nor_features_nor_the_end_of_an_epoch(recipe, stream):
    clock = Clock()
    reporter = train.Reporter(stream, clock)
    reporter.begin(recipe, batches=100, step=0, steps=300)
    clock.now += 4000.0  # the frozen layers, before the first step
    run_steps(reporter, clock, 1, [300.0] + [2.0] * 9)
    clock.now += 500.0
    reporter.compiling("_late", 4)
    run_steps(reporter, clock, 11, [100.0] + [2.0] * 5)
    clock.now += 900.0  # the held-out images
    reporter.end_epoch(RECORD)
    run_steps(reporter, clock, 17, [30.0] + [2.0] * 9)
    reporter.end()
    forecasts = re.findall(r"about (.*?) left", stream.getvalue())
    assert forecasts and set(forecasts) <= {f"{s // 60} min {s % 60} s" for s in range(540, 600, 2)}


def test_a_program_without_standard_error_trains_in_silence(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    reporter = train.Reporter()
    reporter.say("nobody reads this")
    assert not reporter.stream.isatty()


def test_the_end_of_an_epoch(recipe):
    stream = io.StringIO()
    reporter = train.Reporter(stream, Clock())
    reporter.begin(recipe, batches=100, step=0, steps=300)
    reporter.end_epoch(RECORD)
    reporter.end_epoch(RECORD | {"holdout_accuracy": 0.25})
    begin, end = "epoch 1/3 done: loss 1.500, accuracy 50.0%, ", "1,234 images/s, 1 min 5 s since the start"
    assert stream.getvalue().splitlines() == [begin + end, begin + "held-out accuracy 25.0%, " + end]


def test_a_bar_on_a_terminal(recipe, capsys):
    stream = Terminal()
    reporter = train.Reporter(stream)
    reporter.compiling("_pad_rows", 3)
    reporter.begin(recipe, batches=100, step=200, steps=300)
    reporter.compiling("_late", 4)
    reporter.step(progress(201, 1))
    reporter.say("a word")
    reporter.end()
    text = stream.getvalue()
    assert ": _pad_rows" in text and "compiling kernel 4 (the first time only): _late" in text
    assert "epoch 1/3:  " in text and "201/300" in text and "loss 2.000, accuracy 50.0%" in text and "a word\n" in text
    assert capsys.readouterr() == ("", "")


@pytest.mark.posix  # Windows has no pseudo-terminals
def test_a_bar_on_a_terminal_that_does_not_know_its_width():
    import pty

    ours, theirs = pty.openpty()
    assert os.get_terminal_size(theirs).columns == 0
    with open(theirs, "w") as stream, open(ours, "rb") as seen:
        reporter = train.Reporter(stream)
        reporter.compiled(0, 2)
        reporter.end()
        assert b"compiling kernels, the first time only: 0/2|" in seen.read1()


def test_kernels_that_are_compiled_ahead(recipe):
    for stream in (io.StringIO(), Terminal()):
        reporter = train.Reporter(stream)
        for done in (0, 1, 2):
            reporter.compiled(done, 2)
        reporter.begin(recipe, batches=100, step=0, steps=300)
        reporter.step(progress(1, 1))
        reporter.end()
        text = stream.getvalue()
        assert "2/2" in text and "epoch 1/3" in text if stream.isatty() else "compiled 2 of 2 kernels" in text


def test_a_bar_of_kernels_that_stops_early_makes_way_for_the_training(recipe):
    stream = Terminal()
    reporter = train.Reporter(stream)
    reporter.compiled(0, 2)
    reporter.say("a word")
    reporter.begin(recipe, batches=100, step=0, steps=300)
    reporter.step(progress(1, 1))
    reporter.end()
    assert "0/2" in stream.getvalue() and "a word\n" in stream.getvalue() and "1/300" in stream.getvalue()


def test_compilation_in_a_pipe_is_told_now_and_then():
    stream, clock = io.StringIO(), Clock()
    reporter = train.Reporter(stream, clock)
    for count in range(1, 26):
        clock.now += 1.0
        reporter.compiling("kernel", count)
    lines = stream.getvalue().splitlines()
    assert lines == [f"compiling kernel {n} (the first time only): kernel" for n in (1, 11, 21)]


@pytest.mark.parametrize(
    "seconds, text", [(0.4, "0 s"), (48, "48 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_as_people_say_them(seconds, text):
    assert duration(seconds) == text
