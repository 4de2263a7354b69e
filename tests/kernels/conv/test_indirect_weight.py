"""The indirect weight gradient: the textbook's results for any number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels.conv import indirect_weight
from minitorch_kernels.gemm.microkernel import MR
from minitorch_kernels.runtime import simd
from minitorch_kernels.runtime.simd import nr

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no register tile fits this machine")

gradient = indirect_weight.conv2d_backward_weight_indirect


def test_small_convolutions_agree_with_the_textbook(many_convolutions):
    for problem in many_convolutions:
        problem.check(weight_gradient=gradient)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_convolution_agrees_with_the_textbook(some_convolution, data):
    data.draw(some_convolution).check(weight_gradient=gradient)


def test_large_convolutions(large_convolutions):
    for problem in large_convolutions:
        problem.check(weight_gradient=gradient)


@pytest.mark.oracle
def test_pytorch_agrees(large_convolutions):
    torch = pytest.importorskip("torch")
    for problem in large_convolutions:
        top, bottom, left, right = problem.hyper["padding"]
        keywords = {name: problem.hyper[name] for name in ("stride", "dilation", "groups")}
        weight = torch.tensor(problem.weight, requires_grad=True)
        padded = torch.nn.functional.pad(torch.tensor(problem.x), (left, right, top, bottom))
        torch.nn.functional.conv2d(padded, weight, **keywords).backward(torch.tensor(problem.grad_out))
        got = problem.weight_gradient(gradient, np.float64)
        np.testing.assert_allclose(got, weight.grad, atol=1e-11, err_msg=repr(problem))


def test_threads_do_not_change_a_bit(same_bits_for_any_threads, large_convolutions):
    same_bits_for_any_threads(
        lambda: [
            problem.weight_gradient(gradient, dtype)
            for problem in large_convolutions
            for dtype in (np.float32, np.float64)
        ]
    )


def test_nothing_is_read_or_written_outside_the_arrays(guarded, many_convolutions, large_convolutions):
    for problem in [*many_convolutions[:100], *large_convolutions]:
        for dtype in (np.float32, np.float64):
            result = problem.weight_gradient(gradient, dtype, guarded.hold)
            assert np.isfinite(result).all(), repr(problem)
        guarded.check()
        guarded.blocks.clear()
    problem.weight_gradient(gradient, np.float32)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_the_weights_of_their_products(poisoned, value):
    for problem in poisoned(value):
        problem.check_poison(weight_gradient=gradient)


def test_images_are_cut_into_chunks_that_all_count():
    """More images than fit into the cache at once: the contribution of each image is in the sum."""
    images = 40
    x = np.zeros((images, 32, 32, 16), np.float32)  # 64 KiB an image, so a chunk holds about ten
    x[np.arange(images), 5, 7, np.arange(images) % 16] = np.arange(1, images + 1)
    grad_out = np.ones((images, 32, 32, 1), np.float32)
    keywords = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    expected = np.bincount(np.arange(images) % 16, np.arange(1, images + 1))
    np.testing.assert_array_equal(gradient(x, grad_out, **keywords).reshape(-1), expected)


def test_splits_of_fewer_images_than_others_may_have_an_empty_chunk():
    """Of 17 images in 16 splits one has two, each a chunk of its own, and a row is longer than a block."""
    x, grad_out = np.zeros((17, 20, 210, 64), np.float32), np.ones((17, 20, 210, 1), np.float32)
    x[:, 3, 205, 5] = 1
    keywords = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}
    np.testing.assert_array_equal(gradient(x, grad_out, **keywords).reshape(-1), 17 * (np.arange(64) == 5))


def test_rows_that_end_as_far_from_the_first_as_adjacent_ones_would():
    """The rows of the tile read elements 0, 1, MR-2, MR-1, and the last again until it is full: not consecutive."""
    channels = MR - 2
    x, grad_out = np.arange(2.0 * channels).reshape(1, 1, 2, channels), np.ones((1, 1, 1, channels // 2))
    keywords = {"kernel_size": (1, 2), "stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1)}
    got = gradient(x, grad_out, groups=channels // 2, **keywords)
    np.testing.assert_array_equal(got[:, :, 0], x[0, 0].T.reshape(channels // 2, 2, 2))


@pytest.mark.parametrize(("images", "groups"), [(1, 1), (6, 1), (3, 2)])
def test_panels_are_shared_out_where_there_are_few_other_tasks(images, groups):
    """With one image, every panel is its own task; with six images, tasks have two, two and one panels."""
    rng, columns = np.random.default_rng(images), 5 * nr(np.float32) - 3
    x, grad_out = rng.standard_normal((images, 4, 5, 3 * groups)), rng.standard_normal((images, 4, 5, columns * groups))
    keywords = {"kernel_size": (1, 1), "stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": groups}
    got = gradient(x.astype(np.float32), grad_out.astype(np.float32), **keywords)[..., 0, 0]
    parts = (a.reshape(images, 4, 5, groups, -1) for a in (x, grad_out))
    expected = np.einsum("nhwgc,nhwgo->goc", *parts).reshape(got.shape)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_no_images_give_zeros():
    keywords = {"kernel_size": (3, 3), "stride": (1, 1), "padding": (1,) * 4, "dilation": (1, 1), "groups": 2}
    got = gradient(np.zeros((0, 5, 5, 4), np.float32), np.zeros((0, 5, 5, 6), np.float32), **keywords)
    np.testing.assert_array_equal(got, np.zeros((6, 2, 3, 3), np.float32))
