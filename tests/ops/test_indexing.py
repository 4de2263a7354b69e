"""index, split, flip, broadcast_to: values, gradients, layouts, errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices, integer_array_indices

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

shapes = array_shapes(min_dims=1, max_dims=4, max_side=4)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=shapes)
def test_index_by_integers_and_slices(normal, data, shape):
    x, key = normal(shape), data.draw(basic_indices(shape, allow_newaxis=True))
    np.testing.assert_array_equal(ops.index(Tensor(x), key).data, x[key])
    if x[key].size:  # an empty selection has no derivatives to compare
        gradcheck(lambda x: ops.index(x, key), Tensor(x))


@settings(max_examples=25, deadline=None)
@given(data=st.data(), shape=array_shapes(min_dims=1, max_dims=3, max_side=4))
def test_index_by_integer_arrays(normal, data, shape):
    key = data.draw(integer_array_indices(shape, result_shape=array_shapes(max_dims=2, max_side=4)))
    x = normal(shape)
    np.testing.assert_array_equal(ops.index(Tensor(x), key).data, x[key])
    gradcheck(lambda x: ops.index(x, key), Tensor(x))


@settings(max_examples=15, deadline=None)
@given(shape=shapes)
def test_index_by_a_mask(normal, shape):
    x = normal(shape)
    mask = x > 0
    for key in (mask, Tensor(mask), mask.tolist(), (mask, None)):
        expected = x[mask] if not isinstance(key, tuple) else x[key]
        np.testing.assert_array_equal(ops.index(Tensor(x), key).data, expected)
    if mask.any():  # an empty selection has no derivatives to compare
        gradcheck(lambda x: ops.index(x, mask), Tensor(x))


def test_an_element_taken_several_times_gets_every_part_of_the_gradient():
    for key in ([1, 1, 0], np.array([1, 1, 0]), Tensor([1, 1, 0])):
        x = Tensor([5.0, 6.0, 7.0], requires_grad=True)
        ops.index(x, key).backward(np.array([1.0, 2.0, 4.0]))
        np.testing.assert_array_equal(x.grad, [4, 3, 0])


@pytest.mark.parametrize("kind", [np.array, list, Tensor])
def test_a_key_that_is_changed_later_does_not_change_the_gradient(kind):
    x, key = Tensor([5.0, 6.0], requires_grad=True), kind([1])
    out = ops.index(x, key)
    array = key.data if isinstance(key, Tensor) else key
    array[0] = 0
    out.backward()
    np.testing.assert_array_equal(x.grad, [0, 1])


@pytest.mark.parametrize("sections", [2, 1, 4, [1, 3], [0, 4], (4,), np.array([1, 1, 2])])
def test_split(normal, sections):
    x = normal((2, 4, 3))
    lengths = [4 // sections] * sections if isinstance(sections, int) else list(sections)
    parts = ops.split(Tensor(x), sections)
    assert [part.shape[1] for part in parts] == lengths
    np.testing.assert_array_equal(np.concatenate([part.data for part in parts], 1), x)
    gradcheck(lambda x: ops.concat([ops.mul(p, i + 1) for i, p in enumerate(ops.split(x, sections))]), Tensor(x))


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=shapes)
def test_flip(normal, data, shape):
    axes = tuple(data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True)))
    x = normal(shape)
    np.testing.assert_array_equal(ops.flip(Tensor(x), axes).data, np.flip(x, axes))
    gradcheck(lambda x: ops.flip(x, axes), Tensor(x))


@pytest.mark.parametrize(
    ("shape", "target"),
    [((), (2,)), ((3,), (2, 3)), ((2, 1), (2, 3)), ((1, 3, 1), (4, 2, 3, 2)), ((2,), (2,)), ((1,), (0,))],
)
def test_broadcast_to(normal, shape, target):
    x = normal(shape)
    np.testing.assert_array_equal(ops.broadcast_to(Tensor(x), target).data, np.broadcast_to(x, target))
    if 0 not in target:  # no elements, no derivatives to compare
        gradcheck(lambda x: ops.broadcast_to(x, target), Tensor(x))


OPERATIONS = [
    pytest.param(lambda x: ops.index(x, (slice(None), slice(1, 3))), id="index"),
    pytest.param(lambda x: ops.flip(x, (2, 3)), id="flip"),
]


@pytest.mark.parametrize("op", OPERATIONS)
def test_layouts(normal, same_in_every_layout, op):
    same_in_every_layout(op, normal((2, 3, 4, 5)))


def test_the_gradient_of_a_slice_lies_as_the_map_does(normal):
    x = Tensor(normal((2, 4, 5, 3)).transpose(0, 3, 1, 2), requires_grad=True)
    middle = x * 1.0
    middle.retain_grad()
    ops.index(middle, (slice(None), slice(1, 2))).sum().backward()
    assert middle.grad.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8])
def test_selecting_keeps_any_dtype(dtype):
    x = Tensor(np.ones((2, 3), dtype))
    for out in (ops.index(x, 0), ops.index(x, [0, 1]), ops.flip(x, 0), ops.broadcast_to(x, (4, 2, 3))):
        assert out.dtype == dtype


def test_views_share_the_version_of_their_memory():
    x = Tensor([1.0, 2.0])
    view = ops.index(x, slice(1))
    view.add_(1.0)
    assert x.version == view.version == 1 and x.data[0] == 2


X = Tensor(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.index(X.data, 0), TypeError, "index: x - expected a Tensor, got ndarray"),
        (lambda: ops.index(X, 2), IndexError, "index: key - expected one that fits shape (2, 3): index 2 is out of"),
        (lambda: ops.index(X, (0, 0, 0)), IndexError, "expected one that fits shape (2, 3): too many indices"),
        (lambda: ops.index(X, 0.5), IndexError, "expected one that fits shape (2, 3): only integers"),
        (lambda: ops.index(X, slice(None, None, 0)), IndexError, "shape (2, 3): slice step cannot be zero"),
        (lambda: ops.split(X.data, 1), TypeError, "split: x - expected a Tensor, got ndarray"),
        (lambda: ops.split(X, 2), ShapeError, "split: sections - expected parts that add up to 3, got 2"),
        (lambda: ops.split(X, [1, 1]), ShapeError, "expected parts that add up to 3, got [1, 1]"),
        (lambda: ops.split(X, [4, -1]), ShapeError, "expected parts that add up to 3, got [4, -1]"),
        (lambda: ops.split(X, 0), ShapeError, "expected parts that add up to 3, got 0"),
        (lambda: ops.split(X, 1.5), TypeError, "split: sections - expected an integer or a sequence of integers"),
        (lambda: ops.split(X, 1, axis=2), ShapeError, "split: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: ops.split(X, 1, axis="w"), TypeError, "split: axis - expected an integer, got 'w'"),
        (lambda: ops.flip(X.data, 0), TypeError, "flip: x - expected a Tensor, got ndarray"),
        (lambda: ops.flip(X, 2), ShapeError, "flip: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: ops.flip(X, 0.0), TypeError, "flip: axis - expected an integer, got 0.0"),
        (lambda: ops.flip(X, (0, -2)), ValueError, "flip: axis - expected each axis once, got (0, -2)"),
        (lambda: ops.broadcast_to(X.data, (2, 3)), TypeError, "broadcast_to: x - expected a Tensor, got ndarray"),
        (lambda: ops.broadcast_to(X, (3, 3)), ShapeError, "shape - expected one that (2, 3) broadcasts to, got (3, 3)"),
        (lambda: ops.broadcast_to(X, (3,)), ShapeError, "shape - expected one that (2, 3) broadcasts to, got (3,)"),
    ],
)
def test_errors_name_argument_expected_and_got(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_an_element_that_is_selected_often_gets_the_whole_sum():
    x = Tensor(np.zeros(2, np.float32), requires_grad=True)
    x[np.zeros(1_000_000, np.int64)].sum().backward(np.float32(0.1))
    np.testing.assert_allclose(x.grad, [1e5, 0], rtol=1e-6)  # float32 alone would add up to 100958
