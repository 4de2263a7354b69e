"""Images for which Winograd's algorithm is too inaccurate, found before it runs; the definition computes these.

The transforms add and subtract pixels that the definition never mixes. So one infinite pixel makes every output of its
tile NaN, even where the window does not contain it, and one pixel of 1e6 costs neighbouring pixels of 1 six digits.

An image is excluded if one of its elements is NaN, infinite or so large that a sum could overflow, or if its largest
element is more than 256 times (in float32) as large as the largest of one of its rows or columns of pixels. Rows and
columns that hold only zeros do not count: their outputs are off by rounding errors of the largest element at most.
"""

import math
from functools import lru_cache

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel

_GROWTH = 2.0**17  # the most by which the transforms together enlarge a product
_ERROR = 2.0**-15  # relative error that is allowed in the row or column of the smallest elements
_TOGETHER = 16  # input channels whose taps are measured side by side, so that all lanes have work


@parallel_kernel(tasks=lambda bits: len(bits))
def _measure(first_task, end_task, bits, sign, pixels, channels, measures):
    """Fill measures (N, 3) of images (N, H, L): the largest element, that of the smallest row, of the smallest column.

    A row of L elements holds ``channels`` elements for each of ``pixels`` pixels, and may hold several such rows. With
    the sign bit cleared, floats have the same order as the integers with the same bits, and NaN comes last.
    """
    _, height, length = bits.shape
    for n in range(first_task, end_task):
        column, of_pixels = np.zeros(length, bits.dtype), np.zeros(pixels, bits.dtype)
        most, least_row, least_column = sign[0] & 0, sign[0], sign[0]
        for h in range(height):
            row, line = bits[n, h], sign[0] & 0
            for k in range(length):
                value = row[k] & sign[0]
                column[k] = max(column[k], value)
                line = max(line, value)
            most = max(most, line)
            least_row = min(least_row, line) if line > 0 else least_row
        for start in range(0, length, channels):
            line = sign[0] & 0
            for k in range(start, start + channels):
                line = max(line, column[k])
            pixel = start // channels % pixels
            of_pixels[pixel] = max(of_pixels[pixel], line)
        for line in of_pixels:
            least_column = min(least_column, line) if line > 0 else least_column
        measures[n, 0], measures[n, 1], measures[n, 2] = most, least_row, least_column


def measure(maps):
    """Return three absolute values of each image: its largest, and the smallest row maximum and column maximum.

    Parameters
    ----------
    maps : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64

    Returns
    -------
    ndarray, shape (N, 3), the dtype of maps
        The largest element, the smallest row maximum and the smallest column maximum. NaN where the image holds one;
        rows and columns of zeros are left out.
    """
    images, height, width, channels = maps.shape
    return _measures(maps.reshape(images, height, width * channels), width, channels)


def measure_filters(weight):
    """Return `measure` of filters (C_out, C_in, KH, KW) whose columns are taps; the rows count as the columns do."""
    count, inner, height, width = weight.shape
    taps, together = height * width, math.gcd(inner, _TOGETHER)
    lines = np.ascontiguousarray(weight).reshape(count, inner // max(together, 1), together * taps)
    measures = _measures(lines, taps, 1)
    measures[:, 1] = measures[:, 2]  # a row would be some input channels, which may be small
    return measures


def _measures(lines, pixels, channels):
    integer = np.int32 if lines.itemsize == 4 else np.int64
    sign = np.array([np.iinfo(integer).max], integer)  # all bits but that of the sign
    measures = memory.empty((len(lines), 3), integer)
    _measure(lines.view(integer), sign, pixels, channels, measures)
    return measures.view(lines.dtype)


class Memo:
    """Measures arrays once each, for the three products of one convolution: two of them read x, two its gradient.

    It keeps the arrays alive, so that no other array can take their place in memory, and trusts that nobody changes
    them in the meantime. So it lives as long as one operation of the graph.
    """

    def __init__(self):
        self._kept = {}

    def of(self, array, measure):
        """Return ``measure(array)``, taken now or when this memory was first seen with this shape."""
        key = array.__array_interface__["data"][0], array.shape
        if key not in self._kept:
            self._kept[key] = array, measure(array)
        return self._kept[key][1]


@compiled
def _must_be_apart(measures, other, limit, most_spread):
    """Return for each image whether it must be excluded; ``other`` is the largest value that it is multiplied with.

    ``limit`` is the largest product of two elements that cannot overflow, ``most_spread`` the largest allowed ratio
    between rows or columns.
    """
    apart = np.zeros(len(measures), np.bool_)
    for n in range(len(measures)):
        largest, row, column = np.float64(measures[n, 0]), np.float64(measures[n, 1]), np.float64(measures[n, 2])
        fits = largest * other <= limit  # written so that NaN does not fit
        apart[n] = not fits or largest > min(row, column) * most_spread
    return apart


@lru_cache(maxsize=256)
def _limits(dtype, terms):
    """Return the last two arguments of `_must_be_apart`; the largest ratio is 256 in float32."""
    kind = np.finfo(dtype)
    return float(kind.max) / (max(terms, 1) * _GROWTH), _ERROR / float(kind.eps)


def find(maps, weight, terms, memo=None):
    """Return the indices of the images that must be excluded when they are filtered.

    Parameters
    ----------
    maps : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
        Images, or gradients of outputs.
    weight : ndarray, shape (C_out, C_in, KH, KW)
    terms : int
        Products in a sum.
    memo : Memo or None
        Of the convolution.

    Returns
    -------
    ndarray of int64; all images where a filter's taps differ in size as much as the rows of such an image
    """
    memo, limits = memo or Memo(), _limits(maps.dtype, terms)
    filters = memo.of(weight, measure_filters)
    if _must_be_apart(filters, 0.0, *limits).any():
        return np.arange(len(maps))
    return np.flatnonzero(_must_be_apart(memo.of(maps, measure), float(filters[:, 0].max(initial=0)), *limits))


def find_pairs(x, grad_out, memo=None):
    """Return the indices of the images that must be excluded when they are correlated with their gradients.

    Parameters
    ----------
    x, grad_out : ndarray, shapes (N, H, W, C_in) and (N, OH, OW, C_out), C-contiguous
    memo : Memo or None
        Of the convolution.

    Returns
    -------
    ndarray of int64
    """
    memo, limits = memo or Memo(), _limits(x.dtype, grad_out[..., 0].size)
    of_x, of_grad = memo.of(x, measure), memo.of(grad_out, measure)
    most_x, most_grad = (float(np.fmax.reduce(one[:, 0], initial=0)) for one in (of_x, of_grad))  # NaN left out
    return np.flatnonzero(_must_be_apart(of_x, most_grad, *limits) | _must_be_apart(of_grad, most_x, *limits))
