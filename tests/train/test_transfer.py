"""Transfer learning: what stays, what is new, what is frozen, and the cache of features."""

import dataclasses
import io

import numpy as np
import pytest

from minitorch_cnn import models, nn, rng, train
from tests.train.conftest import colours

RECIPE = train.Recipe(
    "small", model="resnet20", epochs=2, batch_size=8, peak_lr=0.1, backbone_lr_scale=0.1, optimizer="sgd", workers=0
)
CACHED = dataclasses.replace(
    RECIPE, freeze_until="layer3", cache_features=True, crop_padding=0, flip=False, image_size=None
)


def source():
    """Return a network that knows four classes of 12 x 12 pixels."""
    rng.manual_seed(5)
    model = models.create("resnet20", num_classes=4)
    return models.Pretrained(model.eval(), 4, 12, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))


@pytest.fixture
def start(tmp_path):
    def make(recipe=RECIPE, name="run", **options):
        options = {"reporter": train.Reporter(io.StringIO())} | options
        return train.transfer(recipe, source(), colours(), tmp_path / name, **options)

    return make


def weights_of(model):
    return {key: array for key, array in model.state_dict().items() if not key.startswith("fc.")}


def same(a, b):
    return [key for key in a if np.array_equal(a[key], b[key])]


def test_the_weights_stay_and_the_last_layer_is_new(start):
    trainer = start()
    assert same(weights_of(trainer.model), weights_of(source().model)) == list(weights_of(trainer.model))
    assert trainer.model.fc.weight.shape == (2, 64)


def test_images_are_scaled_and_normalised_as_the_source_wants_them(start):
    trainer = start()
    images, _ = next(iter(trainer.loader))
    assert images.shape == (8, 3, 12, 12)
    facts = trainer.classifier.facts
    assert (facts["mean"], facts["std"]) == ([0.5, 0.4, 0.3], [0.2, 0.2, 0.1])
    assert facts["architecture"] == {"name": "resnet20", "num_classes": 2, "image_size": 12}
    assert start(dataclasses.replace(RECIPE, image_size=16), "other").classifier.image_size == 16


def test_all_layers_learn(start):
    trainer = start()
    before = weights_of(trainer.model)
    trainer.fit()
    assert same(before, weights_of(trainer.model)) == []
    assert trainer.progress.history[-1]["train_accuracy"] > 0.9
    result = trainer.final_eval(colours(40, seed=1))
    assert result["test_accuracy"] > 0.9
    again = train.Classifier.load(trainer.folder.path).evaluate(colours(40, seed=1))
    assert again.accuracy == result["test_accuracy"]


def test_frozen_layers_keep_weights_and_running_statistics(start):
    trainer = start(dataclasses.replace(RECIPE, freeze_until="layer2"))
    before = weights_of(trainer.model)
    trainer.fit()
    kept = same(before, weights_of(trainer.model))
    assert kept == [key for key in before if not key.startswith("layer3")]


def test_the_same_seed_gives_the_same_head(start):
    first, second, other = (start(name=f"{seed}-{i}", seed=seed).model.fc for i, seed in enumerate((1, 1, 2)))
    assert np.array_equal(first.weight.data, second.weight.data)
    assert not np.array_equal(first.weight.data, other.weight.data)


def test_a_transfer_is_resumed_without_the_source(start, tmp_path):
    whole = start(name="whole")
    whole.fit()
    halves = start(name="halves")
    halves.reporter.step = lambda progress: progress.step == 9 and 1 / 0
    with pytest.raises(ZeroDivisionError):
        halves.fit()
    halves.save()
    resumed = train.Trainer.resume(tmp_path / "halves", colours(), reporter=train.Reporter(io.StringIO()))
    assert resumed.fit()
    assert resumed.classifier.facts["mean"] == [0.5, 0.4, 0.3]
    expected = whole.model.state_dict()
    assert same(expected, resumed.model.state_dict()) == list(expected)


# -------------------------------------------------------------------------------- feature cache


def test_cached_features_train_the_head_as_the_whole_network_does(start):
    cached, whole = start(CACHED, "cached"), start(dataclasses.replace(CACHED, cache_features=False), "whole")
    assert cached.fit() and whole.fit()
    np.testing.assert_allclose(cached.model.fc.weight.data, whole.model.fc.weight.data, rtol=1e-4, atol=1e-6)
    assert weights_of(cached.model).keys() == weights_of(whole.model).keys()
    assert (
        cached.final_eval(colours(40, seed=1))["test_accuracy"]
        == whole.final_eval(colours(40, seed=1))["test_accuracy"]
    )


def test_the_frozen_layers_run_once(start):
    trainer, calls = start(CACHED), []
    forward = trainer.model.layer3.forward
    trainer.model.layer3.forward = lambda x: calls.append(len(x)) or forward(x)
    trainer.fit()
    assert sum(calls) == len(colours())
    assert "running the frozen layers once over 60 images" in trainer.reporter.stream.getvalue()
    assert isinstance(trainer.model.fc, nn.Linear)


def test_features_of_layers_that_learn_are_not_cached(start):
    with pytest.raises(ValueError, match="only_trainable: model - expected all but fc frozen, got layer3"):
        start(dataclasses.replace(CACHED, freeze_until="layer2"))


def test_with_a_cache_all_before_the_last_layer_is_frozen(start):
    trainer = start(dataclasses.replace(CACHED, freeze_until=None))
    assert trainer.recipe.freeze_until == "layer3.2.bn2" and trainer.fit()
    learns = {name for name, parameter in trainer.model.named_parameters() if parameter.requires_grad}
    assert learns == {"fc.weight", "fc.bias"}


def test_a_classifier_is_pretrained_too(start, tmp_path):
    first = start()
    first.fit()
    again = train.transfer(RECIPE, first.classifier, colours(), tmp_path / "again", reporter=first.reporter)
    assert same(weights_of(again.model), weights_of(first.model)) == list(weights_of(again.model))
    assert again.classifier.metadata["mean"] == [0.5, 0.4, 0.3] and again.classifier.image_size == 12


def test_something_that_is_not_pretrained(tmp_path):
    with pytest.raises(TypeError, match="transfer: pretrained - expected a Pretrained or a Classifier, got ResNet"):
        train.transfer(RECIPE, models.create("resnet20"), colours(), tmp_path / "run")


def test_a_cache_and_changing_images():
    with pytest.raises(ValueError, match="Recipe: cache_features - expected crop_padding=0 and flip=False with it"):
        dataclasses.replace(CACHED, flip=True)


def test_a_network_without_a_head(tmp_path):
    headless = models.Pretrained(models.create("allcnn_c"), 10, 32, (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ValueError, match="model - expected a fully connected layer at its end, got AllCNN"):
        train.transfer(RECIPE, headless, colours(), tmp_path / "run")
