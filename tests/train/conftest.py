"""A training small enough to run a hundred times: 8x8 images of two colours, a network of two layers."""

import io

import numpy as np
import pytest

from minitorch_cnn import data, nn, rng, train


def colours(count=60, seed=0, name="colours"):
    """Return reddish and bluish noise: a network learns them apart in a few steps."""
    stream = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    images = stream.integers(0, 100, (count, 8, 8, 3), dtype=np.uint8)
    images[labels == 0, ..., 0] += 120
    images[labels == 1, ..., 2] += 120
    return data.ArrayDataset(images, labels, ("red", "blue"), (0.4,) * 3, (0.3,) * 3, name, f"{name}-{count}-{seed}")


class Small(nn.Sequential):
    """Convolution, batch norm, dropout: weights, running statistics and random numbers all matter."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.GlobalAvgPool(),
            nn.Linear(4, 2),
        )


def small_model(seed=0):
    rng.manual_seed(seed)
    return Small()


def plain_model():
    """Return one without dropout, of which each rank has its own."""
    rng.manual_seed(0)
    layers = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.GlobalAvgPool(), nn.Linear(4, 2)
    return nn.Sequential(*layers)


RECIPE = train.Recipe("small", model="cifar4", epochs=3, batch_size=8, peak_lr=1e-2, crop_padding=1, workers=0)


@pytest.fixture
def start(tmp_path):
    """Return a function that makes a Trainer: ``start("name", recipe=..., **options)``."""

    def make(name="run", recipe=RECIPE, train_set=None, **options):
        options = {"seed": 0, "reporter": train.Reporter(io.StringIO())} | options
        if "model" not in options:
            options["model"] = small_model(options["seed"])
        return train.Trainer(recipe, train_set or colours(), tmp_path / name, **options)

    return make


@pytest.fixture
def go_on(tmp_path):
    """Return a function that resumes the run of that name."""

    def make(name="run", train_set=None, **options):
        options = {"model": small_model(), "reporter": train.Reporter(io.StringIO())} | options
        return train.Trainer.resume(tmp_path / name, train_set or colours(), **options)

    return make


@pytest.fixture
def test_set():
    return colours(20, seed=1)


@pytest.fixture
def recipe():
    return RECIPE


@pytest.fixture
def make_images():
    return colours


@pytest.fixture
def make_model():
    return small_model


@pytest.fixture
def make_plain_model():
    return plain_model
