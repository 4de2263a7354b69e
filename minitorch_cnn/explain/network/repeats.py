"""Blocks that a long network repeats, drawn once with a count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """What decides whether two steps of a network do the same."""

    kind: Any  # compared by ==
    inputs: tuple[int, ...]  # indices of the steps that it reads
    path: str  # of the module that ran it


@dataclass(frozen=True)
class Frame:
    """A block that stands for several: its first and last index among the kept steps."""

    first: int
    last: int
    count: int


def fold(steps: Sequence[Step]) -> tuple[list[int], list[tuple[int, ...]], list[Frame]]:
    """Keep one of each block that repeats directly after itself.

    Two steps are alike if their kinds are equal and they read what lies equally far before them.

    Parameters
    ----------
    steps : sequence of Step

    Returns
    -------
    kept : list of int
        Indices of the steps that stay.
    inputs : list of tuple of int
        For each of these, what it reads, as indices among them; a block that is left out is read in the one that stays.
    frames : list of Frame
        The blocks that stand for several.
    """
    stands = list(range(len(steps)))  # which step stands for each
    blocks = []
    alike = [(step.kind, *(i - read for read in step.inputs)) for i, step in enumerate(steps)]
    paths = [step.path.split(".") for step in steps]
    _fold((alike, paths), 0, len(steps), stands, blocks)
    kept = [i for i, other in enumerate(stands) if i == other]
    number = {i: at for at, i in enumerate(kept)}
    inputs = [tuple(dict.fromkeys(number[stands[i]] for i in steps[at].inputs)) for at in kept]
    return kept, inputs, [Frame(number[first], number[last], count) for first, last, count in sorted(blocks)]


def _fold(known, begin, end, stands, blocks):
    """Fold the block that repeats most often between two indices, then those before and after it."""
    first, period, count = _best(*known, begin, end)
    if count < 2:
        return
    for i in range(first + period, first + period * count):
        stands[i] = first + (i - first) % period
    blocks.append((first, first + period - 1, count))
    _fold(known, begin, first, stands, blocks)
    _fold(known, first + period * count, end, stands, blocks)


def _best(alike, paths, begin, end):
    """Return (first index, length, count) of the block that repeats most often, of several the longest; else a 0."""
    best, most = (begin, 1, 0), (2, 1)  # drawing a single step once instead of twice saves nothing
    for period in range(1, (end - begin) // 2 + 1):
        i = begin
        while i + period < end:
            length = 0
            while i + length + period < end and alike[i + length] == alike[i + length + period]:
                length += 1
            count = length // period + 1
            if (count, period) > most:
                starts = range(i, i + length % period + 1)
                best = (min(starts, key=lambda start: _shared(paths, start + period)), period, count)
                most = (count, period)
            i += length + 1
    return best


def _shared(paths, at):
    """Return how many names the paths of a step and of the one before begin with: few where a block begins."""
    before, after = paths[at - 1], paths[at]
    differ = (k for k, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
    return next(differ, min(len(before), len(after)))
