"""What users return, pass and assign by mistake is refused by name."""

import copy

import numpy as np
import pytest

from minitorch_cnn import Tensor
from minitorch_cnn.autograd import Function, GraphError


def function(result, gradient=None):
    """Return a Function with these results, as functions of an array."""

    class Odd(Function):
        @staticmethod
        def forward(ctx, x):
            return result(x)

        @staticmethod
        def backward(ctx, grad_out):
            return (gradient or (lambda grad: grad))(grad_out)

    return Odd


@pytest.mark.parametrize(
    ("result", "got"),
    [(lambda x: (x, x), "tuple"), (Tensor, "Tensor"), (lambda x: 1.5, "float"), (lambda x: None, "None")],
)
def test_forward_returns_one_array(result, got):
    with pytest.raises(TypeError, match=f"Odd.forward: result - expected one array, got {got}"):
        function(result).apply(Tensor(np.ones(2)))


def test_backward_returns_arrays():
    x = Tensor(np.ones(2), requires_grad=True)
    out = function(np.copy, Tensor).apply(x)
    with pytest.raises(TypeError, match="Odd.backward: result - expected an array or None for each input, got Tensor"):
        out.backward(np.ones(2))
    function(np.copy, lambda grad: [grad * 3]).apply(x).backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [3, 3])


def test_forward_may_return_its_input_itself():
    x = Tensor(np.ones(2), requires_grad=True)
    out = function(lambda x: x).apply(x)
    out.backward(np.ones(2))
    np.testing.assert_array_equal(x.grad, [1, 1])
    assert out.version == x.version == 0


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((), "Odd.apply: inputs - expected at least one Tensor, got none"),
        ((None,), "Odd.apply: inputs - expected at least one Tensor, got none"),
        ((np.ones(2),), "Odd.apply: inputs - expected Tensors or None, got ndarray"),
        ((Tensor(np.ones(2)), np.ones(2)), "Odd.apply: inputs - expected Tensors or None, got ndarray"),
    ],
)
def test_inputs_are_tensors(inputs, message):
    with pytest.raises(TypeError, match=message):
        function(np.copy).apply(*inputs)


@pytest.mark.parametrize(
    "grad", [0.0, np.zeros(3), np.zeros((4, 2, 3)), np.zeros((2, 3), np.float32), Tensor(np.zeros((2, 3)))]
)
def test_nothing_is_added_to_a_gradient_that_does_not_fit(grad):
    x, other = (Tensor(np.ones((2, 3)), requires_grad=True) for _ in "xo")
    x.grad = grad
    with pytest.raises(GraphError, match=r"backward: grad - expected None or an array \(2, 3\) of float64, got"):
        (x * other).sum().backward()
    assert other.grad is None


def test_integers_have_no_gradient():
    x = Tensor([1, 2])
    x.requires_grad = True
    with pytest.raises(GraphError, match="backward: expected a variable of floating numbers, got int64"):
        x.reshape(2, 1).backward(np.ones((2, 1)))


def test_the_result_of_an_operation_has_no_deep_copy():
    x = Tensor(np.ones(2), requires_grad=True)
    x.grad = np.ones(2)
    other = copy.deepcopy(x)
    assert other.requires_grad and other.grad is not x.grad and other.data is not x.data
    with pytest.raises(GraphError, match="deepcopy: expected a leaf of the graph, got a result of an operation"):
        copy.deepcopy(x * 2)


def test_numpy_does_not_write_into_a_tensor():
    x = Tensor(np.ones(2))
    for write in (lambda: np.copyto(x, 5.0), lambda: np.put(x, 0, 5.0), lambda: np.cumsum(np.ones(2), out=x)):
        with pytest.raises(TypeError, match="expected an array to write to, got a Tensor; use its copy_ or fill_"):
            write()
    assert np.sum(x) == 2
