"""im2col: rows that are windows, and the three matrix products of a convolution against the textbook."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv import im2col

# NumPy reads the processor's flags after a product. Some BLAS set them for elements that no result depends on: on arm64
# a "divide by zero" where all is finite, elsewhere inf * 0 in the unused part of a vector. Operations ignore them, too.
pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in matmul:RuntimeWarning")

FUNCTIONS = {
    "forward": im2col.conv2d_forward_im2col,
    "input_gradient": im2col.conv2d_backward_input_im2col,
    "weight_gradient": im2col.conv2d_backward_weight_im2col,
}


def test_every_window_is_a_row_by_hand():
    x = np.arange(1.0, 7).reshape(1, 2, 3, 1)  # 1 2 3 / 4 5 6
    columns = im2col.im2col(x, kernel_size=(2, 2), stride=(1, 2), padding=(0, 0, 1, 0), dilation=(1, 1))
    np.testing.assert_array_equal(columns, [[0, 1, 0, 4], [2, 3, 5, 6]])


def test_the_channels_of_a_pixel_stay_together():
    x = np.arange(8.0).reshape(1, 1, 4, 2)  # pixels (0, 1), (2, 3), (4, 5), (6, 7)
    columns = im2col.im2col(x, kernel_size=(1, 2), stride=(1, 1), padding=(0,) * 4, dilation=(1, 2))
    np.testing.assert_array_equal(columns, [[0, 1, 4, 5], [2, 3, 6, 7]])


def test_col2im_adds_up_where_windows_overlap():
    keywords = {"kernel_size": (1, 2), "stride": (1, 1), "padding": (0, 0, 1, 0), "dilation": (1, 1)}
    rows = np.array([[100.0, 1], [2, 3], [4, 5]])  # windows at -1, 0, 1: the 100 meets the padding
    back = im2col.col2im(rows, x_shape=(1, 1, 3, 1), **keywords)
    np.testing.assert_array_equal(back.reshape(-1), [1 + 2, 3 + 4, 5])


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_col2im_is_the_adjoint_of_im2col(some_convolution, data):
    problem = data.draw(some_convolution)
    x = problem.x.transpose(0, 2, 3, 1)
    keywords = {name: problem.hyper[name] for name in ("stride", "padding", "dilation")}
    keywords["kernel_size"] = problem.weight_shape[2:]
    columns = im2col.im2col(x, **keywords)
    rows = np.random.default_rng(0).standard_normal(columns.shape)
    back = im2col.col2im(rows, x_shape=x.shape, **keywords)
    np.testing.assert_allclose((columns * rows).sum(), (x * back).sum(), atol=1e-10)


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


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_the_outputs_of_their_windows(poisoned, value):
    for problem in poisoned(value):
        problem.check_poison(**FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_arguments_stay_as_they_are(many_convolutions, function):
    problem = many_convolutions[0]
    held = []

    def hold(array):
        held.append((array, array.copy()))
        return array

    getattr(problem, function)(FUNCTIONS[function], np.float64, hold)
    assert held and all((array == copy).all() for array, copy in held)


def test_no_bias_is_a_bias_of_zero(many_convolutions):
    problem = many_convolutions[1]
    x = problem.x.transpose(0, 2, 3, 1)
    out = im2col.conv2d_forward_im2col(x, problem.weight, **problem.hyper)
    zero = im2col.conv2d_forward_im2col(x, problem.weight, np.zeros(problem.weight_shape[0]), **problem.hyper)
    np.testing.assert_array_equal(out, zero)


def test_the_gradient_of_filters_goes_on_growing_with_the_pixels():
    """Float32 cannot add a 1 to 2**24, so only the terms of the block that holds it may be lost."""
    x = np.ones((1, 100, 1000, 1), np.float32)
    x[0, 0, 0] = 2**24
    keywords = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    gradient = im2col.conv2d_backward_weight_im2col(x, np.ones((1, 100, 1000, 9), np.float32), **keywords)
    np.testing.assert_allclose(gradient.ravel(), [2**24 + 99_999] * 9, rtol=0, atol=2**14)
