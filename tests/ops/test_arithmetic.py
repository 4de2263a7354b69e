"""add, sub, mul, div, neg: values, broadcasting, gradients, numbers as arguments."""

import operator
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from minitorch_cnn import Tensor, ops
from minitorch_cnn.ops.arithmetic import unbroadcast
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

BINARY = [
    pytest.param(ops.add, operator.add, id="add"),
    pytest.param(ops.sub, operator.sub, id="sub"),
    pytest.param(ops.mul, operator.mul, id="mul"),
    pytest.param(ops.div, operator.truediv, id="div"),
]
two_shapes = mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3).map(lambda s: s.input_shapes)


def away_from_zero(array):
    return array + np.where(array < 0, -0.5, 0.5)


@pytest.mark.parametrize(("op", "formula"), BINARY)
@settings(max_examples=20, deadline=None)
@given(shapes=two_shapes)
def test_values_are_those_of_numpy(normal, op, formula, shapes):
    a, b = normal(shapes[0]), away_from_zero(normal(shapes[1], 1))
    np.testing.assert_array_equal(op(Tensor(a), Tensor(b)).data, formula(a, b))


@pytest.mark.oracle
@pytest.mark.parametrize(("op", "formula"), BINARY)
@settings(max_examples=15, deadline=None)
@given(shapes=two_shapes)
def test_values_and_gradients_are_those_of_pytorch(normal, same_as_torch, op, formula, shapes):
    same_as_torch(op, formula, normal(shapes[0]), away_from_zero(normal(shapes[1], 1)))


@pytest.mark.parametrize(("op", "formula"), BINARY)
@settings(max_examples=15, deadline=None)
@given(shapes=two_shapes)
def test_gradients_match_finite_differences(normal, op, formula, shapes):
    report = gradcheck(op, Tensor(normal(shapes[0])), Tensor(away_from_zero(normal(shapes[1], 1))))
    assert report.names == ("input 0", "input 1")


@pytest.mark.parametrize(("op", "formula"), BINARY)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("number", [3, 2.5, np.float64(0.1), np.int64(2)])
def test_a_number_on_either_side_takes_the_dtype_of_the_tensor(op, formula, dtype, number):
    x = np.array([1.5, -2.0], dtype)
    for out, expected in (
        (op(Tensor(x), number), formula(x, dtype(number))),
        (op(number, Tensor(x)), formula(number, x)),
    ):
        assert out.dtype == dtype
        np.testing.assert_allclose(out.data, expected, rtol=1e-6)


@pytest.mark.parametrize(("op", "formula"), BINARY)
def test_layouts(normal, same_in_every_layout, stays_channels_last, op, formula):
    same_in_every_layout(op, normal((2, 3, 4, 5)), away_from_zero(normal((1, 3, 1, 1), 1)))
    stays_channels_last(lambda x: op(x, 2.0))
    stays_channels_last(lambda x: op(x, Tensor(np.arange(1.0, 4.0).reshape(1, 3, 1, 1))))


def test_an_argument_that_is_used_twice_gets_both_gradients():
    x = Tensor([3.0], requires_grad=True)
    ops.mul(x, x).backward()
    np.testing.assert_array_equal(x.grad, [6])


def test_only_the_argument_that_asks_gets_a_gradient():
    for op in (ops.add, ops.sub, ops.mul, ops.div):
        a, b = Tensor([2.0], requires_grad=True), Tensor([4.0])
        op(a, b).backward()
        assert a.grad is not None and b.grad is None


def test_the_gradient_of_a_divisor_does_not_overflow():
    b = Tensor(np.array([1e30], np.float32), requires_grad=True)
    ops.div(Tensor(np.array([1e30], np.float32)), b).backward()
    np.testing.assert_allclose(b.grad, [-1e-30], rtol=1e-6)


def test_division_by_zero_gives_what_ieee_754_says():
    np.testing.assert_array_equal(ops.div(Tensor([1.0, -1.0, 0.0]), 0.0).data, [np.inf, -np.inf, np.nan])


def test_neg(normal):
    x = normal((2, 3))
    np.testing.assert_array_equal(ops.neg(Tensor(x)).data, -x)
    gradcheck(ops.neg, Tensor(x))


@settings(max_examples=30, deadline=None)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=1, base_shape=(2, 3, 2)).map(lambda s: s.input_shapes[0]),
    data=st.data(),
)
def test_unbroadcast_is_the_transpose_of_broadcasting(normal, shapes, data):
    # <broadcast(x), y> = <x, unbroadcast(y)>
    out_shape = np.broadcast_shapes(shapes, (2, 3, 2))
    x, y = normal(shapes), normal(out_shape, 1)
    back = unbroadcast(y, shapes)
    assert back.shape == shapes
    np.testing.assert_allclose(np.sum(np.broadcast_to(x, out_shape) * y), np.sum(x * back), atol=1e-12)


@pytest.mark.parametrize(("op", "formula"), BINARY)
def test_errors_name_argument_expected_and_got(op, formula):
    name = op.__name__
    x = Tensor(np.zeros((2, 3)))
    for call, error, message in [
        (
            lambda: op(x, Tensor(np.zeros((2, 4)))),
            ShapeError,
            f"{name}: b - expected a shape that broadcasts with (2, 3)",
        ),
        (lambda: op(x, np.zeros(3)), TypeError, f"{name}: b - expected a Tensor, got ndarray"),
        (lambda: op(1.0, 2.0), TypeError, f"{name}: a - expected a Tensor, got float"),
        (lambda: op(x, "1"), TypeError, f"{name}: b - expected a Tensor, got str"),
        (lambda: op(x, 1j), TypeError, f"{name}: b - expected a Tensor, got complex"),
        (
            lambda: op(x, Tensor([1.0])),
            TypeError,
            "expected float32 or float64, the same everywhere, got float64, float32",
        ),
        (
            lambda: op(Tensor([1, 2]), 1),
            TypeError,
            "expected float32 or float64, the same everywhere, got int64, int64",
        ),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_neg_takes_tensors_alone():
    with pytest.raises(TypeError, match="neg: x - expected a Tensor, got ndarray"):
        ops.neg(np.zeros(2))
