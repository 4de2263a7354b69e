"""Convolution and its two gradients, product by product."""

import itertools
import math

import numpy as np

import minitorch_kernels.reference as textbook
from minitorch_cnn import ops
from minitorch_cnn.autograd import enable_grad
from minitorch_cnn.display import signs
from minitorch_cnn.explain.arithmetic.steps import Grid, Step, WorkedExample, agree, numbers
from minitorch_cnn.explain.arithmetic.text import factor, of_output, short, sizes
from minitorch_cnn.shapes import ShapeError, conv_output_size, padding4, pair
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Operand, Size

RULES = {
    1: "S(i) = sum over m of I(i*stride + m*dilation - padding) K(m)",
    2: "S(i, j) = sum over m, n of I(i*stride + m*dilation - padding, j*stride + n*dilation - padding) K(m, n)",
}
_SIGNS = (signs.ASTERISK, "=")


class _Problem:
    """A convolution with its arguments checked: arrays of four axes, and sizes in pairs."""

    def __init__(self, op, x, weight, stride, padding, dilation):
        weight = numbers(op, "weight", weight, (1, 2, 3, 4))
        self.op, self.signal = op, weight.ndim % 2 == 1
        plain = weight.ndim <= 2  # one channel, one filter
        axes = (1 if self.signal else 2) + (not plain)
        x = numbers(op, "x", x, (axes,))
        self.x_shape, self.weight_shape = x.shape, weight.shape
        height = 1 if self.signal else x.shape[-2]
        self.x = x.reshape(1 if plain else x.shape[0], height, x.shape[-1])
        filters, channels = (1, 1) if plain else weight.shape[:2]
        self.weight = weight.reshape(filters, channels, 1 if self.signal else weight.shape[-2], weight.shape[-1])
        if channels != self.x.shape[0]:
            raise ShapeError(f"{op}: x - expected {channels} channels (weight {weight.shape}), got {x.shape}")
        self.stride, self.dilation = pair(stride, f"{op}: stride"), pair(dilation, f"{op}: dilation")
        if self.signal:
            self.stride, self.dilation = (1, self.stride[1]), (1, self.dilation[1])
            if padding != "same":
                padding = (0, 0, *pair(padding, f"{op}: padding", minimum=0))
        self.size, self.taps = self.x.shape[1:], self.weight.shape[2:]
        self.padding = padding4(padding, f"{op}: padding", self.size, self.taps, self.stride, self.dilation)
        geometry = zip(
            self.size, self.taps, self.stride, self.padding[::2], self.padding[1::2], self.dilation, strict=True
        )
        axes = zip(geometry, ("height", "width"), strict=True)
        self.out_size = tuple(conv_output_size(*sizes, f"{op}: {axis}") for sizes, axis in axes)
        shape = () if plain else (filters,)
        self.out_shape = (*shape, *self.out_size[self.signal :])
        self.sizes, self.unread = sizes(self.size, self.taps, self.stride, self.padding, self.dilation, self.signal)

    @property
    def hyper(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": 1}

    def products(self):
        """Yield (place in x, in the kernel, in the output) of every product, also of those in the padding."""
        filters, channels, rows, columns = self.weight.shape
        for o, i, j in np.ndindex(filters, *self.out_size):
            for c, u, v in itertools.product(range(channels), range(rows), range(columns)):
                h = i * self.stride[0] + u * self.dilation[0] - self.padding[0]
                w = j * self.stride[1] + v * self.dilation[1] - self.padding[2]
                yield (c, h, w), (o * channels + c, u, v), (o, i, j)

    def input(self):
        return Grid("input", "x", self.x, self.x_shape, self.padding, unread=self.unread)

    def kernel(self):
        filters, channels, *taps = self.weight.shape
        values = self.weight.reshape(filters * channels, *taps)
        return Grid("kernel", "K", values, self.weight_shape, columns=filters)

    def run(self, algorithm, grad_out=None):
        """Return (output, gradient of x, gradient of weight) by the shipped kernels."""
        x, weight = Tensor(self.x[None], requires_grad=True), Tensor(self.weight, requires_grad=True)
        hyper = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        out = ops.conv2d(x, weight, **hyper, algorithm=algorithm)
        if grad_out is None:
            return out.data[0], None, None
        out.backward(grad_out[None])
        return out.data[0], x.grad[0], weight.grad

    def computed_by(self, algorithm, product="forward"):
        """Return a sentence: which kernel computes the result, and why."""
        hyper = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        chosen = ops.conv_algorithm(Tensor(self.x[None]), Tensor(self.weight), **hyper, algorithm=algorithm)
        name, reason = getattr(chosen, product)
        return f"computed by {name}: {reason}"


def conv(
    x: Operand,
    weight: Operand,
    *,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> WorkedExample:
    """Write out a convolution, product by product.

    S(i, j) = sum over m, n of I(i*stride + m*dilation - padding, j*stride + n*dilation - padding) K(m, n)

    Parameters
    ----------
    x : array or Tensor, shape (W,), (H, W), (C, W) or (C, H, W)
    weight : array or Tensor, shape (KW,), (KH, KW), (C_out, C, KW) or (C_out, C, KH, KW), to match x
    stride, padding, dilation
        As for `ops.conv2d`, or `ops.conv1d` where x is a signal.
    algorithm : str
        As for `ops.conv2d`; it computes the results that are shown.

    Returns
    -------
    WorkedExample
        Computed in float64.

    Raises
    ------
    TypeError, ValueError, ShapeError
        If the shapes or a keyword do not fit.
    MismatchError
        If the results of the algorithm, of the textbook's loops and of the products shown differ.
    """
    problem = _Problem("explain.conv", x, weight, stride, padding, dilation)
    out = problem.run(algorithm)[0]
    truth = textbook.conv2d_forward(problem.x[None], problem.weight, **problem.hyper)[0]
    result = Grid("output", "S", out, problem.out_shape)
    grids = problem.input(), problem.kernel(), result
    steps = _sums("explain.conv", problem.products(), grids, truth)
    title = f"Cross-correlation in {1 if problem.signal else 2}-D: {_options(problem)}"
    return WorkedExample(
        title,
        RULES[1 if problem.signal else 2],
        problem.sizes,
        *grids,
        steps,
        (signs.ASTERISK, "="),
        windows=True,
        computed_by=problem.computed_by(algorithm),
    )


@enable_grad()
def conv_gradient(
    x: Operand,
    weight: Operand,
    wrt: str = "input",
    *,
    grad_out: Operand | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    algorithm: str = "auto",
) -> WorkedExample:
    """Show where the gradient of a convolution's output goes, element by element.

    Each product x * K of the forward pass sends grad S * K to x and grad S * x to K.

    Parameters
    ----------
    x, weight, stride, padding, dilation, algorithm
        As for `conv`.
    wrt : "input" or "weight"
    grad_out : array or None, of the output's shape
        The gradient that comes in; None means 1, 2, 3, ..., so that each can be followed.

    Returns
    -------
    WorkedExample

    Raises
    ------
    TypeError, ValueError, ShapeError, MismatchError
        As `conv`; ValueError also for another ``wrt``.
    """
    op = "explain.conv_gradient"
    if wrt not in ("input", "weight"):
        raise ValueError(f"{op}: wrt - expected 'input' or 'weight', got {wrt!r}")
    problem = _Problem(op, x, weight, stride, padding, dilation)
    incoming = incoming_gradient(op, grad_out, problem.out_shape, (len(problem.weight), *problem.out_size))
    _, grad_x, grad_weight = problem.run(algorithm, incoming)
    gradient = Grid("gradient of the output", "dS", incoming, problem.out_shape)
    if wrt == "input":
        truth = textbook.conv2d_backward_input(
            incoming[None], problem.weight, input_size=problem.size, **problem.hyper
        )[0]
        grids = (
            gradient,
            problem.kernel(),
            Grid("gradient of the input", "dx", grad_x, problem.x_shape, unread=problem.unread),
        )
        products = ((o, k, x) for x, k, o in problem.products())
        rule = "dx = sum of dS * K over every product x * K of the forward pass"
    else:
        filters, channels, *taps = problem.weight.shape
        truth = textbook.conv2d_backward_weight(
            problem.x[None], incoming[None], kernel_size=problem.taps, **problem.hyper
        ).reshape(-1, *taps)
        values = grad_weight.reshape(-1, *taps)
        result = Grid("gradient of the kernel", "dK", values, problem.weight_shape, columns=filters)
        grids = problem.input(), gradient, result
        products = ((x, o, k) for x, k, o in problem.products())
        rule = "dK = sum of x * dS over every product x * K of the forward pass"
    steps = _sums(op, products, grids, truth)
    title, sentences = f"Gradient of the {wrt}: {_options(problem)}", of_output(problem.sizes)
    computed_by = problem.computed_by(algorithm, f"backward_{wrt}")
    return WorkedExample(title, rule, sentences, *grids, steps, _SIGNS, computed_by=computed_by)


def incoming_gradient(op, given, shape, full):
    """Return the gradient of an output as float64 of shape ``full``; None gives 1, 2, 3, ..."""
    if given is None:
        return np.arange(1.0, math.prod(full) + 1).reshape(full)
    given = numbers(op, "grad_out", given, (len(shape),))
    if given.shape != shape:
        raise ShapeError(f"{op}: grad_out - expected shape {shape}, got {given.shape}")
    return given.reshape(full)


def _options(problem):
    """Return "stride 2, padding 1"."""
    axes = slice(1, 2) if problem.signal else slice(0, 2)
    top, bottom, left, right = problem.padding
    stride, dilation = problem.stride[axes], problem.dilation[axes]
    padding = (left, right) if problem.signal else problem.padding if (top, left) != (bottom, right) else (top, left)
    named = {"stride": stride, "padding": padding, "dilation": dilation if max(dilation) > 1 else ()}
    texts = ((name, str(value[0]) if len(set(value)) == 1 else str(value)) for name, value in named.items() if value)
    return ", ".join(f"{name} {text}" for name, text in texts)


def _sums(op, products, grids, truth):
    """Return the steps of sums of products, once kernel, textbook and products agree."""
    left, right, result = grids
    terms = {place: [] for place in np.ndindex(result.values.shape)}
    for a, b, place in products:
        if result.inside(place):  # nobody uses a gradient of the padding
            terms[place].append((a, b))
    sums = np.zeros(result.values.shape)
    steps = []
    for place, pairs in terms.items():
        sums[place] = sum(left.at(a) * right.at(b) for a, b in pairs)
        written = " + ".join(f"{factor(left.at(a))}*{factor(right.at(b))}" for a, b in pairs)
        value = float(result.values[place])
        equation = f"{result.label(place)} = {written} = {short(value)}"
        if not pairs:
            equation = f"{result.label(place)} = 0, as no window reads this place"
        steps.append(Step(place, tuple(a for a, _ in pairs), tuple(b for _, b in pairs), value, equation))
    agree(op, result.values, truth, sums)
    return tuple(steps)
