"""Local response norm: the textbook's values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels import reference
from minitorch_kernels.layers import response_norm
from tests.kernels.conftest import DTYPES, nchw, nhwc
from tests.kernels.normalised import agree, maps, random


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(
    shape=maps,
    size=st.integers(1, 7),
    alpha=st.floats(1e-4, 2),
    beta=st.floats(0.25, 1) | st.just(0.75),
    k=st.floats(0.5, 2),
)
def test_local_response_norm_agrees_with_the_textbook(dtype, shape, size, alpha, beta, k):
    numbers = {"size": size, "alpha": alpha, "beta": beta, "k": k}
    x, grad_out = random(shape), random(shape, 1)
    expected = reference.local_response_norm_forward(x, **numbers)
    expected_grad = reference.local_response_norm_backward(grad_out, x, **numbers)
    out, base = response_norm.local_response_norm_forward(nhwc(x.astype(dtype)), **numbers)
    agree(nchw(out), expected, dtype)
    arrays = (nhwc(grad_out.astype(dtype)), nhwc(x.astype(dtype)), out, base)
    agree(nchw(response_norm.local_response_norm_backward(*arrays, **numbers)), expected_grad, dtype)


def test_local_response_norm_by_hand():
    x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    # size 2 takes the channel before and the own one: squares 1, 1 + 4, 4 + 9; base = 1 + 6/2 * that
    out, base = response_norm.local_response_norm_forward(x, size=2, alpha=6.0, beta=0.5, k=1.0)
    np.testing.assert_array_equal(base.reshape(-1), [4, 16, 40])
    np.testing.assert_allclose(out.reshape(-1), [1 / 2, 2 / 4, 3 / 40**0.5], rtol=1e-15)


def test_nan_stays_among_its_neighbours():
    x = random((1, 9, 2, 2))
    x[0, 4, 1, 0] = np.nan
    numbers = {"size": 3, "alpha": 1.0, "beta": 0.75, "k": 1.0}
    out, _ = response_norm.local_response_norm_forward(nhwc(x), **numbers)
    np.testing.assert_array_equal(np.argwhere(np.isnan(nchw(out))), [[0, 3, 1, 0], [0, 4, 1, 0], [0, 5, 1, 0]])


def everything(hold=np.ascontiguousarray):
    """Return the results of both functions on a few maps."""
    results, numbers = [], {"size": 4, "alpha": 0.5, "beta": 0.75, "k": 1.0}
    for dtype in DTYPES:
        for shape in [(3, 6, 7, 5), (1, 1, 1, 1), (2, 40, 41, 17)]:
            x, grad_out = (hold(random(shape, seed).astype(dtype)) for seed in (0, 1))
            pair = response_norm.local_response_norm_forward(x, **numbers)
            results += [*pair, response_norm.local_response_norm_backward(grad_out, x, *pair, **numbers)]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
