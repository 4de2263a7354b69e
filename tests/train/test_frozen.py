"""Layers that are frozen before or during a training stay so in every continuation of the run."""

import dataclasses

import numpy as np
import pytest

from minitorch_cnn import nn, optim, train, weights

FILTERS, HEAD = "0.weight", "5.weight"


def state_of(trainer):
    return trainer.model.state_dict() | {
        f"{number}/{name}": array
        for number, kept in trainer.optimizer.state_dict()["state"].items()
        for name, array in kept.items()
    }


def assert_same(trainer, other):
    mine, theirs = state_of(trainer), state_of(other)
    assert mine.keys() == theirs.keys()
    for key, array in mine.items():
        np.testing.assert_array_equal(array, theirs[key], err_msg=key)


def by_hand(trainer):
    for parameter in trainer.model[0].parameters():
        parameter.requires_grad = False


def filters_and_statistics(trainer):
    trainer.model[0].freeze()
    trainer.model[1].freeze()


def at_the_end_of_epoch(number, change):
    def on_epoch(trainer, record):
        if record["epoch"] == number:
            change(trainer)

    return on_epoch


class Stop(Exception):
    pass


def stop_after(trainer, steps):
    """Let a training save and stop after a number of steps, as a request to stop does."""
    step = trainer.step

    def stopping(images, labels):
        if trainer.progress.step == steps:
            raise Stop
        step(images, labels)

    trainer.step = stopping
    with pytest.raises(Stop):
        trainer.fit()


@pytest.mark.parametrize("change", [by_hand, filters_and_statistics])
@pytest.mark.parametrize("steps", [7, 9])  # an epoch has 7: right at its end, and after further checkpoints
def test_layers_frozen_after_an_epoch_stay_frozen_in_the_resumed_run(start, go_on, change, steps):
    whole = start("whole", on_epoch=at_the_end_of_epoch(1, change))
    whole.fit()
    stop_after(start(on_epoch=at_the_end_of_epoch(1, change), save_every=0.0), steps)
    resumed = go_on()  # without the function that froze them
    assert not resumed.model[0].weight.requires_grad
    assert resumed.model[1].frozen == (change is filters_and_statistics)
    resumed.fit()
    assert_same(resumed, whole)


@pytest.mark.parametrize("steps", [0, 9])
def test_layers_frozen_before_the_training_stay_frozen_in_the_resumed_run(start, go_on, make_model, steps):
    whole = start("whole", model=make_model().freeze("1"))
    whole.fit()
    stop_after(start(model=make_model().freeze("1"), save_every=0.0), steps)
    resumed = go_on(model=make_model())
    resumed.fit()
    assert_same(resumed, whole)
    np.testing.assert_array_equal(resumed.model.state_dict()[FILTERS], make_model().state_dict()[FILTERS])


def test_layers_that_learn_again_do_so_in_the_resumed_run(start, go_on, make_model):
    def unfreeze(trainer):
        trainer.model.unfreeze()

    def frozen_from_the_start(name):
        trainer = start(name, on_epoch=at_the_end_of_epoch(1, unfreeze), save_every=0.0)
        trainer.model.freeze("1")
        return trainer

    whole = frozen_from_the_start("whole")
    whole.fit()
    stop_after(frozen_from_the_start("run"), 9)
    resumed = go_on(model=make_model().freeze())
    assert all(parameter.requires_grad for parameter in resumed.model.parameters())
    resumed.fit()
    assert_same(resumed, whole)


def test_training_further_keeps_frozen_layers(start, make_images, make_model, tmp_path):
    trainer = start()
    by_hand(trainer)
    trainer.fit()
    further = train.more(tmp_path / "run", make_images(), tmp_path / "further", epochs=1, model=make_model())
    before = trainer.model.state_dict()
    further.fit()
    after = further.model.state_dict()
    np.testing.assert_array_equal(after[FILTERS], before[FILTERS])
    assert (after[HEAD] != before[HEAD]).any()


def test_a_checkpoint_of_before_they_were_recorded_is_resumed(start, go_on):
    trainer = start()
    path = trainer.save()
    arrays, rest = weights.load(path)
    rest.pop("frozen")
    rest["settings"].pop("frozen")
    weights.save(path, arrays, rest)
    assert all(parameter.requires_grad for parameter in go_on().model.parameters())


@pytest.mark.parametrize("where", ["checkpoint", "resume"])
@pytest.mark.parametrize("recorded", [[], {"parameters": ["none.weight"], "modules": []}, {"parameters": 3}])
def test_a_record_that_does_not_fit_the_network_is_refused(start, go_on, recorded, where):
    path = start().save()
    arrays, rest = weights.load(path)
    (rest if where == "checkpoint" else rest["settings"])["frozen"] = recorded
    weights.save(path, arrays, rest)
    with pytest.raises(ValueError, match=f"{where}: frozen - expected a list of parameters of the model, got"):
        go_on()


def test_a_state_with_the_weights_of_an_average_is_not_saved(start, recipe):
    trainer = start(recipe=dataclasses.replace(recipe, ema=0.9))
    with trainer.state.judged(), pytest.raises(ValueError, match="snapshot: parameters - expected the weights of the"):
        trainer.save()
    assert isinstance(trainer.state.average, optim.EMA) and isinstance(trainer.model, nn.Module)
    assert not trainer.checkpoints.paths()


def test_a_record_of_the_tree_as_older_versions_printed_it_fits(start, go_on, make_model):
    path = start(model=make_model().freeze("1")).save()
    arrays, rest = weights.load(path)
    rest["settings"]["architecture"]["structure"] = ["Small", *str(make_model().freeze("1")).splitlines()[1:]]
    assert any("[frozen]" in line for line in rest["settings"]["architecture"]["structure"])
    weights.save(path, arrays, rest)
    assert go_on(model=make_model()).model[1].frozen


def test_what_the_optimiser_does_not_have_must_not_learn(start, make_model):
    """Layers that were frozen when the trainer was made, or came later, would stay as they are without a word."""
    model = make_model()
    model[0].freeze()
    trainer = start(model=model, on_epoch=lambda trainer, record: trainer.model.unfreeze())
    message = "Trainer: model - expected parameters that learned when the trainer was made, .* got 0.weight; freeze it"
    with pytest.raises(ValueError, match=message):
        trainer.fit()
    assert trainer.progress.epoch == 1
    trainer = start("replaced")
    trainer.model[5] = nn.Linear(4, 2)
    with pytest.raises(ValueError, match="got 5.weight; freeze it, or let it learn and make a new trainer"):
        trainer.fit()
    assert trainer.progress.step == 0
