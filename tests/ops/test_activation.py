"""ReLU, leaky ReLU, GELU, sigmoid, tanh: values, gradients, extreme inputs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minitorch_cnn import Tensor, ops
from minitorch_cnn.testing import gradcheck

shapes = array_shapes(min_dims=0, max_dims=4, max_side=4)
ACTIVATIONS = [ops.relu, ops.leaky_relu, ops.gelu, ops.sigmoid, ops.tanh]
named = pytest.mark.parametrize("op", ACTIVATIONS, ids=lambda op: op.__name__)

FORMULAS = {
    ops.relu: lambda x: np.maximum(x, 0),
    ops.leaky_relu: lambda x: np.where(x > 0, x, 0.01 * x),
    ops.gelu: lambda x: x * np.vectorize(lambda v: (1 + math.erf(v / math.sqrt(2))) / 2, otypes=[float])(x),
    ops.sigmoid: lambda x: 1 / (1 + np.exp(-x)),
    ops.tanh: np.tanh,
}


def away_from_zero(array):
    """Return the values moved further from the kink than a finite difference reaches."""
    return array + np.copysign(0.01, array)


@named
@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_values_are_those_of_the_formula(normal, op, shape):
    x = 2 * normal(shape)
    for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
        out = op(Tensor(x.astype(dtype)))
        assert out.dtype == dtype and out.shape == shape
        np.testing.assert_allclose(out.data, FORMULAS[op](x.astype(dtype)), rtol=tolerance, atol=tolerance)


@named
@settings(max_examples=10, deadline=None)
@given(shape=shapes)
def test_gradients_match_finite_differences(normal, op, shape):
    gradcheck(op, Tensor(away_from_zero(normal(shape))))


@pytest.mark.oracle
@named
def test_values_and_gradients_are_those_of_pytorch(normal, same_as_torch, op):
    torch = pytest.importorskip("torch")
    same_as_torch(op, getattr(torch.nn.functional, op.__name__), normal((3, 4, 5)))


@named
def test_layouts(normal, same_in_every_layout, op):
    same_in_every_layout(op, normal((2, 3, 4, 5)))
    same_in_every_layout(op, normal((3, 4)))


@pytest.mark.parametrize("op", [ops.relu, ops.leaky_relu, ops.gelu], ids=lambda op: op.__name__)
def test_feature_maps_stay_channels_last(stays_channels_last, op):
    stays_channels_last(op)


@named
def test_nan_stays_nan_and_affects_no_other_element(op):
    out = op(Tensor([1.0, np.nan, -1.0])).data
    np.testing.assert_array_equal(np.isnan(out), [False, True, False])


@pytest.mark.parametrize(
    ("op", "lowest", "highest"),
    [(ops.relu, 0, np.inf), (ops.leaky_relu, -np.inf, np.inf), (ops.sigmoid, 0, 1), (ops.tanh, -1, 1)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_ends_of_the_scale(op, lowest, highest):
    np.testing.assert_array_equal(op(Tensor([-np.inf, np.inf])).data, [lowest, highest])


def test_gelu_of_a_large_negative_number_is_zero():
    np.testing.assert_array_equal(ops.gelu(Tensor([-100.0, 100.0])).data, [0, 100])


def test_sigmoid_keeps_all_digits_where_it_is_tiny():
    x = np.array([-700.0, -40.0])
    np.testing.assert_allclose(ops.sigmoid(Tensor(x)).data, np.exp(x), rtol=1e-14)
    np.testing.assert_array_equal(ops.sigmoid(Tensor([-1e4, 0.0, 1e4])).data, [0, 0.5, 1])


@pytest.mark.parametrize(("op", "slope"), [(ops.relu, 0), (ops.leaky_relu, 0.01), (ops.gelu, 0.5)])
def test_gradients_at_zero(op, slope):
    x = Tensor(np.zeros(1), requires_grad=True)
    op(x).backward(np.ones(1))
    np.testing.assert_array_equal(x.grad, [slope])


@settings(max_examples=15, deadline=None)
@given(slope=st.floats(-1, 2), shape=shapes)
def test_the_slope_of_leaky_relu(normal, slope, shape):
    x = Tensor(away_from_zero(normal(shape)))
    np.testing.assert_allclose(ops.leaky_relu(x, slope).data, np.where(x.data > 0, x.data, slope * x.data))
    gradcheck(lambda x: ops.leaky_relu(x, slope), x)


@named
def test_functions_take_only_floating_tensors(op):
    with pytest.raises(TypeError, match=f"{op.__name__}: x - expected a Tensor, got ndarray"):
        op(np.ones(2))
    with pytest.raises(TypeError, match="expected float32 or float64, the same everywhere, got int64"):
        op(Tensor([1, 2]))


def test_a_slope_that_is_not_a_number():
    with pytest.raises(TypeError, match="leaky_relu: negative_slope - expected a number, got str"):
        ops.leaky_relu(Tensor([1.0]), "0.1")


def test_softplus_does_not_overflow_where_beta_times_x_does():
    x = Tensor(np.array([3e38, -3e38, np.inf, -np.inf], np.float32), requires_grad=True)
    out = ops.softplus(x, 2)
    np.testing.assert_array_equal(out.data, np.array([3e38, 0, np.inf, 0], np.float32))
    out.backward(np.ones(4, np.float32))
    np.testing.assert_array_equal(x.grad, [1, 0, 1, 0])


@pytest.mark.parametrize("slopes", [1, 5])
def test_prelu_of_large_maps_is_that_of_small_ones(normal, slopes):
    """Kernels compute large maps whose channels lie side by side."""
    maps = np.ascontiguousarray(normal((3, 60, 60, 5)).astype(np.float32)).transpose(0, 3, 1, 2)
    results = []
    for array in (maps, np.ascontiguousarray(maps)):
        x, weight = (Tensor(a, requires_grad=True) for a in (array, np.linspace(0.1, 0.5, slopes, dtype=np.float32)))
        out = ops.prelu(x, weight)
        out.backward(np.cos(array))
        assert out.data.strides == array.strides
        results.append((out.data, x.grad, weight.grad))
    for got, wanted in zip(*results, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
