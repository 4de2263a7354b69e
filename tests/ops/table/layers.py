"""Normalisation, dropout and matrix products."""

import numpy as np

from minitorch_cnn import Tensor, ops, rng
from minitorch_cnn.shapes import ShapeError
from tests.ops.table.row import INTEGERS, Op, bare, normal, reference, sample, tensor
from tests.ops.table.windows import largest, pool2d

MEAN, VAR = np.array([0.5, -1.0, 0.2]), np.array([2.0, 0.7, 1.1])


def batch_norm(x, weight=None, bias=None, *, training, eps=1e-5, **_):
    axes = (0, *range(2, x.ndim))
    mean, var = (x.mean(axes), x.var(axes)) if training else (MEAN, VAR)
    weight, bias = np.ones(3) if weight is None else weight, np.zeros(3) if bias is None else bias
    mean, var, weight, bias = (a.reshape(-1, *[1] * (x.ndim - 2)) for a in (mean, var, weight, bias))
    return (x - mean) / np.sqrt(var + eps) * weight + bias


def run_batch_norm(x, weight=None, bias=None, **hyper):
    return ops.batch_norm(x, weight, bias, MEAN.copy(), VAR.copy(), **hyper)


def batch_norm_relu(x, weight=None, bias=None, residual=None, *, pool=1, **hyper):
    out = batch_norm(x, weight, bias, **hyper)
    out = np.maximum(out if residual is None else out + residual, 0)
    return pool2d(largest)(out, pool)


def run_batch_norm_relu(x, weight=None, bias=None, residual=None, **hyper):
    return ops.batch_norm_relu(x, weight, bias, MEAN.copy(), VAR.copy(), residual=residual, **hyper)


def run_sync_batch_norm(x, weight=None, bias=None, *, training=True, **hyper):
    return ops.sync_batch_norm(x, weight, bias, MEAN.copy(), VAR.copy(), total=lambda array: array, **hyper)


def dense_hyper(weight):
    return {"stride": (1, 1), "padding": (weight.shape[2] // 2,) * 4, "dilation": (1, 1), "groups": 1}


def run_dense_block(x, weight, gamma, beta, *, training):
    statistics = {"running_mean": MEAN.copy(), "running_var": VAR.copy(), "momentum": 0.1, "eps": 1e-5}
    stage = ops.DenseNetStage(gamma, beta, weight, None, {"training": training, **statistics}, dense_hyper(weight))
    return ops.dense_block(x, [[stage]])


def dense_block(x, weight, gamma, beta, *, training):
    active = np.maximum(batch_norm(x, gamma, beta, training=training), 0)
    return np.concatenate([x, reference.conv2d_forward(active, weight, **dense_hyper(weight))], 1)


AFFINE = normal(3) + 2, normal(3)
BN = [
    *(sample(normal(*shape), *AFFINE, training=True) for shape in ((4, 3), (3, 3, 4), (2, 3, 3, 4), (1, 3, 2, 2))),
    *(sample(normal(*shape), *AFFINE, training=False) for shape in ((4, 3), (2, 3, 3, 4))),
    sample(normal(2, 3, 3, 4), training=True),
    sample(normal(2, 3, 3, 4), training=False, eps=0.1),
]
FUSED = [
    *(
        sample(normal(2, 3, 4, 4), *AFFINE, training=training, pool=size)
        for training in (True, False)
        for size in (1, 2, 3)
    ),
    sample(normal(2, 3, 4, 4), *AFFINE, normal(2, 3, 4, 4) + 0.3, training=True),
    sample(normal(2, 3, 4, 4), training=True, eps=0.1),
]


def bn_errors(run, name):
    def call(shape=(2, 3, 2, 2), *rest, **hyper):
        return lambda: run(tensor(*shape), *rest, **{"training": True, **hyper})

    op = name if name == "sync_batch_norm" else "batch_norm"
    return [
        (call((2, 4, 2, 2)), ShapeError, f"{op}: running_mean - expected shape (4,), one per channel, got (3,)"),
        (
            call((2, 3, 2, 2), tensor(2)),
            ShapeError,
            f"{op}: weight - expected shape (3,), one per channel, got (2,)",
        ),
        (call(momentum=2), ValueError, f"{op}: momentum - expected 0 to 1, got 2"),
        (call(eps=0), ValueError, f"{op}: eps - expected a positive number, got 0"),
        (call((1, 3, 1, 1)), ValueError, f"{op}: x - expected more than one value per channel in training"),
        (call((3,)), ShapeError, f"{name}: x - expected"),
    ]


LISTS = (
    lambda: ops.batch_norm(tensor(2, 3), None, None, [0, 0, 0], VAR, training=True),
    TypeError,
    "batch_norm: running_mean - expected an ndarray of floats or None, got list",
)


def run_dropout(x, p, **hyper):
    rng.manual_seed(4)
    return ops.dropout(x, p, **hyper)


def dropout(x, p, *, training=True):
    rng.manual_seed(4)
    return x if not training else x * (rng.generator().random(x.shape, np.float32) >= p) / (1 - p)


def standardise(x, axes, eps, centred=True):
    x = x - x.mean(axes, keepdims=True) if centred else x
    return x / np.sqrt((x**2).mean(axes, keepdims=True) + eps)


def group_norm(x, weight=None, bias=None, *, groups, eps=1e-5):
    parts = x.reshape(len(x), groups, x[0].size // groups if len(x) else 1)
    out = standardise(parts, 2, eps).reshape(x.shape)
    shape = (-1, *(1,) * (x.ndim - 2))
    return out * (1 if weight is None else weight.reshape(shape)) + (0 if bias is None else bias.reshape(shape))


def run_group_norm(x, weight=None, bias=None, *, groups, **hyper):
    return ops.group_norm(x, groups, weight, bias, **hyper)


def instance_norm(x, weight=None, bias=None, *, training=True, momentum=0.1, eps=1e-5):
    if not training:
        return batch_norm(x, weight, bias, training=False, eps=eps)
    return group_norm(x, weight, bias, groups=3, eps=eps)


def run_instance_norm(x, weight=None, bias=None, **hyper):
    return ops.instance_norm(x, weight, bias, MEAN.copy(), VAR.copy(), **hyper)


def over_last(centred):
    def truth(x, weight=1, bias=0, *, shape, eps=1e-5):
        axes = tuple(range(-(1 if isinstance(shape, int) else len(shape)), 0))
        return standardise(x, axes, eps, centred) * weight + bias

    return truth


def run_layer_norm(x, weight=None, bias=None, *, shape, **hyper):
    return ops.layer_norm(x, shape, weight, bias, **hyper)


def run_rms_norm(x, weight=None, *, shape, **hyper):
    return ops.rms_norm(x, shape, weight, **hyper)


def last_errors(name):
    op = getattr(ops, name)
    return [
        *bare(name, 2),
        (lambda: op(tensor(2, 3), 2), ShapeError, f"{name}: x - expected the last axes (2,), got shape (2, 3)"),
        (lambda: op(tensor(2, 3), (2, "3")), TypeError, f"{name}: shape[1] - expected an integer, got '3'"),
        (lambda: op(tensor(2, 3), ()), ValueError, f"{name}: shape - expected at least one axis, got ()"),
        (lambda: op(tensor(2, 3), 3, tensor(2)), ShapeError, f"{name}: weight - expected shape (3,), got (2,)"),
        (lambda: op(tensor(2, 3), 3, eps=0), ValueError, f"{name}: eps - expected a positive number, got 0"),
    ]


ENDS = [((4, 3), 3), ((2, 4, 3), 3), ((2, 4, 3), (4, 3)), ((2, 3, 2, 2), (3, 2, 2)), ((0, 3), 3)]

ROWS = {
    "group_norm": Op(
        group_norm,
        [
            sample(normal(*shape), *affine, groups=groups, eps=eps)
            for shape, groups in (((3, 6), 2), ((2, 4, 3), 2), ((2, 4, 2, 3), 4), ((2, 4, 2, 3), 1), ((0, 4, 2, 2), 2))
            for weight, bias in [(normal(shape[1]) + 2, normal(shape[1]))]
            for affine, eps in (((), 0.1), ((weight,), 0.1), ((weight, bias), 1e-5))
        ],
        [
            *bare("group_norm", 1),
            (lambda: ops.group_norm(tensor(2, 4), 3), ShapeError, "group_norm: x - expected channels divisible by gro"),
            (lambda: ops.group_norm(tensor(2), 1), ShapeError, "group_norm: x - expected (N, C) or (N, C, ...), got"),
            (lambda: ops.group_norm(tensor(2, 4), 4), ShapeError, "group_norm: x - expected more than one value per"),
            (lambda: ops.group_norm(tensor(2, 4), 0), ValueError, "group_norm: groups - expected at least 1, got 0"),
            (lambda: ops.group_norm(tensor(2, 4), 2, tensor(2)), ShapeError, "group_norm: weight - expected shape"),
            (lambda: ops.group_norm(tensor(2, 4), 2, eps=-1), ValueError, "group_norm: eps - expected a positive num"),
        ],
        run=run_group_norm,
    ),
    "instance_norm": Op(
        instance_norm,
        [
            sample(normal(*shape), *affine, eps=eps, training=training)
            for shape in ((2, 3, 4), (2, 3, 3, 4))
            for affine, eps in (((), 0.1), (AFFINE[:1], 0.1), (AFFINE, 1e-5))
            for training in (True, False)
        ]
        + [sample(normal(0, 3, 2, 2), *AFFINE), sample(normal(1, 3, 1, 1), training=False)],
        [
            *bare("instance_norm"),
            (lambda: ops.instance_norm(tensor(2, 3)), ShapeError, "instance_norm: x - expected (N, C, W) or (N, C, H,"),
            (lambda: ops.instance_norm(tensor(2, 3, 1)), ShapeError, "instance_norm: x - expected more than one value"),
            (lambda: ops.instance_norm(tensor(2, 0, 4)), ShapeError, "instance_norm: x - expected (N, C, W) or (N, C"),
            (lambda: ops.instance_norm(tensor(2, 3, 4), tensor(2)), ShapeError, "instance_norm: weight - expected sh"),
            (lambda: ops.instance_norm(tensor(2, 3, 4), eps=-1), ValueError, "instance_norm: eps - expected"),
            (lambda: run_instance_norm(tensor(2, 4, 2)), ShapeError, "instance_norm: running_mean - expected shape"),
            (
                lambda: ops.instance_norm(tensor(2, 3, 2), None, None, MEAN.copy()),
                ValueError,
                "instance_norm: running_var - expected an array, as the other statistics are, got None",
            ),
            (
                lambda: ops.instance_norm(tensor(2, 3, 2), None, None, np.zeros(3, int), np.ones(3)),
                TypeError,
                "instance_norm: running_mean - expected an ndarray of floats or None, got int64",
            ),
            (lambda: ops.instance_norm(tensor(2, 3, 2), training="no"), TypeError, "training - expected True or False"),
            (lambda: run_instance_norm(tensor(2, 3, 2), momentum=2), ValueError, "momentum - expected 0 to 1, got 2"),
            (lambda: ops.instance_norm(tensor(2, 3, 2), training=False), ValueError, "expected arrays for evaluation"),
        ],
        run=run_instance_norm,
    ),
    "layer_norm": Op(
        over_last(True),
        [
            sample(normal(*x), *affine, shape=shape, eps=eps)
            for x, shape in ENDS
            for affine, eps in (((), 0.1), ((normal(*np.atleast_1d(shape)) + 2, normal(*np.atleast_1d(shape))), 1e-5))
        ],
        last_errors("layer_norm"),
        run=run_layer_norm,
    ),
    "rms_norm": Op(
        over_last(False),
        [
            sample(normal(*x), *affine, shape=shape, eps=eps)
            for x, shape in ENDS
            for affine, eps in (((), 0.1), ((normal(*np.atleast_1d(shape)) + 2,), 1e-5))
        ],
        last_errors("rms_norm"),
        run=run_rms_norm,
    ),
    "sync_batch_norm": Op(
        batch_norm,
        [
            sample(normal(*shape), *affine, training=True, eps=eps)
            for shape in ((2, 3, 3, 4), (1, 3, 2, 2))
            for affine in (AFFINE, AFFINE[:1], ())
            for eps in (1e-5, 0.1)
        ],
        bn_errors(run_sync_batch_norm, "sync_batch_norm")[:4],
        run=run_sync_batch_norm,
    ),
    "dense_block": Op(
        dense_block,
        [
            sample(normal(*shape), normal(2, 3, size, size), *AFFINE, training=training)
            for shape in ((2, 3, 4, 4), (1, 3, 3, 2))
            for size in (1, 3)
            for training in (True, False)
        ],
        [
            (lambda: ops.dense_block(np.ones((1, 3, 2, 2)), []), TypeError, "dense_block: x - expected a Tensor, got"),
            (
                lambda: run_dense_block(tensor(2, 3, 2, 2), np.ones((2, 3, 1, 1)), None, None, training=True),
                TypeError,
                "dense_block: weight - expected a Tensor, got",
            ),
            (
                lambda: run_dense_block(tensor(2, 3, 2, 2), tensor(2, 3, 1, 1), np.ones(3), None, training=True),
                TypeError,
                "dense_block: gamma - expected a Tensor",
            ),
        ],
        run=run_dense_block,
    ),
    "batch_norm": Op(batch_norm, BN, [*bn_errors(run_batch_norm, "batch_norm"), LISTS], run=run_batch_norm),
    "batch_norm_relu": Op(
        batch_norm_relu,
        FUSED,
        bn_errors(run_batch_norm_relu, "batch_norm_relu")[:-1]
        + [
            (
                lambda: run_batch_norm_relu(tensor(2, 3, 2, 2), training=True, pool=0),
                ValueError,
                "pool - expected an integer, 1 to 15",
            )
        ],
        sample(np.zeros((1, 3, 1, 2)), np.ones(3), MEAN / np.sqrt(VAR + 1e-5), training=False),
        run_batch_norm_relu,
    ),
    "local_response_norm": Op(
        lambda x, size, alpha=1e-4, beta=0.75, k=1.0: reference.local_response_norm_forward(
            x, size=size, alpha=alpha, beta=beta, k=k
        ),
        [
            sample(normal(*shape), at=(size,), alpha=0.7)
            for shape in ((1, 5, 2, 2), (2, 3, 1, 4))
            for size in (1, 2, 3, 5)
        ],
        [
            *bare("local_response_norm", 3),
            (
                lambda: ops.local_response_norm(tensor(2, 2), 3),
                ShapeError,
                "x - expected at least 3 axes (N, C, ...), got shape (2, 2)",
            ),
            (
                lambda: ops.local_response_norm(tensor(1, 2, 1, 1), 0),
                ValueError,
                "size - expected an integer >= 1, got 0",
            ),
        ],
    ),
    "dropout": Op(
        dropout,
        [sample(normal(*shape), at=(p,)) for shape in ((7,), (3, 4), (2, 3, 4)) for p in (0.0, 0.5, 0.9)]
        + [sample(normal(3, 4), at=(0.5,), training=False)],
        [
            *bare("dropout"),
            (lambda: ops.dropout(tensor(2), 1.1), ValueError, "dropout: p - expected a number, 0 <= p <= 1, got 1.1"),
            (lambda: ops.dropout(Tensor([1, 2]), 0.5), *INTEGERS),
        ],
        run=run_dropout,
    ),
    "matmul": Op(
        np.matmul,
        [
            sample(normal(*a), normal(*b))
            for a, b in (
                ((3, 4), (4, 2)),
                ((4,), (4, 2)),
                ((3, 4), (4,)),
                ((4,), (4,)),
                ((1, 1), (1, 1)),
                ((2, 3, 4), (2, 4, 2)),
                ((2, 3, 4), (4, 2)),
                ((2, 1, 3, 4), (3, 4, 1)),
            )
        ],
        [
            *bare("matmul", tensor(2, 2), argument="a"),
            (
                lambda: ops.matmul(tensor(2, 3), tensor(2, 3)),
                ShapeError,
                "matmul: b - expected 3 rows, the columns of a (2, 3), got 2",
            ),
            (
                lambda: ops.matmul(tensor(), tensor(2, 3)),
                ShapeError,
                "matmul: a - expected at least one axis, got a scalar",
            ),
        ],
    ),
    "linear": Op(
        lambda x, weight, bias=0: x @ weight.T + bias,
        [
            sample(normal(*x), normal(*w), *([normal(w[0])] if bias else []))
            for bias in (False, True)
            for x, w in (((3, 4), (2, 4)), ((2, 3, 4), (2, 4)), ((1, 1), (1, 1)), ((2, 2, 1, 3), (5, 3)))
        ],
        [
            *bare("linear", tensor(2, 2)),
            (
                lambda: ops.linear(tensor(2, 3), tensor(2, 4)),
                ShapeError,
                "linear: x - expected (..., 4) for weight (2, 4), got (2, 3)",
            ),
            (
                lambda: ops.linear(tensor(2, 3), tensor(2)),
                ShapeError,
                "linear: weight - expected (out_features, in_features), got shape (2,)",
            ),
        ],
    ),
}
