"""Which rows and columns of the image each row and column of every map sees."""

import numpy as np

from minitorch_cnn.explain.trace.semantics import call_of
from minitorch_cnn.ops.reads import Along


def image_rows(replay):
    """Find the receptive field of every unit of every map.

    Row i of a map sees the same rows of the image in every column, because operations on maps treat rows and
    columns apart. So two lists hold the fields of all units of a map.

    Parameters
    ----------
    replay : Replay
        Of a model of images (N, C, H, W).

    Returns
    -------
    dict
        From the id of each variable (N, C, H, W) of the trace to {"rows": ..., "columns": ...}: for each index of the
        axis [first, end) in the image, None where it sees no pixel. A variable is left out
        if an operation before it does not say what it reads, or mixes rows and columns.
    """
    seen = {}
    if len(replay.x.shape) == 4:
        seen[id(replay.x)] = [np.eye(length, dtype=bool) for length in replay.x.shape[2:]]
    for record in replay.records:
        if len(record.output.shape) != 4:
            continue
        parts = [
            _through(record, number, seen.get(id(v)))
            for number, v in enumerate(record.inputs)
            if v is not None and v.traced
        ]
        if parts and all(part is not None for part in parts):
            seen[id(record.output)] = [np.logical_or.reduce(axis) for axis in zip(*parts, strict=True)]
    names = ("rows", "columns")
    return {
        key: {name: [_range(line) for line in matrix] for name, matrix in zip(names, axes, strict=True)}
        for key, axes in seen.items()
    }


def _through(record, number, seen):
    """Return for both axes which lines of the image each output line sees through one input; None if not known."""
    if seen is None or record.op.reads is None:
        return None
    found = []
    for axis, lines in zip((2, 3), seen, strict=True):
        reads = record.op.reads.of(number).axes(call_of(record), number)[axis]
        if not isinstance(reads, Along) or reads.axis not in (axis, None):
            return None
        length = record.output.shape[axis]
        masks = [reads.mask(np.arange(length) == i, len(lines)) for i in range(length)]
        found.append(np.array([lines[mask].any(0) for mask in masks]))
    return found


def _range(line):
    read = np.flatnonzero(line)
    return [int(read[0]), int(read[-1]) + 1] if len(read) else None
