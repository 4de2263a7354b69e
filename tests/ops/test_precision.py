"""Operations in bf16: which products are rounded, and that the gradients follow the forward pass."""

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn import Tensor, ops
from minitorch_cnn.ops.reproducible_sum import in_blocks
from minitorch_cnn.testing import gradcheck
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(simd.PAIR), reason="no AVX512_BF16, or nothing is compiled")

OPERATIONS = {  # of an input and a weight, by their shapes
    "1 x 1": (lambda x, w: ops.conv2d(x, w), (4, 64, 6, 6), (64, 64, 1, 1)),
    "strided": (lambda x, w: ops.conv2d(x, w, stride=2, padding=1), (4, 64, 6, 6), (64, 64, 3, 3)),
    "transposed": (lambda x, w: ops.conv_transpose2d(x, w, stride=2), (4, 64, 6, 6), (64, 64, 2, 2)),
    "linear": (ops.linear, (40, 64), (32, 64)),
    "matmul": (ops.matmul, (3, 40, 64), (3, 64, 32)),
}
UNCHANGED = {
    "3 x 3": (lambda x, w: ops.conv2d(x, w, padding=1), (4, 64, 6, 6), (64, 64, 3, 3)),
    "ten classes": (ops.linear, (40, 64), (10, 64)),
    "grouped": (lambda x, w: ops.conv2d(x, w, groups=2), (4, 64, 6, 6), (64, 32, 1, 1)),
    "by name": (lambda x, w: ops.conv2d(x, w, algorithm="im2col"), (4, 64, 6, 6), (64, 64, 1, 1)),
}


def results(case, forward, backward="float32", dtype=np.float32):
    """Return the output and both gradients, each pass in its own precision."""
    operation, *shapes = case
    rng = np.random.default_rng(0)
    x, weight = (Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True) for shape in shapes)
    with mt.precision(forward):
        out = operation(x, weight)
    with mt.precision(backward):
        out.backward(np.cos(np.arange(out.size)).reshape(out.shape).astype(dtype))
    return [out.data, x.grad, weight.grad]


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_three_products_are_rounded_and_close(name):
    for got, exact in zip(results(OPERATIONS[name], "bf16"), results(OPERATIONS[name], "float32"), strict=True):
        difference = np.linalg.norm(got - exact) / np.linalg.norm(exact)
        assert 1e-4 < difference < 5e-3 and got.dtype == np.float32


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients_are_computed_in_the_precision_of_the_forward_pass(name):
    for forward, other in (("bf16", "float32"), ("float32", "bf16")):
        for got, want in zip(*(results(OPERATIONS[name], forward, back) for back in (forward, other)), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_stays_in_float32(name):
    for got, want in zip(*(results(UNCHANGED[name], precision) for precision in ("bf16", "float32")), strict=True):
        np.testing.assert_array_equal(got, want)


def test_float64_stays_exact():
    with mt.precision("bf16"):
        case = OPERATIONS["strided"]
        for got, want in zip(*(results(case, one, dtype=np.float64) for one in ("bf16", "float32")), strict=True):
            np.testing.assert_array_equal(got, want)
        gradcheck(ops.linear, Tensor(np.ones((2, 3))), Tensor(np.ones((4, 3))))


@pytest.mark.parametrize("name", ["1 x 1", "linear"])
def test_blocks_of_samples_give_the_sum_of_their_shares(name):
    """Two processes with half of the images each add up to the bits of one process."""
    operation, shape, weight_shape = OPERATIONS[name]
    rng = np.random.default_rng(0)
    images, weights = (rng.standard_normal(s).astype(np.float32) for s in (shape, weight_shape))

    def gradient(part, blocks):
        weight = Tensor(weights, requires_grad=True)
        with mt.precision("bf16"), in_blocks(blocks):
            operation(Tensor(part), weight).sum().backward()
        return weight.grad

    half = len(images) // 2
    np.testing.assert_array_equal(gradient(images, 2), gradient(images[:half], 1) + gradient(images[half:], 1))


def test_the_choice_says_why():
    with mt.precision("bf16"):
        chosen = ops.conv_algorithm(*(Tensor(np.zeros(shape, np.float32)) for shape in OPERATIONS["1 x 1"][1:]))
    assert chosen.forward.name == "bf16" and "the precision is bf16" in str(chosen)


def bottleneck_and_its_gradient(forward, backward):
    """Return the output of a dense block of one 1 x 1 convolution and its gradient, each in a precision."""
    norm = {"running_mean": np.zeros(64, np.float32), "running_var": np.ones(64, np.float32), "training": False}
    norm |= {"momentum": 0.1, "eps": 1e-5}
    hyper, rng = {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1), "groups": 1}, np.random.default_rng(0)
    x, weight, grad = (
        rng.standard_normal(s).astype(np.float32) for s in ((2, 64, 5, 5), (64, 64, 1, 1), (2, 128, 5, 5))
    )
    weight = Tensor(weight, requires_grad=True)
    with mt.precision(forward):
        out = ops.dense_block(Tensor(x), [[ops.DenseNetStage(None, None, weight, None, norm, hyper)]])
    with mt.precision(backward):
        out.backward(grad)
    return out.data[:, 64:], weight.grad


def test_a_bottleneck_of_a_dense_block_is_rounded_too():
    found = [bottleneck_and_its_gradient(precision, precision)[0] for precision in ("bf16", "float32")]
    assert 1e-4 < np.linalg.norm(found[0] - found[1]) / np.linalg.norm(found[1]) < 5e-3


def test_the_gradient_of_a_dense_block_has_the_precision_of_its_forward_pass():
    rounded, exact = (bottleneck_and_its_gradient(precision, precision)[1] for precision in ("bf16", "float32"))
    assert (rounded != exact).any()
    np.testing.assert_array_equal(bottleneck_and_its_gradient("bf16", "float32")[1], rounded)
    np.testing.assert_array_equal(bottleneck_and_its_gradient("float32", "bf16")[1], exact)
