"""matmul and linear: values, broadcasting, gradients, bits, errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import minitorch_kernels as kernels
from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

two_shapes = mutually_broadcastable_shapes(signature=np.matmul.signature, max_dims=2, max_side=4).map(
    lambda shapes: shapes.input_shapes
)


@settings(max_examples=40, deadline=None)
@given(shapes=two_shapes)
def test_values_are_those_of_numpy(normal, shapes):
    a, b = normal(shapes[0]), normal(shapes[1], 1)
    for dtype, tolerance in ((np.float32, 1e-5), (np.float64, 1e-13)):
        out = ops.matmul(Tensor(a.astype(dtype)), Tensor(b.astype(dtype)))
        assert out.dtype == dtype and out.shape == (a @ b).shape
        np.testing.assert_allclose(out.data, a @ b, rtol=tolerance, atol=tolerance)


@settings(max_examples=25, deadline=None)
@given(shapes=two_shapes)
def test_gradients_match_finite_differences(normal, shapes):
    gradcheck(ops.matmul, Tensor(normal(shapes[0])), Tensor(normal(shapes[1], 1)))


@pytest.mark.oracle
@settings(max_examples=20, deadline=None)
@given(shapes=two_shapes)
def test_values_and_gradients_are_those_of_pytorch(normal, same_as_torch, shapes):
    same_as_torch(ops.matmul, lambda a, b: a @ b, normal(shapes[0]), normal(shapes[1], 1))


@pytest.mark.parametrize(("size", "dtype"), [((37, 70, 45), np.float32), ((64, 600, 130), np.float64)])
def test_large_products_have_the_same_bits_for_any_number_of_threads(normal, size, dtype):
    rows, terms, columns = size
    a, b = Tensor(normal((rows, terms)).astype(dtype)), Tensor(normal((terms, columns)).astype(dtype))
    most = kernels.runtime.threads.get_num_threads()
    results = []
    try:
        for count in (1, most):
            kernels.runtime.threads.set_num_threads(count)
            results.append(ops.matmul(a, b).data)
    finally:
        kernels.runtime.threads.set_num_threads(most)
    np.testing.assert_array_equal(*results)
    np.testing.assert_allclose(results[0], a.data.astype(float) @ b.data, rtol=1e-3, atol=1e-3)


def test_layouts(normal, same_in_every_layout):
    same_in_every_layout(ops.matmul, normal((3, 4)), normal((4, 5)))
    same_in_every_layout(ops.matmul, normal((2, 1, 3, 4)), normal((5, 4, 2)))


@pytest.mark.parametrize("shape", [(5, 3), (3,), (2, 5, 3), (2, 2, 1, 3), (0, 3)])
@pytest.mark.parametrize("bias", [False, True])
def test_linear(normal, shape, bias):
    x, weight, shift = normal(shape), normal((4, 3), 1), normal((4,), 2)
    arguments = (x, weight, shift) if bias else (x, weight)
    np.testing.assert_allclose(ops.linear(*map(Tensor, arguments)).data, x @ weight.T + (shift if bias else 0))
    if x.size:  # no samples, no derivatives to compare
        gradcheck(ops.linear, *map(Tensor, arguments))


@pytest.mark.oracle
def test_linear_is_that_of_pytorch(normal, same_as_torch):
    torch = pytest.importorskip("torch")
    same_as_torch(ops.linear, torch.nn.functional.linear, normal((6, 20)), normal((7, 20)), normal((7,)))


def test_nan_reaches_every_sum_that_reads_it(normal):
    a, b = normal((3, 4)), normal((4, 2))
    a[1, 2] = np.nan
    np.testing.assert_array_equal(np.isnan(ops.matmul(Tensor(a), Tensor(b)).data), np.isnan(a @ b))


A, W = Tensor(np.zeros((2, 3))), Tensor(np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.matmul(A, A.data), TypeError, "matmul: b - expected a Tensor, got ndarray"),
        (
            lambda: ops.matmul(A, Tensor(np.zeros(()))),
            ShapeError,
            "matmul: b - expected at least one axis, got a scalar",
        ),
        (lambda: ops.matmul(A, A), ShapeError, "b - expected 3 rows, the columns of a (2, 3), got 2 in (2, 3)"),
        (
            lambda: ops.matmul(Tensor(np.zeros((2, 2, 3))), Tensor(np.zeros((5, 3, 1)))),
            ShapeError,
            "matmul: b - expected leading axes that broadcast with (2,), got (5,)",
        ),
        (lambda: ops.matmul(A, Tensor([[1.0]])), TypeError, "the same everywhere, got float64, float32"),
        (lambda: ops.linear(A.data, W), TypeError, "linear: x - expected a Tensor, got ndarray"),
        (lambda: ops.linear(A, W, 1.0), TypeError, "linear: bias - expected a Tensor, got float"),
        (
            lambda: ops.linear(A, W[0]),
            ShapeError,
            "linear: weight - expected (out_features, in_features), got shape (3,)",
        ),
        (lambda: ops.linear(W.T, W), ShapeError, "linear: x - expected (..., 3) for weight (4, 3), got (3, 4)"),
        (
            lambda: ops.linear(Tensor(np.zeros(())), W),
            ShapeError,
            "linear: x - expected (..., 3) for weight (4, 3), got ()",
        ),
        (lambda: ops.linear(A, W, Tensor(np.zeros(3))), ShapeError, "linear: bias - expected shape (4,), got (3,)"),
    ],
)
def test_errors_name_argument_expected_and_got(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
