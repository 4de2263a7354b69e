"""Feature maps: the picture shows the values of the layers."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, explain, nn, ops
from minitorch_cnn.explain.features.feature_maps import displayed
from tests.explain.networks import small


def test_maps_are_those_behind_norm_and_activation():
    model, image = small(), np.random.default_rng(0).standard_normal((3, 8, 8)).astype(np.float32)
    maps = explain.feature_maps(model, image)
    assert list(maps.maps) == ["0", "4"] and model.training
    model.eval()
    np.testing.assert_array_equal(maps.maps["0"], ops.relu(model[1](model[0](Tensor(image[None])))).data[0])
    np.testing.assert_array_equal(maps.maps["4"], model(Tensor(image[None])).data[0])
    assert len(maps.figure().axes) == 3
    first = str(maps).splitlines()[1].split()
    assert first[:5] == ["0", "4", "8", "x", "8"] and first[5] == f"{np.mean(maps.maps['0'] == 0):.0%}"


def test_grey_images_can_be_seen():
    shown = displayed(np.arange(8.0).reshape(2, 1, 2, 2))
    assert shown.shape == (2, 2, 2, 3) and shown.min() == 0 and shown.max() == 1
    np.testing.assert_array_equal(displayed(np.ones((1, 3, 2, 2))), np.zeros((1, 2, 2, 3)))


def test_bad_input():
    with pytest.raises(ValueError, match="feature_maps: layers - expected layers that give maps, got '1'"):
        explain.feature_maps(nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()), np.ones((1, 2, 2)), ["1"])


def test_several_images_have_a_row_each():
    x = np.random.default_rng(0).standard_normal((2, 3, 12, 12))
    model = small()
    found = explain.feature_maps(model, x)
    assert len(found.each) == 2 and str(found).count("strongest map") == 2
    for one, image in zip(found.each, x, strict=True):
        alone = explain.feature_maps(model, image)
        assert all(np.array_equal(one.maps[layer], maps) for layer, maps in alone.maps.items())
    assert len(found.figure().axes) == 2 * len(explain.feature_maps(model, x[0]).figure().axes)
    with pytest.raises(ValueError, match="feature_maps: image - expected at least one image, got none"):
        explain.feature_maps(model, x[:0])


def test_layers_may_be_a_generator_and_are_no_text():
    images = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    found = explain.feature_maps(small(), images, (layer for layer in ("0", "4")))
    assert [list(one.maps) for one in found.each] == [["0", "4"]] * 2
    with pytest.raises(TypeError, match="feature_maps: layers - expected a sequence, got '0'"):
        explain.feature_maps(small(), images, "0")
