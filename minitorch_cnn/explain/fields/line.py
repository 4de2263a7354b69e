"""Which pixels of the image the elements of a feature map see, along one axis.

For element i of an axis they are

    first[i mod p] + step * (i div p)    up to, not including,    end[i mod p] + step * (i div p),

as if the image had no edges. After convolutions and poolings p is 1 and ``step`` is the product of the strides;
a resize from 3 to 2 pixels has p = 2 and step = 3.
"""

import math
from dataclasses import dataclass
from typing import Any

from minitorch_cnn.ops.reads import ALL, Along, Somewhere


@dataclass(frozen=True)
class Line:
    """What the elements of one axis see; ``axis`` None: all elements see the same."""

    axis: int | None
    first: tuple[Any, ...]
    end: tuple[Any, ...]
    step: int
    length: int  # of the image

    def box(self, i):
        """Return (first, end) of the pixels that element i sees, before they are cut at the edges."""
        turns, place = divmod(i, len(self.first))
        return self.first[place] + turns * self.step, self.end[place] + turns * self.step

    @property
    def whole(self):
        """True where every element sees all pixels."""
        return self.axis is None and self.first[0] <= 0 and self.end[0] >= self.length

    @property
    def size(self):
        """Pixels that an element sees; the largest count where they differ, as after a resize."""
        return max(end - first for first, end in zip(self.first, self.end, strict=True))

    @property
    def jump(self):
        """Pixels between what neighbours see: an int, or a float after a resize; 1 in an image of one row."""
        if self.axis is None:
            return 1 if self.length == 1 else 0
        steps, rest = divmod(abs(self.step), len(self.first))
        return steps if rest == 0 else abs(self.step) / len(self.first)

    def through(self, along, seen):
        """Return what the elements of an operation's output see.

        Parameters
        ----------
        along : list of Along, Somewhere, ALL or UNKNOWN
            What the operation reads along each axis of the variable that this line belongs to.
        seen : callable
            Returns (first, end) of the pixels that all elements of that variable together really see.

        Returns
        -------
        Line, Scatter or None
            None: not known.
        """
        if self.axis is None:
            return self
        read = along[self.axis]
        if read == ALL:
            return _constant(seen(), self.length)
        if isinstance(read, Somewhere):
            return Scatter(read.axes, self.length, self.size)
        if not isinstance(read, Along) or read.partly:
            return None
        if read.axis is None:
            return _constant(_common(self._around(read.at(0)), seen()), self.length)
        turns = len(self.first) // math.gcd(len(self.first), abs(read.step))
        boxes = [self._around(read.at(i)) for i in range(len(read.taps) * turns)]
        step = self.step * read.step * turns // len(self.first)
        return Line(read.axis, *map(tuple, zip(*boxes, strict=True)), step, self.length)

    def _around(self, indices):
        """Return (first, end) of the box around what several elements see."""
        return _hull([self.box(i) for i in indices])

    def union(self, other):
        """Return the box around both lines; None where it is not known, since they drift apart."""
        if not isinstance(other, Line) or self.axis != other.axis:
            return None
        if self.step * len(other.first) != other.step * len(self.first):
            return None
        period = math.lcm(len(self.first), len(other.first))
        boxes = [_hull([self.box(i), other.box(i)]) for i in range(period)]
        step = self.step * period // len(self.first)
        return Line(self.axis, *map(tuple, zip(*boxes, strict=True)), step, self.length)


def _constant(box, length):
    return Line(None, (box[0],), (box[1],), 0, length)


def _hull(boxes):
    """Return the smallest (first, end) that contains all boxes."""
    return min(box[0] for box in boxes), max(box[1] for box in boxes)


def _common(box, other):
    """Return what two boxes share, which may be an empty box."""
    first, end = max(box[0], other[0]), min(box[1], other[1])
    return first, max(first, end)


@dataclass(frozen=True)
class Scatter:
    """Elements whose pixels depend on several axes, as after a flatten."""

    axes: tuple[Any, ...]
    length: int  # of the image
    size: int  # what one of them sees
    jump = None
    whole = False

    def through(self, along, seen):
        """Return what the elements of an operation's output see; see `Line.through`."""
        read = [along[axis] for axis in self.axes]
        if all(one == ALL for one in read):
            return _constant(seen(), self.length)
        if all(isinstance(one, Along) and one.axis is not None and one == Along(one.axis) for one in read):
            return Scatter(tuple(one.axis for one in read), self.length, self.size)
        return None

    def union(self, other):
        """Return what both see together; None where it is not known."""
        return self if self == other else None
