"""Numbers that layers keep as plain attributes: a run that changes them is judged, saved and continued with them."""

import dataclasses

import numpy as np
import pytest

from minitorch_cnn import models, nn, rng, train, weights
from minitorch_cnn.train import attributes, network
from tests.train.test_frozen import assert_same, stop_after

SIZES = {"num_classes": 2, "in_channels": 3, "image_size": 8}


class Heated(nn.Sequential):
    """Logits times a number that no argument sets, and a count of calls in training that the first one makes."""

    def __init__(self):
        layers = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.1), nn.GlobalAvgPool(), nn.Linear(4, 2)
        super().__init__(*layers)
        self.heat = 1.0

    def forward(self, x):
        if self.training:
            self.calls = getattr(self, "calls", 0) + 1
        return super().forward(x) * (self.heat + 0.01 * getattr(self, "calls", 0))


def heated(seed=0):
    rng.manual_seed(seed)
    return Heated()


def warmer(trainer, record):
    trainer.model.heat = 1.0 + record["epoch"]
    trainer.model[1].eps = 0.01 * record["epoch"]
    trainer.model[2].p = 0.1 * record["epoch"]


def described(model):
    return network.describe(model, "cifar4", SIZES)[1]


def test_what_a_run_changes_belongs_to_its_classifier(start, test_set, tmp_path):
    trainer = start(model=heated(), on_epoch=warmer)
    trainer.fit()
    result = trainer.final_eval(test_set)
    loaded = train.Classifier.load(tmp_path / "run")
    assert (loaded.model.heat, loaded.model[1].eps, loaded.model.calls) == (4.0, 0.03, 21)
    assert loaded.evaluate(test_set).loss == result["test_loss"]
    loaded.save(tmp_path / "again.safetensors")
    assert train.Classifier.load(tmp_path / "again.safetensors").evaluate(test_set).loss == result["test_loss"]


def test_an_exported_file_computes_with_what_the_run_changed(start, test_set, tmp_path):
    pytest.importorskip("onnx")
    trainer = start(model=heated(), on_epoch=warmer)
    trainer.fit()
    result = trainer.final_eval(test_set)
    train.Classifier.load(tmp_path / "run").export(tmp_path / "run.onnx")
    loaded = train.Classifier.load(tmp_path / "run.onnx")
    assert loaded.evaluate(test_set).loss == pytest.approx(result["test_loss"])


@pytest.mark.parametrize("steps", [7, 9, 15])
@pytest.mark.parametrize("rate", [None, 0.3])  # of dropout, which a recipe may set, too
def test_a_resumed_run_continues_with_what_was_changed(start, go_on, recipe, steps, rate):
    recipe = dataclasses.replace(recipe, dropout=rate)
    whole = start("whole", recipe, model=heated(), on_epoch=warmer)
    whole.fit()
    stop_after(start("run", recipe, model=heated(), on_epoch=warmer, save_every=0.0), steps)
    resumed = go_on(model=None, on_epoch=warmer)
    assert resumed.model.heat == 1.0 + steps // 7 and resumed.model.calls == steps
    stop_after(resumed, steps + 2)
    resumed = go_on(model=heated(3), on_epoch=warmer)
    resumed.fit()
    assert_same(resumed, whole)
    assert attributes.plain(resumed.model) == attributes.plain(whole.model)


@pytest.mark.parametrize("stopped", [False, True])
def test_the_best_epoch_has_its_own_attributes(start, go_on, recipe, test_set, tmp_path, stopped):
    """Later epochs are made worse, so that the first is the best one."""

    def much_warmer(trainer, record):
        trainer.model.heat = 1000.0
        trainer.model[4].weight.data[...] *= -1

    recipe = dataclasses.replace(recipe, keep_best=True)
    trainer = start(recipe=recipe, model=heated(), holdout=10, on_epoch=much_warmer)
    if stopped:
        stop_after(trainer, 9)
        trainer = go_on(model=None, on_epoch=much_warmer)
    trainer.fit()
    result = trainer.final_eval(test_set)
    loaded = train.Classifier.load(tmp_path / "run")
    assert result["kept_epoch"] == 1 and loaded.model.heat == 1.0
    assert loaded.evaluate(test_set).loss == result["test_loss"]


def test_training_further_begins_with_them(start, make_images, tmp_path):
    trainer = start(model=heated(), on_epoch=warmer)
    trainer.fit()
    further = train.more(tmp_path / "run", make_images(), tmp_path / "further", epochs=1)
    assert attributes.plain(further.model) == attributes.plain(trainer.model)


def test_attributes_that_were_set_before_the_training_come_back(start, test_set, tmp_path):
    model = heated()
    model.heat = 5.0
    trainer = start(model=model)
    trainer.fit()
    result = trainer.final_eval(test_set)
    assert train.Classifier.load(tmp_path / "run").evaluate(test_set).loss == result["test_loss"]


def test_a_known_network_with_other_attributes_records_them():
    model = models.create("cifar4", **SIZES | {"image_size": 32})
    sizes = SIZES | {"image_size": 32}
    before = network.describe(model, "cifar4", sizes)[1]
    model.heat = 2.0
    after = network.describe(model, "cifar4", sizes)[1]
    assert "changed" not in before and after == before | {"changed": {"": {"heat": 2.0}}}
    assert network.rebuild(after).heat == 2.0


def test_a_network_of_an_unknown_maker_gets_its_attributes_back():
    def make():
        model = heated()
        model.heat = 7.0
        return model

    class Wide(nn.Module):
        def __init__(self, width, heat=1.0):
            super().__init__()
            self.inner, self.heat = nn.Linear(width, 2), heat

    architecture = described(Wide(3, heat=7.0))
    assert architecture["factory"] is None
    assert network.rebuild(architecture, Wide(3)).heat == 7.0
    assert network.rebuild(described(make), heated()).heat == 7.0


def test_layers_that_were_replaced_during_a_run_are_asked_for(start, go_on, test_set, tmp_path):
    trainer = start(model=heated())
    trainer.model[3] = nn.Sequential(nn.AvgPool2d(2), nn.GlobalAvgPool())
    trainer.fit()
    result = trainer.final_eval(test_set)
    with pytest.raises(train.OwnNetworkError, match="the run was given a network, and how it was made is not recorded"):
        train.Classifier.load(tmp_path / "run")
    with pytest.raises(ValueError, match=r"the network that was trained, .* with 3: Sequential\(\), got 3: Global"):
        train.Classifier.load(tmp_path / "run", model=heated())
    replaced = heated()
    replaced[3] = nn.Sequential(nn.AvgPool2d(2), nn.GlobalAvgPool())
    assert train.Classifier.load(tmp_path / "run", model=replaced).evaluate(test_set).loss == result["test_loss"]


@pytest.mark.parametrize(
    "changed",
    [
        3,
        {"none": {}},
        {"": 3},
        {"": {"heat": {1: 1.0}}},
        {"": {"forward": 1.0}},
        {"": {"training": True}},
        {"4": {"weight": 1}},
    ],
)
def test_a_record_of_attributes_that_do_not_fit_is_refused(changed):
    architecture = described(heated()) | {"changed": changed}
    with pytest.raises(ValueError, match="load: changed - expected"):
        network.rebuild(architecture)


def test_a_checkpoint_holds_them(start):
    trainer = start(model=heated())
    trainer.model.heat = 3.0
    trainer.model.name, trainer.model.limit, trainer.model.sizes = "net", np.inf, [1, 2]
    metadata = weights.load(trainer.save())[1]
    changed = {"heat": 3.0, "name": "net", "sizes": [1, 2]}  # what JSON can hold
    assert metadata["settings"]["architecture"]["changed"] == {"": changed}


class Weighted(Heated):
    """Logits times numbers of several forms; each is 1 at first."""

    def __init__(self):
        super().__init__()
        self.pair, self.listed, self.named = (1.0, 1.0), [1.0, [1.0]], {"a": 1.0}
        self.array, self.none = np.ones(2), 1.0

    def forward(self, x):
        factors = *self.pair, self.listed[0], *self.listed[1], self.named["a"], *self.array, self.none or 2.0
        return super().forward(x) * float(np.prod(factors))


def set_pair(model):
    model.pair = (1.0, 3.0)


def set_in_list(model):
    model.listed[1][0] = 3.0


def set_in_dict(model):
    model.named["a"] = 3.0


def set_number_of_numpy(model):
    model.heat = np.exp(np.float64(1.0))


def set_none(model):
    model.none = None


CHANGES = [set_pair, set_in_list, set_in_dict, set_number_of_numpy, set_none]


@pytest.mark.parametrize("change", CHANGES)
def test_every_form_of_a_number_comes_back(start, go_on, test_set, tmp_path, change):
    whole = start("whole", model=Weighted(), on_epoch=lambda trainer, record: change(trainer.model))
    whole.fit()
    result = whole.final_eval(test_set)
    loaded = train.Classifier.load(tmp_path / "whole")
    assert loaded.evaluate(test_set).loss == result["test_loss"]
    assert isinstance(loaded.model.pair, tuple) and isinstance(loaded.model.listed, list)
    stop_after(start("run", model=Weighted(), on_epoch=lambda t, record: change(t.model), save_every=0.0), 8)
    resumed = go_on(model=None)
    assert attributes.plain(resumed.model) == attributes.plain(whole.model) | {
        "": attributes.plain(whole.model)[""] | {"calls": 8}
    }


@pytest.mark.parametrize("change", CHANGES)
def test_every_form_of_a_number_that_is_set_first_comes_back(start, test_set, tmp_path, change):
    model = Weighted()
    change(model)
    trainer = start(model=model)
    trainer.fit()
    assert trainer.final_eval(test_set)["test_loss"] == train.Classifier.load(tmp_path / "run").evaluate(test_set).loss


def test_what_no_file_can_hold_is_named(start):
    def set_array(model):
        model.array[0] = 3.0

    def set_infinity(model):
        model.heat = np.inf

    array = "array: expected a buffer or a number, got a plain array, .* in no file; call self.register_buffer"
    for change, message in ((set_array, array), (set_infinity, "heat: expected a number, .*, got another object")):
        trainer = start(f"during-{change.__name__}", model=Weighted())
        change(trainer.model)
        with pytest.warns(UserWarning, match=message):
            trainer.save()
        model = Weighted()
        change(model)
        with pytest.warns(UserWarning, match=message):
            start(f"before-{change.__name__}", model=model)


def test_what_forward_keeps_to_be_looked_at_is_not_named(start, recwarn):
    class Looking(Heated):
        seen = None

        def forward(self, x):
            self.seen, self.pixels = x, x.data
            return super().forward(x)

    start(model=Looking()).fit()
    assert not recwarn


def test_a_list_that_contains_itself_is_no_number(start):
    model = heated()
    model.circle = [1]
    model.circle.append(model.circle)
    assert "circle" not in attributes.plain(model)[""]


class Cooled(Heated):
    """Has the parameters of the other class."""


def test_a_number_that_is_set_after_the_training_is_saved(start, test_set, tmp_path):
    trainer = start(model=heated())
    trainer.fit()
    trainer.final_eval(test_set)
    loaded = train.Classifier.load(tmp_path / "run")
    loaded.model.heat = 9.0
    loaded.save(tmp_path / "calibrated.safetensors")
    again = train.Classifier.load(tmp_path / "calibrated.safetensors")
    assert again.model.heat == 9.0
    np.testing.assert_array_equal(again.logits(test_set.images), loaded.logits(test_set.images))


@pytest.mark.parametrize("write", ["save", "export"])
def test_a_file_under_the_name_of_another_network_is_refused(start, tmp_path, write):
    """Their weights have the same shapes, so that loading would not notice."""
    settings = start(model=heated()).settings
    other = heated()
    other[3] = nn.Sequential(nn.AvgPool2d(2), nn.GlobalAvgPool())
    for model, message in ((Cooled(), "Heated.* with Heated, got Cooled"), (other, "with 3: GlobalAvgPool, got")):
        with pytest.raises(ValueError, match=f"Classifier.{write}: model - expected the network .*{message}"):
            getattr(train.Classifier(model, settings), write)(tmp_path / "file")
    known = models.create("lenet5", num_classes=2)
    path = next(path for path, module in known.named_modules() if isinstance(module, nn.Tanh))
    parent, _, name = path.rpartition(".")
    setattr(dict(known.named_modules())[parent], name, nn.ReLU())
    metadata = settings | {"architecture": {"name": "lenet5", "num_classes": 2, "image_size": 32}}
    with pytest.raises(ValueError, match=f"Classifier.{write}: .* lenet5, with .*: Tanh, got .*: ReLU"):
        getattr(train.Classifier(known, metadata), write)(tmp_path / "file")
    assert not (tmp_path / "file").exists()
