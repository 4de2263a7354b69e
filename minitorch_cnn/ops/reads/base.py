"""The four kinds of reading along an axis, and the declarations that most operations need."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

KINDS = {
    "conv": "a convolution, drawn as a layer",
    "full": "a matrix product, drawn as a fully connected layer",
    "pool": "a pooling, drawn as a layer",
    "resize": "maps of another size, drawn as a layer",
    "add": "a sum or difference, drawn where two branches meet",
    "product": "a product of elements, drawn where two branches meet",
    "concat": "a concatenation, drawn where two branches meet",
    "norm": "a normalisation, noted at the layer before it",
    "activation": "a non-linearity, noted at the layer before it",
    "reduce": "one value for some axes; a pooling where it covers whole maps",
    "divide": "a quotient; with a constant after a sum, the mean",
    "view": "the same elements under another shape: nothing is copied",
    "pointwise": "anything else that needs no drawing",
    "loss": "a loss",
}
ALL = "all"
UNKNOWN = "not known"
_LISTED = 1024  # output indices of an axis whose input indices are listed one by one, at most


class Call(NamedTuple):
    """One call of an operation: shapes of its inputs (None for an absent one), shape of its output, keywords."""

    shapes: tuple[Any, ...]
    shape: tuple[int, ...]
    hyper: dict[str, Any]

    def value(self, setting):
        """Return a setting of a declaration: a string names a keyword, a callable computes the value."""
        if isinstance(setting, str):
            if setting not in self.hyper:
                known = ", ".join(self.hyper) or "none"
                raise ValueError(f"reads: {setting!r} - expected a keyword of the operation ({known})")
            return self.hyper[setting]
        return setting(self) if callable(setting) else setting


@dataclass(frozen=True)
class Along:
    """One output axis decides which indices of an input axis are read."""

    axis: int | None  # of the output; None: every output element reads the same indices
    taps: tuple[Any, ...] = ((0,),)  # for i = 0 .. p - 1
    step: int = 1
    outside: str = ""  # what continues the axis beyond its ends: "mirrored", "repeated" or "wrapped"; "" for nothing
    partly: bool = False  # only some indices of the output axis read this input

    def at(self, i):
        """Return the indices that output index i reads, before they are cut at the ends of the axis."""
        turns, place = divmod(i, len(self.taps))
        return [tap + turns * self.step for tap in self.taps[place]]

    def mask(self, wanted, length):
        """Return which of ``length`` input indices the wanted output indices read.

        Parameters
        ----------
        wanted : bool ndarray
            One element for each index of the output axis.
        length : int

        Returns
        -------
        bool ndarray, shape (length,)
        """
        found = np.zeros(length, bool)
        turns, places = divmod(np.zeros(1, int) if self.axis is None else np.flatnonzero(wanted), len(self.taps))
        for place, taps in enumerate(self.taps):
            read = np.add.outer(self.step * turns[places == place], np.asarray(taps, int)).ravel()
            if self.outside == "mirrored":  # 1234 -> 32 1234 32
                read = length - 1 - np.abs(length - 1 - np.abs(read))
            elif self.outside == "repeated":  # 1234 -> 11 1234 44
                read = np.clip(read, 0, length - 1)
            elif self.outside == "wrapped":  # 1234 -> 34 1234 12
                read = read % length
            found[read[(read >= 0) & (read < length)]] = True
        return found


@dataclass(frozen=True)
class Somewhere:
    """Several output axes together decide which index is read; together they read every index."""

    axes: tuple[Any, ...]


class Reads:
    """The base of all declarations."""

    def of(self, number):
        """Return the declaration for one input."""
        return self

    def axes(self, call, number):
        """Return what is read along each axis of one input.

        Parameters
        ----------
        call : Call
        number : int
            Index of the input.

        Returns
        -------
        list of Along, Somewhere, ALL or UNKNOWN
        """
        raise NotImplementedError

    def masks(self, call, number, wanted):
        """Return which indices of each axis of an input the wanted output elements read.

        Parameters
        ----------
        call : Call
        number : int
            Index of the input.
        wanted : list of bool ndarray
            One for each axis of the output.

        Returns
        -------
        list of bool ndarray
            One for each axis of the input.
        """
        shape, found = call.shapes[number], []
        for length, axis in zip(shape, self.axes(call, number), strict=True):
            if isinstance(axis, Along):
                found.append(axis.mask(None if axis.axis is None else wanted[axis.axis], length))
            else:
                found.append(np.ones(length, bool))
        return found


@dataclass(frozen=True)
class SamePlace(Reads):
    """Every output element reads the element at the same index; axes of length 1 broadcast as in NumPy."""

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        shape, ahead = call.shapes[number], len(call.shape) - len(call.shapes[number])
        if ahead < 0 or any(n not in (1, m) for n, m in zip(shape, call.shape[ahead:], strict=True)):
            return [UNKNOWN] * len(shape)
        return [
            Along(ahead + axis) if n == call.shape[ahead + axis] else Along(None, step=0)
            for axis, n in enumerate(shape)
        ]


@dataclass(frozen=True)
class PerChannel(Reads):
    """One element for each channel, such as a bias."""

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        return [Along(1)]


@dataclass(frozen=True)
class Everything(Reads):
    """Every output element reads some axes entirely, and the same index along the others.

    Parameters
    ----------
    over : None, int, tuple of int, name of a keyword, or callable
        The axes; None means all of them. The output may keep them or lack them.
    """

    over: object = None

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        ndim, over = len(call.shapes[number]), call.value(self.over)
        if over is None:
            return [ALL] * ndim
        named = {axis % ndim for axis in (over if isinstance(over, (tuple, list)) else (over,))}
        if len(call.shape) == ndim:
            return [ALL if axis in named else Along(axis) for axis in range(ndim)]
        kept = iter(range(len(call.shape)))
        return [ALL if axis in named else Along(next(kept)) for axis in range(ndim)]


@dataclass(frozen=True)
class UpTo(Reads):
    """Every output element reads the elements up to its own index along one axis, and the same index along the others.

    Parameters
    ----------
    over : name of a keyword
    """

    over: str

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        ndim, over = len(call.shape), call.value(self.over) % len(call.shape)
        if call.shape[over] > _LISTED:
            return [UNKNOWN if axis == over else Along(axis) for axis in range(ndim)]
        taps = tuple(tuple(range(i + 1)) for i in range(call.shape[over]))
        return [Along(axis, taps) if axis == over else Along(axis) for axis in range(ndim)]


@dataclass(frozen=True)
class Inputs(Reads):
    """A declaration for each input; the last one applies to all further inputs."""

    each: tuple[Any, ...]

    def __init__(self, *each):
        object.__setattr__(self, "each", each)

    def of(self, number):
        """Return the declaration for one input."""
        return self.each[min(number, len(self.each) - 1)]

    def axes(self, call, number):
        """Return what is read along each axis of one input; see `Reads`."""
        return self.of(number).axes(call, number)

    def masks(self, call, number, wanted):
        """Return which indices of each axis of an input are read; see `Reads`."""
        return self.of(number).masks(call, number, wanted)
