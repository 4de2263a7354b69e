"""The line of a ShapeError that shows the sizes up to the error, and the suggested fix."""

import numpy as np
import pytest

from minitorch_cnn import models, nn, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor


def story(model, shape=(2, 3, 32, 32)):
    with pytest.raises(ShapeError) as caught:
        model(Tensor.like_shape(shape))
    lines = str(caught.value).splitlines()
    return lines[lines.index("shapes so far:") - 1]


def lenet(**changes):
    parts = {
        "conv1": nn.Conv2d(3, 6, 5),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(6, 16, 5),
        "pool2": nn.MaxPool2d(2),
        "flatten": nn.Flatten(),
        "fc1": nn.Linear(400, 120),
        "fc2": nn.Linear(120, 10),
    }
    return nn.Sequential(parts | changes)


CHAIN = "32 -conv5 s1 p0-> 28 -pool2-> 14 -conv5-> 10 -pool2-> 5"


def test_a_linear_layer_of_the_wrong_size_shows_the_arithmetic_and_the_fix():
    expected = f"{CHAIN}; flatten = 16*5*5 = 400, Linear expects 256: use Linear(400, 120)"
    assert story(lenet(fc1=nn.Linear(256, 120))) == expected


def test_fully_connected_layers_continue_the_chain():
    expected = f"{CHAIN}; flatten = 16*5*5 = 400 -linear-> 120, Linear expects 84: use Linear(120, 10)"
    assert story(lenet(fc2=nn.Linear(84, 10))) == expected


def test_the_suggested_fix_works():
    assert lenet()(Tensor.like_shape((2, 3, 32, 32))).shape == (2, 10)
    with pytest.raises(ShapeError, match=r"use BatchNorm2d\(6\)"):
        lenet(relu1=nn.BatchNorm2d(7))(Tensor.like_shape((2, 3, 32, 32)))
    assert lenet(relu1=nn.BatchNorm2d(6))(Tensor.like_shape((2, 3, 32, 32))).shape == (2, 10)


def test_maps_that_were_not_flattened():
    expected = r"Linear expects rows \(N, 400\), got maps \(2, 16, 5, 5\): use nn.Flatten\(\) or nn.GlobalAvgPool\(\)"
    with pytest.raises(ShapeError, match=expected):
        lenet(flatten=nn.Identity())(Tensor.like_shape((2, 3, 32, 32)))


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(6, 16, 7), nn.MaxPool2d(7), nn.AvgPool2d(7)], ids=lambda layer: type(layer).__name__
)
def test_maps_that_became_too_small(layer):
    text = "14 -conv5 s1 p0-> 10 -pool2-> 5, the window 7 is larger than the maps: use padding, fewer poolings"
    assert story(lenet(conv2=layer), (2, 3, 14, 14)).startswith(text)


def test_strides_padding_dilation_and_sides_that_differ():
    layers = nn.Conv2d(3, 4, (3, 5), stride=2, padding=(1, 2)), nn.Conv2d(4, 4, 3, dilation=2, padding=2)
    model = nn.Sequential(*layers, nn.AvgPool2d(3, stride=2, padding=1), nn.Linear(1, 1))
    text = "8 x 9 -conv3x5 s2 p1x1x2x2-> 4 x 5 -conv3 p2 d2-> 4 x 5 -meanpool3 s2 p1-> 2 x 3, "
    assert story(model, (1, 3, 8, 9)).startswith(text)


def test_one_axis_is_a_map_of_one_row():
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.MaxPool1d(2), nn.Conv1d(3, 2, 3))
    chain = "1 x 20 -conv1x3 s1 p0-> 1 x 18 -pool1x2-> 1 x 9"
    assert story(model, (1, 1, 20)) == f"{chain}, Conv1d expects 3 channels: use Conv1d(2, 2, ...)"


def test_a_fused_model_tells_the_same_story():
    model = models.create("cifar4")
    model.fc = nn.Linear(9, 10)
    plain = story(model)
    with pytest.raises(ShapeError) as caught:
        nn.fuse(model)(Tensor(np.zeros((2, 3, 32, 32), np.float32)))  # a trace would run it unfused
    assert "BatchNormReLU" in str(caught.value) and plain in str(caught.value)


def test_a_shortcut_starts_a_new_part_and_a_deep_network_shows_its_end():
    class Split(nn.Module):
        def __init__(self):
            self.left, self.right = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(3, 4, 1, stride=4)

        def forward(self, x):
            return ops.add(self.left(x), self.right(x))

    assert story(Split()) == "32 -conv3 s2 p1-> 16; 32 -conv1 s4-> 8"
    model = models.create("resnet20")
    model.fc = nn.Linear(3, 10)
    text = story(model)
    assert text.startswith("... -conv3 p1-> 16") and text.count("->") == 11
    assert text.endswith("global pooling = 64, Linear expects 3: use Linear(64, 10)")


def test_a_mistake_between_layers_has_a_chain_and_no_fix():
    class Wrong(nn.Module):
        def __init__(self):
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return ops.add(self.conv(x), x)

    assert story(Wrong()) == "32 -conv3 s1 p0-> 30"
