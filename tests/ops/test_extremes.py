"""Every operation on axes of length 0, 1 and beyond 32,767, and in memory full of NaN: the truth, or a clear error."""

import functools
import math
import re

import numpy as np
import pytest

from minitorch_cnn import Tensor, ops
from tests.ops.table import TABLE
from tests.ops.test_table import caller, every_op
from tests.poison import same_with_poison

NOT_LONG = {  # the textbook's loops take seconds, or numbers leave the range of floats: see the end of the file
    *("conv_transpose1d", "conv_transpose2d", "cross_entropy", "nll_loss", "prod"),
}
CLEAR = re.compile(r"^[\w.]+: .+ - expected .+", re.DOTALL)
LONG, MOST = 40_000, 400_000  # elements of an axis; of all arrays together


def run(call, arrays):
    """Return output and gradients, as a list of arrays."""
    tensors = [Tensor(array.copy(), requires_grad=True) for array in arrays]
    out = call(*tensors)
    out.backward(np.cos(np.arange(out.size, dtype=out.dtype)).reshape(out.shape))
    return [out.data, *(np.zeros_like(t.data) if t.grad is None else t.grad for t in tensors)]


def with_length(array, axis, length):
    """Return the array cut or repeated along an axis."""
    return np.take(array, np.arange(length) % max(1, array.shape[axis]), axis) if array.shape[axis] else array


def lengthened(arrays):
    """Return the arrays with one axis, and those of its length in the others, made LONG; None if none is cheap."""
    if arrays[0].ndim >= 3:  # one small image, or signal
        arrays = [arrays[0][:1, ..., :3, :] if arrays[0].ndim == 4 else arrays[0][:1], *arrays[1:]]
    cheap = []
    for old in sorted({n for array in arrays for n in array.shape} - {0}):
        shapes = [tuple(LONG if n == old else n for n in array.shape) for array in arrays]
        if sum(map(math.prod, shapes)) <= MOST and all(shape.count(LONG) <= 1 for shape in shapes):
            cheap.append((sum(map(math.prod, shapes)), old))
    if not cheap or not all(array.size for array in arrays):
        return None
    _, old = min(cheap)
    for axis in range(max(array.ndim for array in arrays)):
        arrays = [with_length(a, axis, LONG) if axis < a.ndim and a.shape[axis] == old else a for a in arrays]
    return arrays


def altered(arrays, length):
    """Yield the arrays with one axis of one array, or all axes of the same length, changed to ``length``."""
    lengths = {n for array in arrays for n in array.shape if n not in (0, length)}
    for old in sorted(lengths):
        changed = list(arrays)
        for i, array in enumerate(arrays):
            for axis in range(array.ndim):
                if array.shape[axis] == old:
                    changed[i] = with_length(changed[i], axis, length)
        yield changed
    for i, array in enumerate(arrays):
        for axis in range(array.ndim):
            if array.shape[axis] not in (0, length):
                yield [*arrays[:i], with_length(array, axis, length), *arrays[i + 1 :]]


def check(name, arrays, at, hyper):
    """Require the truth, or an error that names argument and expectation; return whether there was a result."""
    arrays = [np.asarray(array, np.float64) for array in arrays]
    if name in ("cross_entropy", "nll_loss"):
        at = (np.resize(at[0], arrays[0].shape[0]) % max(1, arrays[0].shape[1]),)
    call = caller(name, at, hyper)
    told = f"{name} {[a.shape for a in arrays]} {at} {hyper}"
    try:
        out, *grads = same_with_poison(lambda: run(call, arrays))
    except (ValueError, TypeError, IndexError) as error:
        assert CLEAR.match(str(error)), f"{told}: {error!r}"
        return False
    assert all(grad.shape == array.shape and np.isfinite(grad).all() for grad, array in zip(grads, arrays, strict=True))
    try:
        with np.errstate(all="ignore"):
            expected = TABLE[name].truth(*arrays, *at, **hyper)
    except (ValueError, IndexError, ArithmeticError):  # the textbook's loops do not know it: empty, and of a shape
        assert not out.size or not arrays[0].size, told  # the sum and the mean of nothing are something
    else:
        np.testing.assert_allclose(out, expected, rtol=1e-9, atol=1e-9, err_msg=told)
    return True


@every_op
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_operation_reads_memory_that_nobody_wrote(name, dtype):
    for arrays, at, hyper in TABLE[name].samples:
        call, typed = caller(name, at, hyper), [np.asarray(array, dtype) for array in arrays]
        same_with_poison(functools.partial(run, call, typed))


@every_op
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the truth
def test_axes_of_length_0_and_1(name):
    tried = [
        check(name, changed, at, hyper)
        for arrays, at, hyper in TABLE[name].samples
        for length in (0, 1)
        for changed in altered([np.asarray(a) for a in arrays], length)
    ]
    assert any(tried)


@pytest.mark.slow
@every_op
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the truth
def test_an_axis_longer_than_16_bits_count(name):
    if name in NOT_LONG:
        pytest.skip("the truth takes too long, or overflows")
    samples = ((lengthened([np.asarray(a) for a in arrays]), at, hyper) for arrays, at, hyper in TABLE[name].samples)
    cheap = [(arrays, at, hyper) for arrays, at, hyper in samples if arrays]
    assert any(check(name, *sample) for sample in cheap[:2]) or name in ("broadcast_to", "dense_block")


@pytest.mark.parametrize("kind, tail", [("1d", (LONG,)), ("2d", (2, LONG)), ("2d", (LONG, 2))])
def test_a_transposed_convolution_of_a_long_axis_is_the_adjoint_of_the_convolution(kind, tail):
    """<conv(z), x> = <z, conv_transpose(x)> for all x and z; the convolution is compared with the textbook above."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 2, *tail)), Tensor(rng.standard_normal((2, 3, *(2,) * len(tail))))
    out = getattr(ops, f"conv_transpose{kind}")(Tensor(x), weight, stride=2)
    z = rng.standard_normal(out.shape)
    back = getattr(ops, f"conv{kind}")(Tensor(z), weight, stride=2)
    assert np.vdot(z, out.data) == pytest.approx(np.vdot(back.data, x))


@pytest.mark.parametrize("shape", [(LONG, 3), (2, LONG)])
def test_cross_entropy_of_many_rows_and_of_many_classes(shape):
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal(shape), rng.integers(0, shape[1], shape[0])
    shares = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    expected, grad = -np.log(shares[np.arange(shape[0]), labels]).mean(), shares / shape[0]
    grad[np.arange(shape[0]), labels] -= 1 / shape[0]
    for loss in (ops.cross_entropy, lambda logits, at: ops.nll_loss(ops.log_softmax(logits), at)):
        out, found = run(lambda logits, loss=loss: loss(logits, labels).reshape(1), [x])
        np.testing.assert_allclose(out, expected, rtol=1e-12)
        np.testing.assert_allclose(found, grad, rtol=1e-9, atol=1e-15)


def test_the_product_of_many_factors():
    x = np.random.default_rng(0).uniform(0.999, 1.001, LONG)
    out, grad = run(lambda t: ops.prod(t).reshape(1), [x])
    np.testing.assert_allclose(out, math.exp(math.fsum(np.log(x))), rtol=1e-9)
    np.testing.assert_allclose(grad, out / x, rtol=1e-9)
