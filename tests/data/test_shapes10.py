"""shapes10: the same images for the same seed, every class drawn, and told apart by shape alone."""

import numpy as np
import pytest

from minitorch_cnn import data
from minitorch_cnn.data import shapes10


def test_what_it_is():
    train, test = data.Shapes10(size=200), data.Shapes10(train=False, size=100)
    assert train.images.shape == (200, 32, 32, 3) and train.images.dtype == np.uint8
    assert (np.bincount(train.labels) == 20).all() and train.classes == shapes10.CLASSES
    assert train.name == "shapes10" and train.verified and len(train.digest) == 64
    assert not (train.images[:100] == test.images).all((1, 2, 3)).any()  # streams of their own


def test_the_seed_fixes_every_byte():
    first, again, other = (data.Shapes10(size=50, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.images, again.images)
    assert first.digest == again.digest != other.digest


def test_the_default_sizes(monkeypatch):
    monkeypatch.setattr(shapes10, "draw", lambda labels, rng: np.zeros((len(labels), 32, 32, 3), np.uint8))
    assert (len(data.Shapes10()), len(data.Shapes10(train=False))) == (10_000, 2_000)


def test_every_shape_stands_out_from_its_background():
    """The middle of a shape and the corners of its image differ by its contrast, for all colours."""
    images = shapes10.draw(np.zeros(300, np.int64), np.random.default_rng(0)).astype(float)  # disks
    spread = images.reshape(300, -1, 3).std(1).max(1)
    assert np.median(spread) > 25 and spread.min() > 5


def test_classes_are_told_apart_by_shape_not_by_colour():
    dataset = data.Shapes10(size=3000)
    means = np.stack([dataset.images[dataset.labels == k].mean((0, 1, 2)) for k in range(10)])
    assert means.std(0).max() < 10  # of 255: the mean colour says nothing about the class
    x = np.linspace(-1, 1, 41, dtype=np.float32)
    masks = [shapes10._distance(kind, x, x[:, None]) <= 0 for kind in shapes10.CLASSES]
    for i, mask in enumerate(masks):
        assert 0.15 < mask.mean() < 0.75
        assert all((mask != other).mean() > 0.03 for other in masks[:i])


@pytest.mark.parametrize("size", [0, -3])
def test_no_images(size):
    with pytest.raises(ValueError, match=f"Shapes10: size - expected at least 1, got {size}"):
        data.Shapes10(size=size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": "test"}, "train - expected True or False, got 'test'"),  # a text counts as True
        ({"train": 1}, "train - expected True or False, got 1"),
        ({"size": 2.5}, "size - expected an integer, got 2.5"),
        ({"size": True}, "size - expected an integer, got True"),
        ({"seed": None}, "seed - expected an integer, got None"),
    ],
)
def test_arguments_of_another_type(options, message):
    with pytest.raises(TypeError, match=f"Shapes10: {message}"):
        data.Shapes10(**options)


def test_a_negative_seed():
    with pytest.raises(ValueError, match="Shapes10: seed - expected at least 0, got -1"):
        data.Shapes10(seed=-1)
