"""Receptive fields: the formula, and what really changes when a pixel does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import Tensor, autograd, explain, models, nn


def fields(model, shape):
    x = Tensor.like_shape(shape)
    with autograd.trace() as records:
        out = model(x)
    return explain.receptive_fields(records, x)[id(out)]


@pytest.mark.parametrize(
    "name, layer, size",
    [
        ("alexnet", "features.12", 195),
        ("vgg_a", "features", 150),
        ("vgg_b", "features", 156),
        ("vgg_c", "features", 156),
        ("vgg_d", "features", 212),
        ("vgg_e", "features", 268),
        ("resnet18", "layer4", 435),
        ("resnet50", "layer4", 427),
        ("densenet121", "features", 2071),
        ("resnet20", "layer3", 81),
        ("lenet5", "pool", 16),
        ("allcnn_c", "features", 27),
    ],
)
def test_known_networks(undrawn_weights, name, layer, size):
    model, (channels, side) = models.create(name), models.native_input(name)
    shape = (1, channels, side, side)
    assert explain.summary(model, shape).receptive_field == (size, size)
    unit = explain.receptive_field(model, layer, 0, 0, input_shape=shape, images=0)
    assert unit.size == (size, size)
    assert unit.box[:2] == (0, 0) and unit.box[2] == min(side, unit.formula.start[0] + size)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_pixel_matters_exactly_inside_the_box(data):
    """With weights of ones, the gradient of an output is positive inside its box, of the size and jump given."""
    layers, size = [], 80  # 4 windows of 3, strides and dilations of 2 reach 77 pixels for two outputs
    for _ in range(data.draw(st.integers(1, 4))):
        kernel, stride, dilation = (tuple(data.draw(st.integers(1, most)) for _ in range(2)) for most in (3, 2, 2))
        kind = data.draw(st.sampled_from(["conv", "average", "relu"]))
        if kind == "conv":
            layers.append(nn.Conv2d(1, 1, kernel, stride=stride, dilation=dilation, bias=False))
            layers[-1].weight.data[...] = 1
        elif kind == "average":
            layers.append(nn.AvgPool2d(kernel, stride=stride))
        else:
            layers.append(nn.ReLU())
    model = nn.Sequential(*layers).double()
    field = fields(model.float(), (1, 1, size, size))
    boxes = []
    for place in (0, 1):
        x = Tensor(np.ones((1, 1, size, size), np.float32), requires_grad=True)
        out = model(x)
        grad = np.zeros(out.shape, np.float32)
        grad[0, 0, place, place] = 1
        out.backward(grad)
        rows, columns = np.nonzero(x.grad[0, 0])
        boxes.append((rows.min(), columns.min(), rows.max() + 1, columns.max() + 1))
    assert (boxes[0][2] - boxes[0][0], boxes[0][3] - boxes[0][1]) == field.size
    assert (boxes[1][0] - boxes[0][0], boxes[1][1] - boxes[0][1]) == field.jump
    assert boxes == [field.box(0, 0), field.box(1, 1)]


def test_shortcuts_and_subsampling():
    block = nn.Residual(nn.Conv2d(2, 2, 5, padding=2))
    field = fields(block, (1, 2, 8, 8))
    assert (field.size, field.jump, field.start) == ((5, 5), (1, 1), (-2, -2))
    field = fields(models.resnet.Subsample(2, 4, 2), (1, 2, 8, 8))
    assert (field.size, field.jump, field.start) == ((1, 1), (2, 2), (0, 0))


def test_what_sees_the_whole_image():
    for last in (nn.GlobalAvgPool(), nn.AdaptiveAvgPool2d(1), nn.GlobalMaxPool()):
        field = fields(nn.Sequential(nn.Conv2d(1, 1, 3), last), (1, 1, 8, 8))
        assert field.whole and field.size is None and field.jump is None


def test_after_a_flatten_the_size_is_known_and_rows_and_columns_are_not():
    field = fields(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten()), (1, 1, 8, 8))
    assert field.size == (3, 3) and not field.placed
    with pytest.raises(ValueError, match="Field.box: expected a field that is known for each row and column"):
        field.box(0, 0)
    assert fields(nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(36, 2)), (1, 1, 8, 8)).whole


@pytest.mark.parametrize("between", [nn.Resize((8, 8)), nn.AdaptiveAvgPool2d(8)], ids=["resize", "adaptive"])
def test_maps_of_another_size(between):
    """By hand: 3, then 2 or 4 neighbours each 1 pixel apart, then 3 neighbours each 4 pixels apart."""
    model = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), between, nn.Conv2d(1, 1, 3, padding=1))
    expected = {"Resize": 4 + 2 * 4, "AdaptiveAvgPool2d": 6 + 2 * 4}[type(between).__name__]
    table = explain.summary(model, (1, 1, 32, 32)).layers[-1]
    assert table.receptive_field == (expected, expected) and table.jump == (4, 4)
    box = explain.receptive_field(model, "2", 4, 4, input_shape=(1, 1, 32, 32), images=0).box
    assert (box[2] - box[0], box[3] - box[1]) == (expected, expected)


def test_a_size_that_does_not_divide_the_other():
    """Bins of 5 in 8: two pixels each, 8/5 apart; a map of twice the size has half the jump."""
    field = fields(nn.AdaptiveAvgPool2d(5), (1, 1, 8, 8))
    assert field.size == (3, 3) and field.jump == (1.6, 1.6)
    assert [field.box(i, i)[::2] for i in range(5)] == [(0, 2), (1, 4), (3, 5), (4, 7), (6, 8)]
    twice = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.Resize((16, 16)))
    assert fields(twice, (1, 1, 16, 16)).jump == (1, 1)
