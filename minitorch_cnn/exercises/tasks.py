"""What each exercise asks: the truth, the cases to try, and the mistakes that people make."""

from dataclasses import dataclass, field

import numpy as np

from minitorch_cnn.exercises import mistakes
from minitorch_kernels import reference


@dataclass(frozen=True)
class Case:
    """Arguments to try: arrays by name, hyper-parameters by name, and the gradient of the result."""

    arrays: dict
    hyper: dict
    grad_out: np.ndarray

    def __str__(self) -> str:
        shapes = [f"{name} {array.shape}" for name, array in self.arrays.items()]
        return ", ".join([*shapes, *(f"{name} {value}" for name, value in self.hyper.items())])


@dataclass(frozen=True)
class Task:
    """An exercise.

    ``forward(case)`` gives the right result, ``backward(case)`` the right gradients, a tuple.
    ``wrong_forward(case)`` and ``wrong_gradients[name](case)`` yield (sentence, what that mistake gives).
    """

    formula: str
    shapes: str
    inputs: tuple
    returns: str
    gradients: tuple
    forward: callable
    backward: callable
    examples: tuple  # (shapes or arrays of the inputs, hyper-parameters), the smallest first
    hyper: tuple = ()
    wrong_forward: callable = lambda case: ()
    wrong_gradients: dict = field(default_factory=dict)

    def cases(self):
        """Yield a Case an example, with the same random numbers every time."""
        rng = np.random.default_rng(0)
        for values, hyper in self.examples:
            arrays = {
                name: rng.standard_normal(value) if isinstance(value, tuple) else np.array(value)
                for name, value in zip(self.inputs, values, strict=True)
            }
            empty = Case(arrays, hyper, np.zeros(()))
            with np.errstate(all="ignore"):
                yield Case(arrays, hyper, rng.standard_normal(np.shape(self.forward(empty))))


def conv_hyper(case):
    """Return stride and padding of a case as the textbook takes them."""
    return {"stride": (case.hyper["stride"],) * 2, "padding": (case.hyper["padding"],) * 4}


def _conv_forward(case):
    return reference.conv2d_forward(*case.arrays.values(), **conv_hyper(case))


def _conv_backward(case):
    x, weight, _ = case.arrays.values()
    hyper = conv_hyper(case) | {"dilation": (1, 1), "groups": 1}
    return (
        reference.conv2d_backward_input(case.grad_out, weight, input_size=x.shape[2:], **hyper),
        reference.conv2d_backward_weight(x, case.grad_out, kernel_size=weight.shape[2:], **hyper),
        case.grad_out.sum(axis=(0, 2, 3)),
    )


def _pool_forward(case):
    kernel = (case.hyper["kernel_size"],) * 2
    return reference.max_pool2d_forward(case.arrays["x"], kernel_size=kernel, **conv_hyper(case))[0]


def _pool_backward(case):
    kernel, x = (case.hyper["kernel_size"],) * 2, case.arrays["x"]
    hyper = {"kernel_size": kernel, **conv_hyper(case)}
    argmax = reference.max_pool2d_forward(x, **hyper)[1]
    return (reference.max_pool2d_backward(case.grad_out, argmax, input_size=x.shape[2:], **hyper),)


def _norm_backward(case):
    x, gamma, _ = case.arrays.values()
    return reference.batch_norm_backward(case.grad_out, x, gamma, **case.hyper)


def _linear_forward(case):
    x, weight, bias = case.arrays.values()
    out = np.zeros((len(x), len(weight)))
    for n, o in np.ndindex(out.shape):
        out[n, o] = bias[o] + sum(x[n, i] * weight[o, i] for i in range(x.shape[1]))
    return out


def _linear_backward(case):
    x, weight, bias = case.arrays.values()
    grad_x, grad_weight, grad_bias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(bias.shape)
    for n, o in np.ndindex(case.grad_out.shape):
        grad_x[n] += case.grad_out[n, o] * weight[o]
        grad_weight[o] += case.grad_out[n, o] * x[n]
        grad_bias[o] += case.grad_out[n, o]
    return grad_x, grad_weight, grad_bias


def _entropy_forward(case):
    logits, labels = case.arrays.values()
    losses = [np.log(np.exp(row - row.max()).sum()) + row.max() - row[k] for row, k in zip(logits, labels, strict=True)]
    return np.array(sum(losses) / len(losses))


def _entropy_backward(case):
    logits, labels = case.arrays.values()
    return (mistakes.entropy_gradient(logits, labels) * case.grad_out,)


_CONV = {"stride": 1, "padding": 0}
TASKS = {
    "conv2d": Task(
        "out[n, o, i, j] = bias[o] + sum over c, u, v of\n"
        "    x[n, c, i*stride + u - padding, j*stride + v - padding] * weight[o, c, u, v]\n"
        "(pixels outside the image count as 0)",
        "x (N, C, H, W); weight (O, C, KH, KW); bias (O,); stride, padding int\n"
        "out (N, O, OH, OW), OH = (H + 2*padding - KH) // stride + 1",
        ("x", "weight", "bias"),
        "out, shape (N, O, OH, OW)",
        ("grad_x", "grad_weight", "grad_bias"),
        _conv_forward,
        _conv_backward,
        (
            (((2, 2, 4, 4), (2, 2, 3, 3), (2,)), _CONV),
            (((2, 3, 5, 6), (4, 3, 3, 3), (4,)), {"stride": 1, "padding": 1}),
            (((2, 2, 8, 8), (3, 2, 3, 3), (3,)), {"stride": 2, "padding": 0}),
            (((1, 2, 8, 7), (2, 2, 3, 2), (2,)), {"stride": 2, "padding": 1}),
            (((3, 1, 5, 5), (2, 1, 5, 5), (2,)), {"stride": 1, "padding": 2}),
        ),
        ("stride", "padding"),
        mistakes.conv_forward,
        {"grad_x": mistakes.conv_input, "grad_weight": mistakes.conv_weight, "grad_bias": mistakes.bias},
    ),
    "max_pool2d": Task(
        "out[n, c, i, j] = the largest of x[n, c, i*stride + u - padding, j*stride + v - padding],\n"
        "u and v from 0 to kernel_size - 1\n"
        "(pixels outside the image never win; of equal values the first in row-major order wins)",
        "x (N, C, H, W); kernel_size, stride, padding int\nout (N, C, OH, OW)",
        ("x",),
        "out, shape (N, C, OH, OW)",
        ("grad_x",),
        _pool_forward,
        _pool_backward,
        (
            (((1, 2, 4, 4),), {"kernel_size": 2, "stride": 2, "padding": 0}),
            (((2, 3, 7, 6),), {"kernel_size": 3, "stride": 2, "padding": 0}),
            (((2, 1, 5, 5),), {"kernel_size": 3, "stride": 1, "padding": 1}),
            (([[[[-1.0, -2], [-3, -4]]]],), {"kernel_size": 2, "stride": 2, "padding": 1}),
            (([[[[1.0, 1], [1, 1]]]],), {"kernel_size": 2, "stride": 2, "padding": 0}),
        ),
        ("kernel_size", "stride", "padding"),
        mistakes.pool_forward,
        {"grad_x": mistakes.pool_input},
    ),
    "relu": Task(
        "out = max(x, 0); its derivative is 1 where x > 0, else 0",
        "x and out of any shape",
        ("x",),
        "out, of the shape of x",
        ("grad_x",),
        lambda case: np.where(case.arrays["x"] > 0, case.arrays["x"], 0),
        lambda case: (np.where(case.arrays["x"] > 0, case.grad_out, 0),),
        ((((3, 4),), {}), (((2, 3, 4, 5),), {}), (([-1.0, 0.0, 2.0],), {})),
        wrong_forward=mistakes.relu_forward,
        wrong_gradients={"grad_x": mistakes.relu_input},
    ),
    "linear": Task(
        "out[n, o] = bias[o] + sum over i of x[n, i] * weight[o, i]",
        "x (N, I); weight (O, I); bias (O,); out (N, O)",
        ("x", "weight", "bias"),
        "out, shape (N, O)",
        ("grad_x", "grad_weight", "grad_bias"),
        _linear_forward,
        _linear_backward,
        ((((2, 3), (4, 3), (4,)), {}), (((5, 4), (4, 4), (4,)), {}), (((3, 7), (1, 7), (1,)), {})),
        wrong_forward=mistakes.linear_forward,
        wrong_gradients={"grad_weight": mistakes.linear_weight, "grad_bias": mistakes.bias},
    ),
    "batch_norm": Task(
        "out[n, c, i, j] = (x[n, c, i, j] - mean[c]) / sqrt(var[c] + eps) * gamma[c] + beta[c]\n"
        "(mean and biased variance of each channel over images and pixels, as in training)",
        "x (N, C, H, W); gamma, beta (C,); eps float; out (N, C, H, W)",
        ("x", "gamma", "beta"),
        "out, shape (N, C, H, W)",
        ("grad_x", "grad_gamma", "grad_beta"),
        lambda case: reference.batch_norm_forward(*case.arrays.values(), **case.hyper)[0],
        _norm_backward,
        ((((2, 2, 2, 3), (2,), (2,)), {"eps": 1e-5}), (((3, 3, 4, 4), (3,), (3,)), {"eps": 0.1})),
        ("eps",),
        mistakes.norm_forward,
        {"grad_x": mistakes.norm_input, "grad_gamma": mistakes.norm_gamma, "grad_beta": mistakes.bias},
    ),
    "cross_entropy": Task(
        "out = mean over n of -log(softmax(logits[n])[labels[n]])",
        "logits (N, K); labels (N,) integers; out one number",
        ("logits", "labels"),
        "out, one number",
        ("grad_logits",),
        _entropy_forward,
        _entropy_backward,
        (
            (((3, 4), [0, 3, 1]), {}),
            (((5, 10), [9, 0, 0, 4, 2]), {}),
            (([[1000.0, 0.0], [0.0, -1000.0]], [0, 1]), {}),
        ),
        wrong_forward=mistakes.entropy_forward,
        wrong_gradients={"grad_logits": mistakes.entropy_logits},
    ),
}
