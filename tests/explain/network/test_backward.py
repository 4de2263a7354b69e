"""The steps of backpropagation, as text."""

import numpy as np

from minitorch_cnn import Tensor, explain, ops
from minitorch_cnn.explain.network.backward import describe_gradient


def test_a_step_tells_operation_incoming_gradient_rule_and_results():
    x, w = Tensor([1.0, -2.0], requires_grad=True), Tensor([3.0, 4.0])
    steps = ops.sum(ops.relu(ops.mul(x, w))).backward(trace=True)
    assert type(steps) is list and [step.op for step in steps] == ["Sum", "ReLU", "Mul"]
    assert str(explain.BackwardTrace(steps)).splitlines() == [
        "1. Sum",
        "     incoming  scalar, norm 1: 1",
        "     rule      every term gets grad_out",
        "     input 0   2, norm 1.414: 1 1",
        "2. ReLU",
        "     incoming  2, norm 1.414: 1 1",
        "     rule      the gradient passes where x > 0",
        "     input 0   2, norm 1: 1 0",
        "3. Mul",
        "     incoming  2, norm 1: 1 0",
        "     rule      each factor gets grad_out times the other factor",
        "     input 0   2, norm 3: 3 0",
        "     input 1   none wanted",
    ]
    np.testing.assert_array_equal(x.grad, [3, 0])


def test_a_convolution_tells_the_kernels_of_its_gradients():
    x, w = Tensor(np.ones((2, 3, 8, 8), np.float32)), Tensor(np.ones((4, 3, 3, 3), np.float32), requires_grad=True)
    told = ops.conv_algorithm(x, w)
    for x.requires_grad, expected in (
        (False, f"{told.backward_weight.name} for the weight"),
        (True, f"{told.backward_input.name} for x, {told.backward_weight.name} for the weight"),
    ):
        steps = explain.BackwardTrace(ops.sum(ops.conv2d(x, w)).backward(trace=True))
        assert f"     kernels   {expected}\n" in str(steps)
        assert f">{expected}</td>" in steps._repr_html_()


def test_long_gradients_are_cut():
    assert "norm 2e+30:" in describe_gradient(np.full((2, 2), 1e30, np.float32))
    assert "norm 2e-30:" in describe_gradient(np.full((2, 2), 1e-30, np.float32))
    assert describe_gradient(np.ones((4, 2))) == "4 x 2, norm 2.828: 1 1 1 1 1 1 ..."
