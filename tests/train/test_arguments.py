"""Objects of another kind are refused by the name of the argument, not by an attribute that they lack."""

import numpy as np
import pytest

from minitorch_cnn import data, models, train
from tests.train.conftest import RECIPE, colours

WRONG = [None, "x", 3, 1.5, [], {}, object()]


def classifier():
    architecture = {"name": "mlp", "num_classes": 2, "image_size": 8}
    facts = {"architecture": architecture, "classes": ["red", "blue"], "mean": [0.5] * 3, "std": [0.2] * 3}
    return train.Classifier(models.create(**architecture), facts)


CALLS = {
    "Trainer: recipe": lambda wrong: train.Trainer(wrong, colours(), "run"),
    "Trainer: train_set": lambda wrong: train.Trainer(RECIPE, wrong, "run"),
    "transfer: recipe": lambda wrong: train.transfer(wrong, classifier(), colours(), "run"),
    "transfer: pretrained": lambda wrong: train.transfer(RECIPE, wrong, colours(), "run"),
    "transfer: train_set": lambda wrong: train.transfer(RECIPE, classifier(), wrong, "run"),
    "replace_head: model": lambda wrong: train.replace_head(wrong, 3),
    "evaluate: dataset": lambda wrong: classifier().evaluate(wrong),
    "prepare: dataset": lambda wrong: classifier().prepare(wrong),
    "labels: dataset": lambda wrong: classifier().labels(wrong),
    "hold_out: dataset": lambda wrong: data.hold_out(wrong, 3),
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("argument", CALLS)
def test_another_object_is_refused_by_name(argument, wrong):
    if wrong == [] and argument.endswith(("set", "dataset")):  # a list is a dataset, but not without items
        with pytest.raises(data.DatasetError, match=f"^{argument} - expected at least one item, got a list of length"):
            CALLS[argument](wrong)
        return
    with pytest.raises(TypeError, match=f"^{argument} - expected .*, got {type(wrong).__name__}$"):
        CALLS[argument](wrong)


def test_names_and_paths_of_another_kind():
    with pytest.raises(TypeError, match="recipe: name - expected an object of str, got list"):
        train.recipe([])
    with pytest.raises(TypeError, match="Classifier.load: path - expected"):
        train.Classifier.load(b"x")
    for wrong in (None, 3):
        with pytest.raises(TypeError, match="Classifier: paths - expected an iterable of paths, got"):
            classifier().classify(wrong)
        with pytest.raises(ValueError, match=r"Classifier: images - expected uint8 \(N, H, W, 3\)"):
            classifier().normalised(wrong)
    for other in (np.float32, np.float64, np.int64, np.bool_):  # may be scaled, or beyond 255
        with pytest.raises(ValueError, match=rf"expected uint8 .*, got {np.dtype(other)} \(1, 8, 8, 3\)"):
            classifier().normalised(np.zeros((1, 8, 8, 3), other))
    with pytest.raises(IndexError, match="select: indices - expected integers, bools or a slice, got x"):
        colours().select("x")


def test_the_images_to_hold_out_are_named_as_the_caller_names_them(tmp_path):
    count = len(colours())
    with pytest.raises(ValueError, match=f"holdout - expected 0 to {count - 1}, got {count}"):
        train.Trainer(RECIPE, colours(), tmp_path / "run", holdout=count)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("mean", "std"), [([125.3] * 3, [0.25] * 3), ([0.5] * 3, [63.0] * 3), ([0] * 3, [255] * 3)])
def test_mean_and_std_of_pixels_up_to_255_are_refused(mean, std):
    metadata = {**classifier().metadata, "mean": mean, "std": std}
    with pytest.raises(ValueError, match="expected 'mean' and 'std' of pixels divided by 255"):
        train.Classifier(classifier().model, metadata)


@pytest.mark.parametrize("field", ["epochs", "peak_lr", "dropout", "mixup", "label_smoothing", "weight_decay", "ema"])
@pytest.mark.parametrize("value", [True, np.False_])
def test_true_and_false_are_no_numbers_of_a_recipe(field, value):
    with pytest.raises(ValueError, match=f"Recipe: {field} - expected"):
        train.recipe("mlp", **{field: value})
