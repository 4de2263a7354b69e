"""Losses."""

import numpy as np

from minitorch_cnn import Tensor, ops
from minitorch_cnn.shapes import ShapeError
from tests.ops.table.row import Op, apart, bare, normal, positive, sample, softmax, tensor

LABELS = np.array([2, 0, 1])
PIXELS = np.array([[[0, 2], [1, -1]], [[2, 2], [0, 1]]])  # for maps (2, K, 2, 2); -1 is to be ignored
REDUCTIONS = [{"reduction": reduction} for reduction in ("mean", "sum", "none")]
WEIGHT = np.array([0.5, 2.0, 1.5])


def reduced(losses, reduction="mean"):
    return losses if reduction == "none" else getattr(np, reduction)(losses)


def classes(log_probs, labels, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    """Return the loss of logarithms of probabilities (N, K, ...): row by row, in loops."""
    weight = np.ones(log_probs.shape[1]) if weight is None else np.asarray(weight)
    losses, counts = np.zeros((2, *np.shape(log_probs[:, 0])))
    for at in np.ndindex(losses.shape):
        row = log_probs[(at[0], slice(None), *at[1:])]
        soft = np.ndim(labels) == log_probs.ndim
        label = None if soft else labels[at]
        if soft or label != ignore_index:
            target = labels[(at[0], slice(None), *at[1:])] if soft else np.eye(len(row))[label]
            target = (1 - label_smoothing) * target + label_smoothing / len(row)
            losses[at] = -(weight * target * row).sum()
            counts[at] = 1 if soft else weight[label]
    return losses.sum() / counts.sum() if reduction == "mean" else reduced(losses, reduction)


def cross_entropy(x, labels, **hyper):
    return classes(np.log(softmax(x, 1)), labels, **hyper)


def nll_loss(x, labels, **hyper):
    return classes(x, labels, **hyper)


def label_errors(name, argument):
    op = getattr(ops, name)
    return [
        *bare(name, LABELS, argument=argument),
        (
            lambda: op(tensor(3, 3), [0, 1]),
            ShapeError,
            f"{name}: labels - expected shape (3,), one per row of (3, 3), got (2,)",
        ),
        (lambda: op(tensor(3), [0, 1]), ShapeError, f"{name}: {argument} - expected (N, K), a row of K classes"),
        (lambda: op(tensor(3, 3), [0, 1, 3]), ValueError, f"{name}: labels - expected 0 to 2 for 3 classes, got 3"),
        (
            lambda: op(tensor(2, 3, 2, 2), PIXELS),
            ValueError,
            f"{name}: labels - expected 0 to 2 for 3 classes, got -1 at position (0, 1, 1)",
        ),
        (lambda: op(tensor(2, 3), np.ma.array([0, 1], mask=[0, 1])), TypeError, f"{name}: labels - "),
        (lambda: op(tensor(3, 3), [0.0] * 3), TypeError, f"{name}: labels - expected integers"),
        (lambda: op(tensor(3, 3), LABELS, reduction="max"), ValueError, f"{name}: reduction - expected one of"),
        (lambda: op(tensor(3, 3), LABELS, reduction=["sum"]), ValueError, f"{name}: reduction - expected one of"),
        (
            lambda: op(tensor(3, 3), LABELS, weight=[1.0, 2.0]),
            ShapeError,
            f"{name}: weight - expected shape (3,), one per class, got (2,)",
        ),
        (
            lambda: op(tensor(3, 3), LABELS, weight=Tensor(WEIGHT, requires_grad=True)),
            TypeError,
            f"{name}: weight - expected constants, got a Tensor that requires a gradient",
        ),
        (
            lambda: op(tensor(3, 3), LABELS, ignore_index=0.5),
            TypeError,
            f"{name}: ignore_index - expected an integer, got 0.5",
        ),
    ]


def of_elements(name, truth, values, targets, options, errors=(), kink=None):
    op = getattr(ops, name)
    return Op(
        truth,
        [
            sample(values(*shape), targets(*shape), **hyper, **extra)
            for shape in ((), (4,), (2, 3), (2, 1, 3))
            for hyper in REDUCTIONS
            for extra in (options if hyper["reduction"] == "mean" else options[:1])
        ],
        [
            *bare(name, Tensor(1.0)),
            (lambda: op(tensor(2), tensor(3)), ShapeError, f"{name}: target - expected shape (2,), got (3,)"),
            (lambda: op(tensor(2), tensor(2), reduction=""), ValueError, f"{name}: reduction - expected one of"),
            *errors,
        ],
        kink,
    )


def weighted(op, name):
    return [
        (lambda: op(half(2), half(2), **{name: [1.0, 2.0, 3.0]}), ShapeError, f"{name} - expected a shape that"),
        (lambda: op(half(2), half(2), **{name: "1"}), TypeError, f"{name} - expected numbers"),
        (
            lambda: op(half(2), half(2), **{name: Tensor([1.0], requires_grad=True)}),
            TypeError,
            f"{name} - expected constants, got a Tensor that requires a gradient",
        ),
    ]


def half(*shape):
    return Tensor(np.full(shape, 0.5))


def probabilities(*shape):
    return 1 / (1 + np.exp(-normal(*shape)))


def binary_cross_entropy(x, target, weight=1.0, **hyper):
    return reduced(-(target * np.log(x) + (1 - target) * np.log(1 - x)) * weight, **hyper)


def with_logits(x, target, weight=1.0, pos_weight=1.0, **hyper):
    yes = 1 / (1 + np.exp(-x))
    return reduced(-(pos_weight * target * np.log(yes) + (1 - target) * np.log(1 - yes)) * weight, **hyper)


def smooth_l1(x, target, beta=1.0, **hyper):
    d = np.abs(x - target)
    return reduced(np.where(d < beta, d**2 / (2 * beta or 1), d - beta / 2), **hyper)


def far(*shape):
    """Return values that differ from those of `apart` by 1/16 at least, and by neither 1/2 nor 1."""
    return np.where(np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2, 2.3, 0.06) + apart(*shape)


LABELLED = [sample(normal(3, count), at=(LABELS,), **hyper) for count in (3, 5, 8) for hyper in REDUCTIONS]
OPTIONS = [
    sample(normal(2, 3, 2, 2), at=(PIXELS,), ignore_index=-1, weight=weight, **hyper)
    for weight in (None, WEIGHT)
    for hyper in REDUCTIONS
]
SOFT = [
    sample(normal(*shape), at=(softmax(normal(*shape), 1),), weight=weight, label_smoothing=smoothing, **hyper)
    for shape in ((4, 3), (2, 3, 4))
    for weight in (None, WEIGHT)
    for smoothing in (0.0, 0.3)
    for hyper in REDUCTIONS
]

ROWS = {
    "cross_entropy": Op(
        cross_entropy,
        [
            *LABELLED,
            *OPTIONS,
            *SOFT,
            *((arrays, at, {**hyper, "label_smoothing": 0.3}) for arrays, at, hyper in (*LABELLED[:2], *OPTIONS)),
        ],
        [
            *label_errors("cross_entropy", "logits"),
            (
                lambda: ops.cross_entropy(tensor(2, 2), [[0.5, 0.5], [-1.0, 2.0]]),
                ValueError,
                "cross_entropy: labels - expected probabilities from 0 to 1, got -1.0 at (1, 0)",
            ),
            (
                lambda: ops.cross_entropy(tensor(1, 2), [[0.5, 0.5]], ignore_index=0),
                ValueError,
                "cross_entropy: ignore_index - expected no class for soft targets, got 0",
            ),
        ],
    ),
    "nll_loss": Op(nll_loss, [*LABELLED, *OPTIONS], label_errors("nll_loss", "log_probs")),
    "mse_loss": of_elements(
        "mse_loss", lambda x, target, **hyper: reduced((x - target) ** 2, **hyper), normal, positive, [{}]
    ),
    "l1_loss": of_elements(
        "l1_loss",
        lambda x, target, **hyper: reduced(np.abs(x - target), **hyper),
        far,
        apart,
        [{}],
        kink=sample(np.ones(3), np.ones(3)),
    ),
    "smooth_l1_loss": of_elements(
        "smooth_l1_loss",
        smooth_l1,
        far,
        apart,
        [{}, {"beta": 0.5}, {"beta": 0.0}],
        [
            (
                lambda: ops.smooth_l1_loss(tensor(2), tensor(2), beta=-1),
                ValueError,
                "smooth_l1_loss: beta - expected at least 0, got -1",
            )
        ],
        kink=sample(np.ones(3), np.ones(3), beta=0.0),
    ),
    "huber_loss": of_elements(
        "huber_loss",
        lambda x, target, delta=1.0, **hyper: delta * smooth_l1(x, target, delta, **hyper),
        far,
        apart,
        [{}, {"delta": 0.5}],
        [
            (
                lambda: ops.huber_loss(tensor(2), tensor(2), delta=0),
                ValueError,
                "huber_loss: delta - expected a positive number, got 0",
            )
        ],
    ),
    "binary_cross_entropy": of_elements(
        "binary_cross_entropy",
        binary_cross_entropy,
        probabilities,
        lambda *shape: 0.9 - 0.8 * probabilities(*shape),
        [{}, {"weight": 0.7}],
        [
            *weighted(ops.binary_cross_entropy, "weight"),
            (
                lambda: ops.binary_cross_entropy(Tensor([2.0]), Tensor([1.0])),
                ValueError,
                "binary_cross_entropy: x - expected probabilities, 0 to 1, got 2.0; use binary_cross_entropy_with_log",
            ),
        ],
    ),
    "binary_cross_entropy_with_logits": of_elements(
        "binary_cross_entropy_with_logits",
        with_logits,
        normal,
        probabilities,
        [{}, {"weight": 0.7, "pos_weight": 3.0}],
        [
            *weighted(ops.binary_cross_entropy_with_logits, "weight"),
            *weighted(ops.binary_cross_entropy_with_logits, "pos_weight"),
        ],
    ),
}
