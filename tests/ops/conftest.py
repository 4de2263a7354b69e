"""Checks for every operation, and sample values for them."""

import numpy as np
import pytest

from minitorch_cnn import Tensor

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}


def mixed(shape):
    """Return a gradient whose elements all differ."""
    return np.cos(np.arange(np.prod(shape, dtype=int), dtype=np.float64)).reshape(shape)


@pytest.fixture(scope="session")
def normal():
    """Return a function: shape -> normal random values, the same for the same shape and seed."""
    return lambda shape, seed=0: np.random.default_rng([seed, *shape]).standard_normal(shape)


@pytest.fixture(scope="session")
def same_as_torch():
    """Return a function that compares output, gradients and dtypes with PyTorch's."""
    torch = pytest.importorskip("torch")

    def check(ours, theirs, *arrays, dtypes=(np.float32, np.float64)):
        for dtype in dtypes:
            mine = [Tensor(a.astype(dtype), requires_grad=True) for a in arrays]
            other = [torch.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
            out, expected = ours(*mine), theirs(*other)
            grad_out = mixed(out.shape).astype(dtype)
            out.backward(grad_out)
            expected.backward(torch.from_numpy(grad_out))
            results = [(out.data, expected.detach()), *((a.grad, b.grad) for a, b in zip(mine, other, strict=True))]
            for got, want in results:
                assert got.dtype == dtype
                np.testing.assert_allclose(got, want.numpy(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])

    return check


def strided(array):
    """Return the same values as every other element of a larger array."""
    larger = np.full([2 * length for length in array.shape], np.nan, array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def channels_last(array):
    """Return the same values in memory order N, H, W, C; if there are not 4 axes, with the last axis slowest."""
    order = (0, 2, 3, 1) if array.ndim == 4 else tuple(reversed(range(array.ndim)))
    return array.transpose(order).copy().transpose(np.argsort(order))


@pytest.fixture(scope="session")
def same_in_every_layout():
    """Return a function that requires equal results for contiguous, strided and channels-last inputs."""

    def check(op, *arrays):
        results = []
        for layout in (np.array, strided, channels_last):
            tensors = [Tensor(layout(a), requires_grad=True) for a in arrays]
            out = op(*tensors)
            out.backward(mixed(out.shape))
            results.append([out.data, *(t.grad for t in tensors)])
        for other in results[1:]:
            for got, want in zip(other, results[0], strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)

    return check


@pytest.fixture(scope="session")
def stays_channels_last():
    """Return a function that requires the output and its gradient to be channels-last."""

    def check(op):
        x = Tensor(channels_last(np.random.default_rng(0).standard_normal((2, 3, 4, 5))), requires_grad=True)
        middle = x * 1.0  # not a leaf, because its gradient would be copied
        middle.retain_grad()
        out = op(middle)
        out.backward(channels_last(mixed(out.shape)))
        for array in (out.data, middle.grad):
            assert array.transpose(0, 2, 3, 1).flags.c_contiguous

    return check
