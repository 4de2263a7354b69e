"""Padding layers, with the names and the order of PyTorch; `ops.pad` pads any axes."""

import inspect

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._docstring import add_sections
from minitorch_cnn.nn.module import Module
from minitorch_cnn.shapes import ShapeError, batch_hint
from minitorch_cnn.tensor import Tensor

_SECTIONS = """\
Parameters
----------
padding : int, or {ends}, as in PyTorch
    A negative number crops.{more}

Returns
-------
Tensor, shape {result}
    On call, for x of shape {shape}.

Raises
------
TypeError, ValueError
    If an argument is out of its range.
ShapeError
    On call, if x has another number of axes, or the border is longer than it allows.
"""


class _Padding(Module):
    """A border around the last axes; a subclass says around how many, and how it is filled.

    The docstring of a subclass gets the sections that are the same for all.
    """

    _axes, _mode = 2, "zero"

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        images = cls._axes == 2
        cls._letters = "(N, C, H, W)" if images else "(N, C, W)"
        sections = _SECTIONS.format(
            ends="(left, right, top, bottom)" if images else "(left, right)",
            more="\nvalue : float" if "value" in inspect.signature(cls).parameters else "",
            result="(N, C, OH, OW)" if images else "(N, C, OW)",
            shape=cls._letters,
        )
        add_sections(cls, sections)

    def __init__(self, padding: int | tuple[int, ...]):
        layer = type(self).__name__
        ends = padding if isinstance(padding, (tuple, list)) else (padding,) * 2 * self._axes
        if len(ends) != 2 * self._axes:
            raise ValueError(f"{layer}: padding - expected an integer or {2 * self._axes} integers, got {padding!r}")
        arguments.integer(layer, least=-(2**31), **{f"padding[{i}]": width for i, width in enumerate(ends)})
        self.padding, self.value = padding, 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return x with a border."""
        if x.ndim != self._axes + 2:
            got = f"{x.shape}{batch_hint(x.shape, axes=2 + self._axes)}"
            raise ShapeError(f"{type(self).__name__}: x - expected {self._letters}, got shape {got}")
        ends = self.padding if isinstance(self.padding, (tuple, list)) else (self.padding,) * 2 * self._axes
        pairs = list(zip(ends[::2], ends[1::2], strict=True))[::-1]  # PyTorch begins at the last axis
        return ops.pad(x, [(0, 0), (0, 0), *pairs], self._mode, self.value)


class ZeroPad2d(_Padding):
    """A border around images: zeros."""


class ZeroPad1d(_Padding):
    """A border around signals: zeros."""

    _axes, _mode = 1, "zero"


class ReflectionPad2d(_Padding):
    """A border around images: the image mirrored at its edges, without repeating the edge."""

    _mode = "reflect"


class ReflectionPad1d(_Padding):
    """A border around signals: the image mirrored at its edges, without repeating the edge."""

    _axes, _mode = 1, "reflect"


class ReplicationPad2d(_Padding):
    """A border around images: its edges repeated."""

    _mode = "replicate"


class ReplicationPad1d(_Padding):
    """A border around signals: its edges repeated."""

    _axes, _mode = 1, "replicate"


class CircularPad2d(_Padding):
    """A border around images: its opposite side."""

    _mode = "circular"


class CircularPad1d(_Padding):
    """A border around signals: its opposite side."""

    _axes, _mode = 1, "circular"


class ConstantPad2d(_Padding):
    """A border around images: a constant."""

    def __init__(self, padding: int | tuple[int, ...], value: float):
        super().__init__(padding)
        arguments.number("ConstantPad2d", value=value)
        self.value = value


class ConstantPad1d(_Padding):
    """A border around signals: a constant."""

    _axes, _mode = 1, "zero"

    def __init__(self, padding: int | tuple[int, ...], value: float):
        super().__init__(padding)
        arguments.number("ConstantPad1d", value=value)
        self.value = value
