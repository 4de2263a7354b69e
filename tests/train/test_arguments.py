"""Objects of another kind are refused by the name of the argument, not by an attribute that they lack."""

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
        with pytest.raises(ValueError, match=r"Classifier: images - expected \(N, H, W, 3\)"):
            classifier().normalised(wrong)
    with pytest.raises(IndexError, match="select: indices - expected integers, bools or a slice, got x"):
        colours().select("x")
