"""Softmax and its logarithm, row by row, against float64."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minitorch_kernels.layers import softmax


def rows(count, classes, scale=1.0):
    rng = np.random.default_rng([count, classes])
    return [(size * rng.standard_normal((count, classes))).astype(np.float32) for size in (scale, 1)]


def exact(x):
    """Return the softmax and its logarithm in float64."""
    shifted = x.astype(np.float64) - x.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return np.exp(log), log


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 70), classes=st.integers(1, 70), scale=st.sampled_from([0.01, 1.0, 10.0]))
@example(count=3, classes=1000, scale=10.0)
def test_values_and_gradients(count, classes, scale):
    x, grad = rows(count, classes, scale)
    shares, logs = exact(x)
    out, log_out = softmax.softmax_forward(x), softmax.log_softmax_forward(x)
    np.testing.assert_allclose(out, shares, rtol=4e-7 * (2 + 8 * scale), atol=1e-37)
    np.testing.assert_allclose(log_out, logs, rtol=2e-7, atol=1e-6 * (1 + scale))
    size = np.abs(grad).sum(1, keepdims=True)
    wanted = shares * (grad - (grad * shares).sum(1, keepdims=True))
    assert (np.abs(softmax.softmax_backward(grad, out) - wanted) <= 1e-6 * (1 + scale) * size).all()
    wanted = grad - shares * grad.astype(np.float64).sum(1, keepdims=True)
    assert (np.abs(softmax.log_softmax_backward(grad, log_out) - wanted) <= 1e-6 * (1 + scale) * size).all()


def test_special_numbers():
    nan, inf = np.nan, np.inf
    x = np.array([[1, nan], [-nan, 1], [inf, 0], [-inf, -inf], [-inf, 5], [3e38, -3e38], [-3e38, -3e38], [-0.0, 0]])
    x = x.astype(np.float32)
    half, log_half = [0.5, 0.5], [np.log(np.float32(0.5))] * 2
    shares = [*[[nan, nan]] * 4, [0, 1], [1, 0], half, half]
    np.testing.assert_array_equal(softmax.softmax_forward(x), shares)
    logs = [*[[nan, nan]] * 4, [-inf, 0], [0, -inf], log_half, log_half]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(softmax.log_softmax_forward(x), logs)


def everything(hold=np.ascontiguousarray):
    """Return the results of all passes on some rows."""
    results = []
    for shape in ((0, 5), (1, 1), (3, 10), (2_000, 33)):
        x, grad = map(hold, rows(*shape))
        out, log_out = softmax.softmax_forward(x), softmax.log_softmax_forward(x)
        results += [out, softmax.softmax_backward(grad, hold(out))]
        results += [log_out, softmax.log_softmax_backward(grad, hold(log_out))]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
