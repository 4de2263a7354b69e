"""Indexing, splitting, flipping and broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function, Variable
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.arithmetic import unbroadcast
from minitorch_cnn.ops.movement import filled, several_axes, single_axis
from minitorch_cnn.ops.reads import SamePlace, Selected
from minitorch_cnn.shapes import ShapeError, memory_order
from minitorch_cnn.types import Operand, Shape, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class BroadcastTo(Function):
    """Repeat along new axes and along axes of length 1."""

    any_dtype = True
    rule = "the sum of grad_out over all repetitions"
    reads, kind = SamePlace(), "view"

    @staticmethod
    def output_shape(x, *, shape):
        try:
            fits = np.broadcast_shapes(x, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"broadcast_to: shape - expected one that {x} broadcasts to, got {shape}")
        return shape

    @staticmethod
    def forward(ctx, x, *, shape):
        ctx.shape = x.shape
        return np.broadcast_to(x, shape)

    @staticmethod
    def backward(ctx, grad_out):
        return unbroadcast(grad_out, ctx.shape)


def _frozen(item):
    """Return a copy of an index item, so that later changes do not affect backward."""
    if isinstance(item, Variable):
        return item.data.copy()
    return item.copy() if isinstance(item, (list, np.ndarray)) else item


def _may_repeat(item):
    """Return True if an item of an index can select an element twice: integers in an array or list."""
    return isinstance(item, (list, np.ndarray)) and np.asarray(item).dtype.kind != "b"


class Index(Function):
    """The elements that a key selects."""

    any_dtype = True
    rule = "each selected element gets its part of grad_out, summed if it was selected twice; 0 elsewhere"
    reads, kind = Selected("key"), "view"

    @staticmethod
    def output_shape(x, *, key):
        try:
            return np.broadcast_to(np.False_, x)[key].shape
        except (IndexError, ValueError) as error:
            raise IndexError(f"index: key - expected one that fits shape {x}: {error}") from None

    @staticmethod
    def forward(ctx, x, *, key):
        ctx.shape, ctx.order, ctx.key = x.shape, memory_order(x), key
        return np.asarray(x[key])

    @staticmethod
    def backward(ctx, grad_out):
        # The memory order of x: the gradient of a channels-last map is channels-last too.
        repeats = any(map(_may_repeat, ctx.key))
        dtype = np.float64 if repeats else grad_out.dtype  # float32 stops growing where an element is selected often
        grad_x = filled(ctx.shape, ctx.order, 0, dtype)
        if repeats:
            np.add.at(grad_x, ctx.key, grad_out)
        else:
            grad_x[ctx.key] = grad_out
        return grad_x.astype(grad_out.dtype, copy=False)


def broadcast_to(x: Operand, shape: int | Shape) -> Tensor:
    """Repeat along new axes and along axes of length 1.

    Parameters
    ----------
    x : Tensor, any shape and dtype
    shape : tuple of int

    Returns
    -------
    Tensor, a read-only view of x

    Raises
    ------
    TypeError
        If x is not a Tensor.
    ShapeError
        If x does not broadcast to that shape.

    Notes
    -----
    Gradient: the sum of grad_out over the repetitions.
    """
    tensors("broadcast_to", x=x)
    lengths = [shape] if isinstance(shape, (int, np.integer)) else arguments.listed("broadcast_to", "shape", shape)
    for length in lengths:
        arguments.integer("broadcast_to", least=0, shape=length)
    return BroadcastTo.apply(x, shape=tuple(lengths))


def flip(x: Operand, axes: Size) -> Tensor:
    """Reverse the order of the elements along axes.

    Parameters
    ----------
    x : Tensor, any shape and dtype
    axes : int or tuple of int

    Returns
    -------
    Tensor, a view of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or an axis is not an integer.
    ShapeError
        If there is no such axis.
    ValueError
        If an axis is named twice.
    """
    tensors("flip", x=x)
    reversed_axes = several_axes("flip", axes, x.data.ndim)
    return index(x, tuple(slice(None, None, -1 if i in reversed_axes else 1) for i in range(x.data.ndim)))


def index(x: Operand, key: Any) -> Tensor:
    """Select elements as NumPy does: integers, slices, None, Ellipsis, masks, integer arrays.

    Parameters
    ----------
    x : Tensor, any shape and dtype
    key : any NumPy index; a Tensor of integers or booleans is used as its array

    Returns
    -------
    Tensor, a view of x for integers and slices, else a copy

    Raises
    ------
    TypeError
        If x is not a Tensor.
    IndexError
        If the key does not fit the shape.

    Notes
    -----
    Gradient: grad_out at the selected elements, summed where an integer array selects an element more than once.
    """
    tensors("index", x=x)
    return Index.apply(x, key=tuple(map(_frozen, key if isinstance(key, tuple) else (key,))))


def split(x: Operand, sections: int | Sequence[int], axis: int = 1) -> list[Tensor]:
    """Split a Tensor along an axis.

    Parameters
    ----------
    x : Tensor, any shape and dtype
    sections : int or sequence of int
        The number of equal parts, or the length of each part.
    axis : int

    Returns
    -------
    tuple of Tensor, views of x

    Raises
    ------
    TypeError
        If x is not a Tensor, or the axis or a section is not an integer.
    ShapeError
        If the parts do not add up to the length of the axis, or there is no such axis.
    """
    tensors("split", x=x)
    axis = single_axis("split", axis, x.data.ndim)
    length = x.data.shape[axis]
    named = np.asarray(sections)
    if named.dtype.kind not in "iu" or named.ndim > 1:
        raise TypeError(f"split: sections - expected an integer or a sequence of integers, got {sections!r}")
    lengths = named.tolist() if named.ndim else [length // sections] * sections if sections > 0 else []
    if not lengths or min(lengths) < 0 or sum(lengths) != length:
        raise ShapeError(f"split: sections - expected parts that add up to {length}, got {sections}")
    ends = np.cumsum([0, *lengths]).tolist()
    before = (slice(None),) * axis
    return tuple(index(x, (*before, slice(a, b))) for a, b in zip(ends, ends[1:], strict=False))
