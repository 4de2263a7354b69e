"""Pooling: the textbook's values and gradients, ties, padding and NaN; no access outside the arrays."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch_kernels import reference
from minitorch_kernels.layers import pool
from tests.kernels.conftest import DTYPES, nchw, nhwc

BAR = {np.float32: 1e-5, np.float64: 1e-12}
WINDOW = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0)}


def image(*rows):
    """Return rows as an array (1, H, W, 1)."""
    return np.array(rows, np.float64)[None, :, :, None]


@st.composite
def cases(draw):
    """Return the shape (N, C, H, W) of maps, and a window of which at least one fits."""
    kernel, stride = (draw(st.tuples(*[st.integers(1, 4)] * 2)) for _ in range(2))
    padding = [draw(st.integers(0, kernel[i // 2] - 1)) for i in range(4)]
    size = [
        max(kernel[i] - sum(padding[2 * i : 2 * i + 2]), 1) + draw(st.integers(0, 5))  # at least 1 pixel
        for i in range(2)
    ]
    batch, channels = draw(st.integers(0, 2)), draw(st.sampled_from([1, 2, 3, 17]))
    return (batch, channels, *size), {"kernel_size": kernel, "stride": stride, "padding": tuple(padding)}


def maps(shape, seed=0, levels=None):
    """Return float32 numbers as float64: normal ones, or few integers, which give many ties."""
    rng = np.random.default_rng([seed, *shape])
    numbers = rng.standard_normal(shape, np.float32) if levels is None else rng.integers(0, levels, shape)
    return numbers.astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("levels", [None, 2])
@settings(max_examples=60, deadline=None)
@given(case=cases())
def test_maximum_agrees_with_the_textbook(dtype, levels, case):
    shape, window = case
    x = maps(shape, levels=levels)
    expected, expected_argmax = reference.max_pool2d_forward(x, **window)
    grad_out = maps(expected.shape, 1)
    expected_grad = reference.max_pool2d_backward(grad_out, expected_argmax, input_size=shape[2:], **window)
    out, argmax = pool.max_pool2d_forward(nhwc(x.astype(dtype)), **window)
    grad_x = pool.max_pool2d_backward(nhwc(grad_out.astype(dtype)), argmax, input_size=shape[2:], **window)
    assert out.dtype == grad_x.dtype == dtype and argmax.dtype == np.uint8
    np.testing.assert_array_equal(nchw(out), expected)
    np.testing.assert_array_equal(nchw(argmax), expected_argmax)
    np.testing.assert_allclose(nchw(grad_x), expected_grad, rtol=0, atol=BAR[dtype] * 4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("include", [True, False])
@settings(max_examples=60, deadline=None)
@given(case=cases())
@example(((2, 16, 5, 6), {"kernel_size": (3, 2), "stride": (2, 2), "padding": (1, 1, 0, 1)}))
@example(((2, 3, 4, 40), {"kernel_size": (2, 17), "stride": (1, 3), "padding": (1, 0, 5, 0)}))
@example(((1, 3, 7, 9), {"kernel_size": (1, 2), "stride": (3, 4), "padding": (0, 0, 0, 0)}))  # pixels in no window
def test_average_agrees_with_the_textbook(dtype, include, case):
    shape, window = case
    x = maps(shape)
    expected = reference.avg_pool2d_forward(x, **window, count_include_pad=include)
    grad_out = maps(expected.shape, 1)
    keywords = {**window, "count_include_pad": include}
    expected_grad = reference.avg_pool2d_backward(grad_out, input_size=shape[2:], **keywords)
    out = pool.avg_pool2d_forward(nhwc(x.astype(dtype)), **keywords)
    grad_x = pool.avg_pool2d_backward(nhwc(grad_out.astype(dtype)), input_size=shape[2:], **keywords)
    assert out.dtype == grad_x.dtype == dtype
    np.testing.assert_allclose(nchw(out), expected, rtol=0, atol=BAR[dtype])
    np.testing.assert_allclose(nchw(grad_x), expected_grad, rtol=0, atol=BAR[dtype] * 4)


def test_the_first_of_equal_values_wins_row_by_row():
    out, argmax = pool.max_pool2d_forward(image([1, 7, 3, 3], [7, 7, 3, 3]), **WINDOW)
    np.testing.assert_array_equal(out, image([7, 3]))
    np.testing.assert_array_equal(argmax, image([1, 0]))
    grad_x = pool.max_pool2d_backward(image([5, 6]), argmax, input_size=(2, 4), **WINDOW)
    np.testing.assert_array_equal(grad_x, image([0, 5, 6, 0], [0, 0, 0, 0]))


def test_zeros_of_either_sign_are_equal():
    out, argmax = pool.max_pool2d_forward(image([-0.0, 0.0], [0.0, -0.0]), **WINDOW)
    assert argmax.item() == 0 and np.signbit(out).item()


def test_padding_never_wins_not_even_over_minus_infinity():
    window = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (1, 1, 1, 1)}
    out, argmax = pool.max_pool2d_forward(image([-5, -np.inf], [-3, -4]), **window)
    np.testing.assert_array_equal(out, image([-5, -np.inf], [-3, -4]))
    np.testing.assert_array_equal(argmax, image([3, 2], [1, 0]))
    grad_x = pool.max_pool2d_backward(image([1, 2], [3, 4]), argmax, input_size=(2, 2), **window)
    np.testing.assert_array_equal(grad_x, image([1, 2], [3, 4]))


def test_nan_wins_every_window_that_holds_it_and_the_first_one_gets_the_gradient():
    window = {"kernel_size": (2, 2), "stride": (1, 1), "padding": (0, 0, 0, 0)}
    for where in np.ndindex(3, 4):
        x = np.arange(12.0).reshape(1, 3, 4, 1)
        x[0, 0, 0], x[0, where[0], where[1]] = np.inf, np.nan
        expected, expected_argmax = reference.max_pool2d_forward(nchw(x), **window)
        out, argmax = pool.max_pool2d_forward(x, **window)
        np.testing.assert_array_equal(nchw(out), expected)
        np.testing.assert_array_equal(nchw(argmax), expected_argmax)
        average = pool.avg_pool2d_forward(x, **window)
        np.testing.assert_array_equal(nchw(average), reference.avg_pool2d_forward(nchw(x), **window))
    out, argmax = pool.max_pool2d_forward(image([1, np.nan], [np.nan, np.inf]), **WINDOW)
    assert np.isnan(out).all() and argmax.item() == 1


def test_gradients_of_nan_and_infinity_go_where_they_belong():
    x = maps((1, 2, 4, 4))
    _, argmax = pool.max_pool2d_forward(nhwc(x), **WINDOW)
    for value in (np.nan, np.inf, -np.inf):
        grad_out = np.ones((1, 2, 2, 2))
        grad_out[0, 1, 0, 1] = value
        grad_x = pool.max_pool2d_backward(grad_out, argmax, input_size=(4, 4), **WINDOW)
        expected = reference.max_pool2d_backward(nchw(grad_out), nchw(argmax), input_size=(4, 4), **WINDOW)
        np.testing.assert_array_equal(nchw(grad_x), expected)
        grad_x = pool.avg_pool2d_backward(grad_out, input_size=(4, 4), **WINDOW)
        expected = reference.avg_pool2d_backward(nchw(grad_out), input_size=(4, 4), **WINDOW)
        np.testing.assert_array_equal(nchw(grad_x), expected)


def test_padding_counts_in_the_average_unless_told_not_to():
    window = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 1, 0, 1)}
    x, grad_out = image([1, 2, 3], [4, 5, 6], [7, 8, 9]), image([4, 8], [12, 16])
    np.testing.assert_array_equal(pool.avg_pool2d_forward(x, **window), image([3, 9 / 4], [15 / 4, 9 / 4]))
    inside = pool.avg_pool2d_forward(x, **window, count_include_pad=False)
    np.testing.assert_array_equal(inside, image([3, 4.5], [7.5, 9]))
    grad_x = pool.avg_pool2d_backward(grad_out, input_size=(3, 3), **window)
    np.testing.assert_array_equal(grad_x, image([1, 1, 2], [1, 1, 2], [3, 3, 4]))


def test_places_of_a_window_of_more_than_256_pixels_fit():
    x = np.zeros((1, 17, 17, 1), np.float32)
    x[0, 16, 15] = 1
    window = {"kernel_size": (17, 17), "stride": (1, 1), "padding": (0, 0, 0, 0)}
    out, argmax = pool.max_pool2d_forward(x, **window)
    assert argmax.dtype == np.int32 and argmax.item() == 16 * 17 + 15
    grad_x = pool.max_pool2d_backward(out, argmax, input_size=(17, 17), **window)
    np.testing.assert_array_equal(grad_x, x)
    edge = pool.max_pool2d_forward(np.ones((1, 16, 16, 1), np.float32), **{**window, "kernel_size": (16, 16)})[1]
    assert edge.dtype == np.uint8


def everything(hold=np.ascontiguousarray):
    """Return the results of all four functions on a few maps."""
    results = []
    for dtype in DTYPES:
        for shape, window in [
            ((3, 5, 9, 8), {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1, 1, 1)}),
            ((2, 17, 5, 7), {"kernel_size": (2, 3), "stride": (1, 4), "padding": (0, 1, 2, 0)}),
            ((1, 1, 4, 4), {"kernel_size": (1, 1), "stride": (3, 3), "padding": (0, 0, 0, 0)}),
        ]:
            x = hold(nhwc(maps(shape).astype(dtype)))
            out, argmax = pool.max_pool2d_forward(x, **window)
            back = pool.max_pool2d_backward(hold(out), hold(argmax), input_size=shape[2:], **window)
            average = pool.avg_pool2d_forward(x, **window)
            results += [out, argmax, back, average]
            results.append(pool.avg_pool2d_backward(hold(average), input_size=shape[2:], **window))
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
