"""Max and average pooling in 2-D, and in 1-D on images one pixel high; see also `adaptive_pool`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.movement import reshape
from minitorch_cnn.ops.reads import Windows
from minitorch_cnn.shapes import ShapeError, conv_output_size, nchw, nhwc, padding4, pair
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def _window_output_shape(op, x, kernel_size, stride, padding):
    if len(x) != 4:
        raise ShapeError(f"{op}: x - expected 4 axes (N, C, H, W), got shape {x}")
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


def max_pool2d(x: Operand, kernel_size: Size, *, stride: Size | None = None, padding: Size | str = 0) -> Tensor:
    """Take the largest value of each window.

    out[n, c, i, j] = max over u, v of x[n, c, i*stride + u - padding, j*stride + v - padding]

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    kernel_size : int or (int, int), pixels, >= 1
    stride : int, (int, int) or None, pixels
        None means the kernel size, so that windows are adjacent.
    padding : int, (int, int) or (top, bottom, left, right), pixels
        Less than the kernel; the padding is minus infinity, so it never wins.

    Returns
    -------
    Tensor, shape (N, C, OH, OW), OH = floor((H + 2*padding - KH) / stride) + 1

    Raises
    ------
    TypeError, ValueError
        If x is not a Tensor, or a size is not a positive integer.
    ShapeError
        If the padding is not less than the window, or no window fits.

    Notes
    -----
    Ties: the first maximum in row-major order gets the whole gradient. NaN counts as the largest value.
    """
    tensors("max_pool2d", x=x)
    return MaxPool2d.apply(x, **_window("max_pool2d", kernel_size, stride, padding))


def avg_pool2d(
    x: Operand,
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Size | str = 0,
    count_include_pad: bool = True,
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

    Returns
    -------
    Tensor, shape (N, C, OH, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `max_pool2d`.
    """
    tensors("avg_pool2d", x=x)
    hyper = _window("avg_pool2d", kernel_size, stride, padding)
    return AvgPool2d.apply(x, **hyper, count_include_pad=bool(count_include_pad))


def in_1d(op, pool, x, size, stride_and_padding=None, **hyper):
    """Run a 2-D pooling on (N, C, W) seen as (N, C, 1, W)."""
    tensors(op, x=x)
    if x.data.ndim != 3:
        raise ShapeError(f"{op}: x - expected 3 axes (N, C, W), got shape {x.data.shape}")
    if stride_and_padding is not None:
        stride, padding = stride_and_padding
        left, right = pair(padding, f"{op}: padding", minimum=0)
        hyper["padding"] = (0, 0, left, right)
        hyper["stride"] = None if stride is None else (1, pair(stride, f"{op}: stride")[1])
    batch, channels, width = x.data.shape
    out = pool(reshape(x, (batch, channels, 1, width)), (1, pair(size, f"{op}: size")[1]), **hyper)
    return reshape(out, (batch, channels, out.data.shape[3]))


def max_pool1d(x: Operand, kernel_size: Size, *, stride: Size | None = None, padding: Size | str = 0) -> Tensor:
    """Take the largest value of each window of a signal; see `max_pool2d`.

    Parameters
    ----------
    x : Tensor, shape (N, C, W)
    kernel_size : int, samples, >= 1
    stride : int or None, samples
        None means the kernel size.
    padding : int or (left, right), samples

    Returns
    -------
    Tensor, shape (N, C, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `max_pool2d`.
    """
    return in_1d("max_pool1d", max_pool2d, x, kernel_size, (stride, padding))


def avg_pool1d(
    x: Operand,
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Size | str = 0,
    count_include_pad: bool = True,
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

    Returns
    -------
    Tensor, shape (N, C, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `max_pool2d`.
    """
    hyper = {"count_include_pad": count_include_pad}
    return in_1d("avg_pool1d", avg_pool2d, x, kernel_size, (stride, padding), **hyper)
