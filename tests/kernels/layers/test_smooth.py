"""ELU, softplus and Mish against float64, for all kinds of numbers, and the same bits for any threads."""

import numpy as np
import pytest

from minitorch_kernels.layers import smooth
from tests.kernels.magnitudes import all_magnitudes, units

DTYPES = [np.float32, np.float64]
BAR = {np.float32: 5e-7, np.float64: 1e-14}
SELU = 1.6732632423543772, 1.0507009873554805


def elu(x, alpha, scale):
    return np.where(x > 0, scale * x, scale * alpha * np.expm1(np.minimum(x, 0)))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def mish(x):
    return x * np.tanh(softplus(x))


def test_all_magnitudes_of_float32_to_a_few_units_in_the_last_place():
    x = all_magnitudes(-80)  # further down the results of two of them are subnormal
    x = x[x < 1e38]
    exact = x.astype(np.float64)
    for factors in ((1.0, 1.0), SELU):
        assert units(smooth.elu_forward(x, *factors), elu(exact, *factors)) <= 3
    for beta in (1.0, 0.5):
        assert units(smooth.softplus_forward(x, beta), softplus(beta * exact) / beta) <= 4
    assert units(smooth.mish_forward(x), mish(exact)) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_those_of_the_definition(dtype):
    x = np.concatenate([np.linspace(-30, 30, 3001), all_magnitudes(-80)[::997].clip(-80, 80)]).astype(dtype)
    grad_out, exact = np.cos(np.arange(len(x))).astype(dtype), x.astype(np.float64)
    s, t = 1 / (1 + np.exp(-exact)), np.tanh(softplus(exact))
    alpha, scale = SELU
    slope_of_elu = scale * np.where(x > 0, 1, alpha * np.exp(np.minimum(exact, 0)))
    for got, slope in (
        (smooth.elu_backward(grad_out, x, *SELU), slope_of_elu),
        (smooth.softplus_backward(grad_out, x, 2.0), 1 / (1 + np.exp(-2 * exact))),
        (smooth.mish_backward(grad_out, x), t + exact * (1 - t * t) * s),
    ):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, grad_out * slope, rtol=40 * BAR[dtype], atol=BAR[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_nan_and_numbers_beyond_the_exponential(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30], dtype)
    log_2 = np.log(dtype(2))
    np.testing.assert_array_equal(smooth.elu_forward(x, 2.0, 3.0), [np.nan, np.inf, -6, 0, 0, dtype(3) * x[5], -6])
    np.testing.assert_array_equal(smooth.elu_backward(np.ones_like(x), x, 2.0, 3.0), [np.nan, 3, 0, 6, 6, 3, 0])
    with np.errstate(over="ignore", invalid="ignore"):
        out = smooth.softplus_forward(x, 1.0)
        np.testing.assert_allclose(out, [np.nan, np.inf, 0, log_2, log_2, x[5], 0], rtol=1e-7)
        steep = smooth.softplus_forward(np.array([1.0, -1.0], dtype), np.finfo(dtype).max)
        np.testing.assert_array_equal(steep, [1, 0])
        np.testing.assert_array_equal(smooth.mish_forward(x[[0, 1, 3, 5]]), [np.nan, np.inf, 0, x[5]])
        np.testing.assert_allclose(smooth.mish_backward(np.ones(3, dtype), x[[0, 3, 5]]), [np.nan, 0.6, 1], rtol=1e-6)


def test_a_tiny_element_of_an_elu_keeps_all_its_digits():
    x = np.array([-1e-30, -1e-10, -1e-3], np.float32)
    np.testing.assert_allclose(smooth.elu_forward(x, 1.0, 1.0), np.expm1(x.astype(np.float64)), rtol=2e-7)


def everything(hold=np.ascontiguousarray):
    """Return the results of all passes on some arrays."""
    results = []
    for dtype in DTYPES:
        for count in (0, 1, 10, 70_001):
            x, grad = (hold(np.sin(np.arange(count) + shift).astype(dtype)) for shift in (0, 1))
            results += [smooth.elu_forward(x, *SELU), smooth.elu_backward(grad, x, *SELU)]
            results += [smooth.softplus_forward(x, 2.0), smooth.softplus_backward(grad, x, 2.0)]
            results += [smooth.mish_forward(x), smooth.mish_backward(grad, x)]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
