"""Images that Winograd's algorithm would spoil, found before it runs; the definition computes these.

The transforms add and subtract pixels that the definition keeps apart. So one infinite pixel makes every output of its
patch NaN, also those whose window does not hold it, and one pixel of 1e6 beside pixels of 1 costs them six digits.

An image is set apart if one of its elements is NaN, infinite or so large that a sum could overflow, or if its largest
element is more than `_most_spread` times the largest of one of its rows or columns of pixels. Rows and columns of
zeros alone do not count: their outputs are then wrong by rounding errors of the largest element at most.
"""

import numpy as np

from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.threads import parallel_kernel

_GROWTH = 2.0**17  # the most by which the transforms together enlarge a product
_ERROR = 2.0**-15  # relative error that is allowed in the row or column of the smallest elements


def _most_spread(dtype):
    """Return the largest allowed ratio between rows or columns of an image: 256 in float32."""
    return _ERROR / np.finfo(dtype).eps


@parallel_kernel(tasks=lambda bits: len(bits))
def _measure(first_task, end_task, bits, sign, channels, measures):
    """Fill measures (N, 3) of images (N, H, W * C): the largest element, the least row's and the least column's.

    Floats without their sign bit are ordered as the integers of the same bits are, and NaN comes last.
    """
    _, height, width = bits.shape
    for n in range(first_task, end_task):
        column = np.zeros(width, bits.dtype)
        most, least_row, least_column = sign[0] & 0, sign[0], sign[0]
        for h in range(height):
            row, line = bits[n, h], sign[0] & 0
            for k in range(width):
                value = row[k] & sign[0]
                column[k] = max(column[k], value)
                line = max(line, value)
            most = max(most, line)
            least_row = min(least_row, line) if line > 0 else least_row
        for w in range(width // channels):
            line = sign[0] & 0
            for k in range(w * channels, (w + 1) * channels):
                line = max(line, column[k])
            least_column = min(least_column, line) if line > 0 else least_column
        measures[n, 0], measures[n, 1], measures[n, 2] = most, least_row, least_column


def measure(maps):
    """Return absolute values of each image: its largest, and the least of the largest of its rows and of its columns.

    Parameters
    ----------
    maps : ndarray, shape (N, H, W, C), C-contiguous, float32 or float64

    Returns
    -------
    largest, least_row, least_column : ndarray of float64, shape (N,)
        NaN where the image holds one; rows and columns of zeros are left out.
    """
    images, height, width, channels = maps.shape
    integer = np.int32 if maps.itemsize == 4 else np.int64
    sign = np.array([np.iinfo(integer).max], integer)  # all bits but that of the sign
    measures = memory.empty((images, 3), integer)
    _measure(maps.view(integer).reshape(images, height, width * channels), sign, channels, measures)
    return measures.view(maps.dtype).T.astype(np.float64)


class Memo:
    """Measures arrays once each, for the three products of one convolution: two of them read x, two its gradient.

    It keeps the arrays alive, so that no other array can take their place in memory, and trusts that nobody changes
    them in the meantime. So it lives as long as one operation of the graph.
    """

    def __init__(self):
        self._kept = {}

    def measure(self, maps):
        """Return `measure` of the array, taken now or when this memory was first seen with this shape."""
        key = maps.__array_interface__["data"][0], maps.shape
        if key not in self._kept:
            self._kept[key] = maps, measure(maps)
        return self._kept[key][1]


def find(maps, weight, terms, memo=None):
    """Return the indices of the images that are to be set apart when they are filtered.

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
    ndarray of int64; all of them where a filter has taps as far apart as the rows of such an image
    """
    count, inner, height, width = weight.shape
    memo = memo or Memo()
    taps = np.ascontiguousarray(weight).reshape(count, inner, height * width, 1)
    largest, _, least = memo.measure(taps)  # rows are input channels, which may be small; columns are taps
    with np.errstate(all="ignore"):
        even = ~(largest > least * _most_spread(weight.dtype)).any()
    return np.flatnonzero(~_fit(memo.measure(maps), largest.max(initial=0), terms, maps.dtype) | ~even)


def find_pairs(x, grad_out, memo=None):
    """Return the indices of the images that are to be set apart when they are correlated with their gradients.

    Parameters
    ----------
    x, grad_out : ndarray, shapes (N, H, W, C_in) and (N, OH, OW, C_out), C-contiguous
    memo : Memo or None
        Of the convolution.

    Returns
    -------
    ndarray of int64
    """
    terms = grad_out[..., 0].size
    memo = memo or Memo()
    of_x, of_grad = memo.measure(x), memo.measure(grad_out)
    most_x, most_grad = (np.nanmax(measures[0], initial=0) for measures in (of_x, of_grad))
    return np.flatnonzero(~(_fit(of_x, most_grad, terms, x.dtype) & _fit(of_grad, most_x, terms, x.dtype)))


def _fit(measures, other, terms, dtype):
    """Return for each image whether it need not be set apart; ``other`` is what it is multiplied with at most."""
    largest, *lines = measures
    with np.errstate(all="ignore"):
        fits = largest * other * terms * _GROWTH <= np.finfo(dtype).max  # written so that NaN does not fit
        return fits & ~(largest > np.minimum(*lines) * _most_spread(dtype))
