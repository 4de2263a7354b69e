"""Images and weights for which Winograd's algorithm is too inaccurate; the definition computes these.

The transforms add and subtract pixels that the definition never mixes. So one infinite pixel makes every output of its
tile NaN, even where the window does not contain it, and one pixel of 1e6 costs neighbouring pixels of 1 six digits.

An image is excluded if one of its elements is NaN, infinite or so large that a sum could overflow, or if its largest
element is more than 256 times (in float32) as large as the largest of one of its rows or columns of pixels. Rows and
columns that hold only zeros do not count: their outputs are off by rounding errors of the largest element at most.

Filters are judged in the same way: the elements of each tap are a column. But a filter that does not fit would exclude
all images, and one kind of it is common. Where filters begin as the identity, one weight is 1 and the others are 0,
and for a hundred steps of a training they stay below 1 / 256. The convolution is linear in the weights, so such
filters are cut into two summands:

    weight = rest + large

A weight is large if it is more than 256 times (in float32) as large as the largest of one of its filter's taps.
Winograd's algorithm takes the rest. The few products with large weights follow one by one, as in the definition. So no
output gets a rounding error of a large weight that it does not see: not one at the border, whose window has padding
there, and not one whose pixel is zero there. Where large weights are many, the definition computes all images.

Every element must be read for this. A pass over memory of its own would take 3 to 6 % of a training step. So the
kernels that transform images also fill `Measures`, while the pixels are in the cache. Columns are read to the end only
where the largest element, once it is known, makes their first pixel look too small.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime import dry_run, memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.views import flat_bits

_GROWTH = 2.0**14  # the most by which the transforms together enlarge a product
_ERROR = 2.0**-15  # relative error that is allowed in the row or column of the smallest elements
_MOST_LARGE = 2  # large weights for each filter: more would take longer than the definition
_PART_BYTES = 1 << 22  # of copies of the images that the definition computes together: fewer would cost more time
_SAMPLE = 16  # channels of a column's first pixel that are measured together with the rows


class Measures(NamedTuple):
    """Absolute values of images (N, H, W, C), floats, or integers with the same bits while a kernel fills them."""

    rows: np.ndarray  # (N, H): the largest of each row, NaN where it holds one
    columns: np.ndarray  # (N, W): the largest of some elements of each column

    def view(self, dtype):
        return Measures(self.rows.view(dtype), self.columns.view(dtype))

    def clear(self):
        """Set all measures to 0, those of images that no kernel reads."""
        self.rows[:] = self.columns[:] = 0


def _integers(floats):
    """Return the dtype of integers of the same size."""
    return np.int32 if floats.itemsize == 4 else np.int64


def empty(maps):
    """Return `Measures` of maps (N, H, W, C) for a kernel to fill."""
    integers, (images, height, width, _) = _integers(maps), maps.shape
    return Measures(memory.empty((images, height), integers), memory.empty((images, width), integers))


@compiled
def _largest_of(bits):
    """Return the largest absolute value of floats, all given as integers with the same bits.

    With the sign bit cleared, floats have the same order as these integers, and NaN comes last.
    """
    largest, no_sign = 0, (1 << (8 * bits.itemsize - 1)) - 1
    for k in range(len(bits)):
        largest = max(largest, bits[k] & no_sign)
    return largest


@compiled
def measure_rows(maps, measures, n, first, end):
    """Fill the `Measures` of the rows first .. end - 1 of image n of maps (N, H, W, C), and with row 0 of its columns.

    ``maps`` is C-contiguous.
    """
    (_, height, width, channels), bits = maps.shape, flat_bits(maps)
    for h in range(first, end):
        start = (n * height + h) * width * channels
        measures.rows[n, h] = _largest_of(bits[start : start + width * channels])
    if first == 0:
        for w in range(width):
            start = (n * height * width + w) * channels
            measures.columns[n, w] = _largest_of(bits[start : start + min(channels, _SAMPLE)])


@compiled
def _column_fits(maps, n, w, least):
    """Return True if column w of image n has an element of at least ``least``, or only zeros."""
    _, height, _, channels = maps.shape
    only_zeros = True
    for h in range(height):
        for c in range(channels):
            value = abs(maps[n, h, w, c])
            if value >= least:
                return True
            only_zeros = only_zeros and value == 0
    return only_zeros


@compiled
def _at_least_one(values):
    """Return the largest of some values and 1, float64; NaN if one of them is."""
    largest, numbers = 1.0, True
    for value in values:
        largest, numbers = max(largest, np.float64(value)), numbers and value == value
    return largest if numbers else np.nan


@compiled
def _fits(maps, measures, n, other, limit, most_ratio):
    """Return whether image n fits Winograd's algorithm; ``other`` is the largest value that it is multiplied with.

    ``other`` is at least 1, so that the transform of the image alone cannot overflow. ``limit`` is the largest product
    of two elements that cannot overflow, ``most_ratio`` the largest allowed ratio between rows or columns.
    """
    largest, fits = 0.0, True
    for value in measures.rows[n]:
        fits = fits and np.float64(value) * other <= limit  # written so that NaN does not fit
        largest = max(largest, np.float64(value))
    least = largest / most_ratio
    for value in measures.rows[n]:
        fits = fits and (value >= least or value == 0)
    for w in range(maps.shape[2]):
        fits = fits and (measures.columns[n, w] >= least or _column_fits(maps, n, w, least))
    return fits


@parallel_kernel(tasks=lambda maps: len(maps))
def _exclude(first_task, end_task, maps, measures, others, excluded, limit, most_ratio):
    """Set ``excluded[n]`` where image n does not fit.

    ``others`` are the largest values that it is multiplied with: a row for each image, or one for all of them.
    """
    for n in range(first_task, end_task):
        other = _at_least_one(others[min(n, len(others) - 1)])
        if not _fits(maps, measures, n, other, limit, most_ratio):
            excluded[n] = True


class Memo:
    """What is known of arrays, for the three products of one convolution: two of them read x, two its gradient.

    It keeps the arrays alive, so that no other array can take their place in memory, and trusts that nobody changes
    them in the meantime. So it lives as long as one operation of the graph.
    """

    def __init__(self):
        self._kept = {}

    def of(self, array, find_out):
        """Return what is known of an array of this shape in this memory; if nothing is, ``find_out(array)``."""
        key = self._key(array)
        if key not in self._kept:
            self._kept[key] = array, find_out(array)
        return self._kept[key][1]

    def known(self, array):
        """Return what is known of an array of this shape in this memory, or None."""
        return self._kept.get(self._key(array), (None, None))[1]

    def to_fill(self, maps):
        """Return `Measures` of maps (N, H, W, C), which are known from now on, for a kernel to fill."""
        measures = empty(maps)
        self._kept[self._key(maps)] = maps, measures.view(maps.dtype)
        return measures

    @staticmethod
    def _key(array):
        return array.__array_interface__["data"][0], array.shape


@lru_cache(maxsize=256)
def _limits(dtype, terms):
    """Return the last two arguments of `_fits`; the largest ratio is 256 in float32."""
    kind = np.finfo(dtype)
    return float(kind.max) / (max(terms, 1) * _GROWTH), _ERROR / float(kind.eps)


class Split(NamedTuple):
    """Filters as a sum: most weights for Winograd's algorithm, and a few large ones for the definition."""

    rest: np.ndarray  # (C_out, C_in, KH, KW), with zeros for the large weights
    largest: float  # absolute value in ``rest``; NaN if ``rest`` does not fit
    large: np.ndarray  # (count,): the large weights
    indices: np.ndarray  # (4, count): their (filter, channel, row, column)

    @property
    def fits(self):
        return not np.isnan(self.largest)


def split_filters(weight):
    """Return the `Split` of filters (C_out, C_in, KH, KW). Without large weights, ``rest`` is the weight itself."""
    weight = np.ascontiguousarray(weight)
    largest = _measure_filters(weight)
    fits = not np.isnan(largest) and not dry_run.active()  # there kernels measure nothing
    if fits or not np.isfinite(weight).all():  # masks of 512 x 512 filters would take 3 ms
        return Split(weight, largest, weight.reshape(-1)[:0], np.zeros((4, 0), np.int64))
    large = _find_large(weight)
    rest = np.where(large, weight.dtype.type(0), weight)
    few = np.count_nonzero(large) <= _MOST_LARGE * len(weight)
    return Split(rest, _measure_filters(rest) if few else np.nan, weight[large], np.array(np.nonzero(large)))


@parallel_kernel(tasks=lambda filters: len(filters))
def _measure_each(first_task, end_task, filters, largest, bits, limit, most_ratio):
    """Fill ``largest`` with that of each of the filters (C_out, C_in, KH*KW, 1), NaN where one does not fit.

    ``bits`` is the same memory as integers. A filter is an image whose columns are its taps. All channels are in one
    row, as single ones may be small.
    """
    elements, size = flat_bits(filters), filters.shape[1] * filters.shape[2]
    for n in range(first_task, end_task):
        bits[n] = _largest_of(elements[n * size : (n + 1) * size])
        fits = largest[n] <= limit  # written so that NaN does not fit
        for tap in range(filters.shape[2]):
            fits = fits and _column_fits(filters, n, tap, largest[n] / most_ratio)
        if not fits:
            largest[n] = np.nan


def _measure_filters(weight):
    """Return the largest element of all filters (C_out, C_in, KH, KW), NaN if a filter does not fit."""
    count, inner, height, width = weight.shape
    largest = memory.empty((count,), weight.dtype)
    filters = weight.reshape(count, inner, height * width, 1)
    _measure_each(filters, largest, largest.view(_integers(weight)), *_limits(weight.dtype, 1))
    return float(largest.max(initial=0))  # NaN if one of them is


def _find_large(weight):
    """Return a mask of the weights that are too large beside one of the taps of their filter."""
    size = np.abs(weight)
    of_taps = size.max(axis=1, keepdims=True)
    least = of_taps.min(axis=(2, 3), keepdims=True, where=of_taps > 0, initial=np.inf)
    return size / _limits(weight.dtype, 1)[1] > least


@parallel_kernel(tasks=lambda out: len(out) * out.shape[1])
def _add_products(first_task, end_task, maps, out, weights, indices, stride, gap):
    """Add products to the rows of out: out[n, i, j, o] += weights[k] * maps[n, h, w, c] for each k.

    ``indices[:, k]`` is (o, c, u, v), where u and v may be negative; h = (i * stride + u) / gap, and w likewise. Pixels
    outside the images and pixels between two of them, whose indices are fractions, are zeros.
    """
    height, width = maps.shape[1:3]
    for task in range(first_task, end_task):
        n, i = task // out.shape[1], task % out.shape[1]
        for k in range(len(weights)):
            o, c, u, v = indices[0, k], indices[1, k], indices[2, k], indices[3, k]
            row = i * stride + u
            if row % gap != 0 or not 0 <= row < height * gap:
                continue
            for j in range(out.shape[2]):
                column = j * stride + v
                if column % gap == 0 and 0 <= column < width * gap:
                    out[n, i, j, o] += weights[k] * maps[n, row // gap, column // gap, c]


def add_large(maps, split, out, stride, padding, transposed):
    """Add to ``out`` the cross-correlation of maps with the large weights of a `Split`.

    Parameters
    ----------
    maps, out : ndarray, shapes (N, H, W, C) and (N, OH, OW, O), C-contiguous
    split : Split
        Of filters (O, C, KH, KW); if ``transposed`` (C, O, KH, KW), and each filter is rotated by 180 degrees.
    stride : int
        Of the filters over maps; if ``transposed``, there are stride - 1 zeros between two pixels of maps instead.
    padding : (top, bottom, left, right)
    transposed : bool
    """
    if not len(split.large):
        return
    o, c, u, v = split.indices
    if transposed:
        last_row, last_column = split.rest.shape[2] - 1, split.rest.shape[3] - 1
        o, c, u, v = c, o, last_row - u, last_column - v
    indices = np.array([o, c, u - padding[0], v - padding[2]])
    _add_products(maps, out, split.large, indices, *((1, stride) if transposed else (stride, 1)))


def find(maps, measures, split, terms):
    """Return the indices of the images that must be excluded when they are filtered.

    Parameters
    ----------
    maps : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64
        Images, or gradients of outputs.
    measures : Measures
        Of maps.
    split : Split
        Of filters that fit.
    terms : int
        Products in a sum.

    Returns
    -------
    ndarray of int64
    """
    excluded = np.zeros(len(maps), np.bool_)
    largest = np.array([[split.largest]], maps.dtype)
    _exclude(maps, measures.view(maps.dtype), largest, excluded, *_limits(maps.dtype, terms))
    return excluded.nonzero()[0]


def find_pairs(x, grad_out, of_x, of_grad):
    """Return the indices of the images that must be excluded when they are correlated with their gradients.

    Parameters
    ----------
    x, grad_out : ndarray, shapes (N, H, W, C_in) and (N, OH, OW, C_out), C-contiguous
    of_x, of_grad : Measures
        Of these.

    Returns
    -------
    ndarray of int64
    """
    of_x, of_grad = of_x.view(x.dtype), of_grad.view(x.dtype)
    limits, excluded = _limits(x.dtype, grad_out[..., 0].size), np.zeros(len(x), np.bool_)
    _exclude(x, of_x, of_grad.rows, excluded, *limits)  # an image is multiplied with its own gradient alone
    _exclude(grad_out, of_grad, of_x.rows, excluded, *limits)
    return excluded.nonzero()[0]


def parts(indices, *arrays):
    """Yield indices of excluded images, some at a time, with a copy of these images of each array (N, ...).

    The definition computes them part by part, so that the copies stay small.
    """
    if not len(indices):
        return
    count = max(1, _PART_BYTES // max(1, sum(array[:1].nbytes for array in arrays)))
    for first in range(0, len(indices), count):
        part = indices[first : first + count]
        copies = [memory.empty((len(part), *array.shape[1:]), array.dtype) for array in arrays]
        for copy, array in zip(copies, arrays, strict=True):
            np.take(array, part, 0, out=copy, mode="clip")  # the usual mode would copy once more
        yield part, *copies
