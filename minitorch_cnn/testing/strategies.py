"""Hypothesis strategies: convolutions and poolings that fit, and arrays without ties.

@given(case=strategies.conv_cases())
def test_mine(case):
    gradcheck(lambda x, w: ops.conv2d(x, w, **case.hyper), Tensor(case.x()), Tensor(case.weight()))
"""

from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st


class ConvCase(NamedTuple):
    """A convolution in which at least one window fits; ``hyper`` are the keywords of `ops.conv2d`."""

    x_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    hyper: dict[str, Any]
    seed: int

    def x(self):
        """Return images of shape (N, C_in, H, W), float64."""
        return np.random.default_rng([self.seed, 0]).standard_normal(self.x_shape)

    def weight(self):
        """Return filters of shape (C_out, C_in/groups, KH, KW), float64."""
        return np.random.default_rng([self.seed, 1]).standard_normal(self.weight_shape)


class PoolCase(NamedTuple):
    """A pooling in which at least one window fits; ``hyper`` are the keywords of `ops.max_pool2d`."""

    x_shape: tuple[int, ...]
    hyper: dict[str, Any]
    seed: int

    def x(self):
        """Return images of shape (N, C, H, W), float64, without ties."""
        return _apart(self.x_shape, self.seed)


def _apart(shape, seed, gap=1 / 8):
    """Return numbers of both signs, all at least ``gap`` apart, and half of that from 0."""
    size = int(np.prod(shape))
    places = np.random.default_rng(seed).permutation(size).reshape(shape)
    return (places - size // 2 + 0.5) * gap


_seeds = st.integers(0, 2**32 - 1)


@st.composite
def conv_cases(draw, max_size=3):
    """Draw convolutions: kernels, strides, paddings, dilations and groups that fit the images.

    Parameters
    ----------
    max_size : int
        The largest kernel, stride, dilation, number of groups, images, and channels of a group.

    Returns
    -------
    strategy of ConvCase
    """
    small = st.integers(1, max_size)
    groups, kernel, stride, dilation = draw(small), *(draw(st.tuples(small, small)) for _ in range(3))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    extent = [dilation[i] * (kernel[i] - 1) + 1 - sum(padding[2 * i : 2 * i + 2]) for i in (0, 1)]
    size = [max(length, 1) + draw(st.integers(0, 4)) for length in extent]
    channels, filters = draw(small), draw(small)
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x_shape, weight_shape = (draw(small), groups * channels, *size), (groups * filters, channels, *kernel)
    return ConvCase(x_shape, weight_shape, hyper, draw(_seeds))


@st.composite
def pool_cases(draw, max_size=3):
    """Draw poolings: kernels, strides, and paddings smaller than the kernel, that fit the images.

    Parameters
    ----------
    max_size : int
        The largest kernel, stride, number of images and of channels.

    Returns
    -------
    strategy of PoolCase
    """
    small = st.integers(1, max_size)
    kernel, stride = (draw(st.tuples(small, small)) for _ in range(2))
    padding = tuple(draw(st.integers(0, min(2, k - 1))) for k in kernel for _ in range(2))
    size = [max(kernel[i] - sum(padding[2 * i : 2 * i + 2]), 1) + draw(st.integers(0, 4)) for i in (0, 1)]
    hyper = {"kernel_size": kernel, "stride": stride, "padding": padding}
    return PoolCase((draw(small), draw(small), *size), hyper, draw(_seeds))


def tie_free_arrays(shape, gap=1 / 8):
    """Draw arrays in which no two numbers are nearer than ``gap``, nor one to 0 than half of it.

    Parameters
    ----------
    shape : tuple of int, or a strategy of such
    gap : float
        Much more than the eps of the gradient check, so that no step crosses a kink.

    Returns
    -------
    strategy of ndarray, float64
    """
    shapes = shape if isinstance(shape, st.SearchStrategy) else st.just(shape)
    return st.builds(_apart, shapes, _seeds, st.just(gap))
