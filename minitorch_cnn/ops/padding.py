"""Padding with zeros, with a constant, or with what continues the array; and cropping, which is negative padding."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.indexing import index
from minitorch_cnn.ops.movement import filled, worth_a_kernel
from minitorch_cnn.ops.reads import Padded
from minitorch_cnn.shapes import ShapeError, nchw, nhwc, pair
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor

MODES = {"zero": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # ours: NumPy's


def _in_order(x):
    """Return the axes of an array in the order in which they lie in memory: feature maps stay channels-last."""
    return (0, 2, 3, 1) if x.ndim == 4 else tuple(range(x.ndim))


def _padded(x, padding, mode):
    order = _in_order(x)
    padded = np.pad(x.transpose(order), [padding[i] for i in order], MODES[mode])
    return padded.transpose(np.argsort(order))


def _with_border(x, padding, shape, value):
    """Return an array of a shape that holds x and, around it, a constant."""
    around_images = x.ndim == 4 and value == 0 and not any(padding[0] + padding[1]) and any(padding[2] + padding[3])
    if around_images and worth_a_kernel(x):
        return nchw(kernels.conv.borders.pad(nhwc(x), (*padding[2], *padding[3])))
    out = filled(shape, _in_order(x), value, x.dtype)
    out[tuple(slice(before, before + length) for length, (before, _) in zip(x.shape, padding, strict=True))] = x
    return out


def _folded(grad, padding, add_borders):
    """Return a gradient without the border, which ``add_borders(inner, before, after)`` adds to, axis by axis."""
    for axis, (before, after) in enumerate(padding):
        line = np.moveaxis(grad, axis, 0)
        inner = line[before : len(line) - after]
        if add_borders and (before or after):
            inner = inner.copy(order="K")  # K keeps the layout
            add_borders(inner, line[:before], line[len(line) - after :])
        grad = np.moveaxis(inner, 0, axis)
    return grad


def _shape(x, padding):
    if len(padding) != len(x):
        raise ShapeError(f"pad: padding - expected {len(x)} pairs for shape {x}, got {len(padding)}")
    return tuple(before + length + after for length, (before, after) in zip(x, padding, strict=True))


def _add_mirrored(inner, before, after):
    """Add borders to what they mirror: element k before the edge mirrors element k after it."""
    inner[1 : len(before) + 1] += before[::-1]
    inner[len(inner) - 1 - len(after) : len(inner) - 1] += after[::-1]


def _add_repeated(inner, before, after):
    for edge, border in ((0, before), (-1, after)):
        inner[edge] += kernels.layers.reduction.sum_over(border, (0,))[0].astype(inner.dtype)


def _add_wrapped(inner, before, after):
    inner[len(inner) - len(before) :] += before
    inner[: len(after)] += after


class Pad(Function):
    """A border of a constant, or the array mirrored at its edges."""

    rule = "grad_out without the border; a mirrored border adds to the elements that it mirrors"
    reads, kind = Padded("padding", "mode"), "pointwise"

    @staticmethod
    def output_shape(x, *, padding, mode, value):
        shape = _shape(x, padding)
        for length, ends in zip(x, padding, strict=True):
            if mode == "reflect" and max(ends) >= max(length, 1):
                raise ShapeError(f"pad: padding - expected less than the axis ({length}) to reflect, got {ends}")
        return shape

    @staticmethod
    def forward(ctx, x, *, padding, mode, value):
        ctx.padding, ctx.mode = padding, mode
        return _with_border(x, padding, ctx.output_shape, value) if mode == "zero" else _padded(x, padding, mode)

    @staticmethod
    def backward(ctx, grad_out):
        return _folded(grad_out, ctx.padding, _add_mirrored if ctx.mode == "reflect" else None)


class PadContinued(Function):
    """A border that repeats the edges, or the opposite side."""

    rule = "grad_out without the border; the border adds to the elements that it repeats"
    reads, kind = Padded("padding", "mode"), "pointwise"

    @staticmethod
    def output_shape(x, *, padding, mode):
        shape = _shape(x, padding)
        for length, ends in zip(x, padding, strict=True):
            if max(ends) > (length if mode == "circular" else (max(ends) if length else 0)):
                most = f"at most the axis ({length})" if mode == "circular" else "an axis with elements"
                raise ShapeError(f"pad: padding - expected {most} for mode {mode!r}, got {ends}")
        return shape

    @staticmethod
    def forward(ctx, x, *, padding, mode):
        ctx.padding, ctx.mode = padding, mode
        return _padded(x, padding, mode)

    @staticmethod
    def backward(ctx, grad_out):
        return _folded(grad_out, ctx.padding, _add_wrapped if ctx.mode == "circular" else _add_repeated)


def pad(x: Operand, padding: Any, mode: str = "zero", value: float = 0.0) -> Tensor:
    """Pad an array on both sides of every axis; a negative number of elements crops it.

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64
    padding : sequence of int or (int, int)
        The number of elements to add before and after, for every axis; a negative one is cut off.
    mode : "zero", "reflect", "replicate" or "circular"
        zero: a constant. reflect: the array mirrored at its edges, without repeating the edge, 1234 -> 32 1234 32.
        replicate: the edge repeated, 1234 -> 11 1234 44. circular: the opposite side, 1234 -> 34 1234 12.
    value : float
        The constant.

    Returns
    -------
    Tensor; feature maps (N, C, H, W) lie channels-last

    Raises
    ------
    TypeError
        If x is not a Tensor, a width is neither an integer nor a pair, or the constant is not a number.
    ValueError
        If the mode is unknown.
    ShapeError
        If there is not one pair per axis, a border is longer than the array allows, or more is cut off than there is.

    Notes
    -----
    Gradient: grad_out without the border; where the border repeats elements, its gradient is added to theirs.
    """
    tensors("pad", x=x)
    arguments.one_of("pad", MODES, mode=mode)
    if not isinstance(value, numbers.Real):
        raise TypeError(f"pad: value - expected a number, got {value!r}")
    if not isinstance(padding, (tuple, list)):
        raise TypeError(f"pad: padding - expected a sequence of pairs, one per axis, got {padding!r}")
    pairs = tuple(pair(ends, "pad: padding", minimum=None) for ends in padding)
    added = tuple((max(before, 0), max(after, 0)) for before, after in pairs)
    if mode in ("zero", "reflect"):
        out = Pad.apply(x, padding=added, mode=mode, value=value)
    else:
        out = PadContinued.apply(x, padding=added, mode=mode)
    return out if added == pairs else _cropped(out, x.data.shape, pairs)


def _cropped(padded, shape, pairs):
    """Crop by the negative elements of ``pairs``, by at most the ``shape`` that the array had before the padding."""
    if min(_shape(shape, [(min(before, 0), min(after, 0)) for before, after in pairs])) < 0:
        raise ShapeError(f"pad: padding - expected to cut off at most what is there, {shape}, got {pairs}")
    lengths = zip(padded.data.shape, pairs, strict=True)
    return index(padded, tuple(slice(max(-before, 0), length + min(after, 0)) for length, (before, after) in lengths))
