"""Dropout as a layer."""

import numpy as np
import pytest

import minitorch_cnn
from minitorch_cnn import nn
from minitorch_cnn.tensor import Tensor


def test_training_drops_and_scales_and_evaluation_does_nothing():
    minitorch_cnn.manual_seed(3)
    layer, x = nn.Dropout(0.25), Tensor(np.ones((100, 100), np.float32))
    out = layer(x).data
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((out == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(layer.eval()(x).data, x.data)


def test_the_same_seed_drops_the_same():
    layer, x = nn.Dropout(), Tensor(np.ones(50, np.float32))
    outs = []
    for _ in range(2):
        minitorch_cnn.manual_seed(8)
        outs.append(layer(x).data)
    np.testing.assert_array_equal(*outs)


@pytest.mark.parametrize("p", [-0.1, 1.5, "half"])
def test_p_is_a_probability(p):
    with pytest.raises(ValueError, match="Dropout: p - expected a number from 0 to 1, got"):
        nn.Dropout(p)
