"""A NaN or an infinity reaches what a finite change in its place reaches, forward and backward, and nothing else."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops
from minitorch_kernels.runtime import simd
from tests.ops.table import TABLE
from tests.ops.test_extremes import run
from tests.ops.test_table import caller, every_op

FINITE = (-1e3, -0.7, 0.4, 1e3)  # what takes the place of an element to see what it can change
BAD = (np.nan, np.inf, -np.inf)
NOT_COMPARED = {  # finite numbers do not show all that NaN may change, or are refused
    *("clip", "dropout", "softmax", "log_softmax", "prod"),  # limits, a factor of 0, a single class
    "binary_cross_entropy",  # takes probabilities alone
    *("batch_norm_relu", "dense_block"),  # ReLU after statistics of the whole channel
}
NAIVE = {  # operations whose truth multiplies NaN by the zeros of padding, of labels and of a matrix, or orders it last
    *("cross_entropy", "log_softmax", "nll_loss", "resize", "softmax", "topk", "binary_cross_entropy"),
    *("conv1d", "conv2d", "convolve", "conv_transpose1d", "conv_transpose2d", "dense_block"),
    *("batch_norm", "batch_norm_relu", "sync_batch_norm", "instance_norm"),  # it multiplies an infinite gamma last
}


def planted(arrays, which, index, value):
    changed = [array.copy() for array in arrays]
    changed[which][index] = value
    return changed


def places(arrays, rng):
    """Yield (which array, index of an element) for each array that has elements."""
    for which, array in enumerate(arrays):
        if array.size:
            yield which, tuple(int(rng.integers(0, n)) for n in array.shape)


def meets_padding(name, which, part):
    """Return whether a convolution multiplies array ``which`` by zeros of padding on the way to result ``part``."""
    return name.startswith("conv") and (which == 1 or (part == 2 and "transpose" in name))


@every_op
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_only_what_depends_on_a_bad_element_changes(name, dtype):
    if name in NOT_COMPARED:
        pytest.skip("finite numbers do not show what NaN may change")
    rng = np.random.default_rng(5)
    for arrays, at, hyper in TABLE[name].samples:
        arrays, call = [np.asarray(array, dtype) for array in arrays], caller(name, at, hyper)
        clean = run(call, arrays)
        for which, index in places(arrays, rng):
            finite = [run(call, planted(arrays, which, index, dtype(value))) for value in FINITE]
            for value in BAD:
                got = run(call, planted(arrays, which, index, value))
                told = f"{name} {at} {hyper}: {value} at {index} of array {which} of {[a.shape for a in arrays]}"
                for part, (new, old, *changed) in enumerate(zip(got, clean, *finite, strict=True)):
                    untouched = np.logical_and.reduce([one == old for one in changed])
                    if meets_padding(name, which, part) and untouched.ndim > 2:
                        untouched &= untouched.all(tuple(range(2, untouched.ndim)), keepdims=True)
                    np.testing.assert_array_equal(new[untouched], old[untouched], err_msg=f"{told}, result {part}")


@every_op
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_results_with_a_bad_element_are_the_truth(name):
    if name in NAIVE:
        pytest.skip("the truth of the table is not meant for NaN")
    rng = np.random.default_rng(6)
    for arrays, at, hyper in TABLE[name].samples:
        arrays, call = [np.asarray(array, np.float64) for array in arrays], caller(name, at, hyper)
        for which, index in places(arrays, rng):
            for value in BAD:
                bad = planted(arrays, which, index, value)
                expected = TABLE[name].truth(*bad, *at, **hyper)
                told = f"{name} {at} {hyper}: {value} at {index} of array {which} of {[a.shape for a in arrays]}"
                np.testing.assert_allclose(run(call, bad)[0], expected, rtol=1e-9, atol=1e-9, err_msg=told)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ["auto", "winograd", "direct", "im2col"])
@pytest.mark.parametrize("size", [3, 5])
def test_a_bad_filter_spoils_its_own_channel_alone(size, algorithm, dtype):
    if algorithm in ("winograd", "direct") and not simd.supports(dtype):
        pytest.skip("no register tile fits this machine, or nothing is compiled")

    def call(x, weight):
        return ops.conv2d(x, weight, padding=1, algorithm=algorithm)

    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in ((2, 16, 12, 10), (32, 16, size, size))]
    clean = run(call, arrays)
    for value in BAD:
        out, grad_x, grad_weight = run(call, planted(arrays, 1, (7, 3, 0, 2), value))
        for got, want, spoilt in ((out, clean[0], 7), (grad_x, clean[1], 3)):
            others = np.arange(got.shape[1]) != spoilt
            assert not np.isfinite(got[:, spoilt]).all()
            np.testing.assert_allclose(got[:, others], want[:, others], atol=1e-3 if dtype == np.float32 else 1e-11)
        np.testing.assert_array_equal(grad_weight, clean[2])  # which reads no filter


@pytest.mark.parametrize(
    ("x", "target", "loss", "slope"),
    [
        (-np.inf, 0.0, 0.0, 0.0),
        (-np.inf, 0.3, np.inf, -0.3),
        (-np.inf, 1.0, np.inf, -1.0),
        (np.inf, 1.0, 0.0, 0.0),
        (np.inf, 0.0, np.inf, 1.0),
        (np.nan, 0.0, np.nan, np.nan),
    ],
)
def test_an_infinite_logit_is_a_certain_answer(x, target, loss, slope):
    logit = Tensor([x], requires_grad=True)
    out = ops.binary_cross_entropy_with_logits(logit, Tensor([target]))
    out.backward()
    np.testing.assert_allclose([out.item(), *logit.grad], [loss, slope])


@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1}, {"weight": np.array([1.0, 2.0]), "label_smoothing": 0.1}]
)
def test_a_row_whose_label_is_ignored_may_hold_nan(options):
    x = Tensor([[np.nan, 1.0], [0.5, -0.5]], requires_grad=True)
    loss = ops.cross_entropy(x, np.array([-1, 0]), ignore_index=-1, **options)
    loss.backward()
    alone = Tensor([[0.5, -0.5]], requires_grad=True)
    expected = ops.cross_entropy(alone, np.array([0]), **options)
    expected.backward()
    np.testing.assert_allclose(loss.item(), expected.item())
    np.testing.assert_allclose(x.grad, [[0, 0], *alone.grad])


IMPOSSIBLE = [[-np.inf, 1.0, 2.0]]  # the first class has the probability 0
LOSS_1, LOSS_2 = np.log1p(np.e), np.log1p(1 / np.e)  # if the class is the second or the third


@pytest.mark.parametrize(
    ("labels", "options", "loss"),
    [
        (np.array([1]), {}, LOSS_1),
        (np.array([[0.0, 1.0, 0.0]]), {}, LOSS_1),
        (np.array([[0.5, 0.5, 0.0]]), {"weight": np.array([0.0, 1.0, 1.0])}, LOSS_1 / 2),
        (np.array([1]), {"weight": np.array([0.0, 1.0, 1.0]), "label_smoothing": 0.3}, 0.8 * LOSS_1 + 0.1 * LOSS_2),
        (np.array([[0.5, 0.5, 0.0]]), {}, np.inf),
        (np.array([0]), {"label_smoothing": 1.0}, np.inf),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_class_without_weight_may_be_impossible(labels, options, loss):
    x = Tensor(IMPOSSIBLE, requires_grad=True)
    out = ops.cross_entropy(x, labels, reduction="sum", **options)
    out.backward()
    np.testing.assert_allclose(out.item(), loss)
    assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("function", [ops.cross_entropy, ops.nll_loss])
@pytest.mark.parametrize("bad", [-np.inf, np.nan])
def test_a_row_whose_class_has_no_weight_does_not_count(function, bad):
    x, weight = Tensor([[bad, 1.0, 2.0], [1.0, 1.0, 2.0]], requires_grad=True), np.array([0.0, 2.0, 1.0])
    loss = function(x, np.array([0, 1]), weight=weight)
    loss.backward()
    alone = function(Tensor(x.data[1:]), np.array([1]), weight=weight)
    np.testing.assert_allclose(loss.item(), alone.item())
    assert not x.grad[0].any() and x.grad[1].any()


def test_an_element_without_weight_may_have_an_infinite_loss():
    x = Tensor([-np.inf, 1.0], requires_grad=True)
    ops.binary_cross_entropy_with_logits(x, Tensor([1.0, 0.0]), weight=[0.0, 1.0], reduction="sum").backward()
    np.testing.assert_allclose(x.grad, [0, 1 / (1 + np.exp(-1))])


def test_an_infinite_slope_reaches_no_positive_element():
    x = Tensor([1.0, -2.0, np.inf], requires_grad=True)
    out = ops.prelu(x, Tensor([np.inf]))
    out.sum().backward()
    np.testing.assert_array_equal(out.data, [1, -np.inf, np.inf])
    np.testing.assert_array_equal(x.grad, [1, np.inf, 1])


def test_nan_lets_the_gradient_of_relu6_pass():
    x = Tensor([np.nan, -1.0, 2.0, 7.0], requires_grad=True)
    ops.relu6(x).sum().backward()
    np.testing.assert_array_equal(x.grad, [1, 0, 1, 0])
