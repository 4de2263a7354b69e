"""A dense block in one buffer: batch norm, ReLU and 1 x 1 convolution read it, and new maps are appended."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv import bf16, densenet_block
from minitorch_kernels.gemm.microkernel import MR
from minitorch_kernels.layers import batch_norm_relu
from minitorch_kernels.runtime import simd

BARS = {np.float32: 1e-5, np.float64: 1e-12}
needs_bf16 = pytest.mark.skipif(not simd.supports(simd.PAIR), reason="no AVX512_BF16, or nothing is compiled")


class Case:
    """Random arrays of unit scale: a block, of which ``channels`` are read, and a 1 x 1 convolution."""

    def __init__(self, sizes, channels, filters, dtype, hold=np.ascontiguousarray):
        rng = np.random.default_rng([*sizes, channels, filters])
        self.channels, self.dtype = channels, dtype
        shapes = {"block": sizes, "scale": channels, "shift": channels, "weight": (filters, channels), "bias": filters}
        for name, shape in shapes.items():
            setattr(self, name, hold(rng.standard_normal(shape).astype(dtype)))

    def active(self):
        """Return the positive part of the normalised channels, in float64."""
        x = self.block[..., : self.channels].astype(np.float64)
        return np.maximum(x * self.scale + self.shift, 0)

    def product(self, **options):
        return densenet_block.activated_product(self.block, self.scale, self.shift, self.weight, self.bias, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=30, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(1, 9)),
    channels=st.integers(1, 450),
    behind=st.integers(0, 5),
    filters=st.integers(1, 40),
    relu=st.booleans(),
)
def test_batch_norm_relu_and_product_are_one(dtype, sizes, channels, behind, filters, relu):
    case = Case((*sizes, channels + behind), channels, filters, dtype)
    want = case.active() @ case.weight.T.astype(np.float64) + case.bias
    got = case.product(relu=relu)
    assert got.dtype == dtype and got.flags.c_contiguous
    want = np.maximum(want, 0) if relu else want
    np.testing.assert_allclose(got, want, rtol=0, atol=BARS[dtype] * 4 * np.sqrt(channels))  # rows are of scale up to 4


@needs_bf16
@settings(max_examples=30, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 2), st.integers(1, 9), st.integers(1, 9)),
    channels=st.integers(1, 450),
    behind=st.integers(0, 5),
    filters=st.integers(1, 40),
    relu=st.booleans(),
)
def test_in_bf16_they_have_the_bits_of_one_after_the_other(sizes, channels, behind, filters, relu):
    case = Case((*sizes, channels + behind), channels, filters, np.float32)
    active, plain = densenet_block.activated(case.block, case.scale, case.shift), {"stride": (1, 1), "dilation": (1, 1)}
    hyper = {**plain, "padding": (0,) * 4, "groups": 1, "relu": relu}
    want = bf16.conv2d_forward_bf16(active, case.weight[:, :, None, None], case.bias, **hyper)
    np.testing.assert_array_equal(case.product(relu=relu, bf16=True), want)


def test_without_a_register_tile_the_same(monkeypatch):
    case = Case((2, 5, 5, 20), 17, 9, np.float64)
    want = [case.product(relu=relu) for relu in (False, True)]
    monkeypatch.setattr(densenet_block, "supports", lambda dtype: False)
    for relu, expected in zip((False, True), want, strict=True):
        np.testing.assert_allclose(case.product(relu=relu), expected, rtol=0, atol=1e-12)


def test_channels_go_in_and_come_out():
    block, maps = np.zeros((2, 3, 4, 9), np.float32), np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    densenet_block.put_channels(maps, block, 3, 5)
    np.testing.assert_array_equal(densenet_block.take_channels(block, 3, 5), maps)
    assert not block[..., :3].any() and not block[..., 8:].any()
    densenet_block.put_channels(maps, block, 7, 2)  # the first two alone
    wider = densenet_block.take_channels(block, 7, 2, 16)
    np.testing.assert_array_equal(wider[..., :2], maps[..., :2])
    assert wider.shape[3] == 16 and not wider[..., 2:].any()


def test_activated_maps_may_have_more_channels_which_are_zero():
    case = Case((2, 5, 6, 9), 7, 3, np.float32)
    case.block[..., 7:] = np.nan  # channels that no layer has written yet
    maps = densenet_block.activated(case.block, case.scale, case.shift, 16)
    np.testing.assert_array_equal(maps[..., :7], densenet_block.activated(case.block, case.scale, case.shift))
    assert maps.shape[3] == 16 and not maps[..., 7:].any()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [8, 16])
def test_gradients_may_have_more_channels_which_are_not_read(training, channels):
    """Of 8, as many as the block has: then sums could take some pixels side by side."""
    case = Case((2, 4, 8, 8), 6, 3, np.float32)
    rng = np.random.default_rng(1)
    numbers = [rng.standard_normal(6).astype(np.float32) for _ in range(3)]
    plain, wide = rng.standard_normal((2, 4, 8, 6)).astype(np.float32), np.full((2, 4, 8, channels), np.nan, np.float32)
    wide[..., :6] = plain
    results = []
    for grad_out in (plain, wide):
        grad_block = np.ones_like(case.block)
        found = densenet_block.add_batch_norm_relu_gradient(
            grad_out, case.block, case.scale, case.shift, *numbers, grad_block, training=training
        )
        results.append((grad_block, *found))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_is_added_to_the_first_channels(training):
    case = Case((2, 5, 6, 7), 4, 3, np.float64)
    rng = np.random.default_rng(1)
    grad_out, grad_block = rng.standard_normal((2, 5, 6, 4)), rng.standard_normal((2, 5, 6, 7))
    numbers = rng.standard_normal(4), rng.random(4) + 0.5, rng.standard_normal(4)
    before, out, x = (
        grad_block.copy(),
        densenet_block.activated(case.block, case.scale, case.shift),
        case.block[..., :4].copy(),
    )
    np.testing.assert_allclose(out, case.active(), rtol=0, atol=1e-12)
    got = densenet_block.add_batch_norm_relu_gradient(
        grad_out, case.block, case.scale, case.shift, *numbers, grad_block, training=training
    )
    gate = batch_norm_relu.gate_of_output(out)
    grad_x, *want = batch_norm_relu.batch_norm_relu_backward(grad_out, gate, x, *numbers, training=training)
    np.testing.assert_allclose(grad_block[..., :4], before[..., :4] + grad_x, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(grad_block[..., 4:], before[..., 4:])
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


@given(pixels=st.integers(0, 10**6), threads=st.integers(1, 200))
def test_threads_get_equal_shares(pixels, threads):
    """Of whole tiles, the largest share is at most a tile for each chunk above the smallest possible one."""
    chunk = densenet_block._chunk_size(pixels, threads)
    assert chunk % MR == 0 and MR <= chunk <= densenet_block._CHUNK
    rounds = -(-pixels // (threads * chunk))
    assert rounds * chunk <= -(-pixels // threads) + rounds * MR


@pytest.mark.parametrize("options", [{}, pytest.param({"bf16": True}, marks=needs_bf16)], ids=["float32", "bf16"])
def test_nan_stays_in_its_pixel(options):
    case = Case((1, 4, 4, 6), 5, 3, np.float32)
    case.block[0, 1, 2, 0] = np.nan
    out = case.product(relu=True, **options)
    assert np.isnan(out[0, 1, 2]).all() and np.isnan(out).sum() == 3


def test_threads_do_not_change_a_bit(same_bits_for_any_threads):
    case = Case((3, 17, 16, 70), 65, 33, np.float32)
    same_bits_for_any_threads(lambda: (case.product(), densenet_block.activated(case.block, case.scale, case.shift)))


def test_nothing_is_read_or_written_outside_the_arrays(guarded):
    for dtype in (np.float32, np.float64):
        case = Case((2, 7, 8, 37), 35, 19, dtype, hold=guarded.hold)
        assert np.isfinite(case.product(relu=True)).all()


@needs_bf16
def test_threads_do_not_change_a_bit_in_bf16(same_bits_for_any_threads):
    case = Case((3, 17, 16, 70), 65, 33, np.float32)
    same_bits_for_any_threads(lambda: case.product(bf16=True))
