"""Sums over axes of an array, accurate for any number of elements and in an order that the shape alone fixes.

Adding float32 numbers one by one stalls: 2**24 + 1 is 2**24 in float32, so a sum of ones never passes 16,777,216.
Here every sum is kept in float64, in many sums side by side, so that the error of a float32 sum is the rounding of
its result: less than 1e-7 of the sum of the absolute values, for any number of elements.

The axes are brought into memory order, and adjacent axes are merged where both are kept or both summed, until the
array reads as (A, R, B): A and B are kept, R is summed. Each of a fixed number of ranges of R gives a partial sum;
the partial sums are then added in order. Threads share out the ranges, so their number changes nothing.
"""

import math
from functools import lru_cache

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel

_TASKS = 16  # to share out among threads, if there is enough to add
_TASK_ELEMENTS = 1 << 17  # in a range of the summed axis, at least
_COLUMNS = 2048  # sums side by side, which stay in the first-level cache
_LANES = 64  # sums side by side where fewer are asked for: rows are then added in groups of several
_SMALL = 1 << 11  # elements that NumPy adds faster than a kernel is called


@compiled(reorder=True)
def _row_sum(row):
    """Return the sum of a row."""
    total = np.float64(0)  # also in plain Python, where 0.0 + a float32 is a float32
    for k in range(len(row)):
        total += row[k]
    return total


@compiled
def _add_rows(lines, rows, step, total):
    """Add rows, ``step`` apart in a flat array, to ``total``; four at a time, so that it is read and written less."""
    width, whole = len(total), rows // 4
    for i in range(whole):
        here = lines[4 * i * step :]
        a, b, c, d = (
            here[:width],
            here[step : step + width],
            here[2 * step : 2 * step + width],
            here[3 * step :][:width],
        )
        for k in range(width):
            total[k] += (np.float64(a[k]) + b[k]) + (np.float64(c[k]) + d[k])
    for i in range(4 * whole, rows):
        row = lines[i * step : i * step + width]
        for k in range(width):
            total[k] += row[k]


@compiled
def _sum_block(lines, rows, step, together, total):
    """Fill ``total`` with the sums of rows, ``step`` apart in a flat array, ``together`` of them side by side."""
    total[:] = 0
    whole = rows // together
    rest = rows - whole * together
    _add_rows(lines, whole, together * step, total)
    _add_rows(lines[whole * together * step :], min(rest, 1), step, total[: rest * len(total) // together])


@parallel_kernel(tasks=lambda partials: min(len(partials), _TASKS) * partials.shape[1])
def _sum_rows(first_task, end_task, x, partials):
    """Fill partials (A, P) with the sums over P ranges of the rows of x (A, R)."""
    (lines, row), parts = x.shape, partials.shape[1]
    groups = min(lines, _TASKS)
    for task in range(first_task, end_task):
        group, part = task // parts, task % parts
        for a in range(group * lines // groups, (group + 1) * lines // groups):
            partials[a, part] = _row_sum(x[a, part * row // parts : (part + 1) * row // parts])


def _column_tasks(partials):
    lines, parts, columns = partials.shape
    return min(lines, _TASKS) * parts * -(-columns // _COLUMNS)


@parallel_kernel(tasks=_column_tasks)
def _sum_columns(first_task, end_task, x, partials):
    """Fill partials (A, P, B) with the sums over P ranges of R, of x (A, R * B)."""
    lines, parts, columns = partials.shape
    rows = x.shape[1] // columns
    together = max(1, min(rows, _LANES // columns))  # rows side by side, so that all lanes of the processor have work
    groups, blocks = min(lines, _TASKS), -(-columns // _COLUMNS)
    for task in range(first_task, end_task):
        group, part, block = task // (parts * blocks), task // blocks % parts, task % blocks
        first, end = part * rows // parts, (part + 1) * rows // parts
        left, width = block * _COLUMNS, min(_COLUMNS, columns - block * _COLUMNS)
        for a in range(group * lines // groups, (group + 1) * lines // groups):
            flat, result = x[a, first * columns + left :], partials[a, part, left : left + width]
            if together == 1:
                _sum_block(flat, end - first, columns, 1, result)
                continue
            total = np.empty(together * width)
            _sum_block(flat, end - first, columns, together, total)
            result[:] = 0
            for k in range(together * width):
                result[k % width] += total[k]


def _parts(lines, rows, columns):
    """Return into how many ranges the summed axis is cut: the shape alone decides."""
    tasks = min(lines, _TASKS) * -(-columns // _COLUMNS)
    if tasks >= _TASKS:
        return 1
    return max(1, min(64, rows * min(columns, _COLUMNS) // _TASK_ELEMENTS, rows))


def _sum_middle(x, lines, rows, columns):
    """Return the float64 sums over the middle axis of x, which reads as (A, R, B)."""
    partials = memory.empty((lines, _parts(lines, rows, columns), columns), np.float64)
    x = x.reshape(lines, rows * columns)
    if columns == 1:
        _sum_rows(x, partials[:, :, 0])
    else:
        _sum_columns(x, partials)
    return partials[:, 0] if partials.shape[1] == 1 else partials.sum(1)


@lru_cache(maxsize=512)
def _plan(shape, strides, axes):
    """Return the axes in memory order, the (A, R, B) of each pass, the shape of its result, and the order back."""
    order = sorted(range(len(shape)), key=lambda i: (-abs(strides[i]), i))
    runs = []  # [summed, length] of merged axes, from slowest to fastest
    for i in order:
        if runs and runs[-1][0] == (i in axes):
            runs[-1][1] *= shape[i]
        else:
            runs.append([i in axes, shape[i]])
    passes = []
    for k in reversed(range(len(runs))):  # the fastest first
        if runs[k][0]:
            before, after = (math.prod(n for _, n in part) for part in (runs[:k], runs[k + 1 :]))
            passes.append((before, runs[k][1], after))
            runs[k] = [False, 1]
    kept = [1 if i in axes else shape[i] for i in order]
    return order, passes, kept, sorted(range(len(shape)), key=order.__getitem__)


def sum_over(x, axes):
    """Return the float64 sums of an array over axes.

    Parameters
    ----------
    x : ndarray, any shape and memory order, float32 or float64
    axes : tuple of int, >= 0

    Returns
    -------
    ndarray of float64, the shape of x with length 1 along ``axes``
    """
    if x.size <= _SMALL or not axes:
        return np.asarray(np.add.reduce(x, axes, np.float64, keepdims=True))
    order, passes, kept, back = _plan(x.shape, x.strides, axes)
    x = np.ascontiguousarray(x.transpose(order))
    for lines, rows, columns in passes:
        x = _sum_middle(x, lines, rows, columns)
    return x.reshape(kept).transpose(back)
