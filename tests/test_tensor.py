"""Tensor: what it accepts, what it says of itself, in-place changes, operators as one line into ops."""

import re

import numpy as np
import pytest

from minitorch_cnn import Tensor, no_grad, ops
from minitorch_cnn.autograd import GraphError, TraceError


def test_python_floats_become_float32_and_arrays_keep_their_dtype():
    assert Tensor([1.0, 2.0]).dtype == np.float32
    assert Tensor(3.0).dtype == np.float32
    assert Tensor([1, 2]).dtype == np.int64
    assert Tensor(np.ones(2)).dtype == np.float64
    assert Tensor([1.0], dtype=np.float64).dtype == np.float64


def test_arrays_keep_their_memory():
    array = np.ones(3, np.float32)
    assert Tensor(array).data is array


def test_shape_ndim_size_len():
    x = Tensor(np.zeros((2, 3, 4), np.float32))
    assert (x.shape, x.ndim, x.size, len(x)) == ((2, 3, 4), 3, 24, 2)
    with pytest.raises(TypeError, match="at least one axis"):
        len(Tensor(1.0))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Tensor(Tensor(1.0)), TypeError, "expected an array, got a Tensor"),
        (lambda: Tensor(["a"]), TypeError, "expected numbers, got dtype <U1"),
        (lambda: Tensor([1, 2], requires_grad=True), TypeError, "expected floating data, got dtype int64"),
    ],
)
def test_what_a_tensor_cannot_be(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_repr_shows_values_dtype_and_origin():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x) == "Tensor([1., 2.], float32, requires_grad)"
    assert repr(x * 2.0) == "Tensor([2., 4.], float32, made by Mul, requires_grad)"
    assert repr(Tensor.like_shape((2, 3))) == "Tensor(traced, shape=(2, 3), dtype=float32)"


def test_conversions_to_numbers():
    x = Tensor([3.0])
    assert x.item() == 3.0 and float(x) == 3.0 and int(x) == 3 and bool(x)
    assert x.numpy() is x.data
    with pytest.raises(ValueError, match=re.escape("can only convert an array of size 1")):
        float(Tensor([1.0, 2.0]))


@pytest.mark.parametrize("ask", [float, int, bool, Tensor.item, Tensor.numpy, Tensor.argmax], ids=lambda f: f.__name__)
def test_a_traced_tensor_has_no_values_and_the_error_names_the_line(ask):
    with pytest.raises(TraceError, match=r"asks for a value at .*test_tensor\.py:\d+ \(ask\(Tensor"):
        ask(Tensor.like_shape((1,)))


def test_operators_and_their_reflections():
    x = Tensor([1.0, 4.0])
    for result, expected in [
        (x + 1, [2, 5]),
        (1 + x, [2, 5]),
        (x - 1, [0, 3]),
        (1 - x, [0, -3]),
        (x * 2, [2, 8]),
        (2 * x, [2, 8]),
        (x / 2, [0.5, 2]),
        (2 / x, [2, 0.5]),
        (x**2, [1, 16]),
        (-x, [-1, -4]),
        (x @ x.reshape(2, 1), [17]),
    ]:
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result.data, expected)


def test_numpy_scalars_on_the_left_do_not_take_over():
    result = np.float64(2.0) * Tensor([1.0, 2.0])
    assert isinstance(result, Tensor) and result.dtype == np.float32


def test_indexing_iterating_and_methods():
    x = Tensor(np.arange(6, dtype=np.float32).reshape(2, 3), requires_grad=True)
    assert x[1, 2].item() == 5.0
    assert [row.shape for row in x] == [(3,), (3,)]
    assert x[Tensor([0, 0])].shape == (2, 3)
    assert x.T.shape == (3, 2) and x.transpose(1, 0).shape == (3, 2) and x.transpose((1, 0)).shape == (3, 2)
    assert x.reshape(3, 2).shape == (3, 2) and x.reshape((6,)).shape == (6,) and x.flatten().shape == (6,)
    assert x.argmax() == 5
    for name in ("exp", "log", "sqrt", "abs", "relu", "sigmoid", "tanh", "softmax", "sum", "mean", "max", "min", "var"):
        with np.errstate(divide="ignore"):
            np.testing.assert_array_equal(getattr(x, name)().data, getattr(ops, name)(x).data)


def test_in_place_methods_change_the_memory_and_its_version():
    x = Tensor([1.0, 2.0])
    assert x.fill_(3).data.tolist() == [3, 3]
    assert x.add_(Tensor([1.0, 2.0])).data.tolist() == [4, 5]
    assert x.mul_(2).data.tolist() == [8, 10]
    assert x.copy_([1, 2]).data.tolist() == [1, 2]
    x[0] = 7
    assert x.data.tolist() == [7, 2]
    assert x.zero_().data.tolist() == [0, 0]
    assert x.version == 6


def test_in_place_on_a_tensor_with_gradient_needs_no_grad():
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(GraphError, match=r"fill_: expected a Tensor without a gradient, or no_grad\(\)"):
        x.fill_(0)
    with no_grad():
        x.fill_(0)
    assert x.data == [0]


def test_in_place_change_of_an_input_stops_backward():
    x, w = Tensor([1.0]), Tensor([2.0], requires_grad=True)
    y = x * w
    x.add_(1)
    with pytest.raises(GraphError, match="Mul - an array that it saved was changed in place"):
        y.backward()


def test_detach_leaves_the_graph_but_not_the_memory():
    x = Tensor([1.0], requires_grad=True)
    y = x.detach()
    assert not y.requires_grad and y.data is x.data
    y.fill_(5)
    assert x.version == 1
