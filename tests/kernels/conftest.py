"""What the tests of kernels share: convolutions with known results."""

import functools
import math

import numpy as np
import pytest
from hypothesis import strategies as st

from minitorch_kernels import reference

BARS = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}
DTYPES = (np.float32, np.float64)


def nhwc(array):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1))


def nchw(array):
    return array.transpose(0, 3, 1, 2)


def agree(got, want, products, dtype):
    """Require an error of at most 1e-5 (float64: 1e-12) times the square root of the products in one output.

    The numbers that go in are of unit scale, so outputs are of scale 1 or larger: never more lenient than relative.
    """
    assert got.shape == want.shape and got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=0, atol=BARS[np.dtype(dtype)] * np.sqrt(max(products, 1)))


def by_taps(problem):
    """Return the three results of a convolution in float64, one tap of the kernel at a time."""
    (sh, sw), (dh, dw), groups = (problem.hyper[name] for name in ("stride", "dilation", "groups"))
    top, bottom, left, right = problem.hyper["padding"]
    (batch, channels, height, width), (filters, inner, *kernel) = problem.x_shape, problem.weight_shape
    out_height, out_width = problem.grad_out.shape[2:]
    padded = np.pad(problem.x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    grad_padded, grad_weight = np.zeros(padded.shape), np.zeros(problem.weight_shape)
    weight = problem.weight.reshape(groups, filters // groups, inner, *kernel)
    grad_out = problem.grad_out.reshape(batch, groups, filters // groups, out_height, out_width)
    out = np.zeros(grad_out.shape)
    for u, v in np.ndindex(*kernel):
        rows = slice(u * dh, u * dh + sh * (out_height - 1) + 1, sh)
        columns = slice(v * dw, v * dw + sw * (out_width - 1) + 1, sw)
        view = padded[:, :, rows, columns].reshape(batch, groups, inner, out_height, out_width)
        out += np.einsum("ngchw,goc->ngohw", view, weight[..., u, v])
        part = np.einsum("ngohw,goc->ngchw", grad_out, weight[..., u, v])
        grad_padded[:, :, rows, columns] += part.reshape(batch, channels, out_height, out_width)
        grad_weight[:, :, u, v] = np.einsum("ngohw,ngchw->goc", grad_out, view).reshape(filters, inner)
    out = out.reshape(problem.grad_out.shape) + problem.bias.reshape(1, -1, 1, 1)
    return out, grad_padded[:, :, top : top + height, left : left + width], grad_weight


def by_loops(problem):
    """Return the three results of a convolution as the textbook computes them, in float64."""
    grad_x = reference.conv2d_backward_input(
        problem.grad_out, problem.weight, input_size=problem.x_shape[2:], **problem.hyper
    )
    grad_weight = reference.conv2d_backward_weight(
        problem.x, problem.grad_out, kernel_size=problem.weight_shape[2:], **problem.hyper
    )
    return reference.conv2d_forward(problem.x, problem.weight, problem.bias, **problem.hyper), grad_x, grad_weight


def assert_same_kinds(got, want):
    """Require NaN, inf and -inf at the same indices."""
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(got), kind(want))


class Convolution:
    """Random float32 arrays for one convolution, and its results in float64."""

    def __init__(
        self, x_shape, weight_shape, *, oracle=by_loops, stride=(1, 1), padding=(0,) * 4, dilation=(1, 1), groups=1
    ):
        self.x_shape, self.weight_shape, self.oracle = x_shape, weight_shape, oracle
        self.hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        out_size = [
            (x_shape[2 + i] + padding[2 * i] + padding[2 * i + 1] - dilation[i] * (weight_shape[2 + i] - 1) - 1)
            // stride[i]
            + 1
            for i in range(2)
        ]
        rng = np.random.default_rng([*x_shape, *weight_shape])
        shapes = x_shape, weight_shape, weight_shape[:1], (x_shape[0], weight_shape[0], *out_size)
        numbers = (rng.standard_normal(shape, np.float32).astype(np.float64) for shape in shapes)
        self.x, self.weight, self.bias, self.grad_out = numbers

    def __repr__(self):
        return f"Convolution({self.x_shape}, {self.weight_shape}, **{self.hyper})"

    @functools.cached_property
    def results(self):
        return self.oracle(self)

    def forward(self, function, dtype, hold=np.ascontiguousarray):
        x, weight, bias = (hold(a.astype(dtype)) for a in (nhwc(self.x), self.weight, self.bias))
        return nchw(function(x, weight, bias, **self.hyper))

    def input_gradient(self, function, dtype, hold=np.ascontiguousarray):
        grad_out, weight = (hold(a.astype(dtype)) for a in (nhwc(self.grad_out), self.weight))
        return nchw(function(grad_out, weight, input_size=self.x_shape[2:], **self.hyper))

    def weight_gradient(self, function, dtype, hold=np.ascontiguousarray):
        x, grad_out = (hold(nhwc(a).astype(dtype)) for a in (self.x, self.grad_out))
        return function(x, grad_out, kernel_size=self.weight_shape[2:], **self.hyper)

    def check(self, forward=None, input_gradient=None, weight_gradient=None):
        """Compare the functions of one algorithm with the results, in float32 and float64."""
        filters, inner, height, width = self.weight_shape
        out, grad_x, grad_weight = self.results
        for dtype in DTYPES:
            if forward:
                agree(self.forward(forward, dtype), out, inner * height * width + 1, dtype)
            if input_gradient:
                products = filters // self.hyper["groups"] * height * width
                agree(self.input_gradient(input_gradient, dtype), grad_x, products, dtype)
            if weight_gradient:
                products = self.grad_out.size // filters
                agree(self.weight_gradient(weight_gradient, dtype), grad_weight, products, dtype)

    def poison(self, name, place, value):
        """Put NaN or an infinity into one element of x or grad_out; ``place`` is 0 for the first, 1 for the last."""
        array = getattr(self, name)
        where = np.unravel_index(int(place * (array.size - 1)), array.shape)
        array[where] = value
        self.windows_inside = name == "x" or all(
            where[2 + i] * self.hyper["stride"][i] - self.hyper["padding"][2 * i] >= 0
            and where[2 + i] * self.hyper["stride"][i]
            + self.hyper["dilation"][i] * (self.weight_shape[2 + i] - 1)
            - self.hyper["padding"][2 * i]
            < self.x_shape[2 + i]
            for i in range(2)
        )
        return self

    def check_poison(self, forward=None, input_gradient=None, weight_gradient=None):
        """Require NaN and infinities exactly where the textbook has them.

        Where a window reaches into the padding, a weight's gradient may be NaN, which is 0 * NaN, or leave it out.
        """
        out, grad_x, grad_weight = self.results
        pairs = []
        if forward:
            pairs.append((self.forward(forward, np.float32), out))
        if input_gradient:
            pairs.append((self.input_gradient(input_gradient, np.float32), grad_x))
        if weight_gradient and self.windows_inside:
            pairs.append((self.weight_gradient(weight_gradient, np.float32), grad_weight))
        for got, want in pairs:
            assert_same_kinds(got, want)


def small_convolution(integer):
    """Make a convolution in which at least one window fits; ``integer(low, high)`` draws a number."""
    kernel, stride, dilation = ([integer(1, 3) for _ in range(2)] for _ in range(3))
    padding = [integer(0, 2) for _ in range(4)]
    reach = [dilation[i] * (kernel[i] - 1) + 1 - sum(padding[2 * i : 2 * i + 2]) for i in range(2)]
    size = [max(reach[i], 1) + integer(0, 4) for i in range(2)]
    groups = integer(1, 3)
    inner, filters = (1, integer(1, 2)) if integer(0, 3) == 0 else (integer(1, 3), integer(1, 3))  # 1: depthwise
    batch = 0 if integer(0, 19) == 0 else integer(1, 2)
    hyper = {"stride": stride, "padding": padding, "dilation": dilation}
    hyper = {name: tuple(values) for name, values in hyper.items()}
    return Convolution((batch, groups * inner, *size), (groups * filters, inner, *kernel), groups=groups, **hyper)


@pytest.fixture(scope="session")
def some_convolution():
    """Return a hypothesis strategy of small convolutions, to be drawn with `st.data`."""
    return st.composite(lambda draw: small_convolution(lambda low, high: draw(st.integers(low, high))))()


@pytest.fixture(scope="session")
def many_convolutions():
    """Return 300 small convolutions, always the same."""
    rng = np.random.default_rng(20240)
    return [small_convolution(lambda low, high: int(rng.integers(low, high + 1))) for _ in range(300)]


@pytest.fixture(scope="session")
def large_convolutions():
    """Return convolutions that take several tiles, panels of columns, blocks of terms and tasks, or ragged parts."""
    padded = {"padding": (1, 1, 1, 1)}
    return [
        Convolution(x_shape, weight_shape, oracle=by_taps, **hyper)
        for x_shape, weight_shape, hyper in [
            ((2, 3, 32, 31), (32, 3, 5, 5), {"padding": (2, 2, 2, 2)}),
            ((18, 3, 20, 19), (64, 3, 3, 3), padded),
            ((3, 4, 9, 17), (64, 2, 3, 5), {**padded, "stride": (1, 2), "groups": 2}),
            ((3, 16, 9, 9), (48, 16, 3, 3), padded),
            ((2, 33, 7, 5), (65, 33, 3, 3), padded),
            ((1, 193, 4, 4), (7, 193, 1, 1), {}),
            ((1, 200, 5, 6), (33, 200, 3, 2), {"padding": (0, 1, 2, 0)}),
            ((2, 64, 8, 8), (64, 64, 3, 3), {**padded, "stride": (2, 2)}),
            ((2, 40, 9, 8), (40, 1, 3, 3), {**padded, "groups": 40}),
            (
                (3, 64, 12, 7),
                (64, 1, 5, 3),
                {"padding": (3, 2, 1, 0), "stride": (2, 3), "dilation": (1, 2), "groups": 64},
            ),
            ((20, 33, 4, 5), (33, 1, 1, 2), {"groups": 33}),
            ((2, 36, 6, 7), (72, 12, 3, 3), {**padded, "groups": 3}),
            ((2, 5, 17, 19), (17, 5, 4, 2), {"stride": (3, 5), "dilation": (2, 3)}),
            ((5, 1, 28, 28), (6, 1, 5, 5), {}),
            ((17, 2, 6, 6), (3, 2, 3, 3), padded),
            ((1, 4, 1, 300), (4, 4, 1, 3), {"padding": (0, 0, 1, 1)}),
            ((1, 4, 300, 1), (4, 4, 3, 1), {"padding": (1, 1, 0, 0)}),
            ((1, 3, 23, 23), (16, 3, 11, 11), {"stride": (4, 4), "padding": (2, 2, 2, 2)}),
            ((1, 2, 4, 5), (33, 2, 1, 1), {"stride": (3, 3), "padding": (0, 2, 2, 0)}),
            ((1, 1, 1, 1), (100, 1, 1, 1), {}),
        ]
    ]


@pytest.fixture(scope="session")
def poisoned():
    """Return a function: value -> convolutions with this value in one element of x or of grad_out."""
    shapes = [
        ((2, 3, 5, 6), (4, 3, 3, 3), {"padding": (1, 1, 1, 1)}),
        ((1, 2, 7, 7), (33, 2, 2, 3), {"stride": (2, 3), "padding": (0, 1, 2, 0)}),
        ((1, 4, 6, 6), (6, 2, 2, 2), {"dilation": (2, 2), "groups": 2}),
        ((1, 34, 3, 4), (34, 1, 3, 3), {"padding": (1, 1, 1, 1), "groups": 34}),
    ]
    return lambda value: [
        Convolution(x_shape, weight_shape, **hyper).poison(name, place, value)
        for x_shape, weight_shape, hyper in shapes
        for name in ("x", "grad_out")
        for place in (0, 0.37, 0.71, 1)
    ]


@pytest.fixture(scope="session", name="by_taps")
def _by_taps():
    return by_taps


# --------------------------------------------------------------------- for Winograd's algorithm


@pytest.fixture(scope="session")
def small_winograd():
    """Return a hypothesis strategy of convolutions with 3 x 3 or 5 x 5 filters and stride 1, or 3 x 3 and stride 2."""

    @st.composite
    def draw_one(draw):
        batch, channels, filters = (draw(st.integers(1, most)) for most in (3, 20, 20))
        side, stride = draw(st.sampled_from([(3, 1), (5, 1), (3, 2)]))
        padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
        size = [draw(st.integers(max(1, side - sum(padding[2 * i : 2 * i + 2])), 11 * stride)) for i in range(2)]
        shapes, hyper = ((batch, channels, *size), (filters, channels, side, side)), {"stride": (stride,) * 2}
        return Convolution(*shapes, oracle=by_taps, padding=padding, **hyper)

    return draw_one()


@pytest.fixture(scope="session")
def large_winograd():
    """Return convolutions that take several blocks, panels, chunks, or ragged parts of them."""
    return [
        Convolution(x_shape, weight_shape, oracle=by_taps, padding=padding, stride=(stride, stride))
        for x_shape, weight_shape, padding, stride in [
            ((40, 16, 18, 17), (33, 16, 3, 3), (1, 1, 1, 1), 1),
            ((1, 250, 9, 9), (48, 250, 3, 3), (0, 0, 0, 0), 1),
            ((9, 96, 18, 17), (97, 96, 3, 3), (1, 1, 1, 1), 1),
            ((2, 20, 3, 30), (70, 20, 3, 3), (2, 0, 1, 2), 1),
            ((9, 16, 18, 17), (33, 16, 5, 5), (2, 2, 2, 2), 1),
            ((1, 250, 9, 9), (48, 250, 5, 5), (0, 0, 0, 0), 1),
            ((40, 16, 36, 33), (33, 16, 3, 3), (1, 1, 1, 1), 2),
            ((1, 250, 18, 18), (48, 250, 3, 3), (0, 1, 2, 1), 2),
            ((9, 96, 33, 36), (97, 96, 3, 3), (1, 0, 1, 2), 2),
        ]
    ]


@pytest.fixture(scope="session")
def check_winograd():
    """Return a function that holds the three results of a convolution to Winograd's bar.

    2e-4 (float64: 1e-11) on outputs of unit scale. A sum of n products of unit scale has the scale sqrt(n).
    """

    def check(problem, **functions):
        filters, inner, *kernel = problem.weight_shape
        products = {
            "forward": math.prod(kernel) * inner,
            "input_gradient": math.prod(kernel) * filters,
            "weight_gradient": problem.grad_out.size / filters,
        }
        results = dict(zip(products, problem.results, strict=True))
        for name, function in functions.items():
            for dtype, bar in ((np.float32, 2e-4), (np.float64, 1e-11)):
                got = getattr(problem, name)(function, dtype)
                assert got.dtype == dtype and got.shape == results[name].shape
                scale = np.sqrt(max(products[name], 1))
                np.testing.assert_allclose(got, results[name], rtol=0, atol=bar * scale, err_msg=repr(problem))

    return check
