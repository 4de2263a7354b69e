"""Arguments of the pooling layers; values and gradients are in test_every_layer."""

import pytest

from minitorch_cnn import nn


@pytest.mark.parametrize("layer", [nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d])
@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((0,), {}, ValueError, "kernel_size - expected at least 1, got 0"),
        ((2.5,), {}, TypeError, r"kernel_size - expected an int or two ints, got 2\.5"),
        ((2,), {"stride": 0}, ValueError, "stride - expected at least 1, got 0"),
        ((2,), {"padding": -1}, ValueError, "padding - expected at least 0, got -1"),
        ((2,), {"padding": "same"}, ValueError, "padding - expected integers, got 'same'"),
    ],
)
def test_bad_windows_are_refused(layer, arguments, keywords, error, message):
    with pytest.raises(error, match=f"{layer.__name__}: {message}"):
        layer(*arguments, **keywords)


@pytest.mark.parametrize(
    "layer", [nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveMaxPool1d]
)
def test_bad_output_sizes_are_refused(layer):
    with pytest.raises(ValueError, match=f"{layer.__name__}: output_size - expected at least 1, got 0"):
        layer(0)
