"""Resizing: the pixels that each output pixel reads, PyTorch and Pillow as oracles, the transpose as gradient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minitorch_cnn import Tensor, ops
from minitorch_cnn.ops.resize import interpolation_weights
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck


def interpolation_matrix(size, out_size, mode, antialias):
    """Return (out_size, size), the map as a matrix, from the definition alone."""
    scale, matrix = size / out_size, np.zeros((out_size, size))
    for i in range(out_size):
        if mode == "nearest":
            matrix[i, i * size // out_size] = 1
            continue
        centre, reach = (i + 0.5) * scale - 0.5, max(scale, 1.0) if antialias else 1.0
        centre = min(max(centre, 0), size - 1) if reach == 1 else centre
        matrix[i] = [max(0, 1 - abs(j - centre) / reach) for j in range(size)]
    return matrix / matrix.sum(1, keepdims=True)


sizes = st.integers(1, 6)
MODES = [("nearest", False), ("bilinear", False), ("bilinear", True)]
modes = pytest.mark.parametrize(("mode", "antialias"), MODES, ids=["nearest", "bilinear", "antialias"])


@modes
@settings(max_examples=20, deadline=None)
@given(height=sizes, width=sizes, out=st.tuples(sizes, sizes))
def test_rows_and_columns_are_mapped_by_their_matrices(normal, mode, antialias, height, width, out):
    x = normal((2, 3, height, width))
    rows, columns = (interpolation_matrix(*of, mode, antialias) for of in ((height, out[0]), (width, out[1])))
    expected = np.einsum("ih,nchw,jw->ncij", rows, x, columns)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        result = ops.resize(Tensor(x.astype(dtype)), out, mode=mode, antialias=antialias)
        assert result.dtype == dtype
        np.testing.assert_allclose(result.data, expected, rtol=tolerance, atol=tolerance)


@modes
@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 30), out_size=st.integers(1, 30))
def test_weights_add_up_to_one_and_mirror(mode, antialias, size, out_size):
    outputs, inputs, weights = interpolation_weights(size, out_size, mode, antialias)
    matrix = np.zeros((out_size, size))
    np.add.at(matrix, (outputs, inputs), weights)
    assert (weights > 0).all() and len(set(zip(outputs, inputs, strict=True))) == len(weights)
    np.testing.assert_allclose(matrix, interpolation_matrix(size, out_size, mode, antialias), atol=1e-12)
    np.testing.assert_allclose(matrix.sum(1), 1)
    if mode == "bilinear":
        np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)
    if size == out_size:
        np.testing.assert_array_equal(matrix, np.eye(size))


def test_by_hand():
    x = Tensor(np.array([[[[0.0, 4.0]]]]))
    np.testing.assert_allclose(ops.resize(x, (1, 4)).data, [[[[0, 1, 3, 4]]]])
    np.testing.assert_allclose(ops.resize(x, (1, 4), mode="nearest").data, [[[[0, 0, 4, 4]]]])
    np.testing.assert_allclose(ops.resize(x, 1).data, [[[[2]]]])
    wide = Tensor(np.arange(4.0).reshape(1, 1, 1, 4))
    np.testing.assert_allclose(ops.resize(wide, (1, 1)).data, [[[[1.5]]]])  # the two in the middle
    np.testing.assert_allclose(ops.resize(wide, (1, 1), mode="nearest").data, [[[[0]]]])


@modes
@settings(max_examples=10, deadline=None)
@given(height=sizes, width=sizes, out=st.tuples(sizes, sizes))
def test_gradients_match_finite_differences(normal, mode, antialias, height, width, out):
    gradcheck(lambda x: ops.resize(x, out, mode=mode, antialias=antialias), Tensor(normal((1, 2, height, width))))


@pytest.mark.oracle
@modes
@pytest.mark.parametrize("out", [(3, 4), (9, 11), (7, 5), (1, 1)])
def test_values_and_gradients_are_those_of_pytorch(normal, same_as_torch, mode, antialias, out):
    torch = pytest.importorskip("torch")
    same_as_torch(
        lambda x: ops.resize(x, out, mode=mode, antialias=antialias),
        lambda x: torch.nn.functional.interpolate(x, out, mode=mode, antialias=antialias),
        normal((2, 3, 7, 5)),
    )


@pytest.mark.parametrize("out", [(9, 13), (20, 31), (64, 40)])
def test_with_antialias_it_is_pillows_bilinear(normal, out):
    x = normal((1, 1, 40, 31)).astype(np.float32)
    picture = Image.fromarray(x[0, 0]).resize(out[::-1], Image.Resampling.BILINEAR)
    result = ops.resize(Tensor(x), out, antialias=True).data
    np.testing.assert_allclose(result[0, 0], np.asarray(picture), rtol=1e-4, atol=1e-5)


def test_layouts(normal, same_in_every_layout, stays_channels_last):
    same_in_every_layout(lambda x: ops.resize(x, (5, 3)), normal((2, 3, 4, 5)))
    stays_channels_last(lambda x: ops.resize(x, 7, mode="nearest"))


def test_nan_reaches_the_pixels_that_read_it_alone():
    x = np.zeros((1, 1, 1, 4))
    x[..., 3] = np.nan
    np.testing.assert_array_equal(np.isnan(ops.resize(Tensor(x), (1, 4)).data), np.isnan(x))


def test_what_cannot_be_resized():
    x = Tensor(np.zeros((1, 1, 2, 2)))
    with pytest.raises(TypeError, match="resize: x - expected a Tensor, got ndarray"):
        ops.resize(x.data, 2)
    with pytest.raises(TypeError, match="resize: size - expected"):
        ops.resize(x, 1.5)
    with pytest.raises(ValueError, match="resize: size"):
        ops.resize(x, (0, 2))
    with pytest.raises(ValueError, match="resize: mode - expected 'bilinear' or 'nearest', got 'cubic'"):
        ops.resize(x, 2, mode="cubic")
    with pytest.raises(ValueError, match="resize: antialias - expected False for mode 'nearest', got True"):
        ops.resize(x, 2, mode="nearest", antialias=True)
    with pytest.raises(ShapeError, match=r"resize: x - expected 4 axes \(N, C, H, W\), got shape \(2, 2\)"):
        ops.resize(Tensor(np.zeros((2, 2))), 2)
    with pytest.raises(ShapeError, match=r"resize: x - expected at least one pixel, got shape \(1, 1, 0, 2\)"):
        ops.resize(Tensor(np.zeros((1, 1, 0, 2))), 2)
