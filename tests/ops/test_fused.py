"""Fused operations: the same as their parts one after the other, their gradients and their errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck


def statistics(channels):
    """Return running mean and variance."""
    return np.linspace(-0.5, 0.5, channels), np.linspace(0.5, 1.5, channels)


def in_a_row(x, weight, bias, running_mean, running_var, *, pool=1, residual=None, **hyper):
    out = ops.batch_norm(x, weight, bias, running_mean, running_var, **hyper)
    out = ops.relu(out if residual is None else out + residual)
    return out if pool == 1 else ops.max_pool2d(out, pool)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.tuples(st.integers(2, 3), st.integers(1, 4), st.integers(3, 7), st.integers(3, 7)),
    pool=st.integers(1, 3),
    training=st.booleans(),
    affine=st.booleans(),
)
def test_it_is_batch_norm_relu_and_pooling(normal, sizes, pool, training, affine):
    x, channels = normal(sizes), sizes[1]
    results = []
    for operation in (ops.batch_norm_relu, in_a_row):
        tensors = [Tensor(a, requires_grad=True) for a in (x, normal((channels,)), normal((channels,), 1))]
        learned = tensors[1:] if affine else (None, None)
        running = statistics(channels)
        out = operation(tensors[0], *learned, *running, training=training, momentum=0.3, pool=pool)
        out.backward(np.cos(np.arange(out.data.size)).reshape(out.shape))
        results.append([out.data, *running, *(t.grad for t in tensors[: 3 if affine else 1])])
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.tuples(st.integers(2, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)), training=st.booleans()
)
def test_a_residual_is_added_before_the_relu(normal, sizes, training):
    results = []
    for operation in (ops.batch_norm_relu, in_a_row):
        x, residual = (Tensor(normal(sizes, seed), requires_grad=True) for seed in (0, 1))
        out = operation(x, None, None, *statistics(sizes[1]), training=training, residual=residual)
        out.backward(np.cos(np.arange(out.data.size)).reshape(out.shape))
        results.append([out.data, x.grad, residual.grad])
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)


def test_gradients_with_a_residual_match_finite_differences(normal):
    gradcheck(
        lambda x, r: ops.batch_norm_relu(x, None, None, None, None, training=True, residual=r),
        *(Tensor(normal((2, 2, 3, 4))), Tensor(normal((2, 2, 3, 4), 1))),
    )


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_gradients_match_finite_differences(normal, pool, training):
    x, weight, bias = Tensor(normal((2, 2, 5, 4))), Tensor(normal((2,))), Tensor(normal((2,), 1))
    gradcheck(
        lambda x, w, b: ops.batch_norm_relu(x, w, b, *statistics(2), training=training, momentum=0.0, pool=pool),
        *(x, weight, bias),
    )


def test_feature_maps_stay_channels_last(stays_channels_last):
    stays_channels_last(lambda x: ops.batch_norm_relu(x, None, None, None, None, training=True))


def test_what_does_not_fit():
    x = Tensor(np.zeros((2, 3, 4, 4), np.float32))

    def call(x=x, weight=None, training=True, **hyper):
        return ops.batch_norm_relu(x, weight, None, None, None, training=training, **hyper)

    with pytest.raises(ShapeError, match=r"batch_norm_relu: x - expected 4 axes \(N, C, H, W\), got shape \(4, 3\)"):
        call(Tensor(np.zeros((4, 3))))
    with pytest.raises(ShapeError, match=r"batch_norm_relu: x - expected at least 5 x 5 pixels to pool"):
        call(pool=5)
    with pytest.raises(ShapeError, match=r"batch_norm: weight - expected shape \(3,\)"):
        call(weight=Tensor(np.zeros(2, np.float32)))
    with pytest.raises(ValueError, match="batch_norm: running_mean - expected arrays for evaluation, got None"):
        call(training=False)
    assert call(pool=np.int64(2)).shape == (2, 3, 2, 2)
    for pool in (0, 16, 2.0, True):
        with pytest.raises(ValueError, match="batch_norm_relu: pool - expected an integer, 1 to 15, got"):
            call(pool=pool)
    with pytest.raises(
        ShapeError, match=r"batch_norm_relu: residual - expected the shape of x \(2, 3, 4, 4\), got \(2, 3,"
    ):
        call(residual=Tensor(np.zeros((2, 3, 4, 1), np.float32)))
    with pytest.raises(ValueError, match="batch_norm_relu: pool - expected 1 together with a residual, got 2"):
        call(residual=x, pool=2)
    with pytest.raises(TypeError, match="batch_norm: x - expected a Tensor, got ndarray"):
        call(x.data)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("pool", [1, 2])
def test_in_evaluation_the_gradient_of_an_infinite_pixel_is_that_of_the_operations_in_a_row(normal, bad, pool):
    array = normal((2, 2, 4, 4))
    array[0, 1, 2, 2], array[1, 0, 3, 3] = bad, -bad
    grads = []
    for operation in (ops.batch_norm_relu, in_a_row):
        x = Tensor(array, requires_grad=True)
        operation(x, None, None, *statistics(2), training=False, pool=pool).backward(
            np.ones((2, 2, 4 // pool, 4 // pool))
        )
        grads.append(x.grad)
    np.testing.assert_allclose(grads[0], grads[1], rtol=1e-12)
    assert np.isfinite(grads[0]).all()


def test_nan_lets_the_gradient_pass_as_in_relu(normal):
    array = normal((2, 1, 4, 4))
    array[0, 0, 1, 1] = np.nan
    for training in (True, False):
        beta, grads = None, []
        for operation in (ops.batch_norm_relu, in_a_row):
            beta = Tensor(np.zeros(1), requires_grad=True)
            operation(Tensor(array), Tensor(np.ones(1)), beta, *statistics(1), training=training).backward(
                np.ones(array.shape)
            )
            grads.append(beta.grad)
        np.testing.assert_array_equal(*grads)
        assert grads[0] > (20 if training else 5)  # training: every pixel is NaN and passes


# ------------------------------------------------------------------------- convolution and ReLU

WINDOW = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros", "algorithm": "auto"}
CONVOLUTIONS = {  # shapes of x and weight, and keywords
    "winograd": ((2, 32, 10, 9), (30, 32, 3, 3), {"padding": 1}),
    "winograd 5 x 5": ((2, 32, 10, 9), (32, 32, 5, 5), {"padding": 2}),
    "indirect": ((2, 3, 13, 13), (20, 3, 7, 7), {"stride": 2, "padding": 3}),
    "many terms": ((1, 300, 5, 4), (40, 300, 3, 3), {"stride": 2, "padding": 1}),
    "small_cout": ((2, 3, 9, 9), (6, 3, 5, 5), {}),
    "depthwise": ((2, 16, 9, 9), (16, 1, 3, 3), {"padding": 1, "groups": 16}),
    "groups, dilation": ((2, 8, 9, 9), (12, 2, 3, 3), {"groups": 4, "dilation": 2, "padding": (0, 1, 2, 3)}),
    "reflect": ((2, 4, 6, 6), (5, 4, 3, 3), {"padding": 2, "padding_mode": "reflect"}),
    "im2col": ((2, 4, 6, 6), (5, 4, 3, 3), {"algorithm": "im2col"}),
    "reference": ((2, 2, 4, 4), (3, 2, 3, 3), {"algorithm": "reference"}),
    "empty": ((0, 4, 6, 6), (5, 4, 3, 3), {}),
}


def conv_and_relu(x, weight, bias, residual, **hyper):
    out = ops.conv2d(x, weight, bias, **hyper)
    return ops.relu(out if residual is None else out + residual)


def outputs_and_gradients(operation, arrays, **hyper):
    tensors = [None if a is None else Tensor(a, requires_grad=True) for a in arrays]
    out = operation(*tensors, **hyper)
    out.backward(np.cos(np.arange(out.data.size)).reshape(out.shape).astype(out.data.dtype))
    return [out.data, *(t.grad for t in tensors if t is not None)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spoil", [None, "large weight", "bad pixels", "underflow"])
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_convolution_and_relu_have_the_bits_of_the_two_operations(normal, name, with_residual, spoil, dtype):
    shape, weight_shape, hyper = CONVOLUTIONS[name]
    x, weight, bias = normal(shape), normal(weight_shape, 1), normal(weight_shape[:1], 2)
    if spoil == "large weight":
        weight[0, 0, 0, 0] = -1e5
    elif spoil == "bad pixels":
        x[:1, 0, 1, :3] = np.nan, np.inf, -1e30
    elif spoil == "underflow":  # small negative products are rounded to -0.0
        x[...], weight[...], bias[...] = -1e-200, 1e-200, -0.0
    arrays = [a.astype(dtype) for a in (x, weight, bias)]
    out = ops.conv2d(*map(Tensor, arrays), **WINDOW | hyper)
    arrays.append(normal(out.shape, 3).astype(dtype) if with_residual else None)
    results = [outputs_and_gradients(f, arrays, **WINDOW | hyper) for f in (ops.fused.conv2d_relu, conv_and_relu)]
    for got, want in zip(*results, strict=True):
        assert got.dtype == dtype and got.tobytes() == want.tobytes()


@pytest.mark.parametrize("with_residual", [False, True])
def test_gradients_of_convolution_and_relu_match_finite_differences(normal, with_residual):
    x, weight, bias, residual = normal((2, 2, 5, 4)), normal((3, 2, 3, 3), 1), normal((3,), 2), normal((2, 3, 5, 4), 3)
    hyper = WINDOW | {"padding": 1}
    more = [Tensor(residual)] if with_residual else []
    arrays = *map(Tensor, (x, weight, bias)), *more
    gradcheck(lambda x, w, b, r=None: ops.fused.conv2d_relu(x, w, b, r, **hyper), *arrays)


@pytest.mark.parametrize("needed", range(4))
def test_only_the_gradients_that_are_needed_are_computed(normal, needed):
    arrays = normal((2, 2, 5, 4)), normal((3, 2, 3, 3), 1), normal((3,), 2), normal((2, 3, 3, 2), 3)
    grads = []
    for operation in (ops.fused.conv2d_relu, conv_and_relu):
        tensors = [Tensor(a, requires_grad=i == needed) for i, a in enumerate(arrays)]
        ops.sum(operation(*tensors, **WINDOW)).backward()
        grads.append([t.grad for t in tensors])
        assert [grad is not None for grad in grads[-1]] == [i == needed for i in range(4)]
    np.testing.assert_array_equal(grads[0][needed], grads[1][needed])


def test_a_residual_is_not_added_to_what_a_registered_algorithm_returned_of_its_input(normal):
    ops.register_algorithm("same", lambda x, weight, bias, **hyper: x)
    x, weight, hyper = normal((2, 3, 4, 4)), np.ones((3, 3, 1, 1)), WINDOW | {"algorithm": "same"}
    images = Tensor(x.copy())
    for residual in (None, Tensor(np.ones_like(x))):
        out = ops.fused.conv2d_relu(images, Tensor(weight), None, residual, **hyper)
        np.testing.assert_array_equal(out.data, np.maximum(x if residual is None else x + 1, 0))
        np.testing.assert_array_equal(images.data, x)


def test_arguments_of_convolution_and_relu_that_do_not_fit():
    x, weight = Tensor(np.zeros((2, 3, 4, 4), np.float32)), Tensor(np.zeros((5, 3, 3, 3), np.float32))
    with pytest.raises(ShapeError, match=r"conv2d_relu: residual - expected the output's shape \(2, 5, 2, 2\), got"):
        ops.fused.conv2d_relu(x, weight, None, x, **WINDOW)
    with pytest.raises(TypeError, match="conv2d_relu: residual - expected a Tensor, got ndarray"):
        ops.fused.conv2d_relu(x, weight, None, np.zeros((2, 5, 2, 2), np.float32), **WINDOW)
    with pytest.raises(ShapeError, match="conv2d: x - expected 3 channels"):
        ops.fused.conv2d_relu(Tensor(x.data[:, :2]), weight, None, None, **WINDOW)
