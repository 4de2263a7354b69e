"""A finished run is trained further, in a run of its own."""

import dataclasses
import io
import itertools

import pytest

from minitorch_cnn import train


@pytest.fixture
def further(tmp_path, make_images, make_model):
    def make(name="more", earlier="run", images=None, **options):
        options = {"epochs": 2, "model": make_model(), "reporter": train.Reporter(io.StringIO())} | options
        return train.more(tmp_path / earlier, images or make_images(), tmp_path / name, **options)

    return make


def test_the_history_continues_and_the_schedule_begins_again(start, further, test_set):
    first = start()
    first.fit()
    first.final_eval(test_set)
    trainer = further()
    assert trainer.schedule.steps == 0 and trainer.optimizer.param_groups[0]["lr"] == trainer.schedule.lr(0)[0]
    assert trainer.optimizer.state[0]  # the moments of the earlier run
    trainer.fit()
    result = trainer.final_eval(test_set)
    assert [record["epoch"] for record in trainer.progress.history] == [1, 2, 3, 4, 5]
    assert trainer.progress.history[:3] == first.progress.history
    assert result["epochs"] == 5 and result["test_reads"] == 2
    assert first.folder.read_result()["epochs"] == 3


def test_a_run_that_is_trained_further_can_be_resumed(start, further, go_on):
    start().fit()
    whole = further("whole")
    whole.fit()
    trainer = further("stopped")
    trainer.on_epoch = lambda trainer, record: 1 / (4 - record["epoch"])
    with pytest.raises(ZeroDivisionError):
        trainer.fit()
    trainer = go_on("stopped")
    trainer.fit()
    for key, array in whole.model.state_dict().items():
        assert array.tobytes() == trainer.model.state_dict()[key].tobytes(), key


def test_a_plateau_continues_where_it_was_unless_a_rate_is_given(start, further, recipe):
    start(recipe=dataclasses.replace(recipe, epochs=6, schedule="plateau", peak_lr=1e-9)).fit()
    assert further().optimizer.param_groups[0]["lr"] < 1e-9
    assert further("other", peak_lr=1e-3).optimizer.param_groups[0]["lr"] == 1e-3


def test_early_stopping_counts_anew(start, further, recipe):
    trainer = start(recipe=dataclasses.replace(recipe, epochs=9, early_stop=1, peak_lr=1e-9), holdout=12)
    trainer.fit()
    more = further()
    more.fit()
    assert more.progress.epoch > trainer.progress.epoch


def test_fractions_of_epochs_before_and_after(start, further, recipe, test_set):
    first = start(recipe=dataclasses.replace(recipe, epochs=1.5))
    first.fit()
    assert first.progress.step == 7 + 4  # 60 images in batches of 8, the rest left out
    seen = io.StringIO()
    trainer = further(epochs=2.25, reporter=train.Reporter(seen, clock=itertools.count(0, 11).__next__))
    assert trainer.schedule.total_steps == 7 + 7 + 2
    trainer.fit()
    assert trainer.progress.step - first.progress.step == trainer.schedule.steps == 16
    assert [record["epoch"] for record in trainer.progress.history] == [1, 2, 3, 4, 5]
    last = seen.getvalue().splitlines()[-2]
    assert last.startswith("epoch 5/5, batch 2/7: ") and last.endswith("about 0 s left")
    assert trainer.final_eval(test_set)["epochs"] == 5
    assert further("again", "more", epochs=1).recipe.epochs == 6


def test_what_does_not_fit_is_refused(start, further, make_images):
    trainer = start()
    trainer.on_epoch = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.fit()
    with pytest.raises(train.RunFolderError, match=r"got one with 1 of 3 epochs; resume it first: mcnn train --resume"):
        further()
    start("whole").fit()
    with pytest.raises(ValueError, match="more: epochs - expected at least 1, got 0"):
        further(earlier="whole", epochs=0)
    with pytest.raises(TypeError, match="more: epochs - expected a number, got '2'"):
        further(earlier="whole", epochs="2")
    with pytest.raises(ValueError, match="more: train_set - expected colours of digest"):
        further(earlier="whole", images=make_images(seed=4))
    with pytest.raises(train.RunFolderError, match="expected the folder of an earlier run, got no folder"):
        further(earlier="none")


def test_the_best_epoch_of_the_earlier_run_comes_out_if_none_is_better(start, further, recipe, make_images):
    first = start(recipe=dataclasses.replace(recipe, keep_best=True), holdout=12)
    first.fit()
    trainer = further(epochs=1)
    trainer.progress.history[1]["holdout_loss"] = -1.0
    trainer.fit()
    result = trainer.final_eval()
    assert result["kept_epoch"] == 2 and first.folder.best.read_bytes() == trainer.folder.best.read_bytes()
    first.folder.best.unlink()
    with pytest.raises(train.CheckpointError, match="expected best.safetensors, the classifier of its best epoch"):
        further("third")


def test_slow_weights_begin_their_way_anew(start, further, recipe):
    first = start(recipe=dataclasses.replace(recipe, lookahead=2))
    first.fit()
    average = further().state.average
    assert first.state.average.steps == 21 and (average.steps, average.total_steps) == (0, 14)
    for path, array in first.state.average.arrays.items():
        assert (average.arrays[path] == array).all()
