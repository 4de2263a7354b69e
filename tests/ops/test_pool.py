"""Pooling over windows: against the textbook, PyTorch and finite differences; ties, NaN, errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_kernels as kernels
from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck


@st.composite
def cases(draw):
    kernel, stride = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(2))
    padding = tuple(draw(st.integers(0, min(2, k - 1))) for k in kernel for _ in range(2))
    size = tuple(
        max(kernel[axis] - sum(padding[2 * axis : 2 * axis + 2]), 1) + draw(st.integers(0, 4)) for axis in range(2)
    )
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *size)
    return shape, {"kernel_size": kernel, "stride": stride, "padding": padding}


def distinct(shape, seed=0, dtype=np.float64):
    """Return values far enough apart that no maximum changes under a small step."""
    return np.random.default_rng(seed).permutation(np.arange(np.prod(shape))).reshape(shape).astype(dtype) / 8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=30, deadline=None)
@given(case=cases())
def test_max_pool_agrees_with_the_textbook(dtype, case):
    shape, hyper = case
    x = distinct(shape, dtype=dtype)
    expected, argmax = kernels.reference.max_pool2d_forward(x, **hyper)
    tensor = Tensor(x, requires_grad=True)
    kernel_size = hyper["kernel_size"]
    out = ops.max_pool2d(tensor, kernel_size, stride=hyper["stride"], padding=hyper["padding"])
    np.testing.assert_array_equal(out.data, expected)
    grad_out = distinct(out.shape, 1, dtype)
    out.backward(grad_out)
    expected_grad = kernels.reference.max_pool2d_backward(grad_out, argmax, input_size=shape[2:], **hyper)
    np.testing.assert_allclose(tensor.grad, expected_grad, rtol=1e-6)
    assert out.dtype == tensor.grad.dtype == dtype


@pytest.mark.parametrize("count_include_pad", [True, False])
@settings(max_examples=30, deadline=None)
@given(case=cases())
def test_avg_pool_agrees_with_the_textbook(count_include_pad, case):
    shape, hyper = case
    hyper = {**hyper, "count_include_pad": count_include_pad}
    x = distinct(shape)
    tensor = Tensor(x, requires_grad=True)
    keywords = {name: value for name, value in hyper.items() if name != "kernel_size"}
    out = ops.avg_pool2d(tensor, hyper["kernel_size"], **keywords)
    np.testing.assert_allclose(out.data, kernels.reference.avg_pool2d_forward(x, **hyper), atol=1e-12)
    grad_out = distinct(out.shape, 1)
    out.backward(grad_out)
    expected = kernels.reference.avg_pool2d_backward(grad_out, input_size=shape[2:], **hyper)
    np.testing.assert_allclose(tensor.grad, expected, atol=1e-12)


@pytest.mark.oracle
@settings(max_examples=30, deadline=None)
@given(kernel=st.integers(1, 4), stride=st.integers(1, 4), extra=st.integers(0, 5), data=st.data())
def test_agrees_with_pytorch(kernel, stride, extra, data):
    torch = pytest.importorskip("torch")
    padding = data.draw(st.integers(0, kernel // 2))
    x = distinct((2, 3, kernel + extra, kernel + 3))
    for ours, theirs in (
        (ops.max_pool2d, torch.nn.functional.max_pool2d),
        (ops.avg_pool2d, torch.nn.functional.avg_pool2d),
    ):
        tensor, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        out, expected = ours(tensor, kernel, stride=stride, padding=padding), theirs(other, kernel, stride, padding)
        np.testing.assert_allclose(out.data, expected.detach().numpy(), atol=1e-12)
        out.backward(np.cos(np.arange(out.size)).reshape(out.shape))
        expected.backward(torch.cos(torch.arange(out.size, dtype=torch.float64)).reshape(out.shape))
        np.testing.assert_allclose(tensor.grad, other.grad.numpy(), atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(case=cases())
def test_gradients_match_finite_differences(case):
    shape, hyper = case
    kernel_size, keywords = hyper["kernel_size"], {"stride": hyper["stride"], "padding": hyper["padding"]}
    gradcheck(lambda x: ops.max_pool2d(x, kernel_size, **keywords), Tensor(distinct(shape), requires_grad=True))
    gradcheck(lambda x: ops.avg_pool2d(x, kernel_size, **keywords), Tensor(distinct(shape), requires_grad=True))


def test_the_first_of_equal_values_takes_the_whole_gradient():
    x = Tensor(np.ones((1, 1, 4, 4)), requires_grad=True)
    ops.max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad[0, 0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_no_gradient_is_lost_or_doubled_on_ties(stride):
    x = Tensor(np.zeros((2, 3, 7, 7)), requires_grad=True)
    out = ops.max_pool2d(x, 3, stride=stride, padding=1)
    grad_out = distinct(out.shape)
    out.backward(grad_out)
    assert x.grad.sum() == grad_out.sum()


def test_max_pool_pads_with_minus_infinity_and_lets_nan_win():
    x = -np.ones((1, 1, 2, 2))
    assert ops.max_pool2d(Tensor(x), 2, padding=1).data.max() == -1
    x[0, 0, 1, 1] = np.nan
    assert np.isnan(ops.max_pool2d(Tensor(x), 2).data).all()


def test_avg_pool_counts_the_padding_unless_told_not_to():
    x = Tensor(np.ones((1, 1, 2, 2)))
    assert ops.avg_pool2d(x, 2, padding=1).data[0, 0, 0, 0] == 0.25
    assert ops.avg_pool2d(x, 2, padding=1, count_include_pad=False).data[0, 0, 0, 0] == 1


def test_pixels_that_the_floor_drops_get_no_gradient():
    for pool in (ops.max_pool2d, ops.avg_pool2d):
        x = Tensor(distinct((1, 1, 5, 5)), requires_grad=True)
        out = pool(x, 2)
        out.sum().backward()
        assert out.shape == (1, 1, 2, 2) and (x.grad[..., 4, :] == 0).all() and (x.grad[..., 4] == 0).all()


def test_1d_pools():
    x = Tensor(np.array([[[1.0, 5.0, 2.0, 4.0, 3.0]]]), requires_grad=True)
    np.testing.assert_array_equal(ops.max_pool1d(x, 2).data, [[[5, 4]]])
    np.testing.assert_array_equal(ops.max_pool1d(x, 3, stride=1).data, [[[5, 5, 4]]])
    np.testing.assert_array_equal(ops.avg_pool1d(x, 2, stride=2, padding=(1, 0)).data, [[[0.5, 3.5, 3.5]]])
    np.testing.assert_array_equal(
        ops.avg_pool1d(x, 2, stride=2, padding=(1, 0), count_include_pad=False).data, [[[1, 3.5, 3.5]]]
    )
    gradcheck(lambda x: ops.max_pool1d(x, 3, stride=2, padding=1), x)
    gradcheck(lambda x: ops.avg_pool1d(x, 3, stride=2, padding=1), x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: ops.max_pool2d(x.data, 2), TypeError, "max_pool2d: x - expected a Tensor, got ndarray"),
        (lambda x: ops.max_pool2d(x, 0), ValueError, "max_pool2d: kernel_size - expected at least 1, got 0"),
        (lambda x: ops.max_pool2d(x, 2, stride=0), ValueError, "max_pool2d: stride - expected at least 1, got 0"),
        (
            lambda x: ops.max_pool2d(x, 2, padding=2),
            ShapeError,
            "padding - expected less than the window's height 2, got 2",
        ),
        (lambda x: ops.max_pool2d(x, 2, padding="same"), ValueError, "padding - expected integers, got 'same'"),
        (lambda x: ops.max_pool2d(x, 9), ShapeError, "max_pool2d: height - expected at least 9 padded pixels"),
        (lambda x: ops.avg_pool2d(x.reshape(3, 25), 2), ShapeError, "avg_pool2d: x - expected 4 axes (N, C, H, W)"),
        (
            lambda x: ops.max_pool1d(x, 2),
            ShapeError,
            "max_pool1d: x - expected 3 axes (N, C, W), got shape (1, 3, 5, 5)",
        ),
        (lambda x: ops.avg_pool1d(x.data, 2), TypeError, "avg_pool1d: x - expected a Tensor, got ndarray"),
    ],
)
def test_errors_name_argument_expected_and_got(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(Tensor(np.zeros((1, 3, 5, 5))))


@pytest.mark.parametrize("pool", [ops.max_pool2d, ops.avg_pool2d])
def test_no_window_lies_in_the_padding_alone(pool):
    with pytest.raises(ShapeError, match=r"pool2d: x - expected at least one pixel, got shape \(1, 1, 0, 4\)"):
        pool(Tensor(np.zeros((1, 1, 0, 4))), 2, padding=1)


def test_a_window_has_at_most_as_many_pixels_as_float32_counts():
    x = Tensor.like_shape((1, 1, 5000, 5000))
    with pytest.raises(ValueError, match="max_pool2d: kernel_size - expected at most 16777216 pixels, got"):
        ops.max_pool2d(x, 5000)
