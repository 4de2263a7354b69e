"""Pooling to a given size and over whole maps."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch_cnn import Tensor, nn, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

sizes = st.tuples(st.integers(1, 6), st.integers(1, 6))


def distinct(shape, seed=0):
    return np.random.default_rng(seed).permutation(np.arange(np.prod(shape))).reshape(shape) / 8.0


@settings(max_examples=30, deadline=None)
@given(size=sizes, output_size=sizes)
@example(size=(6, 4), output_size=(3, 4))  # bins of equal size, side by side
def test_every_bin_by_its_definition(size, output_size):
    x = distinct((2, 3, *size))
    averages = ops.adaptive_avg_pool2d(Tensor(x), output_size).data
    maxima = ops.adaptive_max_pool2d(Tensor(x), output_size).data
    for i in range(output_size[0]):
        for j in range(output_size[1]):
            rows = slice(int(np.floor(i * size[0] / output_size[0])), int(np.ceil((i + 1) * size[0] / output_size[0])))
            cols = slice(int(np.floor(j * size[1] / output_size[1])), int(np.ceil((j + 1) * size[1] / output_size[1])))
            np.testing.assert_allclose(averages[:, :, i, j], x[:, :, rows, cols].mean((2, 3)))
            np.testing.assert_array_equal(maxima[:, :, i, j], x[:, :, rows, cols].max((2, 3)))


@pytest.mark.oracle
@settings(max_examples=25, deadline=None)
@given(size=sizes, output_size=sizes)
@example(size=(6, 4), output_size=(3, 4))  # bins of equal size, side by side
def test_agrees_with_pytorch(size, output_size):
    torch = pytest.importorskip("torch")
    x = distinct((2, 3, *size))
    for name in ("adaptive_avg_pool2d", "adaptive_max_pool2d"):
        ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        out, expected = getattr(ops, name)(ours, output_size), getattr(torch.nn.functional, name)(theirs, output_size)
        np.testing.assert_allclose(out.data, expected.detach().numpy())
        out.backward(np.cos(np.arange(out.size)).reshape(out.shape))
        expected.backward(torch.cos(torch.arange(out.size, dtype=torch.float64)).reshape(out.shape))
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(size=sizes, output_size=sizes)
@example(size=(6, 4), output_size=(3, 4))  # bins of equal size, side by side
def test_gradients_match_finite_differences(size, output_size):
    x = Tensor(distinct((1, 2, *size)), requires_grad=True)
    gradcheck(lambda x: ops.adaptive_avg_pool2d(x, output_size), x)
    gradcheck(lambda x: ops.adaptive_max_pool2d(x, output_size), x)


def test_global_pools():
    x = Tensor(distinct((2, 3, 4, 5)), requires_grad=True)
    np.testing.assert_allclose(ops.global_avg_pool(x).data, x.data.mean((2, 3)))
    np.testing.assert_array_equal(ops.global_max_pool(x).data, x.data.max((2, 3)))
    gradcheck(ops.global_avg_pool, x)
    gradcheck(ops.global_max_pool, x)


def test_1d():
    x = Tensor(np.array([[[1.0, 2.0, 6.0, 4.0]]]), requires_grad=True)
    np.testing.assert_array_equal(ops.adaptive_avg_pool1d(x, 2).data, [[[1.5, 5]]])
    np.testing.assert_array_equal(ops.adaptive_max_pool1d(x, 3).data, [[[2, 6, 6]]])
    gradcheck(lambda x: ops.adaptive_avg_pool1d(x, 3), x)
    gradcheck(lambda x: ops.adaptive_max_pool1d(x, 3), x)


def test_first_maximum_takes_the_gradient_and_nan_wins():
    x = Tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    ops.adaptive_max_pool2d(x, 1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[[[1, 0], [0, 0]]]])
    assert np.isnan(ops.adaptive_max_pool2d(Tensor([[[[1.0, np.nan]]]]), 1).data).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ops.adaptive_avg_pool2d(x, 0), ValueError, "adaptive_avg_pool2d: output_size - expected at least 1"),
        (lambda x: ops.adaptive_max_pool2d(x.data, 1), TypeError, "adaptive_max_pool2d: x - expected a Tensor"),
        (lambda x: ops.adaptive_max_pool2d(x, "a"), TypeError, "output_size - expected an int or two ints, got 'a'"),
        (lambda x: ops.adaptive_avg_pool2d(x[0], 1), ShapeError, "expected 4 axes (N, C, H, W), got shape (3, 5, 5)"),
        (lambda x: ops.adaptive_avg_pool2d(x[:, :, :0], 1), ShapeError, "expected at least one pixel"),
        (lambda x: ops.global_avg_pool(x[0]), ShapeError, "global_avg_pool: x - expected 4 axes"),
        (lambda x: ops.global_max_pool(x.data), TypeError, "global_max_pool: x - expected a Tensor"),
        (lambda x: ops.adaptive_avg_pool1d(x, 1), ShapeError, "adaptive_avg_pool1d: x - expected 3 axes (N, C, W)"),
    ],
)
def test_errors_name_argument_expected_and_got(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(Tensor(np.zeros((1, 3, 5, 5))))


@pytest.mark.parametrize("pool", ["adaptive_avg_pool2d", "adaptive_max_pool2d"])
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (0, 0, 1, 1)])
def test_no_images_and_no_channels_give_empty_maps(pool, shape):
    x = Tensor(np.zeros(shape, np.float32), requires_grad=True)
    out = getattr(ops, pool)(x, 2)
    assert out.shape == (*shape[:2], 2, 2)
    out.backward(np.zeros(out.shape, np.float32))
    assert x.grad.shape == shape


@pytest.mark.parametrize("pool", [ops.adaptive_avg_pool2d, ops.adaptive_max_pool2d])
def test_a_pixel_of_many_bins_gets_the_whole_sum(pool):
    x = Tensor(np.zeros((1, 1, 1, 1), np.float32), requires_grad=True)
    out = pool(x, 150)
    out.backward(np.full(out.shape, 0.1, np.float32))
    np.testing.assert_allclose(x.grad, 2250, rtol=1e-6)
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("op", [ops.adaptive_avg_pool2d, ops.adaptive_max_pool2d])
@pytest.mark.parametrize("size, full", [((None, 2), (5, 2)), ([3, None], (3, 7)), ((None, None), (5, 7))])
def test_none_keeps_the_length_of_an_axis(op, size, full):
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 5, 7)))
    np.testing.assert_array_equal(op(x, size).data, op(x, full).data)
    layer = nn.AdaptiveAvgPool2d if op is ops.adaptive_avg_pool2d else nn.AdaptiveMaxPool2d
    np.testing.assert_array_equal(layer(size)(x).data, op(x, full).data)


@pytest.mark.parametrize("size", [(2, 3), 1, (5, 4)])
def test_indices_say_where_the_maxima_were(normal, size):
    x = normal((2, 3, 5, 4))
    out, indices = ops.adaptive_max_pool2d(Tensor(x), size, return_indices=True)
    assert indices.dtype == np.int64 and indices.shape == out.shape
    found = np.take_along_axis(x.reshape(2, 3, -1), indices.reshape(2, 3, -1), 2)
    np.testing.assert_array_equal(found.reshape(out.shape), out.data)
    signal, where = nn.AdaptiveMaxPool1d(2, return_indices=True)(Tensor(x[:, :, 0]))
    np.testing.assert_array_equal(np.take_along_axis(x[:, :, 0], where, 2), signal.data)
    assert nn.AdaptiveMaxPool2d(size, return_indices=True)(Tensor(x))[1].shape == out.shape
