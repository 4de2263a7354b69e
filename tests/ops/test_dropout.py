"""Dropout: the share and scale of what is kept, gradients by the same mask, the stream of draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minitorch_cnn import Tensor, manual_seed, ops
from minitorch_cnn.testing import gradcheck

shapes = array_shapes(min_dims=0, max_dims=4, max_side=5)
probabilities = st.floats(0.05, 0.95)


@settings(max_examples=30, deadline=None)
@given(shape=shapes, p=probabilities, seed=st.integers(0, 99))
def test_every_element_is_zero_or_scaled_and_its_gradient_with_it(normal, shape, p, seed):
    manual_seed(seed)
    x = normal(shape) + 3
    for dtype in (np.float32, np.float64):
        tensor = Tensor(x.astype(dtype), requires_grad=True)
        out = ops.dropout(tensor, p)
        kept = out.data != 0
        assert out.dtype == dtype
        np.testing.assert_allclose(out.data, kept * tensor.data / (1 - p), rtol=1e-6)
        out.backward(np.full(shape, 2, dtype))
        np.testing.assert_allclose(tensor.grad, kept * 2 / (1 - p), rtol=1e-6)


@settings(max_examples=15, deadline=None)
@given(shape=shapes, p=probabilities)
def test_gradients_match_finite_differences(normal, shape, p):
    gradcheck(lambda x: ops.dropout(x, p), Tensor(normal(shape)))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_share_and_the_mean_of_what_is_kept(p):
    manual_seed(0)
    count = 200_000
    out = ops.dropout(Tensor(np.ones(count)), p).data
    deviation = np.sqrt(p * (1 - p) / count)  # of the share kept; one run in 1.7 million exceeds 5 deviations
    assert abs((out != 0).mean() - (1 - p)) < 5 * deviation
    assert abs(out.mean() - 1) < 5 * deviation / (1 - p)


def test_neighbours_are_dropped_independently():
    manual_seed(0)
    kept = (ops.dropout(Tensor(np.ones((400, 500))), 0.5).data != 0) - 0.5
    for one, other in ((kept[1:], kept[:-1]), (kept[:, 1:], kept[:, :-1])):
        assert abs((one * other).mean()) < 5 * 0.25 / np.sqrt(one.size)


def test_in_evaluation_and_for_p_zero_it_is_the_identity():
    x = Tensor([1.0, 2.0])
    assert ops.dropout(x, 0.5, training=False) is x
    assert ops.dropout(x, 0.0) is x


def test_the_seed_fixes_the_draws_and_each_call_draws_anew():
    x = Tensor(np.ones(100))
    manual_seed(3)
    first, second = (ops.dropout(x).data for _ in range(2))
    manual_seed(3)
    np.testing.assert_array_equal(ops.dropout(x).data, first)
    assert (first != second).any()


def test_draws_follow_memory_order(stays_channels_last):
    stays_channels_last(ops.dropout)
    pixels = np.ones((2, 4, 5, 3))
    manual_seed(0)
    plain = ops.dropout(Tensor(pixels)).data
    manual_seed(0)
    channels_last = ops.dropout(Tensor(pixels.transpose(0, 3, 1, 2))).data
    np.testing.assert_array_equal(channels_last.transpose(0, 2, 3, 1), plain)


def test_nan_and_infinity_are_not_hidden():
    manual_seed(0)
    assert np.isnan(ops.dropout(Tensor(np.full(50, np.nan)), 0.9).data).all()


@pytest.mark.parametrize("p", [-0.1, 1.5, np.nan, "0.5", None])
def test_a_probability_out_of_range(p):
    with pytest.raises(ValueError, match="dropout: p - expected a number, 0 <= p <= 1, got"):
        ops.dropout(Tensor([1.0]), p)
    with pytest.raises(TypeError, match="dropout: x - expected a Tensor, got float"):
        ops.dropout(1.0)


@pytest.mark.parametrize("shape", [(0, 3), (4, 5)])
def test_a_rate_of_one_drops_everything_and_the_gradient(shape):
    x = Tensor(np.ones(shape, np.float32), requires_grad=True)
    out = ops.dropout(x, 1.0)
    out.backward(np.ones(shape, np.float32))
    assert not out.data.any() and not x.grad.any() and out.dtype == np.float32
