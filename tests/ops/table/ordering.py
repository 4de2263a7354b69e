"""Running sums, products and elements picked by position."""

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.shapes import ShapeError
from tests.ops.table.row import Op, apart, bare, normal, sample, tensor

AXES = [((5,), 0), ((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1), ((2, 3, 2, 2), 1), ((1, 1), 1), ((0, 3), 1), ((4, 0), 0)]
PRODUCTS = [
    ((3, 4), {}), ((3, 4), {"axis": 0}), ((3, 4), {"axis": -1, "keepdims": True}), ((2, 3, 4), {"axis": (0, 2)}),
    ((2, 3, 2, 2), {"axis": (2, 3)}), ((1,), {}), ((), {}), ((2, 0), {"axis": 1}),
]  # fmt: skip


def with_zeros(*shape):
    values = normal(*shape)
    values[np.abs(values) < 0.4] = 0
    return values


def picked(*shape, axis=1):
    return np.random.default_rng(5).integers(0, 3, shape), axis


def wrong_axis(name, *rest):
    op = getattr(ops, name)
    return [
        *bare(name, *rest, 0),
        (lambda: op(tensor(2, 3), *rest, 2), ShapeError, f"{name}: axis - expected -2 to 1 for 2 axes, got 2"),
        (lambda: op(tensor(2, 3), *rest, "0"), TypeError, f"{name}: axis - expected an integer, got '0'"),
    ]


def topk(x, k, axis=-1, *, largest=True):
    order = np.argsort(-x if largest else x, axis, kind="stable")
    return np.take(np.take_along_axis(x, order, axis), np.arange(k), axis)


ROWS = {
    "cumsum": Op(np.cumsum, [sample(normal(*shape), at=(axis,)) for shape, axis in AXES], wrong_axis("cumsum")),
    "prod": Op(
        lambda x, axis=None, **hyper: np.prod(x, axis=axis, **hyper),
        [sample(with_zeros(*shape), **hyper) for shape, hyper in PRODUCTS],
        wrong_axis("prod"),
    ),
    "gather": Op(
        lambda x, at, axis: np.take_along_axis(x, at, axis),
        [
            sample(normal(*shape), at=picked(*at, axis=axis))
            for shape, at, axis in (
                ((3,), (5,), 0), ((3,), (1,), -1), ((2, 3), (2, 4), 1), ((3, 2), (1, 2), 0), ((2, 3, 4), (2, 2, 4), 1),
                ((2, 3, 2, 2), (2, 1, 2, 2), 1), ((2, 3), (2, 0), 1), ((3, 3), (3, 3), -2),
            )
        ],
        [
            *wrong_axis("gather", [[0]]),
            (lambda: ops.gather(tensor(2, 3), [[0.0]], 1), TypeError, "gather: indices - expected integers, got dtype"),
            (lambda: ops.gather(tensor(2, 3), [0], 1), ShapeError, "gather: indices - expected at most (2, 3) except"),
            (lambda: ops.gather(tensor(2, 3), [[3]], 1), IndexError, "gather: indices - expected 0 to 2 along axis 1"),
            (lambda: ops.gather(tensor(2, 3), [[-1]], 1), IndexError, "gather: indices - expected 0 to 2 along axis 1"),
        ],
    ),
    "topk": Op(
        topk,
        [
            sample(apart(*shape), at=(k, axis), largest=largest)
            for shape, k, axis in (((5,), 2, 0), ((3, 4), 4, -1), ((3, 4), 1, 0), ((2, 3, 4), 2, 1))
            for largest in (True, False)
        ],
        [
            *wrong_axis("topk", 1),
            (lambda: ops.topk(tensor(2, 3), 4), ValueError, "topk: k - expected at most 3, the length of axis 1"),
            (lambda: ops.topk(tensor(2, 3), 0), ValueError, "topk: k - expected at least 1, got 0"),
        ],
        run=lambda x, *at, **hyper: ops.topk(x, *at, **hyper)[0],
    ),
}  # fmt: skip
