"""Batch norm, ReLU and pooling as one: the results of the three kernels in a row, inside their own memory."""

import re

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.layers import batch_norm, batch_norm_relu, elementwise, pool
from minitorch_kernels.runtime.jit import jit_enabled
from minitorch_kernels.runtime.simd import VECTOR_BYTES
from tests.kernels.assembly import compiled_assembly

BARS = {np.float32: 1e-4, np.float64: 1e-11}


class Case:
    """Random maps and numbers per channel, and the results of the kernels that are fused."""

    def __init__(self, shape, size, dtype, seed=0, hold=np.ascontiguousarray):
        rng = np.random.default_rng([seed, *shape, size])
        images, height, width, channels = shape
        self.size, self.dtype = size, dtype
        out_shape = images, height // size, width // size, channels
        self.x, self.grad_out = (hold(rng.standard_normal(s).astype(dtype)) for s in (shape, out_shape))
        numbers = (rng.standard_normal(channels), rng.random(channels) + 0.5, rng.standard_normal(channels))
        self.gamma, self.inv_std, beta = (hold(n.astype(dtype)) for n in numbers)
        self.mean = hold(rng.standard_normal(channels).astype(dtype))
        self.scale = hold(self.gamma * self.inv_std)
        self.shift = hold(beta - self.mean * self.scale)

    def fused(self, training):
        """Return out, grad_x, grad_gamma and grad_beta of the fused kernels."""
        if self.size == 1:
            out, pooled = batch_norm_relu.batch_norm_relu_forward(self.x, self.scale, self.shift), None
            gate = batch_norm_relu.Gate(self.x, self.scale, self.shift)
        else:
            out, argmax, deviations = batch_norm_relu.batch_norm_relu_pool_forward(
                self.x, self.mean, self.scale, self.shift, self.size
            )
            pooled, gate = (self.size, argmax, deviations), batch_norm_relu.gate_of_output(out)
        numbers = self.mean, self.inv_std, self.gamma
        return out, *batch_norm_relu.batch_norm_relu_backward(
            self.grad_out, gate, self.x, *numbers, training=training, pooled=pooled
        )

    def in_a_row(self, training):
        """Return the same of batch norm, ReLU and max pooling, one after the other."""
        normal = batch_norm.batch_norm_apply(self.x, self.scale, self.shift)
        positive = elementwise.relu_forward(normal.reshape(-1)).reshape(normal.shape)
        window = {"kernel_size": (self.size,) * 2, "stride": (self.size,) * 2, "padding": (0,) * 4}
        out, argmax = pool.max_pool2d_forward(positive, **window)
        grad = pool.max_pool2d_backward(self.grad_out, argmax, input_size=self.x.shape[1:3], **window)
        grad = elementwise.relu_backward(grad.reshape(-1), positive.reshape(-1)).reshape(grad.shape)
        grad_x, *others = batch_norm.batch_norm_backward(grad, self.x, self.mean, self.inv_std, self.gamma)
        return out, grad_x if training else grad * self.scale, *others

    def check(self, training):
        (out, *gradients), (expected_out, *expected) = self.fused(training), self.in_a_row(training)
        np.testing.assert_array_equal(out, expected_out)
        for got, want in zip(gradients, expected, strict=True):
            assert got.dtype == self.dtype
            np.testing.assert_allclose(got, want, rtol=0, atol=BARS[self.dtype] * max(1, np.abs(want).max(initial=0)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 4),
    batch=st.integers(1, 3),
    extra=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    channels=st.integers(1, 40),
)
def test_one_operation_is_three_in_a_row(dtype, training, size, batch, extra, channels):
    Case((batch, size + extra[0], size + extra[1], channels), size, dtype).check(training)


@pytest.mark.parametrize("size", [1, 2, 15])
def test_large_maps(size):
    Case((9, 33, 30, 64), size, np.float32).check(True)


@pytest.mark.parametrize("size", [1, 2])
def test_nan_is_the_largest_and_spoils_no_other_gradient(size):
    case = Case((1, 4, 4, 3), size, np.float32)
    case.x[0, 1, 1, 1] = np.nan
    out = case.fused(True)[0]
    assert np.isnan(out[0, 1 // size, 1 // size, 1]) and np.isnan(out).sum() == 1
    grad_x, _, grad_beta = case.fused(False)[1:]
    grad_x[0, 1, 1, 1] = 0
    assert np.isfinite(grad_x).all() and np.isfinite(grad_beta).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_relu_stops_has_no_share_in_the_gradient_of_gamma(size, bad, dtype):
    """The three kernels in a row multiply a gradient of 0 by the pixel, so the rule is written out here."""
    case = Case((2, 6, 6, 5), size, dtype)
    case.x[0, 0, 1] = case.x[1, 4, 4] = bad  # inf * scale is -inf in some channels, which ReLU makes 0
    out, grad_x, grad_gamma, grad_beta = case.fused(False)
    expected_out, expected_x, _, expected_beta = case.in_a_row(False)
    np.testing.assert_array_equal(out, expected_out)
    np.testing.assert_allclose(grad_x, expected_x, rtol=0, atol=BARS[dtype])
    np.testing.assert_allclose(grad_beta, expected_beta, rtol=0, atol=BARS[dtype])
    passed = expected_x != 0
    terms = np.where(passed, expected_x, 0) / case.scale * np.where(passed, case.x - case.mean, 0) * case.inv_std
    np.testing.assert_allclose(grad_gamma, terms.sum((0, 1, 2)), rtol=0, atol=10 * BARS[dtype])
    assert np.isnan(bad) or np.isfinite(grad_gamma).any()  # where scale * bad is -inf


def test_of_equal_values_the_first_takes_the_gradient():
    ones, zeros = np.ones(1), np.zeros(1)
    x = np.ones((1, 2, 2, 1))
    out, argmax, deviations = batch_norm_relu.batch_norm_relu_pool_forward(x, zeros, ones, zeros, 2)
    pooled = 2, argmax, deviations
    grad_x, _, _ = batch_norm_relu.batch_norm_relu_backward(
        out, batch_norm_relu.gate_of_output(out), x, zeros, ones, ones, training=False, pooled=pooled
    )
    np.testing.assert_array_equal(grad_x[0, :, :, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize("size", [1, 2])
def test_threads_do_not_change_a_bit(same_bits_for_any_threads, size):
    case = Case((5, 17, 16, 33), size, np.float32)
    same_bits_for_any_threads(lambda: case.fused(True))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_nothing_is_read_or_written_outside_the_arrays(guarded, size):
    for dtype in (np.float32, np.float64):
        case = Case((2, 7, 8, 35), size, dtype, hold=guarded.hold)
        assert all(np.isfinite(array).all() for array in case.fused(True))


@pytest.mark.skipif(VECTOR_BYTES != 32 or not jit_enabled(), reason="reads AVX2 assembly")
@pytest.mark.parametrize("kernel", [batch_norm_relu._activate_and_pool, pool._max_forward])
def test_the_choice_of_the_largest_fills_the_lanes_and_no_mask_is_stored(kernel):
    f, i = numba.float32, numba.int64
    maps, places = f[:, :, :, ::1], numba.uint8[:, :, :, ::1]
    signatures = {
        batch_norm_relu._activate_and_pool: (maps, f[::1], f[::1], f[::1], i, maps, places, maps),
        pool._max_forward: (maps, numba.types.NamedUniTuple(i, 6, pool.Window), maps, places),
    }
    assembly = compiled_assembly(kernel, signatures[kernel])
    assert re.search(r"vblendvps\t%ymm", assembly) and not re.search(r"vmaskmovps\t%ymm\d+, %ymm", assembly)
