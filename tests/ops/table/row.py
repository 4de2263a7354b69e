"""A row of the table, and sample values for it."""

import math
from typing import NamedTuple

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import Tensor, ops

reference = kernels.reference


class Op(NamedTuple):
    """One operation.

    ``samples`` are (arrays, positional arguments, keywords). ``truth`` takes the same and returns the expected array.
    ``errors`` are (call, type, part of the message). ``kink`` is a sample where the derivative does not exist.
    ``run`` calls the operation if that is not just ``ops.name(*tensors, ...)``.
    """

    truth: callable
    samples: list
    errors: list
    kink: tuple = None
    run: callable = None


def normal(*shape):
    return np.random.default_rng([3, *shape]).standard_normal(shape)


def positive(*shape):
    return np.abs(normal(*shape)) + 0.5


def apart(*shape):
    """Return values of both signs that are at least 1/16 away from each other and from 0."""
    size = math.prod(shape)
    return (np.random.default_rng(size).permutation(size).reshape(shape) - size // 2 + 0.5) / 8


def sample(*arrays, at=(), **hyper):
    return arrays, at, hyper


def tensor(*shape):
    return Tensor(np.ones(shape))


INTEGERS = (TypeError, "expected float32 or float64, the same everywhere, got int64")


def bare(name, *rest, argument="x"):
    """Return two wrong calls: with an array and with a list for the first Tensor."""
    return [
        (
            lambda value=value: getattr(ops, name)(value, *rest),
            TypeError,
            f"{name}: {argument} - expected a Tensor, got {kind}",
        )
        for value, kind in ((np.ones((2, 2)), "ndarray"), ([1.0], "list"))
    ]


def softmax(x, axis):
    powers = np.exp(x)
    return powers / powers.sum(axis, keepdims=True)
