"""What a run records about its network, and that the same one comes back or is asked for by name."""

import sys
import textwrap

import numpy as np
import pytest

from minitorch_cnn import data, models, nn, train
from minitorch_cnn.models import own
from minitorch_cnn.train import network

SIZES = {"num_classes": 3, "in_channels": 3, "image_size": 8}
OWN = """
    from minitorch_cnn import nn

    class Net(nn.Sequential):
        def __init__(self, num_classes=10, width=4):
            layers = nn.Conv2d(3, width, 3), nn.{activation}(), nn.GlobalAvgPool(), nn.Linear(width, num_classes)
            super().__init__(*layers)

    def make(num_classes):
        return Net(num_classes, width=5)

    def number():
        return 3

    def fails():
        raise OSError("no file")
"""


class Plain(nn.Sequential):
    """A class without arguments: calling it is the only way to make one."""

    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.GlobalAvgPool(), nn.Linear(4, 3))


@pytest.fixture
def own_file(tmp_path):
    def write(activation="Tanh", name="own.py"):
        (tmp_path / name).write_text(textwrap.dedent(OWN.format(activation=activation)))
        return str(tmp_path / name)

    return write


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, 8, 8, 3)).astype(np.uint8)
    return data.ArrayDataset(pixels, np.arange(24) % 3, ("a", "b", "c"), (0.5,) * 3, (0.25,) * 3)


@pytest.fixture
def trained(tmp_path, images, recipe):
    def run(model):
        trainer = train.Trainer(recipe, images, tmp_path / "run", model=model, holdout=4)
        trainer.fit()
        trainer.final_eval()
        return trainer

    return run


def test_a_network_of_the_registry_is_recorded_by_name_even_if_it_was_made_by_hand():
    for model in (None, models.create("resnet20", num_classes=3, image_size=8)):
        _, architecture = network.describe(model, "resnet20", SIZES)
        assert architecture == {"name": "resnet20", "num_classes": 3, "image_size": 8}


def test_channels_are_recorded_where_they_are_not_the_networks_own():
    model, architecture = network.describe(None, "resnet20", SIZES | {"in_channels": 1})
    assert architecture["in_channels"] == 1 and model.conv1.weight.shape[1] == 1


def test_another_network_of_the_same_shapes_is_not_taken_for_the_recipes(trained, images, tmp_path):
    trainer = trained(nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.Tanh(), nn.Linear(6, 3)))
    assert trainer.classifier.metadata["architecture"]["name"] == "Sequential"
    message = "expected model=.*Sequential.*is not recorded; got None"
    with pytest.raises(train.OwnNetworkError, match=message):
        train.Classifier.load(tmp_path / "run")
    with pytest.raises(train.OwnNetworkError, match=message):
        train.Trainer.resume(tmp_path / "run", images)
    other = nn.Sequential(nn.Flatten(), nn.Linear(192, 6), nn.ReLU(), nn.Linear(6, 3))
    with pytest.raises(ValueError, match=r"model - expected the network that was trained.*Tanh.*got .*ReLU"):
        train.Classifier.load(tmp_path / "run", model=other)


@pytest.mark.parametrize("model", [Plain, Plain(), lambda: Plain()])
def test_a_class_that_is_imported_comes_back(trained, images, tmp_path, model):
    logits = trained(model).classifier.logits(images.images)
    if callable(model) and not isinstance(model, type) and not isinstance(model, nn.Module):
        with pytest.raises(train.OwnNetworkError):  # a lambda has no name to find it by
            train.Classifier.load(tmp_path / "run")
        return
    np.testing.assert_array_equal(train.Classifier.load(tmp_path / "run").logits(images.images), logits)
    assert train.Trainer.resume(tmp_path / "run", images).progress.epoch == 3


def forget(place):
    """Make this process like a new one, which has not run the file yet."""
    for name in [name for name in sys.modules if name.endswith(place.rpartition(":")[0])]:
        del sys.modules[name]


def test_a_file_comes_back_with_the_arguments_of_the_run(trained, images, own_file, tmp_path):
    place = f"{own_file()}:make"
    logits = trained(place).classifier.logits(images.images)
    for model in (None, place):
        forget(place)
        again = train.Classifier.load(tmp_path / "run", model=model)
        np.testing.assert_array_equal(again.logits(images.images), logits)
        resumed = train.Trainer.resume(tmp_path / "run", images, model=model)
        assert resumed.settings["architecture"] == again.metadata["architecture"]
        assert resumed.folder.read_result()["model"] == "own.py:make"


def test_a_file_that_the_user_has_not_run_is_not_run(trained, own_file, tmp_path, monkeypatch):
    place = f"{own_file()}:make"
    trained(place)
    forget(place)
    monkeypatch.setattr(own, "_note", lambda digest: tmp_path / "nothing" / digest)
    with pytest.raises(train.OwnNetworkError, match="code of your own runs only where you name it") as caught:
        train.Classifier.load(tmp_path / "run")
    assert caught.value.place == place
    train.Classifier.load(tmp_path / "run", model=place)  # from now on it is known
    forget(place)
    train.Classifier.load(tmp_path / "run")


def test_a_network_that_a_file_made_is_recorded_with_its_file(trained, images, own_file, tmp_path):
    place = f"{own_file()}:Net"
    model = models.from_file(place, num_classes=3)
    logits = trained(model).classifier.logits(images.images)
    forget(place)
    np.testing.assert_array_equal(train.Classifier.load(tmp_path / "run").logits(images.images), logits)


WRONG = [("name", 3), ("num_classes", "3"), ("image_size", 0), ("structure", "x"), ("factory", 3)]
WRONG += [(("factory", key), value) for key, value in (("arguments", None), ("file", 3), ("name", None), ("module", 1))]


@pytest.mark.parametrize("key, value", WRONG, ids=str)
def test_a_record_of_another_form(own_file, key, value):
    _, architecture = network.describe(f"{own_file()}:Net", "mlp", SIZES)
    if isinstance(key, tuple):
        architecture["factory"][key[1]] = value
    else:
        architecture[key] = value
    with pytest.raises(ValueError, match="architecture - expected .* as a training records it, got"):
        network.rebuild(architecture)


def test_a_file_that_makes_another_network_now_is_refused(trained, own_file, tmp_path):
    trained(f"{own_file()}:Net")
    changed = own_file("ReLU", "changed.py")
    with pytest.raises(ValueError, match=r"model - expected the network that was trained.*Tanh.*got .*ReLU"):
        train.Classifier.load(tmp_path / "run", model=f"{changed}:Net")


@pytest.mark.parametrize(
    "name, message",
    [
        ("number", "expected it to make a Module, got int"),
        ("fails", "got OSError: no file"),
        ("absent", "expected a class or function 'absent'"),
    ],
)
def test_what_makes_no_network(own_file, name, message):
    with pytest.raises(ValueError, match=message):
        network.describe(f"{own_file()}:{name}", "mlp", SIZES)


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="Trainer: model - expected a Module, a class or function"):
        network.describe(3, "mlp", SIZES)
    with pytest.raises(ValueError, match=r"place - expected FILE:NAME of a Python file, got 'cifar4'"):
        network.describe("cifar4", "mlp", SIZES)


def test_a_file_with_a_mistake(tmp_path):
    (tmp_path / "wrong.py").write_text("def (\n")
    with pytest.raises(ValueError, match="expected a Python file that runs, got SyntaxError"):
        models.from_file(f"{tmp_path / 'wrong.py'}:Net")
