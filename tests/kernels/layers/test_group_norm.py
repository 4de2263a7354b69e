"""Group, layer and root-mean-square norm by their definition in float64, and the same bits for any threads."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch_kernels.layers.group_norm import Norm, group_norm_backward, group_norm_forward
from tests.kernels.conftest import DTYPES

BAR = {np.float32: 2e-6, np.float64: 1e-13}


def parts_of(x, groups):
    """Return maps (N, P, C) as parts (N, groups, elements)."""
    samples, pixels, channels = x.shape
    inner = channels // groups
    return x.reshape(samples, pixels, groups, inner).swapaxes(1, 2).reshape(samples, groups, pixels * inner)


def whole(parts, shape):
    """Return parts as maps again."""
    samples, pixels, channels = shape
    groups = parts.shape[1]
    return parts.reshape(samples, groups, pixels, channels // groups).swapaxes(1, 2).reshape(shape)


def definition(x, norm, weight, bias):
    """Return the output, the normalised maps and 1 / the root mean square, in float64."""
    parts = parts_of(x, norm.groups)
    deviations = parts - parts.mean(2, keepdims=True) if norm.centred else parts
    inv_std = 1 / np.sqrt((deviations**2).mean(2, keepdims=True) + norm.eps)
    normal = whole(deviations * inv_std, x.shape)
    return normal * weight + bias, normal, inv_std[..., 0]


def gradients(grad_out, norm, weight, normal, inv_std):
    """Return the gradient of x, and the sums over pixels of grad_out * normal and of grad_out, in float64."""
    grad, of_normal = (parts_of(maps, norm.groups) for maps in (grad_out * weight, normal))
    mean = grad.mean(2, keepdims=True) if norm.centred else 0
    grad_x = (grad - mean - of_normal * (grad * of_normal).mean(2, keepdims=True)) * inv_std[..., None]
    return whole(grad_x, normal.shape), np.stack([(grad_out * normal).sum(1), grad_out.sum(1)])


@st.composite
def cases(draw):
    """Return the shape of maps, and a norm whose groups divide the channels."""
    groups, inner, pixels = draw(st.integers(1, 4)), draw(st.integers(1, 21)), draw(st.integers(1, 7))
    norm = Norm(groups, draw(st.sampled_from([1e-5, 0.5])), draw(st.booleans()))
    return (draw(st.integers(0, 3)), pixels, groups * inner), norm


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(case=cases(), given_weight=st.booleans(), given_bias=st.booleans())
@example(case=((1, 1, 2), Norm(2, 1e-5, True)), given_weight=True, given_bias=False)  # parts of one element
def test_both_passes_by_the_definition(dtype, case, given_weight, given_bias):
    shape, norm = case
    rng = np.random.default_rng(list(shape))
    x, grad_out = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    weight, bias = rng.uniform(0.5, 2, shape[2]).astype(dtype), rng.standard_normal(shape[2]).astype(dtype)
    weight, bias = weight if given_weight else None, bias if given_bias else None
    out, normal, inv_std = group_norm_forward(x, norm, weight, bias)
    assert out.dtype == normal.dtype == inv_std.dtype == dtype and (out is normal) == (weight is None and bias is None)
    factor, shift = np.float64(1) if weight is None else weight, 0 if bias is None else bias
    want = definition(x.astype(np.float64), norm, factor, shift)
    for got, right in zip((out, normal, inv_std), want, strict=True):
        np.testing.assert_allclose(got, right, rtol=0, atol=BAR[dtype] * (1 + np.max(np.abs(right), initial=0)))
    got = group_norm_backward(grad_out, norm, weight, normal, inv_std)
    for array, right in zip(got, gradients(grad_out, norm, factor, normal, inv_std), strict=True):
        assert array.dtype == dtype
        np.testing.assert_allclose(array, right, rtol=0, atol=BAR[dtype] * (1 + np.max(np.abs(right), initial=0)) * 4)


def test_a_large_mean_costs_no_digits():
    x = (1e6 + np.arange(64) % 7).astype(np.float32).reshape(1, 8, 8)
    _, normal, _ = group_norm_forward(x, Norm(1, 1e-5, True), None, None)
    np.testing.assert_allclose(normal, definition(x.astype(np.float64), Norm(1, 1e-5, True), 1, 0)[1], atol=1e-6)


def test_nan_and_infinity_stay_in_their_part():
    x = np.ones((2, 3, 4), np.float32) * np.arange(4, dtype=np.float32)
    x[0, 1, 0], x[1, 2, 3] = np.nan, np.inf
    _, normal, _ = group_norm_forward(x, Norm(2, 1e-5, True), None, None)
    assert np.isnan(normal[0, :, :2]).all() and np.isfinite(normal[0, :, 2:]).all()
    assert np.isfinite(normal[1, :, :2]).all() and np.isnan(normal[1, 2, 3])


def everything(hold=np.ascontiguousarray):
    """Return the results of both passes on some maps."""
    results = []
    for dtype in DTYPES:
        for shape, norm in [((3, 50, 24), Norm(3, 1e-5, True)), ((300, 1, 37), Norm(1, 1e-5, False))]:
            x, grad_out = (hold(np.cos(np.arange(np.prod(shape)) + k).reshape(shape).astype(dtype)) for k in (0, 1))
            weight, bias = (hold(np.linspace(k, 2, shape[2]).astype(dtype)) for k in (1, -1))
            out, normal, inv_std = group_norm_forward(x, norm, weight, bias)
            results += [out, normal, inv_std]
            results += group_norm_backward(grad_out, norm, weight, hold(normal), hold(inv_std))
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
