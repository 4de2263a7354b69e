"""ReLU6, hard sigmoid, hard swish and PReLU by their definitions, at all ends; the same bits for any threads."""

import numpy as np
import pytest

from minitorch_kernels.layers import pieces
from tests.kernels.conftest import DTYPES

FORWARD = {
    pieces.relu6_forward: lambda x: np.clip(x, 0, 6),
    pieces.hard_sigmoid_forward: lambda x: np.clip(x + 3, 0, 6) / 6,
    pieces.hard_swish_forward: lambda x: x * np.clip(x + 3, 0, 6) / 6,
}
BACKWARD = {
    pieces.relu6_backward: lambda g, x: np.where((x <= 0) | (x >= 6), 0, g),
    pieces.hard_sigmoid_backward: lambda g, x: np.where((x > -3) & (x < 3), g / 6, 0),
    pieces.hard_swish_backward: lambda g, x: np.where(x <= -3, 0, np.where(x < 3, g * (x / 3 + 0.5), g)),
}
ENDS = [-3, 0, 3, 6, -0.0, np.nan, np.inf, -np.inf, 1e38, -1e38]


def numbers(dtype, count=70_001):
    """Return numbers around all pieces, with their ends, infinity and NaN; and gradients."""
    x = np.concatenate([np.linspace(-9, 9, count), ENDS, np.nextafter(ENDS[:4], 0), np.nextafter(ENDS[:4], 9)])
    return x.astype(dtype), np.cos(np.arange(len(x))).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [*FORWARD, *BACKWARD], ids=lambda kernel: kernel.__name__)
def test_the_definition(dtype, kernel):
    x, grad_out = numbers(dtype)
    arrays = (x,) if kernel in FORWARD else (grad_out, x)
    with np.errstate(invalid="ignore", over="ignore"):
        got, want = kernel(*arrays), {**FORWARD, **BACKWARD}[kernel](*arrays)
    assert got.dtype == dtype
    bar = 3e-7 if dtype == np.float32 else 1e-15
    np.testing.assert_allclose(got, want, rtol=bar, atol=bar)


@pytest.mark.parametrize("dtype", DTYPES)
def test_prelu_has_a_slope_for_each_channel(dtype):
    x, grad_out = (array[:60_000].reshape(10, 40, 50, 3) for array in map(np.roll, numbers(dtype), (30, 30)))
    slopes = np.array([0.25, -2, np.inf], dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        np.testing.assert_array_equal(pieces.prelu_forward(x, slopes), np.where(x > 0, x, slopes * x))
        grad_x, terms = pieces.prelu_backward(grad_out, x, slopes)
        np.testing.assert_array_equal(grad_x, np.where(x > 0, grad_out, slopes * grad_out))
        np.testing.assert_array_equal(terms, grad_out * np.minimum(x, 0))
    assert np.isnan(terms).any() and grad_x.dtype == terms.dtype == dtype


def everything(hold=np.ascontiguousarray):
    """Return the results of all kernels on some arrays."""
    results = []
    for dtype in DTYPES:
        for count in (0, 1, 70_001):
            x, grad_out = (hold(np.sin(np.arange(count) + shift).astype(dtype) * 9) for shift in (0, 1))
            results += [kernel(x) for kernel in FORWARD] + [kernel(grad_out, x) for kernel in BACKWARD]
        maps, grads = (hold(array[: 4 * 1_701 * 10].reshape(4, 1_701, 2, 5)) for array in (x, grad_out))
        slopes = hold(np.linspace(0.1, 0.9, 5, dtype=dtype))
        results += [pieces.prelu_forward(maps, slopes), *pieces.prelu_backward(grads, maps, slopes)]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)
