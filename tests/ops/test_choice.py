"""Maximum, minimum, clip and where: ties, limits, NaN and infinities; values and errors are in the table."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops


def gradients(op, *values):
    tensors = [Tensor(np.array(v), requires_grad=True) for v in values]
    out = op(*tensors)
    out.backward(np.ones(out.shape))
    return [out.data.tolist(), *(t.grad.tolist() for t in tensors)]


def test_equal_elements_share_the_gradient():
    assert gradients(ops.maximum, [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == [[3, 2, 3], [0, 0.5, 1], [1, 0.5, 0]]
    assert gradients(ops.minimum, [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]) == [[1, 2, 1], [1, 0.5, 0], [0, 0.5, 1]]


def test_a_limit_passes_the_gradient():
    out, grad = gradients(lambda x: ops.clip(x, -1, 2), [-3.0, -1.0, 0.0, 2.0, 5.0, np.inf])
    assert out == [-1, -1, 0, 2, 2, 2] and grad == [0, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("op", [ops.maximum, ops.minimum])
def test_nan_is_neither_larger_nor_smaller(op):
    out, *_ = gradients(op, [np.nan, 1.0], [1.0, np.nan])
    assert np.isnan(out).all()


def test_clip_keeps_nan_without_a_gradient():
    out, grad = gradients(lambda x: ops.clip(x, 0, 1), [np.nan])
    assert np.isnan(out[0]) and grad == [0]


def test_what_where_leaves_out_does_not_matter():
    out, grad, other = gradients(lambda a, b: ops.where([True, False], a, b), [1.0, np.nan], [np.inf, 2.0])
    assert (out, grad, other) == ([1, 2], [1, 0], [0, 1])


def test_a_condition_that_changes_later_does_not_change_the_gradient():
    condition, x = np.array([True, False]), Tensor([1.0, 2.0], requires_grad=True)
    out = ops.where(condition, x, 0.0).sum()
    condition[:] = False
    out.backward()
    assert x.grad.tolist() == [1, 0]


def test_numbers_take_the_dtype_of_the_tensor():
    x = Tensor([1.0, -2.0])
    for out in (ops.maximum(x, 0), ops.minimum(0.5, x), ops.where(x > 0, x, 0), ops.clip(x, 0), 2**x, x**x):
        assert out.dtype == np.float32
