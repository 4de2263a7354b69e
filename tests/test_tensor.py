"""Tensor: what it accepts, what it says of itself, in-place changes, operators as one line into ops."""

import operator

import numpy as np
import pytest

from minitorch_cnn import Tensor, no_grad, ops
from minitorch_cnn.autograd import GraphError, TraceError
from minitorch_cnn.shapes import ShapeError


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
        (lambda: Tensor(None), TypeError, "expected numbers, got dtype object"),
        (lambda: Tensor([[1.0], [1.0, 2.0]]), ValueError, "Tensor: data - expected rows of one length, got list"),
        (lambda: Tensor([1.0], dtype="real"), TypeError, "Tensor: dtype - expected one of NumPy's, .*, got 'real'"),
        (
            lambda: Tensor(np.ma.array([1.0, 2.0], mask=[0, 1])),
            TypeError,
            "Tensor: data - expected an array without masked elements, got 1",
        ),
        (lambda: Tensor([1.0], dtype=complex), TypeError, "Tensor: dtype - expected numbers, got dtype complex128"),
        (lambda: Tensor([1j], dtype=np.float32), TypeError, "Tensor: data - expected numbers, got dtype complex128"),
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
    assert f"{x:.2f}" == "3.00" and f"{x}" == repr(x)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_the_index_of_an_extreme_element(name):
    x = np.array([[3.0, 1.0, 3.0], [0.0, np.nan, 5.0]])
    for axis in (None, 0, 1, -1):
        for keepdims in (False, True):
            expected = getattr(x, name)(axis, keepdims=keepdims)
            np.testing.assert_array_equal(getattr(Tensor(x), name)(axis, keepdims), expected)
    assert getattr(Tensor(2.0), name)() == getattr(Tensor(2.0), name)(-1) == 0
    assert getattr(Tensor(np.zeros((0, 3))), name)(1).shape == (0,)
    for wrong, axis, error, message in (
        (x, 2, ShapeError, f"{name}: axis - expected -2 to 1 for 2 axes, got 2"),
        (x, 1.0, TypeError, f"{name}: axis - expected an integer, got 1.0"),
        (np.zeros((2, 0)), None, ShapeError, f"{name}: x - expected at least one element, got shape"),
        (np.zeros((2, 0)), 1, ShapeError, f"{name}: x - expected at least one element, got shape"),
    ):
        with pytest.raises(error, match=message):
            getattr(Tensor(wrong), name)(axis)


@pytest.mark.parametrize("ask", [float, int, bool, Tensor.item], ids=lambda f: f.__name__)
@pytest.mark.parametrize("values", [[1.0, 2.0], []])
def test_only_one_element_is_a_number(ask, values):
    with pytest.raises(
        ValueError, match=rf"{ask.__name__}\(\): expected a Tensor of one element, got shape \({len(values)},"
    ):
        ask(Tensor(values))


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


@pytest.mark.parametrize(
    ("dtype", "write", "error", "message"),
    [
        (np.int64, lambda x: x.fill_(1.5), TypeError, "fill_: expected integers, as the Tensor is int64, got float64"),
        (np.int64, lambda x: x.__setitem__(0, 1.7), TypeError, "item assignment: expected integers"),
        (np.int64, lambda x: x.copy_([1.5, 2.0]), TypeError, "copy_: expected integers"),
        (np.int64, lambda x: x.add_(np.float32(0.5)), TypeError, "add_: expected integers"),
        (np.int64, lambda x: x.mul_(0.5), TypeError, "mul_: expected integers"),
        (np.int64, lambda x: x.fill_(1j), TypeError, "fill_: value - expected numbers, got dtype complex128"),
        (np.float32, lambda x: x.add_(1j), TypeError, "add_: other - expected numbers, got dtype complex128"),
        (np.float32, lambda x: x.__setitem__(0, np.complex64(1)), TypeError, "value - .* got dtype complex64"),
        (np.uint8, lambda x: x.fill_(300), OverflowError, r"fill_: expected one that fits shape \(2,\) and uint8"),
        (np.uint8, lambda x: x.__setitem__(0, -1), OverflowError, "item assignment: expected one that fits"),
        (np.bool_, lambda x: x.add_(1), TypeError, "add_: expected one that fits"),
    ],
)
def test_a_write_that_would_lose_a_part_of_a_number_is_refused(dtype, write, error, message):
    x = Tensor(np.array([0, 1], dtype))
    with pytest.raises(error, match=message):
        write(x)
    assert x.data.tolist() == [0, 1] and x.version == 0


def test_an_axis_0_is_an_axis_to_transpose():
    x = Tensor([1.0, 2.0])
    assert x.transpose(0).shape == (2,) and x.transpose(np.int64(0)).shape == (2,)
    assert Tensor([[1.0, 2.0]]).transpose().shape == Tensor([[1.0, 2.0]]).transpose(None).shape == (2, 1)


def test_in_place_on_a_tensor_with_gradient_needs_no_grad():
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(GraphError, match=r"fill_: expected a Tensor without a gradient, or no_grad\(\)"):
        x.fill_(0)
    with no_grad():
        x.fill_(0)
    assert x.data == [0]


WRITES = {
    "fill_": lambda x, value: x.fill_(value.sum()),
    "copy_": lambda x, value: x.copy_(value),
    "add_": lambda x, value: x.add_(value),
    "mul_": lambda x, value: x.mul_(value),
    "item assignment": lambda x, value: x.__setitem__(slice(None), value),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_from_a_tensor_with_gradient_needs_no_grad(name):
    buffer, w = Tensor([1.0, 1.0]), Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GraphError, match=rf"{name}: expected a Tensor without a gradient, or no_grad\(\)"):
        WRITES[name](buffer, w * 2)
    assert buffer.data.tolist() == [1, 1] and buffer.version == 0
    WRITES[name](buffer, (w * 2).detach())
    with no_grad():
        WRITES[name](buffer, w)


def test_tensors_with_gradients_in_a_list_are_refused_where_a_number_is_wanted():
    w = Tensor([1.0, 2.0], requires_grad=True)
    for use in (lambda: Tensor([w[0], w[1]]), lambda: Tensor([1.0, 1.0]).copy_([w[0], w[1]])):
        with pytest.raises(GraphError, match="NumPy: expected a Tensor without a gradient"):
            use()
    assert Tensor([Tensor(1.0), Tensor(2.0)]).data.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (lambda x: x.copy_([[1.0, 2.0]]), ShapeError, r"copy_: source - expected shape \(2,\), got \(1, 2\)"),
        (lambda x: x.copy_(1.0), ShapeError, r"copy_: source - expected shape \(2,\), got \(\)"),
        (lambda x: x.add_([1.0, 2.0, 3.0]), ValueError, r"add_: expected one that fits shape \(2,\) and float32: "),
        (lambda x: x.__setitem__(5, 1.0), IndexError, r"item assignment: expected one that fits shape \(2,\)"),
        (lambda x: x.copy_([1.0, [2.0]]), ValueError, "copy_: source - expected numbers in rows of one length"),
    ],
)
def test_a_write_that_does_not_fit_says_so_and_changes_nothing(write, error, message):
    x = Tensor([1.0, 2.0])
    with pytest.raises(error, match=message):
        write(x)
    assert x.data.tolist() == [1, 2] and x.version == 0


@pytest.mark.parametrize("name", WRITES)
@pytest.mark.parametrize("value", [None, "3", b"4", np.array("5"), np.datetime64("2020-01-01"), [None, 1.0]], ids=repr)
def test_what_is_no_number_is_not_written(name, value):
    """NumPy writes None as NaN, and reads the text "3" as 3."""
    x = Tensor([1.0, 2.0])
    write = x.fill_ if name == "fill_" else lambda value: WRITES[name](x, value)
    with pytest.raises(TypeError, match=rf"{name}: (value|source|other) - expected numbers, got dtype "):
        write(value)
    assert x.data.tolist() == [1, 2] and x.version == 0


def test_constants_that_the_dtype_cannot_hold_and_tensors_of_others():
    x = Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="mul: b - expected a number that float32 can hold, got one beyond"):
        x * 10**400
    for integers in (Tensor(np.array([100], np.int8)), Tensor(np.array([1], np.uint8))):
        for compute in (lambda x: x + 200, lambda x: -x, lambda x: 300 * x):
            with pytest.raises(TypeError, match="dtype - expected float32 or float64, the same everywhere, got .*int8"):
                compute(integers)
    theirs = type("Tensor", (), {"__module__": "another"})()
    with pytest.raises(TypeError, match="add: b - expected a Tensor, got that of another; wrap it"):
        x + theirs


def test_read_only_memory_is_named():
    with pytest.raises(ValueError, match="add_: expected one that fits .* read-only"):
        Tensor(np.broadcast_to(np.float32(1), (3,))).add_(1)


COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("compare", COMPARISONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    "other", [2, 2.0, np.int64(2), np.array([2, 1, 3]), [2, 1, 3], Tensor([2.0, 1.0, 3.0]), np.ones((2, 1))]
)
def test_comparisons_go_element_by_element(compare, other):
    x = Tensor(np.array([1, 2, 3], np.float32), requires_grad=True)
    expected = compare(x.data, other.data if isinstance(other, Tensor) else np.asarray(other))
    got = compare(x, other)
    assert isinstance(got, np.ndarray) and got.dtype == bool
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(compare(other, x), compare(np.asarray(getattr(other, "data", other)), x.data))


def test_accuracy_by_comparison():
    labels, answers = np.array([1, 2, 3]), Tensor([1, 2, 4])
    assert np.mean(labels == answers) == np.mean(answers == labels) == pytest.approx(2 / 3)
    assert not np.array_equal(labels, answers) and np.array_equal(labels, Tensor([1, 2, 3]))
    assert 2 in answers and 3 not in answers and Tensor([1, 2]) in Tensor([[1, 2]])


def test_what_is_no_number_is_never_equal_and_has_no_order():
    x = Tensor([1.0])
    assert x != None and x != "a" and x not in [None]  # noqa: E711
    with pytest.raises(TypeError, match="'<' not supported"):
        x < "a"  # noqa: B015
    with pytest.raises(
        ShapeError, match=r"comparison: other - expected a shape that broadcasts with \(2,\), got \(3,\)"
    ):
        Tensor([1, 2]) == [1, 2, 3]  # noqa: B015


def test_a_tensor_is_still_a_key():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert {x: 1, y: 2}[x] == 1 and len({x, y}) == 2


def test_functions_of_numpy_read_the_array():
    x, rng = Tensor([[3.0, 1.0], [2.0, 4.0]]), np.random.default_rng(0)
    assert np.asarray(x) is x.data and np.asarray(x, np.float64).dtype == np.float64
    copy = np.array(x)
    copy[:] = 0
    assert x.data.sum() == 10
    for function in (np.sum, np.mean, np.max, np.argmax, np.sort, np.std, np.linalg.norm, np.ravel):
        np.testing.assert_array_equal(function(x), function(x.data))
    np.testing.assert_array_equal(np.concatenate([x, x]), np.concatenate([x.data] * 2))
    np.testing.assert_allclose(x, x.data)
    assert np.where(x > 1, x, 0).sum() == 9 and np.isin(3.0, x)
    assert np.allclose(x, x) and rng.permutation(x).shape == (2, 2)


def test_a_sum_of_numpy_goes_on_growing():
    """Float32 cannot add a 1 to 2**24, and NumPy adds the rows of an array one by one."""
    data = np.ones((5_000, 2), np.float32)
    data[0] = 2**24
    x, total = Tensor(data), 2**24 + 4_999
    for function in (np.sum, np.nansum):
        np.testing.assert_allclose(function(x, axis=0), [total] * 2, rtol=1e-7)
        np.testing.assert_allclose(function(x, 0, dtype=None, keepdims=True), [[total] * 2], rtol=1e-7)
    for function in (np.mean, np.nanmean):
        np.testing.assert_allclose(function(a=x, axis=0), [total / 5_000] * 2, rtol=1e-7)
    for function in (np.var, np.std, np.nanvar, np.nanstd):
        np.testing.assert_allclose(function(x, 0), function(data.astype(float), 0), rtol=1e-7)
    for function in (np.cumsum, np.nancumsum):
        np.testing.assert_allclose(function(x, 0)[-1], [total] * 2, rtol=1e-7)
    assert np.sum(x).dtype == np.sum(x, axis=0).dtype == np.float32


def test_a_sum_of_numpy_has_the_dtype_and_the_memory_asked_for():
    x, out = Tensor(np.ones((3, 2), np.float32)), np.zeros(2, np.float32)
    assert np.sum(x, dtype=np.int64).dtype == np.int64 and np.mean(x, None, np.float64).dtype == np.float64
    assert np.sum(x, 0, out=out) is out and (out == 3).all()
    assert np.mean(Tensor([1.0, 2.0], dtype=np.float64)).dtype == np.float64
    assert np.sum([1.0, 2.0], where=x[0] > 0) == 3


@pytest.mark.parametrize("ask", [np.asarray, np.sum, np.mean, lambda x: np.concatenate([x, x])])
def test_numpy_reads_no_tensor_that_needs_a_gradient(ask):
    x = Tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(
        GraphError, match=r"NumPy: expected a Tensor without a gradient, or no_grad\(\); .* use the func"
    ):
        ask(x * 2)
    assert np.shape(x) == (2,) and np.size(x) == 2
    with no_grad():
        np.testing.assert_array_equal(ask(x), ask(x.data))


@pytest.mark.parametrize("ask", [np.asarray, np.sum, lambda x: x == 1, lambda x: 1 in x])
def test_a_traced_tensor_is_not_read_by_numpy_either(ask):
    with pytest.raises(TraceError, match=r"asks for a value at .*test_tensor\.py"):
        ask(Tensor.like_shape((1,)))


@pytest.mark.parametrize("operate", [operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul])
def test_an_array_beside_a_tensor_is_refused_by_name(operate):
    array, x = np.ones(2, np.float32), Tensor([1.0, 2.0])
    for left, right in ((array, x), (x, array)):
        with pytest.raises(TypeError, match="expected a Tensor, got ndarray; wrap it"):
            operate(left, right)
    with pytest.raises(TypeError, match="Tensor' does not support ufuncs"):
        np.exp(x)


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
