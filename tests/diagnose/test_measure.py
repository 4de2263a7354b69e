"""Measurements of this machine, and forecasts that follow from them."""

import pytest

from minitorch_cnn import train
from minitorch_cnn.diagnose import measure


def test_a_step_is_timed_on_real_training():
    seconds = measure.step_seconds(train.recipe("mlp", batch_size=4), steps=2)
    assert 0 < seconds < 60


def test_the_forecast_adds_up():
    recipe = train.recipe("cifar4", epochs=2)
    assert measure.forecast(recipe, 1.0) == pytest.approx(2 * 390 + 78 / 3)
