"""Arguments and initial values of Linear, Flatten and Identity."""

import numpy as np
import pytest

from minitorch_cnn import nn
from minitorch_cnn.tensor import Tensor


def test_parameters_have_pytorchs_shapes():
    assert nn.Linear(5, 3).weight.shape == (3, 5) and nn.Linear(5, 3).bias.shape == (3,)
    assert nn.Linear(5, 3, bias=False).bias is None


def test_initial_values_fill_the_interval_of_pytorch():
    layer = nn.Linear(400, 300)
    for values in (layer.weight.data, layer.bias.data):
        assert np.abs(values).max() <= 1 / 20 and np.abs(values).max() > 0.9 / 20
    assert abs(layer.weight.data.std() - 1 / 20 / np.sqrt(3)) < 0.001


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Linear(0, 3), ValueError, "Linear: in_features - expected at least 1, got 0"),
        (lambda: nn.Linear(5, True), TypeError, "Linear: out_features - expected an integer, got True"),
        (lambda: nn.Flatten(-1), ValueError, "Flatten: start_axis - expected at least 0, got -1"),
        (lambda: nn.Flatten(1.5), TypeError, r"Flatten: start_axis - expected an integer, got 1\.5"),
    ],
)
def test_bad_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_identity_returns_its_input():
    x = Tensor([1.0])
    assert nn.Identity()(x) is x
