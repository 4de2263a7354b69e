"""Measurements of this machine, and forecasts that follow from them."""

import numpy as np
import pytest

from minitorch_cnn import data, rng, train
from minitorch_cnn.diagnose import measure, rehearsal


def test_a_step_is_timed_on_real_training():
    seconds = measure.step_seconds(train.recipe("mlp", batch_size=4))
    assert 0 < seconds < 60


def test_the_forecast_adds_up():
    recipe = train.recipe("cifar4", epochs=2)
    assert measure.forecast(recipe, 1.0) == pytest.approx(2 * 390 + 78 / 3)


def test_a_rehearsal_leaves_no_trace(tmp_path):
    recipe = train.recipe("mlp", batch_size=8)
    trainer = train.Trainer(recipe, data.Shapes10(train=True, size=40), tmp_path / "run", workers=0)
    before = {key: np.array(value) for key, value in trainer.model.state_dict().items()}
    stream, epoch = rng.get_state(), trainer.loader.epoch
    whole, step = rehearsal.forecast(trainer)
    assert step > 0 and whole == pytest.approx(step * 12 * 5)  # 12 epochs of 5 batches
    assert rng.get_state() == stream and trainer.loader.epoch == epoch and trainer.progress.step == 0
    for key, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_a_recipe_is_measured_on_images_of_its_dataset():
    assert measure.images_like("mnist", 3).images.shape == (3, 28, 28, 1)
    assert measure.images_like("cifar10", 3).images.shape == (3, 32, 32, 3)
    assert len(measure.images_like("fashion_mnist", 3).mean) == 1
