"""Elementwise operations, reductions and softmax."""

import math

import numpy as np

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from tests.ops.table.row import INTEGERS, Op, apart, bare, normal, positive, sample, softmax, tensor

SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 4), (2, 3, 4, 5), (1, 1, 3, 3), (2, 0, 3)]


def elementwise(name, truth, values=normal, *, at=(), errors=(), kink=None):
    samples = [sample(values(*shape), at=at) for shape in SHAPES]
    errors = [*bare(name, *at), (lambda: getattr(ops, name)(Tensor([1, 2]), *at), *INTEGERS), *errors]
    return Op(lambda x, *at: truth(x, *at), samples, errors, None if kink is None else sample(kink, at=at))


PAIRS = [
    ((3, 4), (3, 4)),
    ((3, 4), (4,)),
    ((4,), (3, 4)),
    ((2, 3, 4), (3, 1)),
    ((), (3,)),
    ((2, 1), (1, 5)),
    ((1,), (2, 3, 2, 2)),
    ((0, 3), (3,)),
]


def binary(name, truth, kink=None):
    op = getattr(ops, name)
    return Op(
        truth,
        [sample(normal(*a), positive(*b)) for a, b in PAIRS],
        [
            (lambda: op(np.ones(2), tensor(2)), TypeError, f"{name}: a - expected a Tensor, got ndarray"),
            (lambda: op(tensor(2), [1.0]), TypeError, f"{name}: b - expected a Tensor, got list"),
            (lambda: op(tensor(2), tensor(3)), ShapeError, f"{name}: b - expected a shape that broadcasts with (2,)"),
            (lambda: op(tensor(2), Tensor(np.ones(2, np.float32))), TypeError, "got float64, float32"),
        ],
        kink,
    )


AXES = [
    ((3, 4), {}),
    ((3, 4), {"axis": 0}),
    ((3, 4), {"axis": -1, "keepdims": True}),
    ((2, 3, 4), {"axis": (0, 2)}),
    ((2, 3, 4, 5), {"axis": (0, 2, 3)}),
    ((5,), {"axis": 0}),
    ((2, 3, 4, 5), {"axis": 1}),
    ((2, 2), {"keepdims": True}),
]


def reduction(name, truth, values=apart, kink=None):
    op = getattr(ops, name)
    return Op(
        lambda x, axis=None, **hyper: truth(x, axis, **hyper),
        [sample(values(*shape), **hyper) for shape, hyper in AXES],
        [
            *bare(name),
            (lambda: op(tensor(2, 3), 2), ShapeError, f"{name}: axis - expected -2 to 1 for 2 axes, got 2"),
            (lambda: op(tensor(2, 3), (0, 0)), ValueError, f"{name}: axis - expected each axis once, got (0, 0)"),
            (lambda: op(tensor(2, 3), 0.5), TypeError, f"{name}: axis - expected an integer, got 0.5"),
        ],
        kink,
    )


def along_axis(name, truth):
    op = getattr(ops, name)
    shapes = [
        ((5,), -1),
        ((3, 4), -1),
        ((3, 4), 0),
        ((2, 3, 4), 1),
        ((2, 3, 2, 2), 1),
        ((1, 1), 1),
        ((4, 2), -2),
        ((0, 3), 1),
    ]
    return Op(
        truth,
        [sample(normal(*shape), axis=axis) for shape, axis in shapes],
        [
            *bare(name),
            (lambda: op(tensor(2, 3), 2), ShapeError, f"{name}: axis - expected -2 to 1 for 2 axes, got 2"),
            (lambda: op(tensor(2, 0), 1), ShapeError, f"{name}: x - expected at least one element along axis 1"),
        ],
    )


def gelu(x):
    return x * np.vectorize(lambda value: 0.5 * (1 + math.erf(value / math.sqrt(2))), otypes=[float])(x)


def hard_sigmoid(x):
    return np.clip(x / 6 + 0.5, 0, 1)


LIMITS = [{"low": -0.5}, {"high": 0.3}, {"low": -0.5, "high": 0.75}, {"low": 0.0, "high": 0.0}]


def where(condition, a, b):
    return ops.where(condition.data > 0, a, b)


ROWS = {
    "clip": Op(
        lambda x, low=None, high=None: np.clip(x, low, high),
        [sample(apart(*shape) * 0.9, **limits) for shape in ((), (5,), (3, 4), (2, 0)) for limits in LIMITS],
        [
            *bare("clip", 0),
            (lambda: ops.clip(tensor(2)), ValueError, "clip: low - expected a number for low or high, got None for"),
            (lambda: ops.clip(tensor(2), 2, 1), ValueError, "clip: low - expected at most high 1.0, got 2.0"),
            (lambda: ops.clip(tensor(2), np.nan), ValueError, "clip: low - expected at most high inf, got nan"),
            (lambda: ops.clip(tensor(2), tensor(2)), TypeError, "clip: low - expected a number or None, got Tensor"),
            (lambda: ops.clip(Tensor([1, 2]), 0), *INTEGERS),
        ],
        sample(np.zeros(3), low=0.0),
    ),
    "maximum": binary("maximum", np.maximum, sample(np.ones(3), np.ones(3))),
    "minimum": binary("minimum", np.minimum, sample(np.ones(3), np.ones(3))),
    "where": Op(
        lambda condition, a, b: np.where(condition > 0, a, b),
        [sample(normal(*a), normal(*a), positive(*b)) for a, b in PAIRS],
        [
            (lambda: ops.where([1, 0], tensor(2), tensor(2)), TypeError, "where: condition - expected booleans"),
            (lambda: ops.where([True], [1.0], tensor(2)), TypeError, "where: a - expected a Tensor, got list"),
            (lambda: ops.where([True], tensor(2), tensor(3)), ShapeError, "where: b - expected a shape that"),
            (
                lambda: ops.where([True] * 3, tensor(2), tensor(2)),
                ShapeError,
                "where: condition - expected a shape that broadcasts with (2,)",
            ),
        ],
        run=where,
    ),
    "abs": elementwise("abs", np.abs, apart, kink=np.zeros(3)),
    "exp": elementwise("exp", np.exp),
    "gelu": elementwise("gelu", gelu),
    "leaky_relu": elementwise(
        "leaky_relu",
        lambda x, slope: np.where(x > 0, x, slope * x),
        apart,
        at=(0.2,),
        errors=[(lambda: ops.leaky_relu(tensor(2), "1"), TypeError, "negative_slope - expected a number, got str")],
        kink=np.zeros(3),
    ),
    "elu": elementwise(
        "elu",
        lambda x, alpha: np.where(x > 0, x, alpha * (np.exp(x) - 1)),
        apart,
        at=(0.7,),
        errors=[(lambda: ops.elu(tensor(2), "1"), TypeError, "elu: alpha - expected a number, got '1'")],
        kink=np.zeros(3),
    ),
    "selu": elementwise(
        "selu",
        lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
        apart,
        kink=np.zeros(3),
    ),
    "silu": elementwise("silu", lambda x: x / (1 + np.exp(-x))),
    "mish": elementwise("mish", lambda x: x * np.tanh(np.log(1 + np.exp(x)))),
    "softplus": elementwise(
        "softplus",
        lambda x, beta: np.log(1 + np.exp(beta * x)) / beta,
        at=(2.0,),
        errors=[(lambda: ops.softplus(tensor(2), 0), ValueError, "softplus: beta - expected a positive number, got 0")],
    ),
    "relu6": elementwise("relu6", lambda x: np.minimum(np.maximum(x, 0), 6), apart, kink=np.zeros(3)),
    "hard_sigmoid": elementwise("hard_sigmoid", hard_sigmoid, apart, kink=np.full(3, -3.0)),
    "hard_swish": elementwise("hard_swish", lambda x: x * hard_sigmoid(x), apart, kink=np.full(3, -3.0)),
    "prelu": Op(
        lambda x, weight: np.where(x > 0, x, weight.reshape(-1, *(1,) * (x.ndim - 2)) * x),
        [
            sample(apart(*shape), positive(count))
            for shape, count in (
                ((5,), 1), ((3, 4), 4), ((3, 4), 1), ((2, 3, 4), 3), ((2, 3, 2, 2), 3), ((2, 3, 2, 2), 1), ((0, 3), 3),
                ((2, 2, 1, 1, 2), 2),
            )  # fmt: skip
        ],
        [
            *bare("prelu", tensor(1)),
            (lambda: ops.prelu(tensor(2, 3), [0.1]), TypeError, "prelu: weight - expected a Tensor, got list"),
            (lambda: ops.prelu(tensor(2, 3), tensor(2)), ShapeError, "prelu: weight - expected shape (1,) or (3,) for"),
        ],
        sample(np.zeros((3, 1)), np.full(1, 0.5)),
    ),
    "log": elementwise("log", np.log, positive),
    "neg": elementwise("neg", np.negative),
    "power": elementwise(
        "power",
        np.power,
        positive,
        at=(1.5,),
        errors=[(lambda: ops.power(tensor(2), "2"), TypeError, "power: exponent - expected a number or a Tensor, got")],
    ),
    "relu": elementwise("relu", lambda x: np.maximum(x, 0), apart, kink=np.zeros(3)),
    "sigmoid": elementwise("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
    "sqrt": elementwise("sqrt", np.sqrt, positive),
    "tanh": elementwise("tanh", np.tanh),
    "add": binary("add", np.add),
    "sub": binary("sub", np.subtract),
    "mul": binary("mul", np.multiply),
    "div": binary("div", np.divide),
    "sum": reduction("sum", np.sum, normal),
    "mean": reduction("mean", np.mean, normal),
    "var": reduction("var", np.var, normal),
    "max": reduction("max", np.max, kink=sample(np.ones(3))),
    "min": reduction("min", np.min, kink=sample(np.ones(3))),
    "softmax": along_axis("softmax", softmax),
    "log_softmax": along_axis("log_softmax", lambda x, axis: np.log(softmax(x, axis))),
}
