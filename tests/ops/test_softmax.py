"""Softmax and its logarithm: values, gradients, and no overflow for finite inputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

BOTH = [ops.softmax, ops.log_softmax]
both = pytest.mark.parametrize("op", BOTH, ids=lambda op: op.__name__)


@st.composite
def shapes_and_axes(draw):
    shape = draw(array_shapes(min_dims=1, max_dims=4, max_side=4))
    return shape, draw(st.integers(-len(shape), len(shape) - 1))


@settings(max_examples=30, deadline=None)
@given(case=shapes_and_axes())
def test_values_are_those_of_the_formula(normal, case):
    shape, axis = case
    x = 3 * normal(shape)
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
        out, log_out = (op(Tensor(x.astype(dtype)), axis) for op in BOTH)
        assert out.dtype == log_out.dtype == dtype
        expected = np.exp(x) / np.exp(x).sum(axis, keepdims=True)
        np.testing.assert_allclose(out.data, expected, rtol=10 * tolerance, atol=tolerance)
        np.testing.assert_allclose(log_out.data, np.log(expected), rtol=10 * tolerance, atol=10 * tolerance)
        np.testing.assert_allclose(out.data.sum(axis), 1, rtol=10 * tolerance)


@both
@settings(max_examples=10, deadline=None)
@given(case=shapes_and_axes())
def test_gradients_match_finite_differences(normal, op, case):
    shape, axis = case
    gradcheck(lambda x: op(x, axis), Tensor(normal(shape)))


@pytest.mark.oracle
@both
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_values_and_gradients_are_those_of_pytorch(normal, same_as_torch, op, axis):
    same_as_torch(lambda x: op(x, axis), lambda x: getattr(x, op.__name__)(axis), normal((3, 4, 5)))


@both
def test_layouts(normal, same_in_every_layout, op):
    same_in_every_layout(lambda x: op(x, 1), normal((2, 3, 4, 5)))


@both
def test_a_sample_has_the_same_bits_alone_and_among_others(normal, op):
    """Also where a kernel computes the channels of each pixel."""
    maps = np.ascontiguousarray(normal((5, 3, 4, 6)).astype(np.float32)).transpose(0, 3, 1, 2)
    together = op(Tensor(maps), 1).data
    for n in range(5):
        np.testing.assert_array_equal(op(Tensor(maps[n : n + 1]), 1).data, together[n : n + 1])


@both
def test_maps_in_float32_are_those_in_float64(normal, op):
    """The channels of a pixel lie side by side, and a kernel computes them in float32."""
    results = []
    for dtype in (np.float32, np.float64):
        maps = np.ascontiguousarray(normal((3, 4, 5, 7)).astype(dtype)).transpose(0, 3, 1, 2)
        x = Tensor(maps, requires_grad=True)
        out = op(x, 1)
        out.backward(np.cos(maps))
        results.append((out.data, x.grad))
    for got, wanted in zip(*results, strict=True):
        assert got.dtype == np.float32 and got.strides[1] == 4
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(shift=st.floats(-1e6, 1e6))
def test_adding_a_number_to_all_changes_nothing(normal, shift):
    x = np.round(normal((3, 5)), 2)
    for op in BOTH:
        np.testing.assert_allclose(op(Tensor(x + shift)).data, op(Tensor(x)).data, rtol=1e-7)


def test_huge_numbers_neither_overflow_nor_vanish():
    x = Tensor(np.array([[3e38, 0.0, -3e38]], np.float32))
    np.testing.assert_array_equal(ops.softmax(x).data, [[1, 0, 0]])
    np.testing.assert_array_equal(ops.log_softmax(Tensor([[1000.0, 0.0]])).data, [[0, -1000]])


def test_minus_infinity_is_a_class_that_is_ruled_out():
    x = Tensor([[0.0, -np.inf, 0.0]])
    np.testing.assert_allclose(ops.softmax(x).data, [[0.5, 0, 0.5]])
    np.testing.assert_allclose(ops.log_softmax(x).data, [[-np.log(2), -np.inf, -np.log(2)]])


@both
def test_nan_affects_only_its_row(op):
    out = op(Tensor([[0.0, np.nan], [1.0, 2.0]])).data
    np.testing.assert_array_equal(np.isnan(out), [[True, True], [False, False]])


@both
def test_what_is_no_axis(op):
    name = op.__name__
    with pytest.raises(TypeError, match=f"{name}: x - expected a Tensor, got list"):
        op([1.0])
    with pytest.raises(TypeError, match=f"{name}: axis - expected an integer"):
        op(Tensor([[1.0]]), 0.5)
    with pytest.raises(ShapeError, match=f"{name}: axis - expected"):
        op(Tensor([[1.0]]), 2)
    with pytest.raises(
        ShapeError, match=rf"{name}: x - expected at least one element along axis 1, got shape \(2, 0\)"
    ):
        op(Tensor(np.empty((2, 0))))
