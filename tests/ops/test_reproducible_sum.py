"""Sums over samples in blocks: bitwise the blocks added up in pairs, in one process or several."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops
from minitorch_cnn.ops.reproducible_sum import add_up, block_size, in_blocks, of_blocks, sums_over_samples

SAMPLES = 8


def gradients(op, x, grad_out, *parameters):
    """Return the gradients of parameters for some samples."""
    tensors = [Tensor(parameter, requires_grad=True) for parameter in parameters]
    op(Tensor(x), *tensors).backward(grad_out)
    return [tensor.grad for tensor in tensors]


CASES = {
    "conv2d": (lambda *arguments: ops.conv2d(*arguments, padding=1), (3, 6, 6), (4, 6, 6), (4, 3, 3, 3), (4,)),
    "winograd": (
        lambda *arguments: ops.conv2d(*arguments, padding=1),
        (16, 16, 16),
        (16, 16, 16),
        (16, 16, 3, 3),
        (16,),
    ),
    "linear": (ops.linear, (20,), (5,), (5, 20), (5,)),
    "scaled": (ops.mul, (3, 4), (3, 4), (3, 1)),
    "group norm": (lambda x, *affine: ops.group_norm(x, 2, *affine), (6, 5, 3), (6, 5, 3), (6,), (6,)),
    "layer norm": (lambda x, *affine: ops.layer_norm(x, (4, 2), *affine), (3, 4, 2), (3, 4, 2), (4, 2), (4, 2)),
}


@pytest.mark.parametrize("case", CASES)
def test_four_blocks_are_two_times_two_and_four_times_one(case):
    op, x_shape, out_shape, *shapes = CASES[case]
    stream = np.random.default_rng(0)
    x, grad_out, *parameters = (
        stream.standard_normal(shape, np.float32) for shape in ((SAMPLES, *x_shape), (SAMPLES, *out_shape), *shapes)
    )
    whole = gradients(op, x, grad_out, *parameters)
    results = []
    for processes in (1, 2, 4):
        shares = zip(np.split(x, processes), np.split(grad_out, processes), strict=True)
        with in_blocks(4 // processes):
            results.append([gradients(op, *share, *parameters) for share in shares])
        results[-1] = [add_up(list(parts)) for parts in zip(*results[-1], strict=True)]
    for mine, two, four, plain in zip(*results, whole, strict=True):
        np.testing.assert_array_equal(mine, two)
        np.testing.assert_array_equal(mine, four)
        np.testing.assert_allclose(mine, plain, rtol=1e-4, atol=1e-4 * np.abs(plain).max())


def test_without_a_context_there_is_one_block():
    assert [len(part) for part in of_blocks(lambda a: a, np.zeros(7))] == [7]


def test_no_block_is_empty():
    for count, sizes in ((1, [1]), (3, [1, 2]), (6, [1, 2, 1, 2])):
        with in_blocks(4):
            assert [len(part) for part in of_blocks(lambda a: a, np.zeros(count))] == sizes
            assert block_size(count) == max(sizes)
            assert sums_over_samples(np.sum)(np.arange(count)) == count * (count - 1) / 2


def test_keywords_go_to_every_block():
    calls = []

    @sums_over_samples
    def total(a, b, *, factor):
        calls.append((len(a), len(b)))
        return factor * (a + b).sum()

    with in_blocks(2):
        assert total(np.ones(4), np.ones(4), factor=3) == 24
    assert calls == [(2, 2), (2, 2)] and total.__name__ == "total"


def test_the_algorithm_is_chosen_by_the_block():
    x, weight = Tensor(np.ones((8, 12, 8, 8), np.float32)), Tensor(np.ones((12, 12, 3, 3), np.float32))
    eight, two = ops.conv2d(x, weight, padding=1), ops.conv2d(x[:2], weight, padding=1)
    with in_blocks(4):
        in_four = ops.conv2d(x, weight, padding=1)
    np.testing.assert_array_equal(in_four.data[:2], two.data)
    np.testing.assert_allclose(in_four.data, eight.data, rtol=1e-4)
