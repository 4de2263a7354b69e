"""Resizing images by interpolation."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.reads import Resampled
from minitorch_cnn.shapes import ShapeError, batch_hint, nchw, nhwc, pair
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def interpolation_weights(size, out_size, mode, antialias):
    """Return (output, input, weight), three arrays with an element for each pair of pixels that belong together.

    The centre of output pixel i lies at (i + 1/2) * size / out_size - 1/2 in input pixels. "nearest"
    reads the pixel at floor(i * size / out_size). "bilinear" reads the two pixels around the centre, with
    weights that fall linearly with the distance. With ``antialias``, a shrinking image reads all pixels
    under a triangle that extends from the centre to the next output pixels.

    The pairs are in the order of the outputs, then of the inputs. They are the elements other than 0 of the matrix
    (out_size, size) of the map, which itself would need out_size * size elements.
    """
    outputs, scale = np.arange(out_size), size / out_size
    if mode == "nearest":
        return outputs, outputs * size // out_size, np.ones(out_size)
    centre = (outputs + 0.5) * scale - 0.5
    reach = max(scale, 1.0) if antialias else 1.0
    if reach == 1:
        centre = centre.clip(0, size - 1)  # outside the image, the border pixel is repeated
    first = np.floor(centre - reach).astype(int)
    read = first[:, None] + np.arange(math.ceil(2 * reach) + 2)  # (OUT, taps), the outermost with weights of 0
    nearness = np.maximum(0, 1 - np.abs(read - centre[:, None]) / reach)
    nearness[(read < 0) | (read >= size)] = 0
    nearness /= nearness.sum(1, keepdims=True)
    i, tap = np.nonzero(nearness)
    return i, read[i, tap], nearness[i, tap]


def _along(axis, length, to, of, weights, pixels):
    """Return ``length`` pixels along one axis of (N, H, W, C): each the sum of weights * pixels, in a fixed order."""
    before = (slice(None),) * axis
    out = np.zeros((*pixels.shape[:axis], length, *pixels.shape[axis + 1 :]))  # float64: sums lose no digits
    for i, j, weight in zip(to, of, weights, strict=True):
        out[(*before, i)] += weight * pixels[(*before, j)]
    return out.astype(pixels.dtype)


def _taps(length, out_length, hyper):
    """Return the input pixels that one period of output pixels reads, and the step to the next; see `Resampled`."""
    scale = Fraction(length, out_length)
    period, step = scale.denominator, scale.numerator
    if hyper["mode"] == "nearest":
        return tuple((i * step // period,) for i in range(period)), step
    reach = max(scale, 1) if hyper["antialias"] else 1
    centres = [(i + Fraction(1, 2)) * scale - Fraction(1, 2) for i in range(period)]
    return tuple(tuple(range(math.floor(c - reach) + 1, math.ceil(c + reach))) for c in centres), step


class Resize(Function):
    """A linear map along the height, then one along the width."""

    rule = "each input pixel gets the weighted sum of grad_out over the output pixels that read it"
    reads, kind = Resampled(_taps), "resize"

    @staticmethod
    def output_shape(x, *, size, mode, antialias):
        if len(x) != 4:
            raise ShapeError(f"resize: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
        if 0 in x[2:]:
            raise ShapeError(f"resize: x - expected at least one pixel, got shape {x}")
        return (*x[:2], *size)

    @staticmethod
    def forward(ctx, x, *, size, mode, antialias):
        rows, columns = (
            interpolation_weights(length, out, mode, antialias) for length, out in zip(x.shape[2:], size, strict=True)
        )
        ctx.weights, ctx.size = (rows, columns), x.shape[2:]  # the map is linear: x is not needed
        tall = _along(1, size[0], *rows, nhwc(x))  # (N, H, W, C) -> (N, OH, W, C)
        return nchw(_along(2, size[1], *columns, tall))  # -> (N, OH, OW, C)

    @staticmethod
    def backward(ctx, grad_out):
        (height, width), ((i, y, rows), (j, x, columns)) = ctx.size, ctx.weights
        tall = _along(2, width, x, j, columns, nhwc(grad_out))  # the transposed map: (N, OH, OW, C) -> (N, OH, W, C)
        return nchw(_along(1, height, y, i, rows, tall))


def resize(x: Operand, size: Size, *, mode: str = "bilinear", antialias: bool = False) -> Tensor:
    """Resize images by interpolation.

    out = R x C', with one interpolation matrix R (OH, H) for the rows and one C (OW, W) for the columns

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W), float32 or float64
    size : int or (int, int), pixels
        OH and OW.
    mode : "bilinear" or "nearest"
        Bilinear: a weighted mean of the four pixels around the centre of the output pixel.
        Nearest: the pixel at (floor(i * H / OH), floor(j * W / OW)).
    antialias : bool
        When a bilinear image shrinks, take a weighted mean of all pixels that the output pixel covers, as
        Pillow does. Otherwise the pixels between those that are read are lost.

    Returns
    -------
    Tensor, shape (N, C, OH, OW)

    Raises
    ------
    TypeError
        If x is not a Tensor, or the size is not an integer or a pair of integers.
    ValueError
        If the mode is unknown, the size is not positive, or antialias is combined with "nearest".
    ShapeError
        If x does not have four axes, or has no pixels.

    Notes
    -----
    Gradient: the transpose of the map. Only the elements of R and C other than 0 are kept and multiplied. Centres of
    pixels lie at half-integers, as in PyTorch with ``align_corners=False``.
    """
    tensors("resize", x=x)
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"resize: mode - expected 'bilinear' or 'nearest', got {mode!r}")
    if antialias and mode == "nearest":
        raise ValueError("resize: antialias - expected False for mode 'nearest', got True")
    return Resize.apply(x, size=pair(size, "resize: size"), mode=mode, antialias=bool(antialias))
