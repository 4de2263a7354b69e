"""The fully connected baseline."""

import numpy as np

from minitorch_cnn import models
from minitorch_cnn.tensor import Tensor


def test_parameters_and_keys():
    model = models.create("mlp")
    assert sum(parameter.size for parameter in model.parameters()) == 1_707_274
    assert list(model.state_dict()) == ["1.weight", "1.bias", "3.weight", "3.bias", "5.weight", "5.bias"]


def test_options():
    model = models.create("mlp", num_classes=4, in_channels=1, image_size=8, hidden=(5,))
    assert model(Tensor(np.zeros((3, 1, 8, 8), np.float32))).shape == (3, 4)
    assert [type(layer).__name__ for layer in model] == ["Flatten", "Linear", "ReLU", "Linear"]


def test_without_hidden_layers_it_is_a_linear_classifier():
    model = models.create("mlp", hidden=())
    assert [type(layer).__name__ for layer in model] == ["Flatten", "Linear"]


def test_a_slice_is_an_ordinary_sequential():
    part = models.create("mlp", hidden=(4,))[1:3]
    assert type(part).__name__ == "Sequential" and len(part) == 2
