"""pad: values, gradients, layouts, errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck


@st.composite
def borders(draw, mode):
    shape = draw(array_shapes(min_dims=1, max_dims=4, max_side=4))
    widest = [length - 1 if mode == "reflect" else 3 for length in shape]
    return shape, tuple(tuple(draw(st.tuples(*[st.integers(0, w)] * 2))) for w in widest)


@pytest.mark.parametrize("mode", ["zero", "reflect"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pad(normal, mode, data):
    shape, padding = data.draw(borders(mode))
    x = normal(shape)
    expected = np.pad(x, padding, "constant" if mode == "zero" else "reflect")
    np.testing.assert_array_equal(ops.pad(Tensor(x), padding, mode).data, expected)
    gradcheck(lambda x: ops.pad(x, padding, mode), Tensor(x))


def test_pad_with_a_value_and_with_one_width_for_both_ends():
    out = ops.pad(Tensor(np.zeros((1, 2), np.float32)), (0, (1, 2)), value=-np.inf)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out.data, [[-np.inf, 0, 0, -np.inf, -np.inf]])
    assert ops.pad(Tensor(np.zeros((1, 2))), (1, 2)).shape == (3, 6)


@pytest.mark.parametrize("padding", [(0, 0, (1, 2), (3, 0)), (0, 1, 1, 1), (0, 0, 0, 0), (0, 0, (-1, 2), 1)])
@pytest.mark.parametrize("value", [0, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pad_of_large_maps(normal, padding, value, dtype):
    """A kernel puts zeros around large maps."""
    x = normal((2, 5, 70, 71)).astype(dtype)
    pairs = [p if isinstance(p, tuple) else (p, p) for p in padding]
    cropped = x[:, :, max(0, -pairs[2][0]) :]
    expected = np.pad(cropped, [(max(0, before), after) for before, after in pairs], constant_values=value)
    for array in (x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        out = ops.pad(Tensor(array), padding, value=value).data
        assert out.dtype == dtype and not np.may_share_memory(out, array)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.oracle
@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_pad_is_that_of_pytorch(normal, same_as_torch, mode):
    torch = pytest.importorskip("torch")
    same_as_torch(
        lambda x: ops.pad(x, (0, 0, (1, 2), (3, 0)), mode),
        lambda x: torch.nn.functional.pad(x, (3, 0, 1, 2), "constant" if mode == "zero" else mode),
        normal((2, 3, 4, 5)),
    )


def test_a_wide_repeated_border_adds_up_whole():
    """Float32 cannot add a 1 to 2**24."""
    x, grad = Tensor(np.zeros((1, 2), np.float32), requires_grad=True), np.ones((5001, 2), np.float32)
    grad[0] = 2**24
    ops.pad(x, ((5000, 0), (0, 0)), "replicate").backward(grad)
    np.testing.assert_array_equal(x.grad, np.full((1, 2), 2**24 + 5000))


@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_layouts(normal, same_in_every_layout, mode):
    same_in_every_layout(lambda x: ops.pad(x, (0, 1, (1, 2), 2), mode), normal((2, 3, 4, 5)))


@pytest.mark.parametrize("mode", ["zero", "reflect"])
def test_a_padded_map_lies_channels_last(normal, mode):
    contiguous, other = normal((2, 3, 4, 5)), normal((2, 4, 5, 3)).transpose(0, 3, 1, 2)
    for x in (contiguous, other):
        out = ops.pad(Tensor(x), (0, 0, 1, 1), mode).data
        assert out.transpose(0, 2, 3, 1).flags.c_contiguous


X = Tensor(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.pad(X.data, (1, 1)), TypeError, "pad: x - expected a Tensor, got ndarray"),
        (lambda: ops.pad(X, (1, 1), "wrap"), ValueError, "pad: mode - expected one of zero, reflect"),
        (lambda: ops.pad(X, 1), TypeError, "pad: padding - expected a sequence of pairs, one per axis, got 1"),
        (lambda: ops.pad(X, (1, (1, 2, 3))), TypeError, "pad: padding - expected an int or two ints, got (1, 2, 3)"),
        (lambda: ops.pad(X, (1,)), ShapeError, "pad: padding - expected 2 pairs for shape (2, 3), got 1"),
        (lambda: ops.pad(X, (0, 3), "reflect"), ShapeError, "expected less than the axis (3) to reflect, got (3, 3)"),
        (lambda: ops.pad(Tensor([1, 2]), (1,)), TypeError, "expected float32 or float64, the same everywhere"),
    ],
)
def test_errors_name_argument_expected_and_got(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
