"""Receptive fields by the formula: how many pixels of the image one element of a feature map depends on.

`explain.receptive_field` finds the exact pixels of one unit. These are the fields of all maps at once, as if the
image had no edges. Both ask the operations what they read.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minitorch_cnn.autograd import Record, Variable
from minitorch_cnn.explain.fields.exact import reach
from minitorch_cnn.explain.fields.line import Line, Scatter
from minitorch_cnn.explain.trace.semantics import call_of
from minitorch_cnn.ops.reads import UNKNOWN


@dataclass(frozen=True)
class Field:
    """What the elements of a map see, in pixels of the image; None for an axis where that is not known."""

    rows: Line | Scatter | None
    columns: Line | Scatter | None
    ndim: int  # of the map

    @property
    def known(self) -> bool:
        """False where an operation on the way does not say what it reads, or the map has no such boxes.

        Examples: a product of two maps, or a map whose rows run along the columns of the image.
        """
        return self.rows is not None and self.columns is not None and not self._turned

    @property
    def _turned(self):
        axes = [line.axis for line in (self.rows, self.columns) if isinstance(line, Line) and line.axis is not None]
        return len(axes) == 2 and axes[0] > axes[1]

    @property
    def placed(self) -> bool:
        """True where element (y, x) sees a box whose rows y alone decides, and whose columns x alone decides."""
        lines = zip((self.rows, self.columns), (self.ndim - 2, self.ndim - 1), strict=True)
        return self.known and all(
            isinstance(line, Line) and (line.axis is None or line.axis == axis >= 2) for line, axis in lines
        )

    @property
    def whole(self) -> bool:
        """True where every element sees the whole image."""
        return self.known and self.rows.whole and self.columns.whole

    @property
    def size(self) -> Any:
        """(height, width) of the box, None for an axis that is seen whole, one None if both are; or "not known"."""
        return self._pair("size")

    @property
    def jump(self) -> Any:
        """(vertical, horizontal) distance between the boxes of neighbours; otherwise as `size`."""
        return self._pair("jump")

    def _pair(self, name):
        if not self.known:
            return UNKNOWN
        if self.whole:
            return None
        lines = self.rows, self.columns
        return tuple(None if line.whole and line.length > 1 else getattr(line, name) for line in lines)

    @property
    def start(self) -> Any:
        """The first pixel of the box of element (0, 0); negative where it begins in the padding."""
        return self.box(0, 0)[:2]

    def box(self, y: int, x: int) -> Any:
        """Return (top, left, bottom, right) of the box of element (y, x), the last two exclusive.

        Raises
        ------
        ValueError
            If it is not known, or the elements are not arranged in rows and columns.
        """
        if not self.placed:
            raise ValueError("Field.box: expected a field that is known for each row and column, got one that is not")
        (top, bottom), (left, right) = self.rows.box(y), self.columns.box(x)
        return top, left, bottom, right

    def centre(self, y: int, x: int) -> Any:
        """Return the middle of the box of element (y, x): pixel 0 lies at 0, and x.5 between two pixels."""
        top, left, bottom, right = self.box(y, x)
        return (top + bottom - 1) / 2, (left + right - 1) / 2


def receptive_fields(records: Sequence[Record], x: Variable) -> dict[int, Field]:
    """Compute the field of every map of a trace.

    For a window of k elements, stride s, dilation d and padding p before the first element, along each axis:

        size_out  = size_in + d * (k - 1) * jump_in
        jump_out  = jump_in * s
        start_out = start_in - p * jump_in

    Parameters
    ----------
    records : list of Record
        From `autograd.trace`.
    x : Tensor, shape (N, C, H, W), (N, C, W) or (N, W)
        The input that was traced.

    Returns
    -------
    dict of int to Field
        By ``id`` of each variable that depends on x. Where two maps meet, as after a shortcut, it is the box
        around both fields.

    Notes
    -----
    Source: Araujo, Norris and Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks",
    equations 2 and 3, Distill.
    """
    ndim = len(x.shape)
    columns = Line(ndim - 1, (0,), (1,), 1, x.shape[-1])
    rows = Line(2, (0,), (1,), 1, x.shape[2]) if ndim == 4 else Line(None, (0,), (1,), 0, 1)
    fields = {id(x): Field(rows, columns, ndim)}
    for position, record in enumerate(records):
        reached = [i for i, v in enumerate(record.inputs) if v is not None and id(v) in fields]
        if reached:
            fields[id(record.output)] = _field(record, reached, fields, records[:position], x)
    return fields


def _field(record, reached, fields, before, x):
    """Return the field of a record's output from those of the inputs that depend on the image."""
    if record.op.reads is None:
        return Field(None, None, len(record.output.shape))
    call, found = call_of(record), []
    for number in reached:
        variable = record.inputs[number]
        along, field = record.op.reads.axes(call, number), fields[id(variable)]
        lines = zip((field.rows, field.columns), (-2, -1), strict=True)
        found.append(
            [line and line.through(along, functools.partial(_seen, before, x, variable, i)) for line, i in lines]
        )
    return Field(*(_union(lines) for lines in zip(*found, strict=True)), len(record.output.shape))


def _seen(records, x, variable, axis):
    """Return (first, end) of the pixels along an axis of the image that a variable as a whole depends on."""
    mask = reach(records, x, variable, [np.ones(n, bool) for n in variable.shape])[axis]
    places = np.flatnonzero(mask)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)


def _union(lines):
    """Return the box around several lines; None if one of them is not known."""
    whole = [line for line in lines if line is not None and line.whole]
    if whole or None in lines:
        return whole[0] if whole else None
    first, *others = lines
    for other in others:
        first = first and first.union(other)
    return first
