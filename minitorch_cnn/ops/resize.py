"""Resizing images and signals by interpolation."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.movement import reshape
from minitorch_cnn.ops.reads import Resampled
from minitorch_cnn.shapes import ShapeError, batch_hint, nchw, nhwc, pair
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class _Mode(NamedTuple):
    """What a mode takes, and how far it reads."""

    axes: tuple[int, ...]  # of x: 3 for signals, 4 for images
    half_width: int  # input pixels on each side of the centre, where the weight becomes 0; 0 takes one pixel as it is


_MODES = {
    "bilinear": _Mode((4,), 1),
    "nearest": _Mode((4, 3), 0),
    "bicubic": _Mode((4,), 2),
    "linear": _Mode((3,), 1),
}
MODES = tuple(_MODES)
_AXES = {3: "3 axes (N, C, W)", 4: "4 axes (N, C, H, W)"}
_FINEST = 10**6  # denominator of a scale factor: 0.1 means a tenth, not the float beside it


def spacing(size, out_size, align_corners=False, factor=None):
    """Return the distance of neighbouring output pixels in input pixels, a Fraction.

    Parameters
    ----------
    size, out_size : int
        Pixels along one axis.
    align_corners : bool
        Whether the centres of the outermost pixels coincide, or their outer edges.
    factor : float or None
        Output pixels for each input pixel; None means out_size / size.
    """
    if align_corners:
        return Fraction(size - 1, out_size - 1) if out_size > 1 else Fraction(0)
    if factor is None:
        return Fraction(size, out_size)
    written = Fraction(factor).limit_denominator(_FINEST)
    return 1 / written if written else Fraction(1 / factor).limit_denominator(_FINEST)


def interpolation_weights(size, out_size, mode, antialias, align_corners=False, factor=None):
    """Return (output, input, weight), three arrays with an element for each pair of pixels that belong together.

    The centre of output pixel i lies at (i + start) * spacing - start in input pixels, see `_start`. "nearest" reads
    the pixel at floor(i * spacing). The other modes weight the pixels near the centre by a function of the distance.
    With ``antialias``, that function is as much wider as the image shrinks, and pixels outside the image have no
    weight; without it, the border pixel is repeated there.

    The pairs are in the order of the outputs, then of the inputs. They are the elements other than 0 of the matrix
    (out_size, size) of the map, which itself would need out_size * size elements.
    """
    outputs, step = np.arange(out_size), spacing(size, out_size, align_corners, factor)
    if mode == "nearest":
        return outputs, (outputs * step.numerator // step.denominator).clip(max=size - 1), np.ones(out_size)
    start = _start(antialias, align_corners)
    centre = (outputs + start) * float(step) - start
    stretch = max(float(step), 1.0) if antialias else 1.0
    width = _MODES[mode].half_width * stretch
    read = np.floor(centre - width).astype(int)[:, None] + np.arange(math.ceil(2 * width) + 2)  # (OUT, taps)
    nearness = _nearness(mode, antialias, np.abs(read - centre[:, None]) / stretch)
    if antialias:
        nearness[(read < 0) | (read >= size)] = 0
    i, tap = np.nonzero(nearness)
    pairs, where = np.unique(i * size + read[i, tap].clip(0, size - 1), return_inverse=True)  # repeated pixels as one
    weights = np.bincount(where, nearness[i, tap])
    i, j = np.divmod(pairs, size)
    return i, j, weights / np.bincount(i, weights)[i]


def _start(antialias, align_corners):
    """Return where the first output pixel has its centre, in output pixels: at the corner, or half a pixel inside.

    With both options it is inside, as in PyTorch: then ``align_corners`` sets the distance of pixels alone.
    """
    return 0.0 if align_corners and not antialias else 0.5


def _nearness(mode, antialias, distance):
    """Return the weight of a pixel at each distance, in pixels: a triangle, or cubic convolution with parameter a."""
    if mode == "bilinear":
        return np.maximum(0, 1 - distance)
    a = -0.5 if antialias else -0.75  # as Pillow and PyTorch have it
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def interpolation_matrices(lengths, hyper):
    """Return R (OH, H) and C (OW, W) of the map R x C^T with all their elements, for small images.

    Parameters
    ----------
    lengths : (int, int)
        H and W.
    hyper : dict
        The keywords of `Resize`.
    """
    found = []
    for length, out_length, (i, j, weights) in zip(lengths, hyper["size"], _weights(lengths, **hyper), strict=True):
        found.append(np.zeros((out_length, length)))
        found[-1][i, j] = weights
    return found


def _weights(lengths, size, mode, antialias, align_corners, factors):
    """Return the `interpolation_weights` of the rows and those of the columns."""
    sides = zip(lengths, size, factors, strict=True)
    return [interpolation_weights(n, out, mode, antialias, align_corners, factor) for n, out, factor in sides]


def _taps(axis, length, out_length, hyper):
    """Return the input pixels that one period of output pixels reads, and the step to the next; see `Resampled`."""
    aligned = hyper["align_corners"]
    distance = spacing(length, out_length, aligned, hyper["factors"][axis])
    period, step = distance.denominator, distance.numerator
    if period > out_length:
        period, step = out_length, round(out_length * distance)
    if hyper["mode"] == "nearest":
        return tuple((math.floor(i * distance),) for i in range(period)), step
    start = Fraction(_start(hyper["antialias"], aligned))
    stretch = max(distance, 1) if hyper["antialias"] else 1
    width = _MODES[hyper["mode"]].half_width * stretch
    found = []
    for centre in [(i + start) * distance - start for i in range(period)]:
        near = range(math.floor(centre - width) + 1, math.ceil(centre + width))
        found.append(tuple(pixel for pixel in near if abs(pixel - centre) != stretch))  # there a weight is 0
    return tuple(found), step


class Resize(Function):
    """A linear map along the height, then one along the width."""

    rule = "each input pixel gets the weighted sum of grad_out over the output pixels that read it"
    reads, kind = Resampled(_taps), "resize"

    @staticmethod
    def output_shape(x, *, size, mode, antialias, align_corners, factors):
        if len(x) != 4:
            raise ShapeError(f"resize: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
        if 0 in x[2:]:
            raise ShapeError(f"resize: x - expected at least one pixel, got shape {x}")
        return (*x[:2], *size)

    @staticmethod
    def forward(ctx, x, **hyper):
        ctx.weights, ctx.size = _weights(x.shape[2:], **hyper), x.shape[2:]  # the map is linear: x is not needed
        (height, width), (rows, columns) = hyper["size"], ctx.weights
        weighted_sums = kernels.layers.resample.weighted_sums
        tall = weighted_sums(nhwc(x), 1, height, *rows)  # (N, H, W, C) -> (N, OH, W, C)
        return nchw(weighted_sums(tall, 2, width, *columns))  # -> (N, OH, OW, C)

    @staticmethod
    def backward(ctx, grad_out):
        (height, width), ((i, y, rows), (j, x, columns)) = ctx.size, ctx.weights
        weighted_sums = kernels.layers.resample.weighted_sums  # the transposed map: outputs and inputs change places
        tall = weighted_sums(nhwc(grad_out), 2, width, x, j, columns)  # (N, OH, OW, C) -> (N, OH, W, C)
        return nchw(weighted_sums(tall, 1, height, y, i, rows))


def resize(
    x: Operand, size: Size | None = None, *, mode: str = "bilinear", antialias: bool = False,
    align_corners: bool = False, scale_factor: float | tuple[float, float] | None = None
) -> Tensor:
    """Resize images or signals by interpolation.

    out = R x C', with one interpolation matrix R (OH, H) for the rows and one C (OW, W) for the columns

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W), or (N, C, W) with mode "linear" or "nearest"; float32 or float64
    size : int or (int, int), pixels
        OH and OW. None takes ``scale_factor``.
    mode : "bilinear", "nearest", "bicubic" or "linear"
        Bilinear: a weighted mean of the four pixels around the centre of the output pixel.
        Nearest: the pixel at (floor(i * H / OH), floor(j * W / OW)).
        Bicubic: the 16 pixels around the centre, some with negative weights: smoother, and values may leave the range
        of the image. Linear: for signals, the two samples around the centre.
    antialias : bool
        When the image shrinks, take a weighted mean of all pixels that the output pixel covers, as Pillow does.
        Otherwise the pixels between those that are read are lost.
    align_corners : bool
        Put the centres of the four output pixels in the corners on those of the input, in place of the outer edges of
        these pixels. The distance of pixels is then (H - 1) / (OH - 1), not H / OH. With antialias, only this distance
        changes, as in PyTorch: the corners do not meet.
    scale_factor : float or (float, float), above 0
        OH = floor(H * factor) and OW = floor(W * factor), where the distance of pixels is 1 / factor; 1 along an axis
        that keeps its length. For H / OH, give the size.

    Returns
    -------
    Tensor, shape (N, C, OH, OW) or (N, C, OW)

    Raises
    ------
    TypeError
        If x is not a Tensor, the size is not an integer or a pair of integers, there are both a size and a factor, or
        neither, or an option is not True or False.
    ValueError
        If the mode is unknown, the size or the factor is not positive, the factor leaves no pixel, or antialias or
        align_corners comes with mode "nearest".
    ShapeError
        If x does not have four axes, or three with the modes of signals, or has no pixels.

    Notes
    -----
    Gradient: the transpose of the map. Only the elements of R and C other than 0 are kept and multiplied.
    Cost: N*C*(OH*W*K + OH*OW*K) multiply-adds, where K pixels are read along an axis: 1, 2 or 4, more with antialias.
    """
    tensors("resize", x=x)
    shape, options = x.data.shape, {"antialias": antialias, "align_corners": align_corners}
    arguments.flag("resize", **options)
    given = scale_factor if size is None else size
    _check_mode(mode, shape, isinstance(given, (tuple, list)) and len(given) > 1, options)
    if len(shape) == 3:
        x = reshape(x, (*shape[:2], 1, shape[2]))
        size, scale_factor = _of_signal("size", size), _of_signal("scale_factor", scale_factor)
    size, factors = _size_and_factors(x.data.shape[2:], size, scale_factor)
    mode = "bilinear" if mode == "linear" else mode
    out = Resize.apply(x, size=size, mode=mode, factors=factors, **options)
    return out if len(shape) == 4 else reshape(out, (*shape[:2], size[1]))


def _of_signal(name, value):
    """Return the size or factor of a signal, a number or a tuple of one, as that of an image one pixel high."""
    if not isinstance(value, (tuple, list)):
        return None if value is None else (1, value)
    if len(value) != 1:
        raise TypeError(f"resize: {name} - expected one number for signals, got {value!r}")
    return (1, value[0])


def _check_mode(mode, shape, sides, options):
    """Raise unless a mode takes x of this shape and these options; ``sides`` means that height and width are given."""
    if mode not in MODES:
        raise ValueError(f"resize: mode - expected one of {', '.join(map(repr, MODES))}, got {mode!r}")
    for name, flag in options.items():
        if flag and not _MODES[mode].half_width:
            raise ValueError(f"resize: {name} - expected False for mode {mode!r}, got True")
    images, *signals = _MODES[mode].axes
    if len(shape) != images and (sides or len(shape) not in signals):
        hint = batch_hint(shape) if images == 4 else ""
        if len(shape) == 3:
            hint += "; mode 'linear' takes signals (N, C, W)"
        raise ShapeError(f"resize: x - expected {_AXES[images]} for mode {mode!r}, got shape {shape}{hint}")


def _size_and_factors(lengths, size, scale_factor):
    """Return the size of the output and the factor of each axis, None for one that keeps its length."""
    size, factors = size_or_factors("resize", size, scale_factor)
    if size is not None:
        return size, factors
    size = tuple(int(length * factor) for length, factor in zip(lengths, factors, strict=True))
    if any(out == 0 < length for out, length in zip(size, lengths, strict=True)):
        expected = "factors that leave at least one pixel"
        raise ValueError(f"resize: scale_factor - expected {expected}, got {scale_factor!r} for {lengths} pixels")
    kept = zip(lengths, size, factors, strict=True)
    return size, tuple(None if out == length else factor for length, out, factor in kept)


def size_or_factors(owner, size, scale_factor):
    """Return the size of the output, (OH, OW) or None, and (factor, factor) or (None, None); ``owner`` as in `pair`."""
    if (size is None) == (scale_factor is None):
        got = "neither" if size is None else "both"
        raise TypeError(f"{owner}: size - expected a size or a scale_factor, got {got}")
    if size is not None:
        return pair(size, f"{owner}: size"), (None, None)
    factors = tuple(scale_factor) if isinstance(scale_factor, (tuple, list)) else (scale_factor, scale_factor)
    if len(factors) != 2:
        raise ValueError(f"{owner}: scale_factor - expected a number or two numbers, got {scale_factor!r}")
    for factor in factors:
        arguments.number(owner, scale_factor=factor)
        arguments.positive(owner, scale_factor=factor)
    return None, tuple(float(factor) for factor in factors)
