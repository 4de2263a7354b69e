"""Dropout."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING

import numpy as np

from minitorch_cnn import arguments, rng
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.pointwise import Elementwise
from minitorch_cnn.ops.reads import SamePlace
from minitorch_cnn.shapes import memory_order
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class Dropout(Elementwise):
    """Some elements set to 0, the others scaled up."""

    rule = "the gradient passes, scaled, where the element was kept"
    reads, kind = SamePlace(), "pointwise"

    @staticmethod
    def forward(ctx, x, *, p):
        order = memory_order(x)
        uniform = rng.generator().random([x.shape[i] for i in order], np.float32)
        mask = (uniform >= p).transpose(np.argsort(order))  # the memory order of x
        ctx.scale = x.dtype.type(1 / (1 - p) if p < 1 else 0)
        ctx.save(mask)  # one byte per element; backward does not need x
        return x * ctx.scale * mask  # a product, so that NaN stays NaN

    @staticmethod
    def backward(ctx, grad_out):
        (mask,) = ctx.saved
        return grad_out * ctx.scale * mask

    @staticmethod
    def choices(ctx):
        return ctx.saved[0]


def dropout(x: Operand, p: float = 0.5, *, training: bool = True) -> Tensor:
    """Set each element to 0 with probability p, and scale the others by 1 / (1 - p).

    out = x * kept / (1 - p), kept = 1 with probability 1 - p, else 0

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    p : float, 0 <= p <= 1
        1 drops every element.
    training : bool
        False returns x itself.

    Returns
    -------
    Tensor, the shape and memory order of x

    Raises
    ------
    TypeError
        If x is not a Tensor.
    ValueError
        If p is out of range.

    Notes
    -----
    Gradient: grad_out * kept / (1 - p). The expected value of every output element is its input, so
    evaluation needs no scaling. The draws come from the stream that `manual_seed` starts, one per element in
    memory order.
    Source: Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    where the weights are scaled in evaluation instead.
    """
    tensors("dropout", x=x)
    arguments.flag("dropout", training=training)
    if isinstance(p, bool) or not isinstance(p, numbers.Real) or not 0 <= p <= 1:
        raise ValueError(f"dropout: p - expected a number, 0 <= p <= 1, got {p!r}")
    return Dropout.apply(x, p=float(p)) if training and p > 0 else x
