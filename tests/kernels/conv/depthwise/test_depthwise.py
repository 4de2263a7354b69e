"""Depthwise convolution: each channel with its own filter."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv import indirect
from minitorch_kernels.conv.depthwise import depthwise
from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.simd import nr

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

PANEL = nr(np.float32)


@pytest.mark.parametrize("channels", [PANEL, PANEL + 1, 2 * PANEL - 1, 3 * PANEL])
def test_each_channel_is_filtered_alone(channels):
    """The last panel overlaps the one before if the channels do not fill whole panels."""
    rng = np.random.default_rng(channels)
    x, weight = rng.standard_normal((2, 5, 6, channels)), rng.standard_normal((channels, 1, 3, 2))
    keywords = {"stride": (2, 1), "padding": (1, 0, 0, 2), "dilation": (1, 2), "groups": 1}
    out = depthwise.conv2d_forward_depthwise(x.astype(np.float32), weight.astype(np.float32), None, **keywords)
    for c in range(channels):
        alone = indirect.conv2d_forward_indirect(x[..., c : c + 1].copy(), weight[c : c + 1], **keywords)
        np.testing.assert_allclose(out[..., c], alone[..., 0], atol=1e-5)


def test_rows_are_cut_into_pieces_that_all_count(monkeypatch):
    monkeypatch.setattr(depthwise, "row_sum_plan", lambda *shape: None)  # which plans for whole rows
    x, weight = np.ones((3, 9, 4, PANEL), np.float32), np.ones((PANEL, 1, 3, 3), np.float32)
    keywords = {"stride": (1, 1), "padding": (1,) * 4, "dilation": (1, 1), "groups": 1}
    results = []
    for size in (1, 1 << 10, 1 << 20):  # one row per segment, some, all
        monkeypatch.setattr(depthwise, "_PIECE_BYTES", size)
        out = depthwise.conv2d_forward_depthwise(x, weight, None, **keywords)
        results.append((out, depthwise.conv2d_backward_weight_depthwise(x, out, kernel_size=(3, 3), **keywords)))
    rows, columns = np.r_[2, np.full(7, 3), 2], np.r_[2, 3, 3, 2]
    for out, grad in results:
        np.testing.assert_array_equal(out[1, :, :, 0], np.outer(rows, columns))
        np.testing.assert_allclose(grad, results[0][1], rtol=1e-6)
    assert results[0][1][0, 0, 1, 1] == 3 * rows.sum() * columns.sum()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_weight_gradients_by_rows_and_by_regions_agree(data):
    def integers(low, high):
        return data.draw(st.tuples(*[st.integers(low, high)] * 2))

    stride, (top, left), (bottom, right), dilation = integers(1, 2), integers(0, 3), integers(0, 3), integers(1, 2)
    size, channels = integers(3, 12), PANEL + data.draw(st.integers(0, 3))
    padding, spans = (top, bottom, left, right), [2 * d + 1 for d in dilation]
    out = [(size[k] + padding[2 * k] + padding[2 * k + 1] - spans[k]) // stride[k] + 1 for k in (0, 1)]
    assume(min(out) >= 1)
    rng = np.random.default_rng(0)
    x, grad_out = rng.standard_normal((2, *size, channels)), rng.standard_normal((2, *out, channels))
    keywords = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 1}
    by_rows = depthwise.conv2d_backward_weight_depthwise(x, grad_out, kernel_size=(3, 3), **keywords)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise, "row_sum_plan", lambda *shape: None)
        by_regions = depthwise.conv2d_backward_weight_depthwise(x, grad_out, kernel_size=(3, 3), **keywords)
    np.testing.assert_allclose(by_rows, by_regions, rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(st.integers(1, 12), st.integers(1, 12)), channels=st.integers(PANEL, PANEL + 3))
def test_input_gradients_of_stride_two_by_rows_and_by_regions_agree(size, channels):
    rng, out_size = np.random.default_rng(0), [-(-n // 2) for n in size]
    grad_out, weight = rng.standard_normal((2, *out_size, channels)), rng.standard_normal((channels, 1, 3, 3))
    keywords = {"stride": (2, 2), "padding": (1,) * 4, "dilation": (1, 1), "groups": 1}
    by_rows = depthwise.conv2d_backward_input_depthwise(grad_out, weight, input_size=size, **keywords)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(depthwise, "_spreads", lambda *shape: False)
        by_regions = depthwise.conv2d_backward_input_depthwise(grad_out, weight, input_size=size, **keywords)
    np.testing.assert_allclose(by_rows, by_regions, rtol=0, atol=1e-12)


def test_rows_of_taps_outside_the_image_sum_to_zero_whatever_is_in_it():
    """They are read from its first and last row: in an image of one row, from that row."""
    x, grad_out = np.ones((1, 1, 6, PANEL), np.float32), np.ones((1, 1, 6, PANEL), np.float32)
    x[0, 0, 2] = np.inf
    grad = depthwise.conv2d_backward_weight_depthwise(
        x, grad_out, kernel_size=(3, 3), stride=(1, 1), padding=(1,) * 4, dilation=(1, 1), groups=1
    )
    np.testing.assert_array_equal(grad[3, 0], [[0, 0, 0], [np.inf, np.inf, np.inf], [0, 0, 0]])


def test_which_weight_gradients_go_by_rows():
    shape = {"size": (8, 8), "out_size": (8, 8), "channels": PANEL, "kernel_size": (3, 3), "stride": (1, 1)}
    shape |= {"padding": (1,) * 4, "dilation": (1, 1), "lanes": PANEL}
    assert depthwise.row_sum_plan(*shape.values()) is not None
    wide = {"kernel_size": (3, 5), "padding": (1, 1, 2, 2)}
    for other in (wide, {"dilation": (1, 2)}, {"stride": (1, 3)}, {"padding": (1, 1, 2, 0)}):
        assert depthwise.row_sum_plan(*(shape | other).values()) is None


def test_which_convolutions_fit():
    assert depthwise.supports(PANEL, PANEL, PANEL, np.float32)
    assert not depthwise.supports(PANEL - 1, PANEL - 1, PANEL - 1, np.float32)
    assert not depthwise.supports(PANEL, 2 * PANEL, PANEL, np.float32)
    assert not depthwise.supports(PANEL, PANEL, 1, np.float32)


def test_pixels_that_see_no_tap_get_the_bias_forward_and_zero_backward():
    """One tap at stride 3, in an image with two pixels of padding: columns 1, 4, 7 of the padded rows are read."""
    x, weight = np.full((1, 4, 4, PANEL), 2, np.float32), np.full((PANEL, 1, 1, 1), 5, np.float32)
    keywords = {"stride": (3, 3), "padding": (2,) * 4, "dilation": (1, 1), "groups": 1}
    out = depthwise.conv2d_forward_depthwise(x, weight, np.ones(PANEL, np.float32), **keywords)
    np.testing.assert_array_equal(out[0, :, :, 0], [[1, 1, 1], [1, 11, 1], [1, 1, 1]])
    grad_x = depthwise.conv2d_backward_input_depthwise(out, weight, input_size=(4, 4), **keywords)
    expected = np.zeros((4, 4))
    expected[1, 1] = 55
    np.testing.assert_array_equal(grad_x[0, :, :, 0], expected)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
def test_threads_do_not_change_a_bit(same_bits_for_any_threads, stride):
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(s, np.float32) for s in ((3, 9, 8, 2 * PANEL + 1), (2 * PANEL + 1, 1, 3, 3)))
    keywords = {"stride": stride, "padding": (1,) * 4, "dilation": (1, 1), "groups": 1}

    def call():
        out = depthwise.conv2d_forward_depthwise(x, weight, None, **keywords)
        grad_x = depthwise.conv2d_backward_input_depthwise(out, weight, input_size=(9, 8), **keywords)
        return out, grad_x, depthwise.conv2d_backward_weight_depthwise(x, out, kernel_size=(3, 3), **keywords)

    same_bits_for_any_threads(call)
