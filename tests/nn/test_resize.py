"""Arguments of Resize; values and gradients are in test_every_layer."""

import pytest

from minitorch_cnn import nn


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="Resize: size - expected at least 1, got 0"):
        nn.Resize(0)
    with pytest.raises(ValueError, match="Resize: mode - expected one of 'bilinear', 'nearest', .*, got 'cubic'"):
        nn.Resize(4, mode="cubic")
    with pytest.raises(TypeError, match="Resize: size - expected a size or a scale_factor, got neither"):
        nn.Resize()
    with pytest.raises(ValueError, match="Resize: scale_factor - expected a positive number, got -1"):
        nn.Resize(scale_factor=-1)
