"""Arguments and initial values of the convolution layers; values and gradients are in test_every_layer."""

import numpy as np
import pytest

from minitorch_cnn import nn, ops
from minitorch_cnn.tensor import Tensor


def test_parameters_have_pytorchs_shapes():
    conv = nn.Conv2d(6, 4, (3, 5), groups=2)
    assert conv.weight.shape == (4, 3, 3, 5) and conv.bias.shape == (4,)
    assert nn.Conv1d(6, 4, 3, bias=False).weight.shape == (4, 6, 3)
    assert nn.Conv1d(6, 4, 3, bias=False).bias is None


def test_flip_kernel_is_convolution():
    conv = nn.Conv2d(1, 1, 3, flip_kernel=True)
    x = Tensor(np.random.default_rng(0).standard_normal((1, 1, 5, 5)).astype(np.float32))
    expected = ops.convolve(x, conv.weight, conv.bias)
    np.testing.assert_array_equal(conv(x).data, expected.data)
    correlation = nn.Conv2d(1, 1, 3)
    correlation.load_state_dict(conv.state_dict())
    assert not np.allclose(correlation(x).data, expected.data)


def test_flip_kernel_in_one_dimension_flips_the_taps():
    conv = nn.Conv1d(1, 1, 3, bias=False, flip_kernel=True)
    conv.load_state_dict({"weight": np.array([[[1, 2, 3]]], np.float32)})
    x = Tensor(np.array([[[1, 0, 0, 0, 0]]], np.float32))
    np.testing.assert_array_equal(nn.Conv1d(1, 1, 3)(x).shape, (1, 1, 3))
    np.testing.assert_array_equal(conv(x).data, [[[3, 0, 0]]])


def test_initial_values_fill_the_interval_of_pytorch():
    bound = 1 / np.sqrt(16 * 9)
    conv = nn.Conv2d(32, 64, 3, groups=2)
    for values in (conv.weight.data, conv.bias.data):
        assert np.abs(values).max() <= bound and np.abs(values).max() > 0.9 * bound
    assert abs(conv.weight.data.std() - bound / np.sqrt(3)) < 0.02 * bound


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((0, 4, 3), {}, ValueError, "Conv2d: in_channels - expected at least 1, got 0"),
        ((3, 4.0, 3), {}, TypeError, r"Conv2d: out_channels - expected an integer, got 4\.0"),
        ((3, 4, 0), {}, ValueError, "Conv2d: kernel_size - expected at least 1, got 0"),
        ((3, 4, (3, 3, 3)), {}, TypeError, r"Conv2d: kernel_size - expected an int or two ints, got \(3, 3, 3\)"),
        ((3, 4, 3), {"stride": 0}, ValueError, "Conv2d: stride - expected at least 1, got 0"),
        ((3, 4, 3), {"padding": -1}, ValueError, "Conv2d: padding - expected at least 0, got -1"),
        ((3, 4, 3), {"padding": "full"}, ValueError, "Conv2d: padding - expected .* 'same' or 'valid', got 'full'"),
        ((3, 4, 3), {"dilation": 0}, ValueError, "Conv2d: dilation - expected at least 1, got 0"),
        ((3, 4, 3), {"groups": 2}, ValueError, "Conv2d: in_channels - expected a multiple of groups 2, got 3"),
        ((4, 3, 3), {"groups": 2}, ValueError, "Conv2d: out_channels - expected a multiple of groups 2, got 3"),
        ((3, 4, 3), {"padding_mode": "same"}, ValueError, "Conv2d: padding_mode - expected one of 'zeros', 'reflect'"),
    ],
)
def test_conv2d_refuses_bad_arguments(arguments, keywords, error, message):
    with pytest.raises(error, match=message):
        nn.Conv2d(*arguments, **keywords)


def test_conv1d_refuses_bad_arguments():
    with pytest.raises(TypeError, match=r"Conv1d: kernel_size - expected an integer, got \(3, 3\)"):
        nn.Conv1d(3, 4, (3, 3))
    with pytest.raises(ValueError, match="Conv1d: padding - expected at least 0, got -1"):
        nn.Conv1d(3, 4, 3, padding=-1)


def test_an_unknown_algorithm_is_refused_on_call():
    with pytest.raises(ValueError, match="algorithm - expected one of auto, .*, got 'fft'"):
        nn.Conv2d(1, 1, 1, algorithm="fft")(Tensor(np.zeros((1, 1, 2, 2), np.float32)))


def test_a_transposed_convolution_gives_the_size_that_the_images_had():
    images = Tensor(np.zeros((2, 3, 7, 8), np.float32))
    down, up = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1)
    maps = down(images)
    assert up(maps).shape == (2, 3, 7, 7)
    for size in (images.shape, (7, 8), [7, 8]):
        assert up(maps, output_size=size).shape == images.shape
    assert up(maps, output_size=8).shape == (2, 3, 8, 8)
    with pytest.raises(ValueError, match=r"output_size - expected \(7, 7\) to \(8, 8\) for these .*, got \(7, 9\)"):
        up(maps, output_size=(7, 9))
    with pytest.raises(TypeError, match="output_size - expected an int or two ints, got"):
        up(maps, output_size=(7, 8, 9))
    signals = nn.ConvTranspose1d(4, 3, 3, stride=2, output_padding=1)
    for size in (10, (10,), (2, 3, 10)):
        assert signals(Tensor(np.zeros((2, 4, 4), np.float32)), output_size=size).shape == (2, 3, 10)
