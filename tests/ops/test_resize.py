"""Resizing: the pixels that each output pixel reads, PyTorch and Pillow as oracles, the transpose as gradient."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minitorch_cnn import Tensor, ops
from minitorch_cnn.ops.resize import interpolation_weights
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck
from tests.ops.table.windows import line_of

sizes = st.integers(1, 6)
MODES = {
    "nearest": {"mode": "nearest"},
    "bilinear": {"mode": "bilinear"},
    "bicubic": {"mode": "bicubic"},
    "bilinear, antialias": {"mode": "bilinear", "antialias": True},
    "bicubic, antialias": {"mode": "bicubic", "antialias": True},
    "bilinear, corners": {"mode": "bilinear", "align_corners": True},
    "bicubic, corners": {"mode": "bicubic", "align_corners": True},
    "bilinear, antialias, corners": {"mode": "bilinear", "antialias": True, "align_corners": True},
    "bicubic, antialias, corners": {"mode": "bicubic", "antialias": True, "align_corners": True},
}
modes = pytest.mark.parametrize("options", MODES.values(), ids=MODES)


def interpolation_matrix(size, out_size, options):
    """Return (out_size, size), the map as a matrix, from the definition alone."""
    aligned = options.get("align_corners", False)
    step = (size - 1) * (out_size > 1) / max(out_size - 1, 1) if aligned else Fraction(size, out_size)
    return line_of(size, out_size, step, options["mode"], options.get("antialias", False), aligned)



@modes
@settings(max_examples=20, deadline=None)
@given(height=sizes, width=sizes, out=st.tuples(sizes, sizes))
def test_rows_and_columns_are_mapped_by_their_matrices(normal, options, height, width, out):
    x = normal((2, 3, height, width))
    rows, columns = (interpolation_matrix(*of, options) for of in ((height, out[0]), (width, out[1])))
    expected = np.einsum("ih,nchw,jw->ncij", rows, x, columns)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        result = ops.resize(Tensor(x.astype(dtype)), out, **options)
        assert result.dtype == dtype
        np.testing.assert_allclose(result.data, expected, rtol=tolerance, atol=tolerance)


@modes
@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 30), out_size=st.integers(1, 30))
def test_weights_add_up_to_one_and_mirror(options, size, out_size):
    outputs, inputs, weights = interpolation_weights(size, out_size, **{"antialias": False, **options})
    matrix = np.zeros((out_size, size))
    np.add.at(matrix, (outputs, inputs), weights)
    assert weights.all() and len(set(zip(outputs, inputs, strict=True))) == len(weights)
    np.testing.assert_allclose(matrix, interpolation_matrix(size, out_size, options), atol=1e-12)
    np.testing.assert_allclose(matrix.sum(1), 1)
    if options["mode"] != "nearest" and not options.get("align_corners") or size == out_size:
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
    np.testing.assert_allclose(ops.resize(x, (1, 3), align_corners=True).data, [[[[0, 2, 4]]]])
    cubic = [-0.421875, 0.90625, 3.09375, 4.421875]  # the second: 4 (w(3/4) + w(7/4)) = 4 (0.26171875 - 0.03515625)
    np.testing.assert_allclose(ops.resize(x, (1, 4), mode="bicubic").data, [[[cubic]]])


@modes
@settings(max_examples=10, deadline=None)
@given(height=sizes, width=sizes, out=st.tuples(sizes, sizes))
def test_gradients_match_finite_differences(normal, options, height, width, out):
    gradcheck(lambda x: ops.resize(x, out, **options), Tensor(normal((1, 2, height, width))))


@pytest.mark.oracle
@modes
@pytest.mark.parametrize("out", [(3, 4), (9, 11), (7, 5), (1, 1)])
def test_values_and_gradients_are_those_of_pytorch(normal, same_as_torch, options, out):
    torch = pytest.importorskip("torch")
    same_as_torch(
        lambda x: ops.resize(x, out, **options),
        lambda x: torch.nn.functional.interpolate(x, out, **options),
        normal((2, 3, 7, 5)),
    )


@pytest.mark.oracle
@pytest.mark.parametrize("factor", [2, 0.5, 1.5, 0.7, (2.3, 0.4), 1 / 3])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_scale_factors_are_those_of_pytorch(normal, same_as_torch, mode, factor):
    torch = pytest.importorskip("torch")
    options = {"scale_factor": factor, "mode": mode}
    interpolate = torch.nn.functional.interpolate
    same_as_torch(lambda x: ops.resize(x, **options), lambda x: interpolate(x, **options), normal((2, 3, 7, 5)))


@pytest.mark.oracle
@pytest.mark.parametrize("options", [{"size": 3}, {"size": 11}, {"scale_factor": 0.7}, {"scale_factor": 2.3}])
@pytest.mark.parametrize("mode", [{"mode": "nearest"}, {"mode": "linear"}, {"mode": "linear", "align_corners": True}])
def test_signals_are_resized_as_in_pytorch(normal, same_as_torch, mode, options):
    torch, options = pytest.importorskip("torch"), mode | options
    interpolate = torch.nn.functional.interpolate
    same_as_torch(lambda x: ops.resize(x, **options), lambda x: interpolate(x, **options), normal((2, 3, 7)))


def test_a_factor_means_the_fraction_that_was_written():
    """The float beside a tenth is larger than a tenth, so its inverse is below 10: it would read pixels 9, 19."""
    x = Tensor(np.arange(30.0).reshape(1, 1, 30))
    np.testing.assert_array_equal(ops.resize(x, scale_factor=0.1, mode="nearest").data, [[[0, 10, 20]]])


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("out", [(9, 13), (20, 31), (64, 40)])
def test_with_antialias_it_is_pillows(normal, mode, out):
    x = normal((1, 1, 40, 31)).astype(np.float32)
    picture = Image.fromarray(x[0, 0]).resize(out[::-1], Image.Resampling[mode.upper()])
    result = ops.resize(Tensor(x), out, mode=mode, antialias=True).data
    np.testing.assert_allclose(result[0, 0], np.asarray(picture), rtol=1e-4, atol=2e-5)


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
    with pytest.raises(ValueError, match="resize: mode - expected one of 'bilinear', 'nearest', .*, got 'cubic'"):
        ops.resize(x, 2, mode="cubic")
    with pytest.raises(ValueError, match="resize: antialias - expected False for mode 'nearest', got True"):
        ops.resize(x, 2, mode="nearest", antialias=True)
    with pytest.raises(ValueError, match="resize: align_corners - expected False for mode 'nearest', got True"):
        ops.resize(x, 2, mode="nearest", align_corners=True)
    with pytest.raises(ShapeError, match=r"expected 4 axes \(N, C, H, W\) for mode 'bilinear', got shape \(2, 2\)$"):
        ops.resize(Tensor(np.zeros((2, 2))), 2)
    with pytest.raises(ShapeError, match=r"x\[None\]; mode 'linear' takes signals \(N, C, W\)"):
        ops.resize(Tensor(np.zeros((3, 8, 8))), 2)
    with pytest.raises(ShapeError, match=r"expected 4 axes \(N, C, H, W\) for mode 'nearest', got shape \(3, 8, 8\)"):
        ops.resize(Tensor(np.zeros((3, 8, 8))), (2, 2), mode="nearest")
    with pytest.raises(ShapeError, match=r"expected 3 axes \(N, C, W\) for mode 'linear', got shape \(1, 1, 2, 2\)"):
        ops.resize(x, 2, mode="linear")
    with pytest.raises(ShapeError, match=r"resize: x - expected at least one pixel, got shape \(1, 1, 0, 2\)"):
        ops.resize(Tensor(np.zeros((1, 1, 0, 2))), 2)
    with pytest.raises(TypeError, match="resize: size - expected a size or a scale_factor, got both"):
        ops.resize(x, 2, scale_factor=2)
    with pytest.raises(TypeError, match="resize: scale_factor - expected a number, got '2'"):
        ops.resize(x, scale_factor="2")
    with pytest.raises(ValueError, match="resize: scale_factor - expected a positive number, got 0"):
        ops.resize(x, scale_factor=(1, 0))
    with pytest.raises(ValueError, match=r"scale_factor - expected a number or two numbers, got \(1, 2, 3\)"):
        ops.resize(x, scale_factor=(1, 2, 3))
    with pytest.raises(TypeError, match="resize: antialias - expected True or False, got 'no'"):
        ops.resize(x, 2, antialias="no")
    with pytest.raises(TypeError, match=r"resize: size - expected one number for signals, got \(2, 2\)"):
        ops.resize(Tensor(np.zeros((1, 1, 2))), (2, 2), mode="linear")
    with pytest.raises(ValueError, match=r"factors that leave at least one pixel, got 0.4 for \(2, 2\) pixels"):
        ops.resize(x, scale_factor=0.4)


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_an_axis_that_a_factor_leaves_as_long_as_it_was_stays_as_it_is(normal, mode):
    x = normal((1, 2, 7, 5))
    np.testing.assert_array_equal(ops.resize(Tensor(x), scale_factor=1.1, mode=mode).data, x)
    wider = ops.resize(Tensor(x), scale_factor=(1.1, 2), mode=mode).data
    np.testing.assert_allclose(wider, ops.resize(Tensor(x), (7, 10), mode=mode).data, atol=1e-12)


def test_a_signal_takes_a_tuple_of_one_and_a_factor_below_a_millionth():
    x = Tensor(np.arange(4.0).reshape(1, 1, 4))
    for mode in ("linear", "nearest"):
        np.testing.assert_array_equal(ops.resize(x, (8,), mode=mode).data, ops.resize(x, 8, mode=mode).data)
    long = Tensor(np.zeros((1, 1, 20_000_000), np.float32))
    assert ops.resize(long, scale_factor=1e-7, mode="nearest").shape == (1, 1, 2)
