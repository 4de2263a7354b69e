"""Adaptive pooling to a given output size, and global pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors, values
from minitorch_cnn.ops.pool import in_1d
from minitorch_cnn.ops.reads import Resampled, bins
from minitorch_cnn.ops.reduce import max as max_over_axes
from minitorch_cnn.ops.reduce import mean
from minitorch_cnn.shapes import ShapeError, batch_hint, nchw, nhwc, pair_or_kept
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def _bins(size, bins):
    """Yield (i, j, (rows, columns)): bin i of I covers floor(i*H/I) up to ceil((i+1)*H/I), as slices."""
    (height, width), (down, across) = size, bins
    for i in range(down):
        rows = slice(i * height // down, -(-(i + 1) * height // down))
        for j in range(across):
            yield i, j, (rows, slice(j * width // across, -(-(j + 1) * width // across)))


def _windows(size, bins):
    """Return the settings of the pooling whose windows are the bins; None if the bins overlap or differ in size."""
    if size[0] % bins[0] or size[1] % bins[1]:
        return None
    window = size[0] // bins[0], size[1] // bins[1]
    return {"kernel_size": window, "stride": window, "padding": (0, 0, 0, 0)}


def _adaptive_output_shape(op, x, output_size):
    if len(x) != 4:
        raise ShapeError(f"{op}: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
    if 0 in x[2:]:
        raise ShapeError(f"{op}: x - expected at least one pixel, got shape {x}")
    return (*x[:2], *output_size)


class AdaptiveAvgPool2d(Function):
    """The mean of each bin of a grid over the image; bins may overlap by a row or a column."""

    rule = "grad_out / bin size goes to every pixel of the bin"
    reads, kind, label = Resampled(bins), "pool", "mean"

    @staticmethod
    def output_shape(x, *, output_size):
        return _adaptive_output_shape("adaptive_avg_pool2d", x, output_size)

    @staticmethod
    def forward(ctx, x, *, output_size):
        pixels = nhwc(x)
        ctx.input_size = pixels.shape[1:3]
        if windows := _windows(ctx.input_size, output_size):
            return nchw(kernels.layers.pool.avg_pool2d_forward(pixels, **windows))
        out = np.empty((len(pixels), *output_size, pixels.shape[3]), x.dtype)
        for i, j, bin_ in _bins(ctx.input_size, output_size):
            part = pixels[:, *bin_]
            sums = kernels.layers.reduction.sum_over(part, (1, 2))[:, 0, 0]  # (N, C)
            out[:, i, j] = sums / (part.shape[1] * part.shape[2])
        return nchw(out)

    @staticmethod
    def backward(ctx, grad_out):
        grad_pixels = nhwc(grad_out)
        batch, height, width, channels = grad_pixels.shape
        if windows := _windows(ctx.input_size, (height, width)):
            sizes = {"input_size": ctx.input_size, **windows}
            return nchw(kernels.layers.pool.avg_pool2d_backward(grad_pixels, **sizes))
        grad_x = np.zeros((batch, *ctx.input_size, channels))  # float64: many bins may add up
        for i, j, (rows, columns) in _bins(ctx.input_size, (height, width)):
            area = (rows.stop - rows.start) * (columns.stop - columns.start)
            grad_x[:, rows, columns] += (grad_pixels[:, i, j] / area)[:, None, None]
        return nchw(grad_x.astype(grad_out.dtype, copy=False))


class AdaptiveMaxPool2d(Function):
    """The largest value of each bin of a grid over the image.

    ``indices`` is an int64 array (N, C, OH, OW) to fill with row * W + column of each maximum, if anybody asks for it.
    """

    rule = "the gradient goes to the first largest value of each bin"
    reads, kind, label = Resampled(bins), "pool", "max"

    @staticmethod
    def output_shape(x, *, output_size, indices=None):
        return _adaptive_output_shape("adaptive_max_pool2d", x, output_size)

    @staticmethod
    def forward(ctx, x, *, output_size, indices=None):
        pixels = nhwc(x)
        batch, height, width, channels = pixels.shape
        out = np.empty((batch, *output_size, channels), x.dtype)
        source = np.empty(out.shape, np.int64)
        for i, j, (rows, columns) in _bins((height, width), output_size):
            pixels_of_bin = (rows.stop - rows.start) * (columns.stop - columns.start)
            window = pixels[:, rows, columns].reshape(batch, pixels_of_bin, channels)  # -1 fails for an empty batch
            winner = window.argmax(1)  # the first maximum, or the first NaN
            out[:, i, j] = np.take_along_axis(window, winner[:, None], 1)[:, 0]
            row, column = divmod(winner, columns.stop - columns.start)
            source[:, i, j] = (rows.start + row) * width + columns.start + column
        ctx.input_size = x.shape[2:]
        ctx.save(source)
        if indices is not None:
            indices[...] = nchw(source)
        return nchw(out)

    @staticmethod
    def backward(ctx, grad_out):
        (source,) = ctx.saved
        batch, channels = grad_out.shape[:2]
        grad_x = np.zeros((batch, ctx.input_size[0] * ctx.input_size[1], channels))  # float64: many bins may add up
        image, channel = np.arange(batch)[:, None, None, None], np.arange(channels)
        np.add.at(grad_x, (image, source, channel), nhwc(grad_out))  # bins overlap: a pixel may win in two
        return nchw(grad_x.reshape(batch, *ctx.input_size, channels).astype(grad_out.dtype, copy=False))

    @staticmethod
    def choices(ctx):
        return ctx.saved[0]


def adaptive_avg_pool2d(x: Operand, output_size: int | tuple[int | None, ...]) -> Tensor:
    """Average over a grid of ``output_size`` bins, for images of any size.

    Bin i of OH covers rows floor(i*H/OH) up to, not including, ceil((i+1)*H/OH).

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    output_size : int or (int or None, int or None)
        None keeps the length of that axis.

    Returns
    -------
    Tensor, shape (N, C, OH, OW)

    Raises
    ------
    TypeError, ValueError
        If x is not a Tensor, or a size is not a positive integer.
    ShapeError
        If x does not have four axes, or has no pixels.

    Notes
    -----
    Cost: one pass over x where OH divides H and OW divides W; else a pass over each bin.
    """
    tensors("adaptive_avg_pool2d", x=x)
    output_size = pair_or_kept(output_size, "adaptive_avg_pool2d: output_size", x.data.shape[2:])
    return AdaptiveAvgPool2d.apply(x, output_size=output_size)


def adaptive_max_pool2d(
    x: Operand, output_size: int | tuple[int | None, ...], *, return_indices: bool = False
) -> Any:
    """Take the maximum over a grid of ``output_size`` bins; for the bins see `adaptive_avg_pool2d`.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    output_size : int or (int or None, int or None)
        None keeps the length of that axis.
    return_indices : bool
        Return also where each maximum was.

    Returns
    -------
    Tensor, shape (N, C, OH, OW); or a pair of it and an int64 ndarray of the same shape with row * W + column of each
    maximum

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `adaptive_avg_pool2d`.
    """
    tensors("adaptive_max_pool2d", x=x)
    arguments.flag("adaptive_max_pool2d", return_indices=return_indices)
    output_size = pair_or_kept(output_size, "adaptive_max_pool2d: output_size", x.data.shape[2:])
    if not return_indices:
        return AdaptiveMaxPool2d.apply(x, output_size=output_size)
    values("adaptive_max_pool2d: return_indices", x=x)
    indices = np.empty((*x.data.shape[:2], *output_size), np.int64)
    return AdaptiveMaxPool2d.apply(x, output_size=output_size, indices=indices), indices


def _maps(op, x):
    tensors(op, x=x)
    if x.data.ndim != 4:
        raise ShapeError(f"{op}: x - expected 4 axes (N, C, H, W), got shape {x.data.shape}{batch_hint(x.data.shape)}")
    return x


def global_avg_pool(x: Operand) -> Tensor:
    """Global average pooling: take the mean of each feature map.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)

    Returns
    -------
    Tensor, shape (N, C)

    Raises
    ------
    TypeError, ShapeError
        If x is not a Tensor of four axes.
    """
    return mean(_maps("global_avg_pool", x), axis=(2, 3))


def global_max_pool(x: Operand) -> Tensor:
    """Global max pooling: take the maximum of each feature map; the first one in row-major order gets the gradient.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)

    Returns
    -------
    Tensor, shape (N, C)

    Raises
    ------
    TypeError, ShapeError
        If x is not a Tensor of four axes.
    """
    return max_over_axes(_maps("global_max_pool", x), axis=(2, 3))


def adaptive_avg_pool1d(x: Operand, output_size: Size) -> Tensor:
    """Average over ``output_size`` bins of a signal; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    x : Tensor, shape (N, C, W)
    output_size : int

    Returns
    -------
    Tensor, shape (N, C, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `adaptive_avg_pool2d`.
    """
    return in_1d("adaptive_avg_pool1d", adaptive_avg_pool2d, x, output_size)


def adaptive_max_pool1d(x: Operand, output_size: Size, *, return_indices: bool = False) -> Any:
    """Take the maximum over ``output_size`` bins of a signal; see `adaptive_max_pool2d`.

    Parameters
    ----------
    x : Tensor, shape (N, C, W)
    output_size : int
    return_indices : bool
        As in `adaptive_max_pool2d`.

    Returns
    -------
    Tensor, shape (N, C, OW); or a pair of it and an int64 ndarray of the same shape with the index of each maximum

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `adaptive_avg_pool2d`.
    """
    arguments.flag("adaptive_max_pool1d", return_indices=return_indices)
    return in_1d("adaptive_max_pool1d", adaptive_max_pool2d, x, output_size, return_indices=return_indices)
