"""Batch norm: the textbook's values, also where the mean is much larger than the deviations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels import reference
from minitorch_kernels.layers import batch_norm
from tests.kernels.conftest import DTYPES, nchw, nhwc
from tests.kernels.normalised import agree, maps, random

# ----------------------------------------------------------------------------------- batch norm


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(shape=maps, seed=st.integers(0, 99))
def test_batch_norm_agrees_with_the_textbook(dtype, shape, seed):
    x, grad_out, gamma, beta = random(shape, seed), random(shape, seed + 1), random(shape[1:2]), random(shape[1:2], 1)
    eps = 0.25  # large, so that small variances, which few pixels have, do not magnify the errors
    expected, mean, var = reference.batch_norm_forward(x, gamma, beta, eps=eps)
    grads = reference.batch_norm_backward(grad_out, x, gamma, eps=eps)

    got_mean, got_var = batch_norm.batch_norm_stats(nhwc(x.astype(dtype)))
    agree(got_mean, mean, dtype)
    agree(got_var.astype(dtype), var, dtype)
    inv_std = 1 / np.sqrt(var + eps)
    scale, shift = (gamma * inv_std).astype(dtype), (beta - mean * gamma * inv_std).astype(dtype)
    agree(nchw(batch_norm.batch_norm_apply(nhwc(x.astype(dtype)), scale, shift)), expected, dtype)
    arrays = (a.astype(dtype) for a in (mean, inv_std, gamma))
    got = batch_norm.batch_norm_backward(nhwc(grad_out.astype(dtype)), nhwc(x.astype(dtype)), *arrays)
    agree(nchw(got[0]), grads[0], dtype)
    for a, b in zip(got[1:], grads[1:], strict=True):
        agree(a, b, dtype, factor=np.sqrt(x[:, 0].size))


@pytest.mark.parametrize("mean", [1e3, -1e5, 1e6])
@pytest.mark.parametrize("shape", [(8, 16, 16, 5), (3, 7, 5, 64)])
def test_a_mean_far_from_zero_leaves_the_variance_its_digits(mean, shape):
    x = (mean + np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    exact = x.astype(np.float64).var((0, 1, 2))
    np.testing.assert_allclose(batch_norm.batch_norm_stats(x)[1], exact, rtol=1e-6)


def test_a_first_pixel_far_from_the_others_costs_no_digits():
    x = np.random.default_rng(0).standard_normal((4, 9, 9, 3)).astype(np.float32)
    x[0, 0, 0] = 1e6
    exact = x.astype(np.float64)
    mean, var = batch_norm.batch_norm_stats(x)
    np.testing.assert_allclose(mean, exact.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var((0, 1, 2)), rtol=1e-6)


def test_statistics_by_hand():
    x = np.array([1.0, -10.0, 3.0, -10.0, 5.0, -10.0, 7.0, -10.0]).reshape(2, 1, 2, 2)
    mean, var = batch_norm.batch_norm_stats(x)
    np.testing.assert_array_equal(mean, [4, -10])
    np.testing.assert_array_equal(var, [5, 0])  # (9 + 1 + 1 + 9) / 4
    np.testing.assert_array_equal(batch_norm.channel_sums(x), [16, -40])


@pytest.mark.parametrize("shape", [(8, 32, 32, 16), (3, 7, 11, 33), (1, 1, 1, 300), (1, 200, 100, 1)])
def test_a_mean_far_from_zero_costs_no_digits(shape):
    """In float32, the mean of the squares minus the square of the mean would be nothing but rounding error here."""
    rng = np.random.default_rng(0)
    x = (1000 + rng.standard_normal(shape)).astype(np.float32)
    mean, var = batch_norm.batch_norm_stats(x)
    exact = x.astype(np.float64).reshape(-1, shape[3])
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(batch_norm.channel_sums(x), exact.sum(0), rtol=1e-5)


def test_long_sums_keep_their_digits():
    """Added up one by one in float32, the 160,000 elements would give 15,975."""
    x = np.full((4, 200, 200, 3), 0.1, np.float32)
    np.testing.assert_allclose(batch_norm.channel_sums(x), 160_000 * np.float64(np.float32(0.1)), rtol=1e-4)
    mean, var = batch_norm.batch_norm_stats(x)
    np.testing.assert_allclose(mean, np.float32(0.1), rtol=1e-4)
    assert (var < 1e-10).all()  # the rounding error of a float32 mean of equal elements, squared


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nan_and_infinity_spoil_their_channel_alone(value):
    for pixel in (0, 17, 44):
        x = random((1, 3, 5, 9)).astype(np.float32)
        x[0, 1].reshape(-1)[pixel] = value
        mean, var = batch_norm.batch_norm_stats(nhwc(x))
        sums = batch_norm.channel_sums(nhwc(x))
        assert np.isfinite(mean[[0, 2]]).all() and np.isfinite(var[[0, 2]]).all() and np.isfinite(sums[[0, 2]]).all()
        assert not np.isfinite(mean[1]) and np.isnan(var[1])
        np.testing.assert_array_equal(sums[1], value)
        out = batch_norm.batch_norm_apply(nhwc(x), np.ones(3, np.float32), np.ones(3, np.float32))
        np.testing.assert_array_equal(out, nhwc(x) + np.float32(1))


# ------------------------------------------------------------------------------ memory, threads


def everything(hold=np.ascontiguousarray):
    """Return the results of all functions on a few maps."""
    results = []
    for dtype in DTYPES:
        for shape in [(3, 6, 7, 5), (1, 1, 1, 1), (2, 40, 40, 8), (2, 40, 41, 17), (1, 2, 2, 9000)]:
            x, grad_out = (hold(random(shape, seed).astype(dtype)) for seed in (0, 1))
            mean, var = batch_norm.batch_norm_stats(x)
            out = batch_norm.batch_norm_apply(x, hold(var), hold(mean))
            results += [mean, var, out, batch_norm.channel_sums(x)]
            results += batch_norm.batch_norm_backward(grad_out, x, hold(mean), hold(var), hold(mean))
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)


@pytest.mark.parametrize("mean", [1e5, -3e6])
@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (8, 33, 20, 40)])
def test_a_mean_of_many_standard_deviations_costs_the_variance_no_digits(mean, shape):
    x = (random(shape) * abs(mean) / 1e4 + mean).astype(np.float32)
    x[..., 0] = mean  # a channel without variance, which rounding must not invent
    got_mean, got_var = batch_norm.batch_norm_stats(x)
    exact = x.astype(np.float64).reshape(-1, shape[3])
    np.testing.assert_allclose(got_mean, exact.mean(0), rtol=1e-7)
    np.testing.assert_allclose(got_var[1:], exact.var(0)[1:], rtol=1e-6)
    assert got_var[0] <= (abs(mean) * 1e-8) ** 2


# ------------------------------------------------------------------------- pixels side by side


@pytest.mark.parametrize(
    ("shape", "together"),
    [((64, 16), 8), ((64, 12), 8), ((12, 16), 4), ((7, 16), 1), ((64, 64), 2), ((64, 65), 1), ((0, 16), 8)],
)
def test_pixels_of_few_channels_form_one_row(shape, together):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    count, (rows, also) = batch_norm.side_by_side(x, x)
    assert count == together
    assert rows.shape == also.shape == (shape[0] // together, shape[1] * together)
    assert np.shares_memory(rows, x) or not x.size


def test_parts_of_larger_maps_stay_as_they_are():
    block = np.ones((64, 24), np.float32)
    assert batch_norm.side_by_side(np.ones((64, 16), np.float32), block)[0] == 1
    assert batch_norm.side_by_side(block[:, :16])[0] == 1
