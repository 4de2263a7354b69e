"""power, sqrt, exp, log, abs: values, gradients, the edges of their domains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minitorch_cnn import Tensor, ops
from minitorch_cnn.testing import gradcheck

UNARY = [
    pytest.param(ops.exp, np.exp, "exp", id="exp"),
    pytest.param(ops.log, np.log, "log", id="log"),
    pytest.param(ops.sqrt, np.sqrt, "sqrt", id="sqrt"),
    pytest.param(ops.abs, np.abs, "abs", id="abs"),
]
shapes = array_shapes(min_dims=0, max_dims=4, max_side=4)


def positive(array):
    return 0.3 + np.abs(array)


@pytest.mark.parametrize(("op", "formula", "name"), UNARY)
@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_values_are_those_of_numpy(normal, op, formula, name, shape):
    x = positive(normal(shape))
    for dtype in (np.float32, np.float64):
        out = op(Tensor(x.astype(dtype)))
        assert out.dtype == dtype
        np.testing.assert_array_equal(out.data, formula(x.astype(dtype)))


@pytest.mark.oracle
@pytest.mark.parametrize(("op", "formula", "name"), UNARY)
def test_values_and_gradients_are_those_of_pytorch(normal, same_as_torch, op, formula, name):
    same_as_torch(op, lambda x: getattr(x, name)(), positive(normal((3, 4))))


@pytest.mark.parametrize(("op", "formula", "name"), UNARY)
@settings(max_examples=10, deadline=None)
@given(shape=shapes)
def test_gradients_match_finite_differences(normal, op, formula, name, shape):
    gradcheck(op, Tensor(positive(normal(shape))))


@pytest.mark.parametrize(("op", "formula", "name"), UNARY)
def test_layouts(normal, same_in_every_layout, op, formula, name):
    same_in_every_layout(op, positive(normal((2, 3, 4, 5))))


@pytest.mark.parametrize("op", [ops.exp, ops.abs, lambda x: ops.power(x, 2)], ids=["exp", "abs", "power"])
def test_feature_maps_stay_channels_last(stays_channels_last, op):
    stays_channels_last(op)


@pytest.mark.parametrize(("op", "formula", "name"), UNARY)
def test_special_values_are_those_of_numpy(op, formula, name):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, -1.0, 1e300, 5e-324])
    with np.errstate(all="ignore"):
        expected = formula(x)
    np.testing.assert_array_equal(op(Tensor(x)).data, expected)


@settings(max_examples=25, deadline=None)
@given(exponent=st.sampled_from([-2, -1, -0.5, 0, 0.5, 1, 2, 3, 2.7]), shape=shapes)
def test_power(normal, exponent, shape):
    x = positive(normal(shape))
    np.testing.assert_allclose(ops.power(Tensor(x), exponent).data, x ** float(exponent), rtol=1e-14)
    gradcheck(lambda x: ops.power(x, exponent), Tensor(x))


@pytest.mark.oracle
@pytest.mark.parametrize("exponent", [-1, 0, 1, 2, 3])
def test_powers_of_negative_numbers_and_zero_are_those_of_pytorch(same_as_torch, exponent):
    x = np.array([-2.0, -0.5, 1.0] if exponent < 0 else [-2.0, -0.5, 0.0, 1.0])
    same_as_torch(lambda x: ops.power(x, exponent), lambda x: x**exponent, x)


def test_a_fractional_power_of_a_negative_number_is_nan():
    assert np.isnan(ops.power(Tensor([-1.0]), 0.5).data).all()


@pytest.mark.parametrize(
    ("op", "at_zero"),
    [(ops.abs, 0), (ops.sqrt, np.inf), (lambda x: ops.power(x, 0), 0), (lambda x: ops.power(x, 1), 1)],
    ids=["abs", "sqrt", "x**0", "x**1"],
)
def test_gradients_at_zero(op, at_zero):
    x = Tensor([0.0], requires_grad=True)
    op(x).backward(np.ones(1))
    np.testing.assert_array_equal(x.grad, [at_zero])


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "abs"])
def test_functions_take_only_tensors(name):
    with pytest.raises(TypeError, match=f"{name}: x - expected a Tensor, got ndarray"):
        getattr(ops, name)(np.ones(2))
    with pytest.raises(TypeError, match="expected float32 or float64, the same everywhere, got int64"):
        getattr(ops, name)(Tensor([1, 2]))


@pytest.mark.parametrize("exponent", ["2", None, 1j, np.ones(2)])
def test_an_exponent_that_is_not_a_number(exponent):
    got = type(exponent).__name__
    with pytest.raises(TypeError, match=f"power: exponent - expected a number or a Tensor, got {got}"):
        ops.power(Tensor([1.0]), exponent)
    with pytest.raises(TypeError, match="power: x - expected a Tensor, got list"):
        ops.power([1.0], 2)


def test_powers_of_zero_and_exponents_of_zero_have_finite_gradients():
    x, y = Tensor([0.0, 0.0, 2.0, 0.0], requires_grad=True), Tensor([0.0, 2.0, 0.0, 1.0], requires_grad=True)
    out = x**y
    out.backward(np.ones(4))
    assert out.data.tolist() == [1, 0, 1, 0]
    assert x.grad.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(y.grad, [0, 0, np.log(2), 0], rtol=1e-6)


def test_a_number_as_base():
    x = Tensor([0.0, 3.0], requires_grad=True)
    (2**x).backward(np.ones(2))
    np.testing.assert_allclose(x.grad, np.log(2) * np.array([1, 8]), rtol=1e-6)
    with pytest.raises(TypeError, match="power: x - expected a Tensor, got ndarray"):
        np.ones(2) ** x
    with pytest.raises(TypeError, match="power: x - expected a Tensor, got str"):
        "2" ** x
