"""Pooling and its gradient, element by element."""

import numpy as np

import minitorch_kernels.reference as textbook
from minitorch_cnn import arguments, ops
from minitorch_cnn.autograd import enable_grad
from minitorch_cnn.display import signs
from minitorch_cnn.explain.arithmetic.conv import incoming_gradient
from minitorch_cnn.explain.arithmetic.steps import Grid, Step, WorkedExample, agree, numbers
from minitorch_cnn.explain.arithmetic.text import factor, of_output, short, sizes
from minitorch_cnn.shapes import pair
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Operand, Size

TITLES = {"max": "Max pooling", "avg": "Average pooling"}
_ARROWS = (signs.RIGHT_ARROW,) * 2


class _Problem:
    """A pooling with its arguments checked: an image (C, H, W), and sizes in pairs."""

    def __init__(self, op, x, kernel, kind, stride, padding, count_include_pad):
        if not isinstance(kind, str) or kind not in TITLES:
            raise ValueError(f"{op}: kind - expected 'max' or 'avg', got {kind!r}")
        rows = isinstance(kernel, (tuple, list)) and len(kernel) == 1  # signals of several channels
        x = numbers(op, "x", x, (1, 2) if rows else (1, 2, 3))
        self.op, self.kind, self.signal, self.x_shape = op, kind, rows or x.ndim == 1, x.shape
        plain = x.ndim == (1 if self.signal else 2)
        self.x = x.reshape(1 if plain else len(x), 1 if self.signal else x.shape[-2], x.shape[-1])
        if self.signal:
            kernel = (1, pair(kernel[0] if rows else kernel, f"{op}: kernel")[1])
            stride = kernel if stride is None else (1, pair(stride, f"{op}: stride")[1])
            padding = (0, 0, *pair(padding, f"{op}: padding", minimum=0))
        self.hyper = ops.pool._window(op, kernel, stride, padding)
        arguments.flag(op, count_include_pad=count_include_pad)
        self.count_include_pad = bool(count_include_pad)
        self.out_size = ops.pool._window_output_shape(op, (1, *self.x.shape), **self.hyper)[2:]
        self.out_shape = (*([] if plain else [len(self.x)]), *self.out_size[self.signal :])
        window = self.hyper["kernel_size"], self.hyper["stride"], self.hyper["padding"]
        self.sizes, self.unread = sizes(self.x.shape[1:], *window, (1, 1), self.signal)

    @property
    def title(self):
        """Return the kind, window and stride in words."""
        (rows, columns), stride = self.hyper["kernel_size"], self.hyper["stride"]
        window = f"{columns}" if self.signal else f"{rows} x {columns}"
        step = stride[1] if self.signal or stride[0] == stride[1] else f"{stride[0]} x {stride[1]}"
        (top, bottom, left, right), padding = self.hyper["padding"], ""
        if any(self.hyper["padding"]):
            same = left == right and (self.signal or top == bottom == left)
            sides = (left, right) if self.signal else (top, bottom, left, right)
            padding = f", padding {left if same else sides}"
        return f"{TITLES[self.kind]} of {window}, stride {step}{padding}"

    def input(self):
        fill = -np.inf if self.kind == "max" else 0.0
        return Grid("input", "x", self.x, self.x_shape, self.hyper["padding"], fill, self.unread)

    def windows(self):
        """Yield (place in the output, places of its window that count, the divisor)."""
        grid, (top, _, left, _), (sh, sw) = self.input(), self.hyper["padding"], self.hyper["stride"]
        for c, i, j in np.ndindex(len(self.x), *self.out_size):
            places = [(c, i * sh + u - top, j * sw + v - left) for u, v in np.ndindex(self.hyper["kernel_size"])]
            inside = [place for place in places if grid.inside(place)]
            if self.kind == "avg" and self.count_include_pad:
                yield (c, i, j), places, len(places)
            else:
                yield (c, i, j), inside, len(inside)

    def winner(self, places):
        """Return the place of the largest, the first of equal ones; NaN is larger than every number."""
        return places[int(np.argmax([self.x[place] for place in places]))]

    def run(self, grad_out=None):
        """Return (output, gradient of x) by the shipped kernels."""
        x = Tensor(self.x[None], requires_grad=True)
        if self.kind == "max":
            out = ops.max_pool2d(x, **self.hyper)
        else:
            out = ops.avg_pool2d(x, **self.hyper, count_include_pad=self.count_include_pad)
        if grad_out is None:
            return out.data[0], None
        out.backward(grad_out[None])
        return out.data[0], x.grad[0]


def pool(
    x: Operand,
    kernel: Size,
    kind: str = "max",
    *,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> WorkedExample:
    """Write out a pooling, element by element.

    max: S(i, j) = max over m, n of I(i*stride + m - padding, j*stride + n - padding); avg: their mean

    Parameters
    ----------
    x : array or Tensor, shape (W,), (H, W) or (C, H, W)
        (C, W) with ``kernel`` a tuple of one: signals of several channels.
    kernel : int or (int, int), pixels
    kind : "max" or "avg"
    stride, padding, count_include_pad
        As for `ops.max_pool2d` and `ops.avg_pool2d`.

    Returns
    -------
    WorkedExample
        Computed in float64.

    Raises
    ------
    TypeError, ValueError, ShapeError
        If the shapes or a keyword do not fit.
    MismatchError
        If the results of the kernel, of the textbook's loops and of the steps shown differ.
    """
    problem = _Problem("explain.pool", x, kernel, kind, stride, padding, count_include_pad)
    out, _ = problem.run()
    left, result = problem.input(), Grid("output", "S", out, problem.out_shape)
    shown, steps = np.zeros(out.shape), []
    for place, places, count in problem.windows():
        values, value = [left.at(p) for p in places], float(out[place])
        shown[place] = np.max(values) if kind == "max" else sum(values) / count
        if kind == "max":
            written, chosen = f"max({', '.join(map(short, values))})", problem.winner(places)
        else:
            written, chosen = f"({' + '.join(map(factor, values))}) / {count}", None
        equation = f"{result.label(place)} = {written} = {short(value)}"
        steps.append(Step(place, tuple(places), (), value, equation, chosen))
    agree(problem.op, out, _truth(problem), shown)
    name = "max" if kind == "max" else "mean"
    index = "i*stride + m - padding" if problem.signal else "i*stride + m - padding, j*stride + n - padding"
    rule = f"S({'i' if problem.signal else 'i, j'}) = {name} over {'m' if problem.signal else 'm, n'} of I({index})"
    return WorkedExample(problem.title, rule, problem.sizes, left, None, result, tuple(steps), _ARROWS[:1])


@enable_grad()
def pool_gradient(
    x: Operand,
    kernel: Size,
    kind: str = "max",
    *,
    grad_out: Operand | None = None,
    stride: Size | None = None,
    padding: Size = 0,
    count_include_pad: bool = True,
) -> WorkedExample:
    """Show where the gradient of a pooling's output goes, element by element.

    max: all of it to the first largest value of the window; avg: equal shares to the whole window.

    Parameters
    ----------
    x, kernel, kind, stride, padding, count_include_pad
        As for `pool`.
    grad_out : array or None, of the output's shape
        The gradient that comes in; None means 1, 2, 3, ..., so that each can be followed.

    Returns
    -------
    WorkedExample
        Its first grid is the incoming gradient, its second the input.

    Raises
    ------
    TypeError, ValueError, ShapeError, MismatchError
        As `pool`.
    """
    problem = _Problem("explain.pool_gradient", x, kernel, kind, stride, padding, count_include_pad)
    incoming = incoming_gradient(problem.op, grad_out, problem.out_shape, (len(problem.x), *problem.out_size))
    _, grad_x = problem.run(incoming)
    source = Grid("gradient of the output", "dS", incoming, problem.out_shape)
    result = Grid("gradient of the input", "dx", grad_x, problem.x_shape, unread=problem.unread)
    shares = {place: [] for place in np.ndindex(grad_x.shape)}  # of each input: (output, divisor)
    for place, places, count in problem.windows():
        for receiver in [problem.winner(places)] if kind == "max" else places:
            if result.inside(receiver):
                shares[receiver].append((place, 1 if kind == "max" else count))
    shown, steps = np.zeros(grad_x.shape), []
    for place, sources in shares.items():
        shown[place] = sum(incoming[p] / count for p, count in sources)
        divided = {p: "" if kind == "max" else f"/{count}" for p, count in sources}
        names = " + ".join(f"{source.label(p)}{by}" for p, by in divided.items())
        filled = " + ".join(f"{factor(incoming[p])}{by}" for p, by in divided.items())
        value = float(grad_x[place])
        parts = [result.label(place), names, *([filled] if filled != short(value) else []), short(value)]
        equation = " = ".join(parts)
        if not sources:
            why = "it is not the largest element of any window" if kind == "max" else "no window reads this place"
            equation = f"{result.label(place)} = 0, as {why}"
        steps.append(Step(place, tuple(p for p, _ in sources), (place,), value, equation))
    agree(problem.op, grad_x, _truth(problem, incoming), shown)
    rule = ops.pool.MaxPool2d.rule if kind == "max" else ops.pool.AvgPool2d.rule
    title = f"Gradient of {problem.title[0].lower()}{problem.title[1:]}"
    return WorkedExample(title, rule, of_output(problem.sizes), source, problem.input(), result, tuple(steps), _ARROWS)


def _truth(problem, grad_out=None):
    """Return what the textbook's loops give: the output, or the gradient of x."""
    x, size = problem.x[None], problem.x.shape[1:]
    if problem.kind == "max":
        out, argmax = textbook.max_pool2d_forward(x, **problem.hyper)
        if grad_out is None:
            return out[0]
        return textbook.max_pool2d_backward(grad_out[None], argmax, input_size=size, **problem.hyper)[0]
    hyper = {**problem.hyper, "count_include_pad": problem.count_include_pad}
    if grad_out is None:
        return textbook.avg_pool2d_forward(x, **hyper)[0]
    return textbook.avg_pool2d_backward(grad_out[None], input_size=size, **hyper)[0]
