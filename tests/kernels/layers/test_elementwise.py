"""Activations and cross-entropy: NumPy's values, also for NaN, infinities, signed zeros and subnormals."""


import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minitorch_kernels.layers import elementwise

DTYPES = [np.float32, np.float64]
ULPS = {np.float32: 1e-5, np.float64: 1e-12}


def special(dtype):
    """Return the values at which formulas break."""
    info = np.finfo(dtype)
    positive = [0.0, info.smallest_subnormal, info.tiny, 0.5, 1.0, 88.0, info.max, np.inf, np.nan]
    return np.array(positive + [-number for number in positive], dtype)


def vectors(dtype):
    """Return a strategy of any floats, including NaN and infinities."""
    return arrays.arrays(dtype, st.integers(0, 50), elements=st.floats(width=np.dtype(dtype).itemsize * 8))


def same_bits(got, want):
    """Require equal values, zeros with equal signs, and NaN where NaN is wanted."""
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got[want == 0]), np.signbit(want[want == 0]))


# ---------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_relu_is_numpys(dtype, data):
    x = np.concatenate([data.draw(vectors(dtype)), special(dtype)])
    grad_out = np.resize(special(dtype)[::-1], x.shape)
    out = elementwise.relu_forward(x)
    same_bits(out, np.where(x <= 0, dtype(0), x))
    same_bits(elementwise.relu_backward(grad_out, out), np.where(x <= 0, dtype(0), grad_out))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_relu_in_place_of_an_array_or_a_sum(dtype):
    x, residual = np.meshgrid(special(dtype), special(dtype))
    for given_residual, want in ((None, x), (residual, x + residual)):
        got = x.copy()
        elementwise.relu_in_place(got, given_residual)
        same_bits(got, np.where(want <= 0, dtype(0), want))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_tanh_is_numpys(dtype, data):
    x = np.concatenate([data.draw(vectors(dtype)), special(dtype)])
    grad_out = np.linspace(-2, 2, len(x), dtype=dtype)
    out = elementwise.tanh_forward(x)
    info = np.finfo(dtype)
    np.testing.assert_allclose(out, np.tanh(x), rtol=5 * info.eps, atol=info.smallest_subnormal)
    assert out.dtype == dtype and np.all((np.abs(out) <= 1) | np.isnan(x))
    np.testing.assert_array_equal(np.signbit(out[x == 0]), np.signbit(x[x == 0]))
    want = grad_out * (1 - out * out)  # rounds out * out, which matters where it is nearly 1
    np.testing.assert_allclose(elementwise.tanh_backward(grad_out, out), want, rtol=ULPS[dtype], atol=4 * info.eps)


def test_tanh_is_odd_and_exact_to_5_units_everywhere():
    x = np.concatenate([np.linspace(0, 12, 200_001), np.geomspace(1e-37, 1e-2, 20_000)]).astype(np.float32)
    out, exact = elementwise.tanh_forward(x), np.tanh(x.astype(np.float64))
    assert np.max(np.abs(out - exact)[1:] / np.spacing(exact[1:].astype(np.float32))) < 5
    np.testing.assert_array_equal(elementwise.tanh_forward(-x), -out)
    assert elementwise.tanh_forward(np.array([9.1, np.inf], np.float32)).tolist() == [1, 1]


def test_relu_of_minus_zero_is_plus_zero_and_its_slope_at_zero_is_zero():
    x = np.array([-0.0, 0.0, np.nan, 1e-45], np.float32)
    out = elementwise.relu_forward(x)
    assert not np.signbit(out[:2]).any() and np.isnan(out[2]) and out[3] > 0
    np.testing.assert_array_equal(elementwise.relu_backward(np.full(4, 7, np.float32), out), [0, 0, 7, 7])


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50, deadline=None)
@given(data=st.data(), slope=st.sampled_from([0.0, 0.01, 1.0, -0.5]))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_leaky_relu_is_numpys(dtype, slope, data):
    x = np.concatenate([data.draw(vectors(dtype)), special(dtype)])
    grad_out = np.resize(special(dtype)[::-1], x.shape)
    same_bits(elementwise.leaky_relu_forward(x, slope), np.where(x <= 0, x * dtype(slope), x))
    got = elementwise.leaky_relu_backward(grad_out, x, slope)
    same_bits(got, np.where(x > 0, grad_out, grad_out * dtype(slope)))


# -------------------------------------------------------------------------------- cross-entropy


def cross_entropy(logits, labels, smoothing, scale):
    """Return losses, probabilities and gradient of the logits, in float64."""
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    target = np.full(logits.shape, smoothing / logits.shape[1])
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return -(target * logs).sum(1), np.exp(logs), (np.exp(logs) - target) * scale[:, None]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(
    images=st.integers(1, 6),
    classes=st.integers(1, 20),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    size=st.sampled_from([0.0, 1.0, 50.0]),
    seed=st.integers(0, 99),
)
def test_cross_entropy_is_numpys(dtype, images, classes, smoothing, size, seed):
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((images, classes)) * size).astype(dtype)
    labels, scale = rng.integers(0, classes, images), rng.standard_normal(images).astype(dtype)
    expected = cross_entropy(logits, labels, smoothing, scale)
    losses, probabilities = elementwise.softmax_cross_entropy_forward(logits, labels, smoothing)
    grad = elementwise.softmax_cross_entropy_backward(probabilities, labels, smoothing, scale)
    for got, want in zip((losses, probabilities, grad), expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=ULPS[dtype], atol=ULPS[dtype])


def test_cross_entropy_by_hand():
    logits = np.log(np.array([[1.0, 2.0, 5.0], [1.0, 1.0, 2.0]]))
    losses, probabilities = elementwise.softmax_cross_entropy_forward(logits, np.array([2, 0]), 0.0)
    np.testing.assert_allclose(probabilities, [[1 / 8, 2 / 8, 5 / 8], [1 / 4, 1 / 4, 2 / 4]], rtol=1e-15)
    np.testing.assert_allclose(losses, [np.log(8 / 5), np.log(4)], rtol=1e-15)
    grad = elementwise.softmax_cross_entropy_backward(probabilities, np.array([2, 0]), 0.0, np.array([8.0, 4.0]))
    np.testing.assert_allclose(grad, [[1, 2, -3], [-3, 1, 2]], rtol=1e-14)


def test_huge_logits_do_not_overflow():
    logits = np.array([[3e38, -3e38, 0.0], [-3e38, -3e38, -3e38]], np.float32)
    losses, probabilities = elementwise.softmax_cross_entropy_forward(logits, np.array([0, 1]), 0.0)
    np.testing.assert_allclose(losses, [0, np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(probabilities, [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_one_nan_spoils_its_row_alone(column):
    logits = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    logits[1, column] = np.nan
    losses, probabilities = elementwise.softmax_cross_entropy_forward(logits, np.array([0, 0]), 0.0)
    assert np.isfinite(losses[0]) and np.isnan(losses[1])
    assert np.isfinite(probabilities[0]).all() and np.isnan(probabilities[1]).all()


def test_a_logit_of_minus_infinity_is_a_class_that_is_ruled_out():
    logits, labels = np.array([[-np.inf, 0.0, 0.0], [-np.inf, 0.0, 0.0], [np.inf, 0.0, 0.0]]), np.array([1, 0, 1])
    losses, probabilities = elementwise.softmax_cross_entropy_forward(logits, labels, 0.0)
    np.testing.assert_array_equal(probabilities[:2], [[0, 0.5, 0.5]] * 2)
    np.testing.assert_allclose(losses, [np.log(2), np.inf, np.nan], rtol=1e-15)
    grad = elementwise.softmax_cross_entropy_backward(probabilities, labels, 0.0, np.ones(3))
    np.testing.assert_array_equal(grad[:2], [[0, -0.5, 0.5], [-1, 0.5, 0.5]])
    smoothed, _ = elementwise.softmax_cross_entropy_forward(logits[:1], labels[:1], 0.1)
    np.testing.assert_array_equal(smoothed, [np.inf])


# ------------------------------------------------------------------------------ memory, threads


def everything(hold=np.ascontiguousarray):
    """Return the results of all functions on some arrays."""
    results = []
    for dtype in DTYPES:
        for count in (0, 1, 10, 5001):
            x, grad = (hold(np.sin(np.arange(count) + shift).astype(dtype)) for shift in (0, 1))
            out = elementwise.relu_forward(x)
            results += [out, elementwise.relu_backward(grad, hold(out))]
            total = hold(x.copy())
            elementwise.relu_in_place(total, grad)
            results += [total, elementwise.leaky_relu_forward(x, 0.1), elementwise.leaky_relu_backward(grad, x, 0.1)]
        logits, labels = hold(np.sin(np.arange(210.0)).reshape(30, 7).astype(dtype)), hold(np.arange(30) % 7)
        losses, probabilities = elementwise.softmax_cross_entropy_forward(logits, labels, 0.1)
        grad = elementwise.softmax_cross_entropy_backward(hold(probabilities), labels, 0.1, hold(losses))
        results += [losses, probabilities, grad]
    return results


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    assert all(np.isfinite(array).all() for array in everything(guarded.hold))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    same_bits_for_any_threads(everything)


@pytest.mark.parametrize("size", [7, 64])  # few elements go to NumPy, many to the kernel
@pytest.mark.parametrize("order", ["alike", "unlike", "with gaps"])
@pytest.mark.parametrize(("combined", "numpys"), [(elementwise.add, np.add), (elementwise.multiply, np.multiply)])
def test_sums_and_products_of_two_arrays_in_any_memory_order(combined, numpys, size, order):
    x, y = np.random.default_rng(0).standard_normal((2, 4, size, size, 3)).astype(np.float32)
    x, y = (a.transpose(0, 3, 1, 2) for a in (x, y))
    if order == "unlike":
        y = np.ascontiguousarray(y)
    if order == "with gaps":
        x, y = (np.repeat(a, 2, -1)[..., ::2] for a in (x, y))
    got = combined(x, y)
    np.testing.assert_array_equal(got, numpys(x, y))
    assert not any(np.may_share_memory(got, a) for a in (x, y))
    assert order != "alike" or got.strides == x.strides


@pytest.mark.parametrize("size", [7, 64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_and_products_whose_shapes_broadcast(size, dtype):
    x = np.random.default_rng(0).standard_normal((4, size, size, 5)).astype(dtype)
    for maps in (x.transpose(0, 3, 1, 2), np.ascontiguousarray(x.transpose(0, 3, 1, 2))):
        for y in (maps[:, :, :1, 1:2], maps[1:2, :, :1, :1], maps[:1], maps[:, :1], maps[2, 0], dtype(3)):
            for got, wanted in (
                (elementwise.add(maps, y), maps + y),
                (elementwise.multiply(maps, y), maps * y),
                (elementwise.add(y, maps), maps + y),
                (elementwise.multiply(y, maps), maps * y),
            ):
                assert got.dtype == dtype and not np.may_share_memory(got, maps)
                np.testing.assert_array_equal(got, wanted)
