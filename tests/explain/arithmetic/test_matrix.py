"""A convolution written out as a matrix does what the convolution does, forwards and backwards."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minitorch_cnn import Tensor, explain, nn
from minitorch_cnn.display import figures
from minitorch_cnn.shapes import ShapeError


def check(layer, shape):
    """Require M @ x == conv(x) without the bias, and M.T @ dy == dx."""
    rng = np.random.default_rng(0)
    layer.double()
    x = Tensor(rng.standard_normal(shape), requires_grad=True)
    out = layer(x)
    grad = rng.standard_normal(out.shape)
    out.backward(grad)
    matrix = explain.as_matrix(layer, shape)
    assert matrix.shape == (out.size, x.size) and matrix.output_shape == out.shape[1:]
    bias = 0 if layer.bias is None else layer.bias.data.reshape(-1, *[1] * (out.ndim - 2))
    np.testing.assert_allclose(matrix @ x.data.ravel(), (out.data - bias).ravel(), atol=1e-12)
    np.testing.assert_allclose(matrix.T @ grad.ravel(), x.grad.ravel(), atol=1e-12)
    np.testing.assert_allclose(matrix.dense() @ x.data.ravel(), matrix @ x.data.ravel(), atol=1e-12)
    np.testing.assert_array_equal(matrix.values, layer.weight.data.ravel()[matrix.weight_index])
    return matrix


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_two_dimensions(data):
    def two(most, least=1):
        return tuple(data.draw(st.integers(least, most)) for _ in range(2))

    groups, kernel, dilation = data.draw(st.integers(1, 3)), two(3), two(2)
    padding = data.draw(st.one_of(st.just("same"), st.tuples(*[st.integers(0, 2)] * 4)))
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = tuple(data.draw(st.integers(max(n, 3), n + 4)) for n in extent)
    channels = groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    layer = nn.Conv2d(
        *channels,
        kernel,
        stride=two(3),
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=data.draw(st.booleans()),
        padding_mode=data.draw(st.sampled_from(["zeros", "reflect"])),
        flip_kernel=data.draw(st.booleans()),
    )
    check(layer, (1, channels[0], *size))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_one_dimension(data):
    groups, kernel, dilation, stride = (data.draw(st.integers(1, most)) for most in (2, 4, 3, 3))
    padding = data.draw(st.one_of(st.just("same"), st.integers(0, 3), st.tuples(*[st.integers(0, 3)] * 2)))
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    layer = nn.Conv1d(2 * groups, groups, kernel, flip_kernel=data.draw(st.booleans()), **hyper)
    check(layer, (1, 2 * groups, dilation * (kernel - 1) + data.draw(st.integers(1, 6))))


def test_the_counts_of_the_lecture():
    """32 x 32 x 3 -> 32 x 32 x 96 with windows of 5 x 5."""
    matrix = explain.as_matrix(nn.Conv2d(3, 96, 5, padding=2), (1, 3, 32, 32))
    assert (matrix.dense_weights, matrix.local_weights, matrix.shared_weights) == (301_989_888, 7_372_800, 7_200)
    assert matrix.T.local_weights == 7_372_800
    assert "dense        301,989,888" in str(matrix) and "shared             7,200" in str(matrix)
    with pytest.raises(ShapeError, match="dense: expected at most 16,000,000 elements, got 301,989,888"):
        matrix.dense()


def test_the_band_of_a_signal():
    layer = nn.Conv1d(1, 1, 3, bias=False)
    layer.weight.data[...] = [[[1, 2, 3]]]
    matrix = explain.as_matrix(layer, (1, 1, 5))
    np.testing.assert_array_equal(matrix.dense(), [[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]])
    assert str(matrix).splitlines()[-3:] == ["0 1 2 . .", ". 0 1 2 .", ". . 0 1 2"]


@pytest.mark.parametrize("size", [6, 24])
def test_one_weight_has_one_colour(size):
    matrix = explain.as_matrix(nn.Conv2d(1, 1, 3), (1, 1, size, size))
    drawing = matrix.figure()
    heat = drawing.axes[1]
    if size == 6:
        shown = heat.images[0].get_array()
        assert set(shown.compressed() if np.ma.isMaskedArray(shown) else shown[~np.isnan(shown)]) == set(range(9))
    else:
        assert len(heat.collections[0].get_array()) == len(matrix.rows)
    assert Image.open(io.BytesIO(figures.encoded(drawing, "png"))).width == 1280
    assert matrix.T.figure().axes[1].get_xlabel().startswith("output")


def test_bad_input():
    with pytest.raises(TypeError, match="layer - expected a Conv1d or Conv2d, got Linear"):
        explain.as_matrix(nn.Linear(2, 2), (1, 2))
    for shape in ((2, 3, 8, 8), (1, 1, 8, 8), (3, 8, 8)):
        with pytest.raises(ShapeError, match=r"input_shape - expected \(1, 3, H, W\), got"):
            explain.as_matrix(nn.Conv2d(3, 2, 3), shape)
    with pytest.raises(ShapeError, match=r"input_shape - expected \(1, 3, W\), got"):
        explain.as_matrix(nn.Conv1d(3, 2, 3), (1, 3, 8, 8))
    with pytest.raises(ShapeError, match="as_matrix: input_shape - expected at least 3 padded pixels"):
        explain.as_matrix(nn.Conv2d(1, 1, 3), (1, 1, 2, 2))
    with pytest.raises(ShapeError, match=r"x - expected shape \(9,\), got \(3, 3\); flatten it"):
        explain.as_matrix(nn.Conv2d(1, 1, 3), (1, 1, 3, 3)) @ np.ones((3, 3))
