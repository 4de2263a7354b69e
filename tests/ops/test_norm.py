"""Batch normalisation and local response normalisation."""

import re
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_kernels as kernels
from minitorch_cnn import Tensor, autograd, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

SHAPES = [(4, 3), (4, 3, 5), (2, 3, 4, 5), (1, 2, 3, 1)]


def random(shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def batch_norm(x, training=True, mean=None, var=None, **hyper):
    channels = x.shape[1]
    weight, bias = (
        Tensor(random((channels,), 1), requires_grad=True),
        Tensor(random((channels,), 2), requires_grad=True),
    )
    mean = np.zeros(channels) if mean is None else mean
    var = np.ones(channels) if var is None else var
    return ops.batch_norm(x, weight, bias, mean, var, training=training, **hyper), weight, bias


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 4), c=st.integers(1, 5), h=st.integers(1, 5), w=st.integers(2, 5))
def test_training_agrees_with_the_textbook(n, c, h, w):
    x = Tensor(random((n, c, h, w)) * 3 + 1, requires_grad=True)
    out, weight, bias = batch_norm(x)
    expected, _, _ = kernels.reference.batch_norm_forward(x.data, weight.data, bias.data, eps=1e-5)
    np.testing.assert_allclose(out.data, expected, atol=1e-10)
    grad_out = random(x.shape, 3)
    out.backward(grad_out)
    grads = kernels.reference.batch_norm_backward(grad_out, x.data, weight.data, eps=1e-5)
    for tensor, grad in zip((x, weight, bias), grads, strict=True):
        np.testing.assert_allclose(tensor.grad, grad, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_match_finite_differences(shape, training):
    c = shape[1]
    tensors = [Tensor(random(s, i), requires_grad=True) for i, s in enumerate((shape, (c,), (c,)))]
    statistics = random((c,), 7), random((c,), 8) ** 2 + 0.5
    gradcheck(lambda x, w, b: ops.batch_norm(x, w, b, *(s.copy() for s in statistics), training=training), *tensors)
    gradcheck(lambda x: ops.batch_norm(x, None, None, *(s.copy() for s in statistics), training=training), tensors[0])


@pytest.mark.oracle
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_agrees_with_pytorch(training, dtype):
    torch = pytest.importorskip("torch")
    arrays = [random((4, 3, 6, 5), 0, dtype), random((3,), 1, dtype), random((3,), 2, dtype)]
    mean, var = random((3,), 3, dtype), random((3,), 4, dtype) ** 2
    their_mean, their_var = torch.tensor(mean), torch.tensor(var)
    ours = [Tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    out = ops.batch_norm(*ours, mean, var, training=training)
    expected = torch.nn.functional.batch_norm(
        theirs[0], their_mean, their_var, *theirs[1:], training=training, momentum=0.1, eps=1e-5
    )
    tolerance = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(out.data, expected.detach().numpy(), atol=tolerance)
    np.testing.assert_allclose(mean, their_mean.numpy(), atol=tolerance)
    np.testing.assert_allclose(var, their_var.numpy(), atol=tolerance)
    grad_out = random(out.shape, 5, dtype)
    out.backward(grad_out)
    expected.backward(torch.tensor(grad_out))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), atol=tolerance)
        assert a.grad.dtype == dtype


@pytest.mark.parametrize("bias", [None, [0.5, -3.0, 1000.0]])
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 4, 5)])
def test_a_scale_that_is_not_trained_gives_the_gradients_of_a_scale_of_one(shape, bias):
    rng, grads = np.random.default_rng(0), []
    pixels, grad_out = rng.normal(2, 3, shape), rng.normal(size=shape)
    for weight in (None, Tensor(np.ones(3))):
        x = Tensor(pixels, requires_grad=True)
        shift = None if bias is None else Tensor(bias, dtype=np.float64, requires_grad=True)
        ops.batch_norm(x, weight, shift, None, None, training=True).backward(grad_out)
        grads.append([x.grad] if bias is None else [x.grad, shift.grad])
    for got, want in zip(*grads, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_without_a_trained_scale_the_output_is_kept_in_place_of_the_input():
    x = Tensor(np.random.default_rng(0).normal(size=(2, 3, 4, 4)), requires_grad=True)
    for weight, alive in ((None, False), (Tensor(np.ones(3)), True)):
        maps = x + 1.0
        array = weakref.ref(maps.data)
        out = ops.batch_norm(maps, weight, None, None, None, training=True)
        del maps
        assert (array() is not None) == alive
        assert out.requires_grad


def test_running_statistics_move_by_momentum_and_keep_the_unbiased_variance():
    x = Tensor(np.array([[1.0], [2.0], [6.0]]))  # mean 3, biased variance 14/3, unbiased 7
    mean, var = np.array([1.0]), np.array([2.0])
    batch_norm(x, mean=mean, var=var, momentum=0.1)
    np.testing.assert_allclose([mean[0], var[0]], [0.9 * 1 + 0.1 * 3, 0.9 * 2 + 0.1 * 7])
    before = mean.copy(), var.copy()
    batch_norm(x, mean=mean, var=var, training=False)
    np.testing.assert_array_equal((mean, var), before)


def test_training_needs_no_running_statistics():
    out = ops.batch_norm(Tensor(random((8, 2))), None, None, None, None, training=True)
    np.testing.assert_allclose(out.data.mean(0), 0, atol=1e-12)


def test_a_large_mean_does_not_swamp_the_variance():
    x = random((64, 2, 8, 8)) * 0.1 + np.array([1000.0, -3000.0]).reshape(1, 2, 1, 1)
    out = ops.batch_norm(Tensor(x.astype(np.float32)), None, None, None, None, training=True).data
    exact = x.astype(np.float32).astype(np.float64)
    exact = (exact - exact.mean((0, 2, 3), keepdims=True)) / np.sqrt(exact.var((0, 2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(out, exact, atol=5e-3)


def test_tracing_leaves_the_running_statistics_alone():
    mean = np.zeros(3)
    with autograd.trace():
        out, _, _ = batch_norm(Tensor.like_shape((2, 3, 4, 4), np.float64), mean=mean)
    assert out.traced and (mean == 0).all()


@pytest.mark.oracle
@settings(max_examples=20, deadline=None)
@given(c=st.integers(1, 9), size=st.integers(1, 6), dtype=st.sampled_from([np.float32, np.float64]))
def test_local_response_norm_agrees_with_pytorch(c, size, dtype):
    torch = pytest.importorskip("torch")
    x = random((2, c, 3, 4), 0, dtype) * 3
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out = ops.local_response_norm(ours, size, alpha=0.3, beta=0.6, k=1.5)
    expected = torch.nn.functional.local_response_norm(theirs, size, alpha=0.3, beta=0.6, k=1.5)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), atol=1e-5 if dtype == np.float32 else 1e-12)
    grad_out = random(x.shape, 1, dtype)
    out.backward(grad_out)
    expected.backward(torch.tensor(grad_out))
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), atol=1e-4 if dtype == np.float32 else 1e-11)


def test_local_response_norm_by_hand_and_by_finite_differences():
    x = Tensor(np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1), requires_grad=True)
    out = ops.local_response_norm(x, 3, alpha=3.0, beta=1.0, k=2.0)
    # alpha/size = 1: 1/(2 + 1 + 4), 2/(2 + 1 + 4 + 9), 3/(2 + 4 + 9)
    np.testing.assert_allclose(out.data.ravel(), [1 / 7, 2 / 16, 3 / 15])
    gradcheck(lambda x: ops.local_response_norm(x, 3, alpha=3.0, beta=0.75, k=2.0), Tensor(random((1, 5, 2, 2)), True))


def call(shape=(4, 3), **changes):
    arguments = {"weight": None, "bias": None, "running_mean": np.zeros(3), "running_var": np.ones(3), "training": True}
    return ops.batch_norm(Tensor(np.zeros(shape)), **{**arguments, **changes})


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (
            lambda: call(shape=(3,)),
            ShapeError,
            "batch_norm: x - expected (N, C), (N, C, W) or (N, C, H, W), got shape (3,)",
        ),
        (
            lambda: call(weight=Tensor(np.ones(4))),
            ShapeError,
            "weight - expected shape (3,), one per channel, got (4,)",
        ),
        (
            lambda: call(running_var=np.ones(2)),
            ShapeError,
            "running_var - expected shape (3,), one per channel, got (2,)",
        ),
        (lambda: call(weight=np.ones(3)), TypeError, "batch_norm: weight - expected a Tensor, got ndarray"),
        (lambda: call(momentum=1.5), ValueError, "momentum - expected 0 to 1, got 1.5"),
        (lambda: call(eps=0.0), ValueError, "eps - expected a positive number, got 0.0"),
        (
            lambda: call(training=False, running_mean=None, running_var=None),
            ValueError,
            "running_mean - expected arrays for evaluation, got None",
        ),
        (lambda: call(running_var=None), ValueError, "running_var - expected an array, as the other statistics are"),
        (lambda: call(shape=(1, 3, 1, 1)), ValueError, "expected more than one value per channel in training"),
        (lambda: ops.local_response_norm(Tensor([1.0]), 5), ShapeError, "local_response_norm: x - expected at least 3"),
        (lambda: ops.local_response_norm(Tensor([1.0]), 0), ValueError, "size - expected an integer >= 1, got 0"),
        (lambda: ops.local_response_norm(np.ones(3), 5), TypeError, "x - expected a Tensor, got ndarray"),
    ],
)
def test_errors_name_argument_expected_and_got(bad, error, message):
    with pytest.raises(error, match=re.escape(message)):
        bad()


@pytest.mark.parametrize(("scale", "mean"), [(1e25, 0), (1e-3, 0), (1.0, 1000.0)])
@pytest.mark.parametrize("shape", [(70_000, 1), (300, 3, 9, 9), (40, 70, 5, 5)])
def test_large_elements_and_large_means_are_normalised_too(scale, mean, shape):
    x = (np.random.default_rng(0).standard_normal(shape) * scale + mean).astype(np.float32)
    axes, running = (0, *range(2, x.ndim)), [np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)]
    out = ops.batch_norm(Tensor(x), None, None, *running, training=True, momentum=1.0).data
    exact = x.astype(np.float64)
    centred = exact - exact.mean(axes, keepdims=True)
    expected = centred / np.sqrt(exact.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(out, expected, atol=2e-5 + 4e-7 * mean)
    np.testing.assert_allclose(running[0], exact.mean(axes), rtol=1e-6, atol=1e-6 * scale)
    if scale < 1e18:  # the variance fits float32
        np.testing.assert_allclose(running[1], exact.var(axes, ddof=1), rtol=1e-5)


def test_running_statistics_of_numbers_whose_difference_overflows():
    running = [np.full(1, -3e38, np.float32), np.ones(1, np.float32)]
    x = Tensor(np.full((4, 1), 3e38, np.float32))
    ops.batch_norm(x, None, None, *running, training=True, momentum=0.5)
    assert running[0][0] == 0 and running[1][0] == 0.5
