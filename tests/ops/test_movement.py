"""reshape, flatten, transpose, concat, stack: values, gradients, layouts, errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from minitorch_cnn import Tensor, nn, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

shapes = array_shapes(min_dims=0, max_dims=4, max_side=3)


@settings(max_examples=25, deadline=None)
@given(shape=shapes, data=st.data())
def test_reshape(normal, shape, data):
    x = normal(shape)
    lengths = data.draw(st.sampled_from([(-1,), (x.size,), (1, x.size), (x.size, 1, -1), shape, (*shape, 1)]))
    np.testing.assert_array_equal(ops.reshape(Tensor(x), lengths).data, x.reshape(lengths))
    gradcheck(lambda x: ops.reshape(x, lengths), Tensor(x))


def test_reshape_takes_one_length_without_a_tuple():
    assert ops.reshape(Tensor(np.zeros((2, 3))), -1).shape == (6,)


def test_reshape_of_contiguous_memory_is_a_view():
    x = Tensor(np.zeros((2, 3)))
    assert np.shares_memory(ops.reshape(x, (3, 2)).data, x.data)


@pytest.mark.parametrize("start_axis", [0, 1, 2, -1, -3])
def test_flatten(normal, start_axis):
    x = normal((2, 3, 4))
    expected = x.reshape(*x.shape[: start_axis % 3], -1)
    np.testing.assert_array_equal(ops.flatten(Tensor(x), start_axis).data, expected)
    gradcheck(lambda x: ops.flatten(x, start_axis), Tensor(x))


@pytest.mark.parametrize(
    ("start", "end", "shape"), [(0, 1, (6, 4, 5)), (1, 2, (2, 12, 5)), (-3, -2, (2, 12, 5)), (2, 2, None)]
)
def test_flatten_up_to_an_axis(normal, start, end, shape):
    x = normal((2, 3, 4, 5))
    expected = x.reshape(shape or x.shape)
    np.testing.assert_array_equal(ops.flatten(Tensor(x), start, end).data, expected)
    np.testing.assert_array_equal(Tensor(x).flatten(start, end).data, expected)
    if start >= 0:
        np.testing.assert_array_equal(nn.Flatten(start, end)(Tensor(x)).data, expected)


def test_flatten_keeps_the_number_of_images_when_there_are_none():
    assert ops.flatten(Tensor(np.zeros((0, 3, 2)))).shape == (0, 6)
    assert ops.flatten(Tensor(1.0), 0).shape == (1,)


@settings(max_examples=25, deadline=None)
@given(shape=shapes, data=st.data())
def test_transpose(normal, shape, data):
    x, axes = normal(shape), data.draw(st.permutations(range(len(shape))))
    np.testing.assert_array_equal(ops.transpose(Tensor(x), axes).data, x.transpose(axes))
    np.testing.assert_array_equal(ops.transpose(Tensor(x)).data, x.T)
    gradcheck(lambda x: ops.transpose(x, axes), Tensor(x))


def test_transpose_counts_axes_from_the_end_too(normal):
    x = normal((2, 3, 4))
    np.testing.assert_array_equal(ops.transpose(Tensor(x), (0, -1, 1)).data, x.transpose(0, 2, 1))


@st.composite
def parts(draw):
    """Shapes that differ along one axis alone, and that axis."""
    shape = draw(array_shapes(min_dims=1, max_dims=4, max_side=3))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    lengths = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    return [(*shape[: axis % len(shape)], length, *shape[axis % len(shape) + 1 :]) for length in lengths], axis


@settings(max_examples=30, deadline=None)
@given(case=parts())
def test_concat(normal, case):
    shapes, axis = case
    arrays = [normal(shape, i) for i, shape in enumerate(shapes)]
    out = ops.concat([Tensor(a) for a in arrays], axis)
    np.testing.assert_array_equal(out.data, np.concatenate(arrays, axis))
    if out.data.size:  # no elements, no derivatives to compare
        gradcheck(lambda *tensors: ops.concat(tensors, axis), *map(Tensor, arrays))


@pytest.mark.oracle
def test_concat_and_stack_are_those_of_pytorch(normal, same_as_torch):
    torch = pytest.importorskip("torch")
    maps = [normal((2, channels, 4, 5)) for channels in (1, 3, 2)]
    same_as_torch(lambda *t: ops.concat(t), lambda *t: torch.cat(t, 1), *maps)
    same_as_torch(lambda *t: ops.stack(t, -1), lambda *t: torch.stack(t, -1), *[normal((2, 3), i) for i in range(3)])


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_stack(normal, axis):
    arrays = [normal((2, 3), i) for i in range(4)]
    np.testing.assert_array_equal(ops.stack([Tensor(a) for a in arrays], axis).data, np.stack(arrays, axis))
    gradcheck(lambda *tensors: ops.stack(tensors, axis), *map(Tensor, arrays))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_concat_of_maps_lies_channels_last_for_parts_in_any_layout(normal, axis):
    contiguous, other = normal((2, 3, 4, 5)), normal((2, 4, 5, 3), 1).transpose(0, 3, 1, 2)
    for arrays in ([contiguous, contiguous], [contiguous, other], [other, other]):
        out = ops.concat([Tensor(a) for a in arrays], axis).data
        np.testing.assert_array_equal(out, np.concatenate(arrays, axis))
        assert out.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("axis", [1, 2])
def test_concat_of_large_maps(normal, axis, dtype):
    """A kernel copies large maps of floats along their channels."""
    shape = [(2, 7, 40, 41), (2, 0, 40, 41), (2, 9, 40, 41)] if axis == 1 else [(2, 7, 40, 41), (2, 7, 24, 41)]
    arrays = [(100 * normal(s, i)).astype(dtype) for i, s in enumerate(shape)]
    arrays[-1] = np.ascontiguousarray(arrays[-1].transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    out = ops.concat([Tensor(a) for a in arrays], axis).data
    assert out.dtype == dtype and out.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(out, np.concatenate(arrays, axis))


def test_layouts(normal, same_in_every_layout):
    x, y = normal((2, 3, 4, 5)), normal((2, 1, 4, 5))
    same_in_every_layout(lambda x: ops.reshape(x, (4, 30)), x)
    same_in_every_layout(ops.flatten, x)
    same_in_every_layout(lambda x: ops.transpose(x, (1, 0, 3, 2)), x)
    same_in_every_layout(lambda *t: ops.concat(t), x, y)
    same_in_every_layout(lambda *t: ops.stack(t), x, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.bool_])
def test_moving_keeps_any_dtype(dtype):
    x = Tensor(np.ones((2, 3), dtype))
    for out in (ops.reshape(x, 6), ops.flatten(x), ops.transpose(x), ops.concat([x, x]), ops.stack([x, x])):
        assert out.dtype == dtype


def test_only_the_parts_that_ask_get_a_gradient():
    a, b = Tensor([1.0], requires_grad=True), Tensor([2.0])
    ops.concat([a, b], 0).backward(np.array([3.0, 4.0]))
    assert a.grad == 3 and b.grad is None


X = Tensor(np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ops.reshape(X.data, 6), TypeError, "reshape: x - expected a Tensor, got ndarray"),
        (lambda: ops.reshape(X, (2.0, 3)), TypeError, "reshape: shape - expected integers, got (2.0, 3)"),
        (lambda: ops.reshape(X, (4, 2)), ShapeError, "reshape: shape - expected 6 elements like (2, 3), got (4, 2)"),
        (lambda: ops.reshape(X, (-1, 4)), ShapeError, "expected 6 elements like (2, 3), got (-1, 4)"),
        (lambda: ops.reshape(X, (-1, -1)), ShapeError, "expected 6 elements like (2, 3), got (-1, -1)"),
        (lambda: ops.reshape(X, (-2, -3)), ShapeError, "expected 6 elements like (2, 3), got (-2, -3)"),
        (lambda: ops.flatten(X.data), TypeError, "flatten: x - expected a Tensor, got ndarray"),
        (lambda: ops.flatten(X, 2), ShapeError, "flatten: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: ops.flatten(X, None), TypeError, "flatten: axis - expected an integer, got None"),
        (lambda: ops.flatten(X, 0, 2), ShapeError, "flatten: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: ops.flatten(X, 1, 0), ShapeError, "flatten: end_axis - expected start_axis 1 or a later one, got 0"),
        (lambda: nn.Flatten(1, "2"), TypeError, "Flatten: end_axis - expected an integer, got '2'"),
        (lambda: ops.transpose(X.data), TypeError, "transpose: x - expected a Tensor, got ndarray"),
        (lambda: ops.transpose(X, (0,)), ShapeError, "transpose: axes - expected each of the 2 axes once, got (0,)"),
        (lambda: ops.transpose(X, (0, 0)), ShapeError, "expected each of the 2 axes once, got (0, 0)"),
        (lambda: ops.transpose(X, (0, 2)), ShapeError, "transpose: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: ops.transpose(X, (0, 0.5)), TypeError, "transpose: axis - expected an integer, got 0.5"),
        (lambda: ops.transpose(X, 0), TypeError, "axes - expected a tuple of all axes in their new order, got 0"),
        (lambda: X.transpose(0), ShapeError, "transpose: axes - expected each of the 2 axes once, got (0,)"),
        (lambda: X.transpose(()), ShapeError, "transpose: axes - expected each of the 2 axes once, got ()"),
        (lambda: ops.concat(None), TypeError, "concat: tensors - expected a sequence of Tensors, got NoneType"),
        (lambda: ops.stack(3), TypeError, "stack: tensors - expected a sequence of Tensors, got int"),
        (lambda: ops.concat([]), ValueError, "concat: tensors - expected at least one Tensor, got none"),
        (lambda: ops.concat([X, X.data]), TypeError, "concat: tensors[1] - expected a Tensor, got ndarray"),
        (lambda: ops.concat([X, Tensor([[1.0]])]), TypeError, "tensors - expected one dtype, got float32, float64"),
        (lambda: ops.concat([X, X[:1]]), ShapeError, "expected shape (2, 3) except along axis 1, got (1, 3)"),
        (lambda: ops.concat([X, X[0]]), ShapeError, "tensors[1] - expected shape (2, 3) except along axis 1, got (3,)"),
        (lambda: ops.concat([X], 2), ShapeError, "concat: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: ops.concat([X], 1.0), TypeError, "concat: axis - expected an integer, got 1.0"),
        (lambda: ops.stack([]), ValueError, "stack: tensors - expected at least one Tensor, got none"),
        (lambda: ops.stack([X.data]), TypeError, "stack: tensors[0] - expected a Tensor, got ndarray"),
        (lambda: ops.stack([X, X[0]]), ShapeError, "tensors[1] - expected shape (2, 3) like the first, got (3,)"),
        (lambda: ops.stack([X], 3), ShapeError, "stack: axis - expected -3 to 2 for 3 axes, got 3"),
    ],
)
def test_errors_name_argument_expected_and_got(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
