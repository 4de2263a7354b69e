"""sum, mean, max, min, var: values, gradients, ties, empty axes."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

REDUCTIONS = ["sum", "mean", "max", "min", "var"]


@st.composite
def cases(draw):
    """A shape, some of its axes in any order and sign, and keepdims."""
    shape = draw(array_shapes(min_dims=0, max_dims=4, max_side=3))
    axes = draw(st.lists(st.sampled_from(range(len(shape))), unique=True)) if shape else []
    signed = tuple(axis - len(shape) * draw(st.booleans()) for axis in axes)
    axis = draw(st.sampled_from([None, signed, *signed]))
    return shape, axis, draw(st.booleans())


def distinct(shape, seed=0):
    return np.random.default_rng([seed, *shape]).permutation(np.arange(np.prod(shape, dtype=int))).reshape(shape) / 8


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=25, deadline=None)
@given(case=cases())
def test_values_are_those_of_numpy(normal, name, case):
    shape, axis, keepdims = case
    x = normal(shape)
    out = getattr(ops, name)(Tensor(x), axis, keepdims).data
    expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out, expected, atol=1e-14)


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=15, deadline=None)
@given(case=cases())
def test_gradients_match_finite_differences(name, case):
    shape, axis, keepdims = case
    gradcheck(lambda x: getattr(ops, name)(x, axis=axis, keepdims=keepdims), Tensor(distinct(shape)))


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin"])
@pytest.mark.parametrize("axis", [(0,), (1, 2), (-1,), (0, 1, 2)])
def test_values_and_gradients_are_those_of_pytorch(same_as_torch, name, axis):
    ours = getattr(ops, name.removeprefix("a"))
    same_as_torch(lambda x: ours(x, axis), lambda x: getattr(x, name)(axis), distinct((2, 3, 4)))


@pytest.mark.oracle
@pytest.mark.parametrize("correction", [0, 1, 2])
def test_var_is_that_of_pytorch(normal, same_as_torch, correction):
    same_as_torch(
        lambda x: ops.var(x, (0, 2), correction=correction),
        lambda x: x.var((0, 2), correction=correction),
        normal((2, 3, 4)),
    )


@pytest.mark.parametrize("name", REDUCTIONS)
def test_layouts(same_in_every_layout, name):
    for axis in (None, 1, (2, 3)):
        same_in_every_layout(lambda x, axis=axis: getattr(ops, name)(x, axis), distinct((2, 3, 4, 5)))


@pytest.mark.parametrize("name", ["max", "min"])
def test_on_a_tie_the_first_in_row_major_order_gets_the_gradient(name):
    x = Tensor(np.zeros((2, 2, 2)), requires_grad=True)
    getattr(ops, name)(x, axis=(2, 0)).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[1, 0], [1, 0]], [[0, 0], [0, 0]]])


@pytest.mark.parametrize("name", ["max", "min", "sum", "mean", "var"])
def test_nan_goes_through(name):
    out = getattr(ops, name)(Tensor([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]]), axis=1)
    np.testing.assert_array_equal(np.isnan(out.data), [True, False])


def test_the_mean_of_equal_numbers_is_that_number():
    for count in range(1, 60):
        assert ops.mean(Tensor(np.full(count, 0.3))).item() == np.full(count, 0.3).sum() / count


def test_var_does_not_lose_digits_to_a_large_mean():
    x = np.random.default_rng(0).standard_normal(100)
    np.testing.assert_allclose(ops.var(Tensor(x + 1e8)).data, x.var(), rtol=1e-6)


def test_empty_axes():
    x = Tensor(np.zeros((2, 0)))
    np.testing.assert_array_equal(ops.sum(x, 1).data, [0, 0])
    assert np.isnan(ops.mean(x, 1).data).all()
    assert ops.max(x, 0).shape == (0,)
    assert ops.max(Tensor(np.ones((0, 3))), 1).shape == (0,)
    np.testing.assert_array_equal(ops.max(Tensor([1.0, 2.0]), ()).data, [1, 2])


@pytest.mark.parametrize("name", REDUCTIONS)
def test_errors_name_argument_expected_and_got(name):
    op, x = getattr(ops, name), Tensor(np.zeros((2, 3)))
    for call, error, message in [
        (lambda: op(np.zeros(2)), TypeError, f"{name}: x - expected a Tensor, got ndarray"),
        (lambda: op(x, 2), ShapeError, f"{name}: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: op(x, "0"), TypeError, f"{name}: axis - expected an integer, got '0'"),
        (lambda: op(x, (0, True)), TypeError, f"{name}: axis - expected an integer, got True"),
        (lambda: op(x, (0, -2)), ValueError, f"{name}: axis - expected each axis once, got (0, -2)"),
        (lambda: op(Tensor([1, 2])), TypeError, "expected float32 or float64, the same everywhere, got int64"),
    ]:
        with pytest.raises(error, match=re.escape(message)):
            call()


def test_extremes_and_variances_need_elements():
    for name in ("max", "min"):
        message = f"{name}: x - expected at least one element along axis 1, got shape (2, 0)"
        with pytest.raises(ShapeError, match=re.escape(message)):
            getattr(ops, name)(Tensor(np.zeros((2, 0))), 1)
    with pytest.raises(ValueError, match="var: x - expected more than 1 elements along axis 0, got 1"):
        ops.var(Tensor(np.zeros((1, 3))), 0, correction=1)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var"])
def test_a_scalar_has_axis_0_as_in_numpy(name):
    for axis in (0, -1, (0,)):
        x = Tensor(np.array(3.0), requires_grad=True)
        out = getattr(ops, name)(x, axis, keepdims=True)
        out.backward()
        assert out.shape == () and out.data == (0 if name == "var" else 3)
        assert x.grad == (0 if name == "var" else 1)
    with pytest.raises(ShapeError, match=f"{name}: axis - expected -1 to 0 for 1 axes, got 1"):
        getattr(ops, name)(x, 1)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "split", "concat"])
def test_other_operations_find_no_axis_in_a_scalar(name):
    x = Tensor(np.array(3.0))
    call = {"split": lambda: ops.split(x, 1, axis=0), "concat": lambda: ops.concat([x], axis=0)}
    with pytest.raises(ShapeError, match=f"{name}: x - expected at least one axis, got a scalar"):
        call.get(name, lambda: getattr(ops, name)(x, 0))()


def test_mean_and_variance_of_numbers_whose_sums_and_squares_overflow():
    for dtype, large in ((np.float32, 2e38), (np.float32, 1e30)):
        x = Tensor(np.array([large, large, large / 2, large / 2], dtype), requires_grad=True)
        mean = ops.mean(x)
        np.testing.assert_allclose(mean.data, 0.75 * large, rtol=1e-6)
        mean.backward()
        np.testing.assert_array_equal(x.grad, np.full(4, 0.25, dtype))
    small = Tensor(np.array([1e-22, 3e-22], np.float32))
    np.testing.assert_allclose(ops.var(small).data, 1e-44, atol=1e-45)
    np.testing.assert_allclose(ops.var(Tensor(np.array([1e18, 3e18], np.float32))).data, 1e36, rtol=1e-6)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_a_large_mean_costs_the_variance_no_digits(normal, axis):
    x = (normal((300, 200)) * 0.1 + 1e5).astype(np.float32)
    np.testing.assert_allclose(ops.var(Tensor(x), axis).data, x.astype(np.float64).var(axis), rtol=1e-6)
