"""topk: ties and NaN; one_hot; the index of the smallest element; values and errors are in the table."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops
from minitorch_cnn.autograd import TraceError


def test_of_equal_elements_the_lower_index_comes_first():
    values, indices = ops.topk(Tensor([1.0, 3.0, 3.0, 2.0, 3.0]), 4)
    assert values.data.tolist() == [3, 3, 3, 2] and indices.tolist() == [1, 2, 4, 3]
    assert ops.topk(Tensor([1.0, 3.0, 1.0]), 2, largest=False)[1].tolist() == [0, 2]


def test_nan_counts_as_the_largest():
    x = Tensor([1.0, np.nan, np.inf])
    assert ops.topk(x, 2)[1].tolist() == [1, 2] and ops.topk(x, 2, largest=False)[1].tolist() == [0, 2]


def test_the_gradient_goes_to_what_was_taken():
    x = Tensor([[1.0, 5.0, 2.0]], requires_grad=True)
    ops.topk(x, 2)[0].backward(np.array([[10.0, 20.0]]))
    assert x.grad.tolist() == [[0, 10, 20]]


def test_products_with_zeros_have_finite_gradients():
    x = Tensor([2.0, 0.0, 5.0], requires_grad=True)
    ops.prod(x).backward()
    assert x.grad.tolist() == [0, 10, 0]


def test_one_hot_rows_are_soft_targets():
    rows = ops.one_hot([[2, 0]], 3)
    assert rows.dtype == np.float32 and rows.tolist() == [[[0, 0, 1], [1, 0, 0]]]
    logits = Tensor(np.random.default_rng(0).standard_normal((2, 3)))
    assert np.isclose(ops.cross_entropy(logits, rows[0]).item(), ops.cross_entropy(logits, [2, 0]).item())
    with pytest.raises(ValueError, match="one_hot: labels - expected 0 to 2 for 3 classes, got 3"):
        ops.one_hot([3], 3)
    with pytest.raises(TypeError, match="one_hot: labels - expected integers, got dtype float64"):
        ops.one_hot([1.0], 3)


def test_the_index_of_the_smallest_element():
    x = Tensor([[3.0, 1.0], [0.0, 2.0]])
    assert x.argmin() == 2 and x.argmin(1).tolist() == [1, 0]


def test_positions_that_depend_on_values_are_refused_while_tracing():
    for call in (lambda x: ops.topk(x, 1), lambda x: ops.max_pool2d(x, 2, return_indices=True)):
        with pytest.raises(TraceError, match="x - expected a Tensor with values, got a traced one"):
            call(Tensor.like_shape((1, 2, 4, 4)))
