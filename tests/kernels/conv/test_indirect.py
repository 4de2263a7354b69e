"""Indirect convolution, forward and input gradient: the textbook's results for any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv import borders, indirect
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

FUNCTIONS = {"forward": indirect.conv2d_forward_indirect, "input_gradient": indirect.conv2d_backward_input_indirect}


def test_small_convolutions_agree_with_the_textbook(many_convolutions):
    for problem in many_convolutions:
        problem.check(**FUNCTIONS)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_convolution_agrees_with_the_textbook(some_convolution, data):
    data.draw(some_convolution).check(**FUNCTIONS)


def test_large_convolutions(large_convolutions):
    for problem in large_convolutions:
        problem.check(**FUNCTIONS)


@pytest.mark.oracle
def test_pytorch_agrees(large_convolutions):
    torch = pytest.importorskip("torch")
    for problem in large_convolutions:
        top, bottom, left, right = problem.hyper["padding"]
        x, weight, bias = (torch.tensor(a, requires_grad=True) for a in (problem.x, problem.weight, problem.bias))
        keywords = {name: problem.hyper[name] for name in ("stride", "dilation", "groups")}
        padded = torch.nn.functional.pad(x, (left, right, top, bottom))
        out = torch.nn.functional.conv2d(padded, weight, bias, **keywords)
        out.backward(torch.tensor(problem.grad_out))
        got = problem.forward(indirect.conv2d_forward_indirect, np.float64)
        np.testing.assert_allclose(got, out.detach(), atol=1e-11, err_msg=repr(problem))
        got = problem.input_gradient(indirect.conv2d_backward_input_indirect, np.float64)
        np.testing.assert_allclose(got, x.grad, atol=1e-11, err_msg=repr(problem))


def test_pad_puts_zeros_around_and_copies_nothing_without_padding():
    x = np.arange(1.0, 5).reshape(1, 1, 2, 2)
    expected = np.zeros((1, 4, 3, 2))
    expected[0, 1, 1:] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(borders.pad(x, (1, 2, 1, 0)), expected)
    assert borders.pad(x, (0, 0, 0, 0)) is x
    assert borders.pad(x[:0], (1, 2, 1, 0)).shape == (0, 4, 3, 2)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_threads_do_not_change_a_bit(same_bits_for_any_threads, large_convolutions, function):
    same_bits_for_any_threads(
        lambda: [
            getattr(problem, function)(FUNCTIONS[function], dtype)
            for problem in large_convolutions
            for dtype in (np.float32, np.float64)
        ]
    )


def test_nothing_is_read_or_written_outside_the_arrays(guarded, many_convolutions, large_convolutions):
    for problem in [*many_convolutions[:100], *large_convolutions]:
        for dtype in (np.float32, np.float64):
            for function, kernel in FUNCTIONS.items():
                result = getattr(problem, function)(kernel, dtype, guarded.hold)
                assert np.isfinite(result).all(), repr(problem)
        guarded.check()
        guarded.blocks.clear()
    borders.pad(np.ones((1, 2, 2, 3)), (1, 1, 1, 1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_the_outputs_of_their_windows(poisoned, value):
    for problem in poisoned(value):
        problem.check_poison(**FUNCTIONS)


def test_pixels_between_the_windows_get_no_gradient():
    grad_out, weight = np.ones((1, 2, 2, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    keywords = {"stride": (3, 2), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    grad_x = indirect.conv2d_backward_input_indirect(grad_out, weight, input_size=(5, 4), **keywords)
    expected = np.zeros((5, 4))
    expected[0::3, 0::2] = 1
    np.testing.assert_array_equal(grad_x[0, :, :, 0], expected)


def test_sums_begin_with_the_bias():
    x, weight, bias = np.zeros((2, 3, 3, 1)), np.ones((3, 1, 2, 2)), np.array([1.0, -2.0, 3.0])
    keywords = {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    out = indirect.conv2d_forward_indirect(x, weight, bias, **keywords)
    np.testing.assert_array_equal(out, np.broadcast_to(bias, (2, 2, 2, 3)))
    assert not indirect.conv2d_forward_indirect(x, weight, **keywords).any()
