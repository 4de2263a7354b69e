"""Max and average pooling in 2-D, and in 1-D on images one pixel high; see also `adaptive_pool`, `dilated_pool`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors, values
from minitorch_cnn.ops.arithmetic import mul
from minitorch_cnn.ops.dilated_pool import DilatedMaxPool2d, largest_taps
from minitorch_cnn.ops.movement import reshape
from minitorch_cnn.ops.reads import Windows
from minitorch_cnn.shapes import ShapeError, batch_hint, ceil_padding, conv_output_size, nchw, nhwc, padding4, pair
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor

LARGEST_WINDOW = 1 << 24  # pixels: the kernel counts them in float32


def _window_output_shape(op, x, kernel_size, stride, padding):
    if len(x) != 4:
        raise ShapeError(f"{op}: x - expected 4 axes (N, C, H, W), got shape {x}{batch_hint(x)}")
    if 0 in x[2:]:
        raise ShapeError(f"{op}: x - expected at least one pixel, got shape {x}")
    top, bottom, left, right = padding
    for name, before, after, kernel in (
        ("height", top, bottom, kernel_size[0]),
        ("width", left, right, kernel_size[1]),
    ):
        if max(before, after) >= kernel:  # a window could lie entirely in the padding
            raise ShapeError(
                f"{op}: padding - expected less than the window's {name} {kernel}, got {max(before, after)}"
            )
    out_height = conv_output_size(x[2], kernel_size[0], stride[0], top, bottom, what=f"{op}: height")
    out_width = conv_output_size(x[3], kernel_size[1], stride[1], left, right, what=f"{op}: width")
    return x[0], x[1], out_height, out_width


class MaxPool2d(Function):
    """The largest value of each window."""

    rule = "the gradient goes to the first largest value of each window"
    reads, kind, label = Windows("kernel_size", "stride", "padding", groups=None), "pool", "max"

    @staticmethod
    def output_shape(x, *, kernel_size, stride, padding):
        if math.prod(kernel_size) > LARGEST_WINDOW:
            raise ValueError(f"max_pool2d: kernel_size - expected at most {LARGEST_WINDOW} pixels, got {kernel_size}")
        return _window_output_shape("max_pool2d", x, kernel_size, stride, padding)

    @staticmethod
    def forward(ctx, x, **hyper):
        out, argmax = kernels.layers.pool.max_pool2d_forward(nhwc(x), **hyper)
        ctx.input_size, ctx.hyper = x.shape[2:], hyper
        ctx.save(argmax)  # one byte per output; x is not needed
        return nchw(out)

    @staticmethod
    def backward(ctx, grad_out):
        (argmax,) = ctx.saved
        return nchw(
            kernels.layers.pool.max_pool2d_backward(nhwc(grad_out), argmax, input_size=ctx.input_size, **ctx.hyper)
        )

    @staticmethod
    def choices(ctx):
        return ctx.saved[0]


class AvgPool2d(Function):
    """The mean of each window."""

    rule = "the gradient is spread equally over the window"
    reads, kind, label = Windows("kernel_size", "stride", "padding", groups=None), "pool", "mean"

    @staticmethod
    def output_shape(x, *, kernel_size, stride, padding, count_include_pad):
        return _window_output_shape("avg_pool2d", x, kernel_size, stride, padding)

    @staticmethod
    def forward(ctx, x, **hyper):
        ctx.input_size, ctx.hyper = x.shape[2:], hyper
        return nchw(kernels.layers.pool.avg_pool2d_forward(nhwc(x), **hyper))

    @staticmethod
    def backward(ctx, grad_out):
        return nchw(kernels.layers.pool.avg_pool2d_backward(nhwc(grad_out), input_size=ctx.input_size, **ctx.hyper))


def _window(op, kernel_size, stride, padding):
    kernel_size = pair(kernel_size, f"{op}: kernel_size")
    stride = kernel_size if stride is None else pair(stride, f"{op}: stride")
    if padding == "same":
        raise ValueError(f"{op}: padding - expected integers, got 'same'")
    return {"kernel_size": kernel_size, "stride": stride, "padding": padding4(padding, f"{op}: padding")}


def _rounded_up(op, x, kernel_size, stride, padding, dilation=(1, 1)):
    """Return the padding extended so that the last windows are complete, for ``ceil_mode``."""
    if x.data.ndim != 4:
        raise ShapeError(f"{op}: x - expected 4 axes (N, C, H, W), got shape {x.data.shape}{batch_hint(x.data.shape)}")
    sides = zip(x.data.shape[2:], kernel_size, stride, padding[::2], padding[1::2], dilation, strict=True)
    return tuple(p for side in sides for p in ceil_padding(*side))


def max_pool2d(
    x: Operand, kernel_size: Size, *, stride: Size | None = None, padding: Size | str = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False
) -> Any:
    """Take the largest value of each window.

    out[n, c, i, j] = max over u, v of x[n, c, i*stride + u*dilation - padding, j*stride + v*dilation - padding]

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    kernel_size : int or (int, int), pixels, >= 1
    stride : int, (int, int) or None, pixels
        None means the kernel size, so that windows are adjacent.
    padding : int, (int, int) or (top, bottom, left, right), pixels
        Less than the window; the padding is minus infinity, so it never wins.
    dilation : int or (int, int), pixels, >= 1
        Distance between the pixels of a window.
    ceil_mode : bool
        Also take windows that begin inside the image, or its padding at the top and left, and end outside.
    return_indices : bool
        Return also where each maximum was. Costs a second pass over x.

    Returns
    -------
    Tensor, shape (N, C, OH, OW), OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1; or a pair of it and
    an int64 ndarray of the same shape with row * W + column of each maximum. ``ceil_mode`` rounds up instead.

    Raises
    ------
    TypeError, ValueError
        If x is not a Tensor, a size is not a positive integer, or a window has more than 16,777,216 pixels.
    ShapeError
        If x has no pixels, the padding is not less than the window, or no window fits.

    Notes
    -----
    Ties: the first maximum in row-major order gets the whole gradient. NaN counts as the largest value.
    """
    tensors("max_pool2d", x=x)
    arguments.flag("max_pool2d", ceil_mode=ceil_mode, return_indices=return_indices)
    hyper, dilation = _window("max_pool2d", kernel_size, stride, padding), pair(dilation, "max_pool2d: dilation")
    if ceil_mode:
        hyper["padding"] = _rounded_up("max_pool2d", x, **hyper, dilation=dilation)
    gaps = {} if dilation == (1, 1) else {"dilation": dilation}
    out = (DilatedMaxPool2d if gaps else MaxPool2d).apply(x, **hyper, **gaps)
    if return_indices:
        values("max_pool2d: return_indices", x=x)
        return out, largest_taps(x.data, out.data.shape[2:], **hyper, dilation=dilation).indices()
    return out


def check_divisor(owner, divisor_override):
    """Raise unless an average can be taken by this divisor."""
    arguments.number(owner, divisor_override=divisor_override)
    if not divisor_override:
        raise ValueError(f"{owner}: divisor_override - expected a number other than 0, got 0")


def avg_pool2d(
    x: Operand, kernel_size: Size, *, stride: Size | None = None, padding: Size | str = 0,
    count_include_pad: bool = True, ceil_mode: bool = False, divisor_override: float | None = None
) -> Tensor:
    """Take the mean of each window.

    out[n, c, i, j] = 1/(KH*KW) * sum over u, v of x[n, c, i*stride + u - padding, j*stride + v - padding]

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    kernel_size : int or (int, int), pixels, >= 1
    stride : int, (int, int) or None, pixels
        None means the kernel size.
    padding : int, (int, int) or (top, bottom, left, right), pixels
        Filled with zeros; less than the kernel.
    count_include_pad : bool
        False divides by the number of pixels inside the image instead of KH*KW.
    ceil_mode : bool
        Also take windows that begin inside the image, or its padding at the top and left, and end outside. What lies
        beyond the padding is not counted.
    divisor_override : number or None
        Divide the sum of each window by this number instead.

    Returns
    -------
    Tensor, shape (N, C, OH, OW), OH = floor((H + 2*padding - KH) / stride) + 1; ``ceil_mode`` rounds up instead

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `max_pool2d`; also if the divisor is 0 or not a number.
    """
    tensors("avg_pool2d", x=x)
    arguments.flag("avg_pool2d", count_include_pad=count_include_pad, ceil_mode=ceil_mode)
    hyper = _window("avg_pool2d", kernel_size, stride, padding)
    declared = hyper["padding"]
    if ceil_mode:
        hyper["padding"] = _rounded_up("avg_pool2d", x, **hyper)
    if divisor_override is not None:
        check_divisor("avg_pool2d", divisor_override)
        height, width = hyper["kernel_size"]
        return mul(AvgPool2d.apply(x, **hyper, count_include_pad=True), height * width / divisor_override)
    out = AvgPool2d.apply(x, **hyper, count_include_pad=bool(count_include_pad))
    if not ceil_mode or not count_include_pad:
        return out
    counted = _counted(out.data.shape[2:], x.data.shape[2:], declared, hyper)
    return out if counted is None else mul(out, out.result(counted.astype(out.data.dtype)))


def _counted(out_size, size, padding, hyper):
    """Return the elements of a whole window over those inside the image and its padding; None if they are equal."""
    parts = []
    for count, length, before, after, kernel, stride in zip(
        out_size, size, padding[::2], padding[1::2], hyper["kernel_size"], hyper["stride"], strict=True
    ):
        starts = np.arange(count) * stride
        parts.append(np.minimum(starts + kernel, before + length + after) - starts)
    if all((part == kernel).all() for part, kernel in zip(parts, hyper["kernel_size"], strict=True)):
        return None
    return np.prod(hyper["kernel_size"]) / np.multiply.outer(*parts)


def in_1d(op, pool, x, size, stride_and_padding=None, **hyper):
    """Run a 2-D pooling on (N, C, W) seen as (N, C, 1, W)."""
    tensors(op, x=x)
    if x.data.ndim != 3:
        got = f"{x.data.shape}{batch_hint(x.data.shape, axes=3)}"
        raise ShapeError(f"{op}: x - expected 3 axes (N, C, W), got shape {got}")
    if stride_and_padding is not None:
        stride, padding = stride_and_padding
        left, right = pair(padding, f"{op}: padding", minimum=0)
        hyper["padding"] = (0, 0, left, right)
        hyper["stride"] = None if stride is None else (1, pair(stride, f"{op}: stride")[1])
    if "dilation" in hyper:
        hyper["dilation"] = (1, pair(hyper["dilation"], f"{op}: dilation")[1])
    batch, channels, width = x.data.shape
    out = pool(reshape(x, (batch, channels, 1, width)), (1, pair(size, f"{op}: size")[1]), **hyper)
    if isinstance(out, tuple):
        out, indices = out
        return reshape(out, (batch, channels, out.data.shape[3])), indices[:, :, 0]
    return reshape(out, (batch, channels, out.data.shape[3]))


def max_pool1d(
    x: Operand, kernel_size: Size, *, stride: Size | None = None, padding: Size | str = 0, dilation: Size = 1,
    ceil_mode: bool = False, return_indices: bool = False
) -> Any:
    """Take the largest value of each window of a signal; see `max_pool2d`.

    Parameters
    ----------
    x : Tensor, shape (N, C, W)
    kernel_size : int, samples, >= 1
    stride : int or None, samples
        None means the kernel size.
    padding : int or (left, right), samples
    dilation : int, samples, >= 1
    ceil_mode, return_indices : bool
        As in `max_pool2d`.

    Returns
    -------
    Tensor, shape (N, C, OW); or a pair of it and an int64 ndarray of the same shape with the index of each maximum

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `max_pool2d`.
    """
    flags = {"ceil_mode": ceil_mode, "return_indices": return_indices}
    arguments.flag("max_pool1d", **flags)
    return in_1d("max_pool1d", max_pool2d, x, kernel_size, (stride, padding), dilation=dilation, **flags)


def avg_pool1d(
    x: Operand, kernel_size: Size, *, stride: Size | None = None, padding: Size | str = 0,
    count_include_pad: bool = True, ceil_mode: bool = False
) -> Tensor:
    """Take the mean of each window of a signal; see `avg_pool2d`.

    Parameters
    ----------
    x : Tensor, shape (N, C, W)
    kernel_size : int, samples, >= 1
    stride : int or None, samples
        None means the kernel size.
    padding : int or (left, right), samples
    count_include_pad : bool
        False divides by the number of samples inside the signal.
    ceil_mode : bool
        As in `avg_pool2d`.

    Returns
    -------
    Tensor, shape (N, C, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `max_pool2d`.
    """
    flags = {"count_include_pad": count_include_pad, "ceil_mode": ceil_mode}
    arguments.flag("avg_pool1d", **flags)
    return in_1d("avg_pool1d", avg_pool2d, x, kernel_size, (stride, padding), **flags)
