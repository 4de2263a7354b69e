"""Operations that move elements: permuted axes, new shapes, borders, selections and matrix products."""

import functools
from dataclasses import dataclass

import numpy as np

from minitorch_cnn.ops.reads.base import ALL, UNKNOWN, Along, Reads, Somewhere


@dataclass(frozen=True)
class Permuted(Reads):
    """The axes in another order: axis ``order[i]`` of the input becomes axis i."""

    order: object

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        return [Along(int(axis)) for axis in np.argsort(call.value(self.order))]


@dataclass(frozen=True)
class Padded(Reads):
    """A border around the array, constant or continued; ``padding`` holds (before, after) for each axis."""

    padding: object
    mode: object

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        outside = {"reflect": "mirrored", "replicate": "repeated", "circular": "wrapped"}.get(call.value(self.mode), "")
        ends = enumerate(call.value(self.padding))
        return [Along(axis, ((-before,),), 1, outside) for axis, (before, _) in ends]


@dataclass(frozen=True)
class Joined(Reads):
    """The inputs one after the other along an axis."""

    along: object

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        joined = call.value(self.along)
        start = sum(shape[joined] for shape in call.shapes[:number])
        found = [Along(axis) for axis in range(len(call.shape))]
        found[joined] = Along(joined, ((-start,),), partly=len(call.shapes) > 1)
        return found


@dataclass(frozen=True)
class Product(Reads):
    """A matrix product over the last two axes: (..., M, K) @ (..., K, N)."""

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        *leading, _, _ = call.shapes[number]
        ndim, ahead = len(call.shape), len(call.shape) - 2 - len(leading)
        found = [
            Along(ahead + axis) if n == call.shape[ahead + axis] else Along(None, step=0)
            for axis, n in enumerate(leading)
        ]
        return [*found, *([Along(ndim - 2), ALL] if number == 0 else [ALL, Along(ndim - 1)])]


@dataclass(frozen=True)
class Rows(Reads):
    """A fully connected layer: rows (N, in_features), a matrix (out_features, in_features), a bias (out_features,)."""

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        return ([Along(0), ALL], [Along(1), ALL], [Along(1)])[number]


@dataclass(frozen=True)
class Reshaped(Reads):
    """The same elements in another shape, in row-major order."""

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        found = [Along(None, step=0)] * len(call.shapes[0])  # right for axes of length 1
        for before, after in _groups(call.shapes[0], call.shape):
            long = [axis for axis in after if call.shape[axis] > 1]
            for axis in before:
                if call.shapes[0][axis] != 1:
                    same = len(long) == 1 and call.shape[long[0]] == call.shapes[0][axis]
                    found[axis] = Along(long[0]) if same else Somewhere(tuple(long))
        return found

    def masks(self, call, number, wanted):
        """Return which indices of each axis of an input are read; see `Reads`."""
        found = [np.ones(n, bool) for n in call.shapes[0]]
        for before, after in _groups(call.shapes[0], call.shape):
            chosen = _outer([wanted[axis] for axis in after]).reshape([call.shapes[0][axis] for axis in before])
            for axis, mask in zip(before, _projections(chosen), strict=True):
                found[axis] = mask
        return found


def _groups(shape, new):
    """Yield (input axes, output axes) that hold the same elements, as few axes at a time as possible."""
    i = j = 0
    while i < len(shape) and j < len(new):
        before, after = [i], [j]
        size, new_size = shape[i], new[j]
        i, j = i + 1, j + 1
        while size != new_size and (i < len(shape) or j < len(new)):
            if (size < new_size and i < len(shape)) or j == len(new):
                before, size, i = [*before, i], size * shape[i], i + 1
            else:
                after, new_size, j = [*after, j], new_size * new[j], j + 1
        yield before, after


def _outer(masks):
    return functools.reduce(np.multiply.outer, masks, np.ones((), bool))


def _projections(chosen):
    """Return for each axis the indices at which anything is chosen."""
    axes = range(chosen.ndim)
    return [chosen.any(tuple(other for other in axes if other != axis)) for axis in axes]


@dataclass(frozen=True)
class Selected(Reads):
    """The elements that a NumPy index selects."""

    key: object

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        shape, key = call.shapes[0], call.value(self.key)
        if not all(_is_basic(item) for item in key):
            return [UNKNOWN] * len(shape)  # index arrays; `masks` handles them
        rest = len(shape) - sum(item is not None and item is not Ellipsis for item in key)
        position = key.index(Ellipsis) if Ellipsis in key else len(key)
        full = (*key[:position], *[slice(None)] * rest, *key[position + 1 :])
        found, new = [], 0
        for item in full:
            if item is None:
                new += 1
            elif isinstance(item, slice):
                first, _, step = item.indices(shape[len(found)])
                found.append(Along(new, ((first,),), step))
                new += 1
            else:
                found.append(Along(None, ((int(item) % shape[len(found)],),), 0))
        return found

    def masks(self, call, number, wanted):
        """Return which indices of each axis of an input are read; see `Reads`."""
        if UNKNOWN not in self.axes(call, number):
            return super().masks(call, number, wanted)
        marked = np.zeros(call.shapes[0], bool)
        np.logical_or.at(marked, call.value(self.key), _outer(wanted))  # an array may take an element twice
        return _projections(marked)


def _is_basic(item):
    """Return True for NumPy's basic indexing: no arrays, and no booleans."""
    plain = item is None or item is Ellipsis or isinstance(item, (int, np.integer, slice))
    return plain and not isinstance(item, bool)
