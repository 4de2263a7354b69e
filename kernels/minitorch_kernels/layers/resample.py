"""Weighted sums of the pixels along one axis of channels-last maps, as interpolation needs them."""

import math
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel


class Pairs(NamedTuple):
    """Which pixels each result adds up, and with which weights; sorted by the results."""

    starts: np.ndarray  # (results + 1,), int64: the first pair of each result, and the end
    sources: np.ndarray  # (pairs,), int64: pixels along the axis
    weights: np.ndarray  # (pairs,), float64


@compiled
def _add_scaled(line, weight, total, is_first):
    """total += line * weight, or total = line * weight for the first one."""
    if is_first:
        for k in range(len(total)):
            total[k] = line[k] * weight
    else:
        for k in range(len(total)):
            total[k] += line[k] * weight


@parallel_kernel(tasks=lambda out: out.shape[0] * out.shape[1])
def _add_up(first_task, end_task, maps, pairs, out):
    """Fill out (M, results, K) with sums of the pixels of maps (M, pixels, K)."""
    _, results, inner = out.shape
    total = np.empty(inner)  # float64: sums lose no digits
    for task in range(first_task, end_task):
        m, i = task // results, task % results
        first, end = pairs.starts[i], pairs.starts[i + 1]
        if first == end:
            total[:] = 0
        for k in range(first, end):
            _add_scaled(maps[m, pairs.sources[k]], pairs.weights[k], total, k == first)
        result = out[m, i]
        for k in range(inner):
            result[k] = total[k]


def weighted_sums(maps, axis, results, to, of, weights):
    """Return maps in which each pixel along an axis is a sum of weights * pixels, in a fixed order.

    Parameters
    ----------
    maps : ndarray, any shape, C-contiguous, float32 or float64
    axis : int
    results : int
        Length of the axis afterwards.
    to, of : int ndarray, shape (pairs,)
        Indices of results, and of the pixels that each of them adds up.
    weights : ndarray of float64, shape (pairs,)

    Returns
    -------
    ndarray, the shape of maps, but for the axis; 0 where a result has no pixels

    Notes
    -----
    Cost: a multiplication and an addition in float64 for each pair and each element beside the axis. Parallel over
    results; with 64 channels, a fiftieth of the time of a NumPy loop over pairs.
    """
    before, length, after = maps.shape[:axis], maps.shape[axis], maps.shape[axis + 1 :]
    out = memory.empty((*before, results, *after), maps.dtype)
    order = np.argsort(to, kind="stable")
    starts = np.searchsorted(to[order], np.arange(results + 1))
    if out.size:
        sides = math.prod(before), math.prod(after)
        pairs = Pairs(starts, of[order], weights[order])
        _add_up(maps.reshape(sides[0], length, sides[1]), pairs, out.reshape(sides[0], results, sides[1]))
    return out
