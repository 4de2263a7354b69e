"""A convolution of maps of few pixels: the textbook's results, inside its own memory, on any threads."""

import numpy as np
import pytest

from minitorch_kernels.conv import selection, small_map
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

DTYPES = np.float32, np.float64
FUNCTIONS = {
    "forward": small_map.conv2d_forward_small_map,
    "input_gradient": small_map.conv2d_backward_input_small_map,
    "weight_gradient": small_map.conv2d_backward_weight_small_map,
}


@pytest.fixture(scope="module")
def problems(many_convolutions):
    """Those of one group: the algorithm computes any of them, though it is slow on large maps."""
    found = [p for p in many_convolutions if p.hyper["groups"] == 1 and p.grad_out.size and p.grad_out.shape[-1] < 9]
    assert len(found) > 10
    assert any(p.hyper["stride"] != (1, 1) for p in found)
    assert any(p.hyper["dilation"] != (1, 1) for p in found)
    assert any(any(p.hyper["padding"]) for p in found)
    return found


def problem_of(**changes):
    """Return 2 x 2 pixels, 3 x 3 filters and padding 1, with changes."""
    square = dict.fromkeys(("input_size", "output_size"), (2, 2)) | {"kernel_size": (3, 3)}
    window = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    many = {"images": 128, "block": 128, "in_channels": 512, "out_channels": 512, "dtype": np.dtype(np.float32)}
    return selection.Problem(**{**many, **square, **window, **changes})


def test_the_textbook_agrees(problems):
    for problem in problems:
        problem.check(**FUNCTIONS)


def test_a_window_in_the_padding_gives_the_bias():
    x, weight, bias = np.ones((2, 1, 1, 3), np.float32), np.ones((2, 3, 1, 1), np.float32), np.float32([5, -5])
    hyper = {"stride": (1, 1), "padding": (1, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    for relu, expected in ((False, [[5, -5], [8, -2]]), (True, [[5, 0], [8, 0]])):
        got = small_map.conv2d_forward_small_map(x, weight, bias, **hyper, relu=relu)
        np.testing.assert_array_equal(got, np.broadcast_to(np.float32(expected)[:, None], (2, 2, 1, 2)))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads, problems):
    def compute():
        for p in problems[-12:]:
            for dtype in DTYPES:
                yield p.forward(FUNCTIONS["forward"], dtype)
                yield p.input_gradient(FUNCTIONS["input_gradient"], dtype)
                yield p.weight_gradient(FUNCTIONS["weight_gradient"], dtype)

    same_bits_for_any_threads(lambda: list(compute()))


def test_nothing_is_read_or_written_outside_the_arrays(guarded, problems):
    for problem in problems[-30:]:
        for dtype in DTYPES:
            assert np.isfinite(problem.forward(FUNCTIONS["forward"], dtype, guarded.hold)).all(), repr(problem)
            problem.input_gradient(FUNCTIONS["input_gradient"], dtype, guarded.hold)
            problem.weight_gradient(FUNCTIONS["weight_gradient"], dtype, guarded.hold)
            guarded.check()


def test_where_it_is_faster():
    assert small_map.is_faster(problem_of()) and small_map.weight_is_faster(problem_of())
    assert not small_map.is_faster(problem_of(block=8))
    assert not small_map.is_faster(problem_of(in_channels=16))
    assert not small_map.is_faster(problem_of(input_size=(3, 3), output_size=(3, 3)))  # 49 multiplications, Winograd 36
    assert not small_map.is_faster(problem_of(output_size=(4, 4), padding=(2, 2, 2, 2)))  # too many pixels
    assert not small_map.is_faster(problem_of(kernel_size=(1, 1), padding=(0, 0, 0, 0)))  # no window leaves the map
    assert not small_map.is_faster(problem_of(padding=(9, 9, 9, 9)))  # every window does
    one = problem_of(input_size=(1, 1), output_size=(1, 1))
    assert small_map.is_faster(one) and not small_map.weight_is_faster(one)  # 8 of 9 taps have no pixel


@pytest.mark.parametrize("relu", [False, True])
def test_the_table_takes_it_for_two_by_two_pixels(relu):
    problem = problem_of(images=64, block=64, in_channels=64, out_channels=96)
    choice = selection.choose(problem)
    assert {own.name for own in choice} == {"small_map"}
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.standard_normal(s).astype(np.float32) for s in ((64, 2, 2, 64), (96, 64, 3, 3), 96))
    hyper = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
    got = choice.forward.function(x, weight, bias, **hyper, relu=relu)
    wide = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2))  # (N, 2, 2, C, 3, 3)
    expected = np.einsum("nijcuv,ocuv->nijo", windows, weight) + bias
    np.testing.assert_allclose(got, np.maximum(expected, 0) if relu else expected, rtol=0, atol=2e-4)
