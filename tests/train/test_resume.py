"""Stopping anywhere and going on gives the bits of a training that never stopped."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from minitorch_cnn import optim, train, weights
from minitorch_cnn.processes import STOP_SIGNALS
from tests.campaigns.bad_inputs import altered

STEPS = 21


class Crash(Exception):
    pass


def digest_of(trainer):
    return weights.save(trainer.folder.path / "weights", trainer.model.state_dict())


@pytest.fixture
def whole(start):
    trainer = start("whole")
    trainer.fit()
    return digest_of(trainer), trainer.progress.history


def crash_at(trainer, step):
    """Let the training fail after a number of steps."""
    count = trainer.progress.count

    def counted(*arguments):
        count(*arguments)
        if trainer.progress.step == step:
            raise Crash

    trainer.progress.count = counted


@pytest.mark.parametrize("step", range(1, STEPS + 1, 2))
def test_resume_from_the_last_checkpoint_after_a_crash_at_any_step(start, go_on, whole, step):
    trainer = start(save_every=0.0)
    crash_at(trainer, step)
    with pytest.raises(Crash):
        trainer.fit()
    resumed = go_on()
    assert resumed.progress.step == step - 1
    assert resumed.fit()
    assert digest_of(resumed) == whole[0]
    measured = ("seconds", "epoch_seconds", "images_per_second")
    for mine, theirs in zip(resumed.progress.history, whole[1], strict=True):
        assert {k: v for k, v in mine.items() if k not in measured} == {
            k: v for k, v in theirs.items() if k not in measured
        }


def test_resume_with_another_number_of_workers(start, go_on, whole):
    trainer = start(save_every=0.0, workers=1)
    crash_at(trainer, 10)
    with pytest.raises(Crash):
        trainer.fit()
    resumed = go_on(workers=2)
    resumed.fit()
    assert digest_of(resumed) == whole[0]


@pytest.mark.parametrize("number", STOP_SIGNALS, ids=lambda n: n.name)
def test_a_request_to_stop_finishes_the_batch_saves_and_can_be_resumed(start, go_on, whole, number):
    trainer, handler = start(), signal.getsignal(number)
    count = trainer.progress.count

    def interrupted(*arguments):
        if trainer.progress.step == 8:
            for _ in range(1 if number == signal.SIGINT else 3):  # a scheduler may ask again, which changes nothing
                signal.raise_signal(number)
        count(*arguments)

    trainer.progress.count = interrupted
    assert trainer.fit() is False
    assert trainer.progress.step == 9
    assert signal.getsignal(number) is handler
    resumed = go_on()
    assert resumed.progress.step == 9
    assert resumed.fit()
    assert digest_of(resumed) == whole[0]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_closed_terminal_that_nohup_ignores_stops_nothing(start, monkeypatch):
    trainer, before = start(), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(trainer.progress, "start_clock", lambda: os.kill(os.getpid(), signal.SIGHUP) or restart())
    restart = train.Progress.start_clock.__get__(trainer.progress)
    try:
        assert trainer.fit()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_second_ctrl_c_stops_at_once_and_loses_nothing_saved(start, go_on, whole):
    trainer = start(save_every=0.0)

    def twice(*arguments):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)  # the signals arrive before this ends

    trainer.progress.count = twice
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    resumed = go_on()
    assert resumed.progress.step == 0
    resumed.fit()
    assert digest_of(resumed) == whole[0]


SCRIPT = """
    import io, sys
    sys.path.insert(0, {tests!r})
    from conftest import RECIPE, colours, small_model
    from minitorch_cnn import train
    folder, workers = sys.argv[1], int(sys.argv[2])
    options = dict(model=small_model(), workers=workers, save_every=0.0, reporter=train.Reporter(io.StringIO()))
    trainer = train.Trainer(RECIPE, colours(), folder, seed=0, **options)
    step = trainer.step
    def told(*batch):
        step(*batch)
        print(trainer.progress.step, flush=True)
    trainer.step = told
    trainer.fit()
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_9_at_a_random_step(tmp_path, go_on, whole, workers):
    code = textwrap.dedent(SCRIPT.format(tests=os.path.dirname(__file__)))
    step = int(np.random.default_rng().integers(1, STEPS - 1))
    command = [sys.executable, "-c", code, str(tmp_path / "run"), str(workers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) >= step:
                process.kill()
    assert process.returncode != 0
    resumed = go_on(workers=workers)
    assert step - 1 <= resumed.progress.step < STEPS
    resumed.fit()
    assert digest_of(resumed) == whole[0], f"killed at step {step}"
    assert os.name == "nt" or not list(tmp_path.glob("run/.*.tmp"))  # there after an hour


def test_a_damaged_checkpoint_is_passed_over_with_a_word(start, go_on, whole, make_model, capsys):
    trainer = start(save_every=0.0)
    crash_at(trainer, 12)
    with pytest.raises(Crash):
        trainer.fit()
    newest, _ = trainer.checkpoints.paths()
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = go_on(reporter=train.Reporter(None))
    assert f"{newest.name} is damaged and was skipped" in capsys.readouterr().err
    train.Trainer.resume(newest.parent, resumed.train_set, model=make_model())  # with the usual reporter
    assert f"{newest.name} is damaged and was skipped" in capsys.readouterr().err
    assert resumed.progress.step == 10
    resumed.fit()
    assert digest_of(resumed) == whole[0]


def test_other_images_are_refused(start, go_on, make_images):
    start().save()
    with pytest.raises(ValueError, match="resume: train_set - expected colours of digest colours-60-0, got other"):
        go_on(train_set=make_images(name="other"))


def test_what_cannot_be_resumed(go_on, tmp_path):
    with pytest.raises(train.RunFolderError, match="expected the folder of an earlier run, got no folder"):
        go_on()
    (tmp_path / "run").mkdir()
    with pytest.raises(train.CheckpointError, match="expected a whole checkpoint, got no file checkpoint-"):
        go_on()


def test_a_checkpoint_with_an_altered_entry_resumes_or_is_refused_by_name(start, go_on, test_set):
    trainer = start(save_every=0.0)
    trainer.fit()
    path = trainer.checkpoints.paths()[0]
    arrays, metadata = weights.load(path)
    choices = np.random.default_rng(0)
    refused = 0
    for _ in range(30):
        for left in (*trainer.checkpoints.paths(), trainer.folder.result):
            left.unlink(missing_ok=True)
        weights.save(path, arrays, altered(metadata, choices))
        try:
            resumed = go_on()
        except (ValueError, TypeError) as error:
            assert " - expected " in str(error) or "checkpoint-" in str(error), str(error)
            refused += 1
            continue
        resumed.fit()
        resumed.final_eval(test_set)
    assert 5 < refused < 30


def test_an_altered_result_is_refused_by_name(start, test_set):
    trainer = start()
    trainer.fit()
    result = trainer.final_eval(test_set)
    assert trainer.folder.read_result() == result
    for text in ("{", "[]", "NaN", "{}", json.dumps(result | {"test_accuracy": 2.5, "test_reads": 1})):
        trainer.folder.result.write_text(text)
        with pytest.raises(train.RunFolderError, match="result.json - expected the result of a run"):
            trainer.folder.read_result()


@pytest.mark.parametrize("average", [{"ema": 0.9}, {"lookahead": 5}])
def test_a_finished_run_that_is_resumed_has_the_averaged_weights(start, go_on, recipe, average):
    trainer = start(recipe=dataclasses.replace(recipe, **average))
    trainer.fit()
    again = go_on()
    for key, array in trainer.model.state_dict().items():
        assert (array == again.model.state_dict()[key]).all(), key


@pytest.mark.parametrize(
    "name, value",
    [("accumulate", 2), ("holdout", 5), ("save_epochs", True), ("seed", 3), ("source", "there"), ("first_epoch", 1)],
)
def test_an_option_that_is_replaced_after_the_trainer_was_made_is_refused(start, name, value):
    """The files of the run name the first one, and a resumed run would take that."""
    trainer = start()
    before = getattr(trainer, name)
    setattr(trainer, name, value)
    with pytest.raises(ValueError, match=f"Trainer: {name} - expected {before!r}, which .* got {value!r}; make a new"):
        trainer.fit()
    assert trainer.progress.step == 0 and not trainer.checkpoints.paths()


def test_a_recipe_that_is_replaced_after_the_trainer_was_made_is_refused(start, recipe):
    trainer = start()
    trainer.recipe = dataclasses.replace(recipe, precision="float32")  # the same one
    trainer.save()
    trainer.recipe = dataclasses.replace(recipe, epochs=5)
    with pytest.raises(ValueError, match="Trainer: recipe - expected .*epochs=3, .* got .*epochs=5, .*; make"):
        trainer.fit()


def test_an_average_that_the_recipe_does_not_know_is_refused(start, go_on, recipe):
    trainer = start("with", dataclasses.replace(recipe, ema=0.9))
    trainer.state.average = None
    trainer.save()
    with pytest.raises(ValueError, match="checkpoint: average - expected one, as the recipe says, got none"):
        go_on("with")
    trainer = start("without")
    trainer.state.average = optim.EMA(trainer.model)
    trainer.save()
    with pytest.raises(ValueError, match="checkpoint: average - expected none, as the recipe says, got one"):
        go_on("without")
