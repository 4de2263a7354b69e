"""The patches that units answer most to, against a search through everything at once."""

import io

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import Tensor, data, explain, nn, no_grad, ops
from minitorch_cnn.display import figures
from minitorch_cnn.explain.features.patches import normalised


def dataset(count=11, channels=3, side=8):
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, channels)).astype(np.uint8)
    return data.ArrayDataset(images, np.arange(count) % 2, ("even", "odd"), (0.5,) * channels, (0.25,) * channels)


def network(channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 4, 3)
    )


@pytest.mark.parametrize("batch_size", [1, 4, 11, 64])
def test_one_pass_finds_what_a_full_search_finds(batch_size):
    model, images = network(), dataset()
    found = explain.patches(model, "0", images, k=3, units=range(5), batch_size=batch_size)
    with no_grad():
        model.eval()
        maps = ops.relu(model[1](model[0](Tensor(normalised(images.images, images).astype(np.float32))))).data
    best = maps.max((2, 3)).T  # unit, image
    for unit in range(5):
        order = np.argsort(-best[unit], kind="stable")[:3]
        np.testing.assert_array_equal(found.indices[unit], order)
        np.testing.assert_allclose(found.scores[unit], best[unit, order], rtol=1e-5)
        for rank, image in enumerate(order):
            y, x = found.places[unit, rank]
            assert maps[image, unit, y, x] == maps[image, unit].max()


def test_the_crop_is_the_receptive_field():
    model, images = network(), dataset()
    found = explain.patches(model, "4", images, k=2, units=[1])
    pixels, padding = found.crop(0, 0)
    (y, x), index = found.places[0, 0], found.indices[0, 0]
    top, left, bottom, right = found.boxes[0, 0]
    assert pixels.shape == (8, 8, 3) and (top, left, bottom, right) == (2 * y - 1, 2 * x - 1, 2 * y + 7, 2 * x + 7)
    exact = explain.receptive_field(model, "4", y, x, input_shape=(1, 3, 8, 8), images=0).box
    rows, columns = np.nonzero(~padding)
    assert (rows.min() + top, columns.min() + left, rows.max() + 1 + top, columns.max() + 1 + left) == exact
    inside = images.images[index][exact[0] : exact[2], exact[1] : exact[3]]
    np.testing.assert_array_equal(pixels[~padding].ravel(), inside.ravel())
    assert not pixels[padding].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_text_and_picture(channels):
    found = explain.patches(network(channels), "0", dataset(3, channels), k=4)
    assert found.scores.shape == (5, 3) and len(found.units) == 5
    lines = str(found).splitlines()
    assert lines[0] == "layer 0: each unit sees 3 x 3 pixels; 3 images" and len(lines) == 6
    index, (y, x), score = found.indices[0, 0], found.places[0, 0], found.scores[0, 0]
    assert lines[1].split()[2:4] == [("even", "odd")[index % 2], f"{index}@{y},{x}={score:.2f}"]
    assert Image.open(io.BytesIO(figures.encoded(found.figure(), "png"))).size == (1280, 720)


@pytest.mark.parametrize(
    "layer, options, message",
    [
        ("0", {"k": 0}, "patches: k - expected at least 1, got 0"),
        ("0", {"batch_size": 0}, "patches: batch_size - expected at least 1, got 0"),
        ("0", {"units": [0.5]}, r"patches: units - expected channels 0 to 4, got \[0.5\]"),
        ("0", {"units": [0, 5]}, r"patches: units - expected channels 0 to 4, got \[0, 5\]"),
        ("1", {}, "patches: layer - expected one whose units see a part of the image, got '1'"),
        ("2", {}, r"patches: layer - expected one that gives maps \(N, C, H, W\), got shape \(2, 5\)"),
    ],
)
def test_bad_input(layer, options, message):
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=message):
        explain.patches(model, layer, dataset(2), **options)
    with pytest.raises(ValueError, match="patches: dataset - expected at least one image, got none"):
        explain.patches(model, "0", dataset(2).select(slice(0)))
