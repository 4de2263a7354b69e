"""Padding with zeros, with a constant, or by reflection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.reads import Padded
from minitorch_cnn.shapes import ShapeError, pair
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class Pad(Function):
    """A border of a constant, or the array mirrored at its edges."""

    rule = "grad_out without the border; a mirrored border adds to the elements that it mirrors"
    reads, kind = Padded("padding", "mode"), "pointwise"

    @staticmethod
    def output_shape(x, *, padding, mode, value):
        if len(padding) != len(x):
            raise ShapeError(f"pad: padding - expected {len(x)} pairs for shape {x}, got {len(padding)}")
        for length, ends in zip(x, padding, strict=True):
            if mode == "reflect" and max(ends) >= max(length, 1):
                raise ShapeError(f"pad: padding - expected less than the axis ({length}) to reflect, got {ends}")
        return tuple(before + length + after for length, (before, after) in zip(x, padding, strict=True))

    @staticmethod
    def forward(ctx, x, *, padding, mode, value):
        ctx.padding, ctx.mode = padding, mode
        order = (0, 2, 3, 1) if x.ndim == 4 else tuple(range(x.ndim))  # feature maps stay channels-last
        widths = [padding[i] for i in order]
        constant = {"constant_values": value} if mode == "zero" else {}
        padded = np.pad(x.transpose(order), widths, "constant" if mode == "zero" else "reflect", **constant)
        return padded.transpose(np.argsort(order))

    @staticmethod
    def backward(ctx, grad_out):
        grad = grad_out
        for axis, (before, after) in enumerate(ctx.padding):
            line = np.moveaxis(grad, axis, 0)
            inner = line[before : len(line) - after]
            if ctx.mode == "reflect" and (before or after):
                inner = inner.copy(order="K")  # the mirrored borders are added to it; K keeps the layout
                inner[1 : before + 1] += line[:before][::-1]  # element k before the edge mirrors element k after it
                inner[len(inner) - 1 - after : len(inner) - 1] += line[len(line) - after :][::-1]
            grad = np.moveaxis(inner, 0, axis)
        return grad


def pad(x: Operand, padding: Any, mode: str = "zero", value: float = 0.0) -> Tensor:
    """Pad an array on both sides of every axis.

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    padding : sequence of int or (int, int), >= 0
        The number of elements to add before and after, for every axis.
    mode : "zero" or "reflect"
        A constant; or the array mirrored at its edges, without repeating the edge: 1234 -> 32 1234 32.
    value : float
        The constant.

    Returns
    -------
    Tensor; feature maps (N, C, H, W) lie channels-last

    Raises
    ------
    TypeError
        If x is not a Tensor, or a width is neither an integer nor a pair.
    ValueError
        If the mode is unknown or a width negative.
    ShapeError
        If there is not one pair per axis, or a mirrored border is longer than the array allows.
    """
    tensors("pad", x=x)
    if mode not in ("zero", "reflect"):
        raise ValueError(f"pad: mode - expected 'zero' or 'reflect', got {mode!r}")
    if not isinstance(padding, (tuple, list)):
        raise TypeError(f"pad: padding - expected a sequence of pairs, one per axis, got {padding!r}")
    pairs = tuple(pair(ends, "pad: padding", minimum=0) for ends in padding)
    return Pad.apply(x, padding=pairs, mode=mode, value=value)
