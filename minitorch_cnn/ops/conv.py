"""Convolution, as deep learning uses the word: cross-correlation; and `convolve`, which flips the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops import conv_algorithms
from minitorch_cnn.ops._check import optional_tensors, tensors
from minitorch_cnn.ops.indexing import flip
from minitorch_cnn.ops.padding import pad
from minitorch_cnn.ops.reads import Everything, Inputs, PerChannel, Windows, convolution_macs, kernel_of_weight
from minitorch_cnn.ops.reproducible_sum import sums_over_samples
from minitorch_cnn.shapes import ShapeError, batch_hint, channels_hint, conv_output_size, nchw, nhwc, padding4, pair
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


@sums_over_samples
def weight_gradient(x, grad_out, *, algorithm, **hyper):
    """Return the gradient of the weight of a convolution of images x."""
    return algorithm.backward_weight.function(nhwc(x), nhwc(grad_out), **hyper)


@sums_over_samples
def bias_gradient(grad_out):
    """Return the sum over images and pixels, channel by channel."""
    return kernels.layers.batch_norm.channel_sums(nhwc(grad_out))  # (N, C, H, W) -> (C,)


def _check_axes(x, weight):
    for name, shape, letters in (("x", x, "(N, C, H, W)"), ("weight", weight, "(C_out, C_in/groups, KH, KW)")):
        if len(shape) != 4:
            raise ShapeError(f"conv2d: {name} - expected 4 axes {letters}, got shape {shape}{batch_hint(shape, name)}")
    if 0 in weight[2:]:
        raise ShapeError(f"conv2d: weight - expected windows of at least one pixel, got shape {weight}")


class Conv2d(Function):
    """Cross-correlation of every image with every filter."""

    rule = (
        "grad_x: every output spreads its gradient over its window, times the kernel; "
        "grad_weight: x cross-correlated with grad_out; grad_bias: the sum of grad_out over images and pixels"
    )
    reads = Inputs(Windows(kernel_of_weight, "stride", "padding", "dilation", "groups"), Everything(), PerChannel())
    kind, macs, algorithm = "conv", staticmethod(convolution_macs), staticmethod(conv_algorithms.explain_choice)

    @staticmethod
    def output_shape(x, weight, bias, *, stride, padding, dilation, groups, algorithm):
        _check_axes(x, weight)
        if x[1] != weight[1] * groups:
            raise ShapeError(
                f"conv2d: x - expected {weight[1] * groups} channels (weight {weight}, groups {groups}), "
                f"got {x[1]} (x {x}){channels_hint(x, weight[1] * groups)}"
            )
        if weight[0] % groups:
            raise ShapeError(f"conv2d: weight - expected C_out divisible by groups {groups}, got {weight[0]}")
        if bias is not None and bias != weight[:1]:
            raise ShapeError(f"conv2d: bias - expected shape {weight[:1]}, got {bias}")
        top, bottom, left, right = padding
        out_height = conv_output_size(x[2], weight[2], stride[0], top, bottom, dilation[0], "conv2d: height")
        out_width = conv_output_size(x[3], weight[3], stride[1], left, right, dilation[1], "conv2d: width")
        return x[0], weight[0], out_height, out_width

    @staticmethod
    def forward(ctx, x, weight, bias, *, algorithm, relu=False, **hyper):
        candidates = conv_algorithms.candidates(algorithm, x, weight, ctx.output_shape[2:], **hyper)
        ctx.algorithm = kernels.conv.selection.choose(*candidates)  # its functions are those of selection.TABLE
        ctx.hyper, ctx.input_size, ctx.kernel_size = hyper, x.shape[2:], weight.shape[2:]
        need_x, need_weight, *_ = ctx.needs_grad
        if need_weight:  # x is kept, so what forward finds out about it can be kept as well
            ctx.algorithm = ctx.algorithm.with_memo()
        ctx.save(x if need_weight else None, weight if need_x else None)  # the gradient of each reads the other
        return nchw(ctx.algorithm.forward.function(nhwc(x), weight, bias, relu=relu, **hyper))

    @staticmethod
    def backward(ctx, grad_out):
        x, weight, *_ = ctx.saved
        need_x, need_weight, need_bias, *_ = ctx.needs_grad
        grad_x = grad_weight = grad_bias = None
        if need_x:
            sizes = {"input_size": ctx.input_size, **ctx.hyper}
            grad_x = nchw(ctx.algorithm.backward_input.function(nhwc(grad_out), weight, **sizes))
        if need_weight:
            hyper = {"kernel_size": ctx.kernel_size, **ctx.hyper}
            grad_weight = weight_gradient(x, grad_out, algorithm=ctx.algorithm, **hyper)
        if need_bias:
            grad_bias = bias_gradient(grad_out)
        return grad_x, grad_weight, grad_bias


def checked(x, weight, bias, *, stride, padding, dilation, groups, padding_mode, algorithm):
    """Check the arguments of `conv2d`; return x, already padded unless by zeros, and the keywords of `Conv2d`."""
    tensors("conv2d", x=x, weight=weight)
    optional_tensors("conv2d", bias=bias)
    _check_axes(x.data.shape, weight.data.shape)  # before the padding, which may depend on the size
    stride, dilation = pair(stride, "conv2d: stride"), pair(dilation, "conv2d: dilation")
    groups, _ = pair(groups, "conv2d: groups")
    conv_algorithms.check(algorithm)
    if padding_mode not in PADDING_MODES:
        allowed = ", ".join(map(repr, PADDING_MODES))
        raise ValueError(f"conv2d: padding_mode - expected one of {allowed}, got {padding_mode!r}")
    padding = padding4(padding, "conv2d: padding", x.data.shape[2:], weight.data.shape[2:], stride, dilation)
    if padding_mode != "zeros" and any(padding):
        x = pad(x, ((0, 0), (0, 0), padding[:2], padding[2:]), mode=padding_mode)
        padding = (0, 0, 0, 0)
    return x, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups, "algorithm": algorithm}


def conv2d(
    x: Operand, weight: Operand, bias: Operand | None = None, *, stride: Size = 1, padding: Size | str = 0,
    dilation: Size = 1, groups: int = 1, padding_mode: str = "zeros", algorithm: str = "auto"
) -> Tensor:
    """Cross-correlate images with filters.

    out[n, o, i, j] = bias[o] + sum over c, u, v of
                      x[n, c, i*stride + u*dilation - padding, j*stride + v*dilation - padding] * weight[o, c, u, v]

    Parameters
    ----------
    x : Tensor, shape (N, C_in, H, W), float32 or float64
        Images or feature maps.
    weight : Tensor, shape (C_out, C_in/groups, KH, KW)
        One filter per output channel.
    bias : Tensor, shape (C_out,), or None
    stride : int or (int, int), pixels, >= 1
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid", pixels
        "same" gives OH = ceil(H / stride), "valid" is 0.
    dilation : int or (int, int), pixels, >= 1
        Distance between the taps of a kernel.
    groups : int, >= 1
        Output channels of group g see only input channels of group g.
    padding_mode : "zeros", "reflect", "replicate" or "circular"
        The values outside the image; see `pad`.
    algorithm : "auto", "reference", "im2col", "direct", "winograd", or a registered name
        All give the same result up to rounding. "direct" and "winograd" need a processor with a micro-kernel.
        "winograd" needs 3 x 3 filters with stride 1 or 2, or 5 x 5 filters with stride 1; dilation 1; and one group.
        "auto" chooses the fastest for these shapes; `conv_algorithm` tells which one that is, and why.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW), OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1

    Raises
    ------
    TypeError
        If an argument is not a Tensor, or dtypes differ.
    ValueError
        If a keyword is out of its range, or the algorithm is unknown or cannot compute this convolution.
    ShapeError
        If channels, groups or bias do not fit, or no window fits into the image.

    Notes
    -----
    Gradients: grad_x spreads each output's gradient over its window, times the kernel; grad_weight
    cross-correlates x with grad_out; grad_bias sums grad_out. Pixels that no window reaches get a gradient of zero.
    Cost: 2*N*C_out*OH*OW*(C_in/groups)*KH*KW flop. Winograd needs 36/144 (3 x 3), 81/144 (stride 2) or 36/100 (5 x 5)
    of them; in float32 it is off by up to 2e-4 at unit scale. im2col also needs N*C_in*KH*KW*OH*OW elements of memory.
    """
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, hyper = checked(x, weight, bias, **window, padding_mode=padding_mode, algorithm=algorithm)
    return Conv2d.apply(x, weight, bias, **hyper)


def convolve(x: Operand, weight: Operand, bias: Operand | None = None, **hyper: Any) -> Tensor:
    """Convolve images with filters in the mathematical sense: `conv2d` with the kernel flipped.

    For stride 1, up to a shift by the padding,
    out[n, o, i, j] = bias[o] + sum over c, u, v of x[n, c, i - u, j - v] * weight[o, c, u, v]

    Parameters
    ----------
    x : Tensor, shape (N, C_in, H, W)
    weight : Tensor, shape (C_out, C_in/groups, KH, KW)
        Flipped along both KH and KW before it is used.
    bias : Tensor, shape (C_out,), or None
    hyper
        The keywords of `conv2d`.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `conv2d`.
    """
    tensors("convolve", x=x, weight=weight)
    if weight.data.ndim != 4:
        raise ShapeError(f"convolve: weight - expected 4 axes (C_out, C_in/groups, KH, KW), got {weight.data.shape}")
    return conv2d(x, flip(weight, (2, 3)), bias, **hyper)
