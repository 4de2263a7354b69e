"""Trainings on mixed images, and with the other augmentations that a recipe may ask for."""

import dataclasses

import numpy as np
import pytest

from minitorch_cnn import data, train
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.train import setup
from minitorch_cnn.train.objective import Objective

MANY = {"mixup": 0.4, "cutmix": 1.0, "color_jitter": 0.3, "hue": 0.1, "rotate": 10, "resized_crop": 0.5, "erase": 0.5}


def _stop(trainer, record):
    raise KeyboardInterrupt


def test_a_resumed_run_ends_with_the_same_bits(start, go_on, recipe):
    recipe = dataclasses.replace(recipe, epochs=2, rand_augment=5, **MANY)
    whole = start("whole", recipe)
    assert whole.fit()
    broken = start("broken", recipe, on_epoch=_stop)
    with pytest.raises(KeyboardInterrupt):
        broken.fit()
    resumed = go_on("broken")
    assert resumed.recipe == recipe and resumed.fit()
    expected, got = whole.model.state_dict(), resumed.model.state_dict()
    assert all(np.array_equal(expected[name], got[name]) for name in expected)
    assert resumed.progress.history[-1]["train_loss"] == whole.progress.history[-1]["train_loss"]


@pytest.mark.parametrize("weights", [None, [1.0, 3.0]])
def test_parts_of_a_batch_sum_to_the_same_gradient(start, recipe, make_plain_model, weights):
    recipe = dataclasses.replace(recipe, mixup=0.5, optimizer="sgd", class_weights=weights, label_smoothing=0.1)
    recipe = dataclasses.replace(recipe, crop_padding=0)
    gradients = []
    for parts in (1, 2):
        trainer = start(f"parts{parts}", recipe, model=make_plain_model(), accumulate=parts)
        trainer.model.eval()  # batch norm of a part has other statistics
        totals = trainer.learn(*next(trainer.loader.iterate()))
        gradients.append(np.concatenate([p.grad.ravel() for p in trainer.parameters]))
        assert totals[2] == 8
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_the_most_likely_class_of_a_target_counts(recipe):
    logits = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], np.float32)
    assert Objective.right(logits, np.array([0, 1, 1])) == 2
    targets = np.array([[0.6, 0.4], [0.4, 0.6], [0.1, 0.9]], np.float32)
    assert Objective.right(logits, targets) == 2
    loss, count = Objective(recipe, np.array([0, 1]), 2)(Tensor(logits), targets)
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert count == 3 and loss.item() == pytest.approx(-(targets * log_probs).sum(1).mean(), rel=1e-6)


def test_the_transforms_of_a_recipe_and_their_order(recipe):
    plain = setup.augmentation(dataclasses.replace(recipe, crop_padding=2, cutout=3))
    assert plain == [data.PadCrop(2), data.Flip(), data.Cutout(3)]
    many = setup.augmentation(dataclasses.replace(recipe, **MANY, rand_augment=4, crop_padding=2, image_size=16))
    assert many == [
        data.RandomResizedCrop(0.5),
        data.PadCrop(2),
        data.Flip(),
        data.Rotate(10.0),
        data.ColorJitter(0.3, 0.3, 0.3, 0.1),
        data.RandAugment(magnitude=4.0),
        data.RandomErasing(0.5),
        data.Resize((16, 16)),
    ]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [("mixup", -0.1, "at least 0"), ("hue", 0.6, "0 to 0.5"), ("rotate", 181, "0 to 180"), ("erase", "a", "0 to 1")],
)
def test_fields_out_of_range(field, value, expected):
    with pytest.raises(ValueError, match=f"Recipe: {field} - expected {expected}, got {value!r}"):
        train.Recipe("a", **{field: value})


def test_cached_features_stand_no_change_of_images():
    fields = {"crop_padding": 0, "flip": False, "cache_features": True, "freeze_until": "a"}
    train.Recipe("a", **fields)
    for field in ("cutout", "mixup", "rand_augment"):
        with pytest.raises(ValueError, match=f"Recipe: cache_features - .* got {field}$"):
            train.Recipe("a", **fields, **{field: 1})
