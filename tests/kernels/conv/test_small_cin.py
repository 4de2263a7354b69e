"""The gradients of a convolution of few channels: the textbook's results for any number of threads."""

import numpy as np
import pytest

from minitorch_kernels.conv import indirect_weight, small_cin
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

DTYPES = np.float32, np.float64


spread, gradient = small_cin.conv2d_backward_input_small_cin, small_cin.conv2d_backward_weight_small_cin


@pytest.fixture(scope="module")
def problems(many_convolutions, large_convolutions):
    found = [p for p in (*many_convolutions, *large_convolutions) if p.hyper["groups"] == 1 and p.grad_out.size]
    assert max(p.weight_shape[0] for p in found) > 64  # several blocks of terms
    assert max(np.prod(p.weight_shape[1:]) for p in found) > 300  # several panels
    return found


@pytest.fixture(scope="module")
def narrow(problems):
    """Those that the weight gradient supports: adjacent columns in a row of the window."""
    return [p for p in problems if p.hyper["dilation"][1] == 1]


def test_the_textbook_agrees(problems, narrow):
    for problem in problems:
        problem.check(input_gradient=spread)
    for problem in narrow:
        problem.check(weight_gradient=gradient)


def test_more_filters_than_a_block_of_terms():
    grad_out, weight = np.ones((2, 3, 3, 500), np.float32), np.ones((500, 1, 2, 2), np.float32)
    hyper = {"input_size": (4, 4), "stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    expected = 500 * np.outer([1, 2, 2, 1], [1, 2, 2, 1])
    got = small_cin.conv2d_backward_input_small_cin(grad_out, weight, **hyper)
    np.testing.assert_array_equal(got, np.broadcast_to(expected[:, :, None], (2, 4, 4, 1)))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads, problems):
    same_bits_for_any_threads(lambda: [p.input_gradient(spread, dtype) for p in problems[-12:] for dtype in DTYPES])


def test_threads_do_not_change_a_bit_of_the_weight_gradient(same_bits_for_any_threads, narrow):
    same_bits_for_any_threads(lambda: [p.weight_gradient(gradient, dtype) for p in narrow[-12:] for dtype in DTYPES])


def test_the_weight_gradient_is_that_of_the_indirect_one(narrow):
    """Both add up the pixels of 16 ranges of images in order, but in blocks of other lengths."""
    small = [p for p in narrow if np.prod(p.weight_shape[1:]) <= 128]
    for problem in small[-40:]:
        for dtype in DTYPES:
            got = problem.weight_gradient(gradient, dtype)
            expected = problem.weight_gradient(indirect_weight.conv2d_backward_weight_indirect, dtype)
            digits = 1e-5 if dtype == np.float32 else 1e-13
            np.testing.assert_allclose(got, expected, rtol=0, atol=digits * np.abs(expected).max(initial=1))


def test_nothing_is_read_or_written_outside_the_arrays(guarded, problems):
    for problem in problems[-60:]:
        for dtype in DTYPES:
            assert np.isfinite(problem.input_gradient(spread, dtype, guarded.hold)).all(), repr(problem)


def test_the_weight_gradient_reads_and_writes_nothing_outside_the_arrays(guarded, narrow):
    for problem in narrow[-60:]:
        for dtype in DTYPES:
            assert np.isfinite(problem.weight_gradient(gradient, dtype, guarded.hold)).all(), repr(problem)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_the_weights_of_their_products(poisoned, value):
    for problem in poisoned(value):
        if problem.hyper["groups"] == 1 and problem.hyper["dilation"][1] == 1:
            problem.check_poison(weight_gradient=gradient)


def test_an_infinite_gradient_reaches_its_own_window_alone():
    """The last vector of a row of the window is longer than the row: what follows must stay what it was."""
    grad_out, weight = np.ones((2, 6, 6, 4), np.float32), np.ones((4, 3, 3, 3), np.float32)
    hyper = {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    expected = np.ones((2, 8, 8, 3), bool)
    expected[0, 2:5, 1:4] = False
    grad_out[0, 2, 1, 3] = np.inf
    np.testing.assert_array_equal(np.isfinite(spread(grad_out, weight, input_size=(8, 8), **hyper)), expected)
