"""Transposed convolution: the input gradient of a convolution as an operation of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn.autograd import Function
from minitorch_cnn.ops import conv_algorithms
from minitorch_cnn.ops._check import optional_tensors, tensors
from minitorch_cnn.ops.conv import bias_gradient, weight_gradient
from minitorch_cnn.ops.movement import reshape
from minitorch_cnn.ops.reads import Everything, Inputs, PerChannel, TransposedWindows, transposed_macs
from minitorch_cnn.shapes import ShapeError, batch_hint, nchw, nhwc, padding4, pair
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


class ConvTranspose2d(Function):
    """The input gradient of `Conv2d`: every input pixel spreads over a window of the output, times the kernel.

    Read the names turned round: x is what the convolution calls the gradient of its output, and the output is what it
    calls the gradient of its input.
    """

    rule = (
        "grad_x: the convolution of grad_out; grad_weight: grad_out cross-correlated with x; "
        "grad_bias: the sum of grad_out over images and pixels"
    )
    reads = Inputs(TransposedWindows(), Everything(), PerChannel())
    kind, macs, label = "conv", staticmethod(transposed_macs), "transposed conv"

    @staticmethod
    def output_shape(x, weight, bias, *, stride, padding, output_padding, dilation, groups, algorithm):
        for name, shape, letters in (("x", x, "(N, C_in, H, W)"), ("weight", weight, "(C_in, C_out/groups, KH, KW)")):
            if len(shape) != 4:
                got = f"{shape}{batch_hint(shape, name)}"
                raise ShapeError(f"conv_transpose2d: {name} - expected 4 axes {letters}, got shape {got}")
        if x[1] != weight[0]:
            raise ShapeError(f"conv_transpose2d: x - expected {weight[0]} channels for weight {weight}, got shape {x}")
        if 0 in weight[2:]:
            raise ShapeError(f"conv_transpose2d: weight - expected windows of at least one pixel, got shape {weight}")
        if weight[0] % groups:
            raise ShapeError(f"conv_transpose2d: weight - expected C_in divisible by groups {groups}, got {weight[0]}")
        channels = weight[1] * groups
        if bias not in (None, (channels,)):
            raise ShapeError(f"conv_transpose2d: bias - expected shape {(channels,)}, got {bias}")
        smallest = _smallest_size(x[2:], weight[2:], stride, padding, dilation)
        sides = [least + extra for least, extra in zip(smallest, output_padding, strict=True)]
        for name, length, side in zip(("height", "width"), x[2:], sides, strict=True):
            if not length:
                raise ShapeError(f"conv_transpose2d: {name} - expected at least 1 pixel of input, got 0")
            if side < 1:
                expected = f"at least 1 pixel of output for an input of {length}"
                raise ShapeError(f"conv_transpose2d: {name} - expected {expected}, got {side}")
        return x[0], channels, *sides

    @staticmethod
    def forward(ctx, x, weight, bias, *, algorithm, output_padding, **hyper):
        ctx.hyper, ctx.kernel_size = hyper, weight.shape[2:]
        image = np.broadcast_to(x.dtype.type(0), ctx.output_shape)  # what the convolution would read: its shape alone
        candidates = conv_algorithms.candidates(algorithm, image, weight, x.shape[2:], **hyper)
        ctx.algorithm = kernels.conv.selection.choose(*candidates)
        need_x, need_weight, _ = ctx.needs_grad
        ctx.save(x if need_weight else None, weight if need_x else None)  # the gradient of each reads the other
        out = ctx.algorithm.backward_input.function(nhwc(x), weight, input_size=ctx.output_shape[2:], **hyper)
        return nchw(out if bias is None else out + bias)

    @staticmethod
    def backward(ctx, grad_out):
        x, weight = ctx.saved
        need_x, need_weight, need_bias = ctx.needs_grad
        grad_x = grad_weight = grad_bias = None
        if need_x:
            grad_x = nchw(ctx.algorithm.forward.function(nhwc(grad_out), weight, None, **ctx.hyper))
        if need_weight:
            hyper = {"kernel_size": ctx.kernel_size, **ctx.hyper}
            grad_weight = weight_gradient(grad_out, x, algorithm=ctx.algorithm, **hyper)
        if need_bias:
            grad_bias = bias_gradient(grad_out)
        return grad_x, grad_weight, grad_bias


def _trimmed(padding, output_padding, stride):
    """Return padding and output padding with as much as possible of the latter taken from the former.

    What is left must be less than the stride, so that a convolution of the output has the size of the input.
    """
    sides, left = list(padding), []
    for i, extra in enumerate(output_padding):
        taken = min(sides[2 * i + 1], extra)
        sides[2 * i + 1] -= taken
        left.append(extra - taken)
        if left[i] >= stride[i]:
            raise ValueError(
                f"conv_transpose2d: output_padding - expected less than stride {stride} plus padding {padding}, "
                f"got {output_padding}"
            )
    return tuple(sides), tuple(left)


def _smallest_size(size, kernel_size, stride, padding, dilation):
    """Return the (OH, OW) that images of ``size`` get without output padding."""
    sides = zip(size, kernel_size, stride, dilation, padding[::2], padding[1::2], strict=True)
    return tuple((n - 1) * step + gap * (k - 1) + 1 - before - after for n, k, step, gap, before, after in sides)


def _extra_pixels(output_size, smallest, stride):
    """Return the output padding that gives an output size."""
    extra = tuple(side - least for side, least in zip(output_size, smallest, strict=True))
    if not all(0 <= more < step for more, step in zip(extra, stride, strict=True)):
        largest = tuple(least + step - 1 for least, step in zip(smallest, stride, strict=True))
        expected = f"{smallest} to {largest} for these images, kernels and strides"
        raise ValueError(f"conv_transpose2d: output_size - expected {expected}, got {output_size}")
    return extra


def conv_transpose2d(
    x: Operand, weight: Operand, bias: Operand | None = None, *, stride: Size = 1, padding: Size = 0,
    output_padding: Size = 0, dilation: Size = 1, groups: int = 1, algorithm: str = "auto",
    output_size: Size | None = None
) -> Tensor:
    """Spread every pixel of feature maps over a window, times a kernel: the input gradient of `conv2d`.

    out[n, o, i*stride + u*dilation - padding, j*stride + v*dilation - padding] +=
        x[n, c, i, j] * weight[c, o, u, v]    for all c, i, j, u, v; plus bias[o]

    Parameters
    ----------
    x : Tensor, shape (N, C_in, H, W), float32 or float64
    weight : Tensor, shape (C_in, C_out/groups, KH, KW)
        The weight of the convolution from C_out to C_in channels whose input gradient this is.
    bias : Tensor, shape (C_out,), or None
    stride : int or (int, int), pixels, >= 1
        Distance between the windows of neighbouring pixels: the output is about that much larger.
    padding : int, (int, int) or (top, bottom, left, right), pixels
        Pixels to cut off at the borders of the output.
    output_padding : int or (int, int), pixels
        More pixels at the bottom and the right. A convolution with a stride gives images of several sizes the same
        size; this chooses among them.
    dilation : int or (int, int), pixels, >= 1
        Distance between the taps of a kernel.
    groups : int, >= 1
        Output channels of group g see only input channels of group g.
    algorithm : str
        As in `conv2d`.
    output_size : int, (int, int) or None, pixels
        OH and OW: says in place of ``output_padding`` which of the sizes it is, such as that of the images before the
        strided convolution that this one turns round.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW), OH = (H - 1)*stride - 2*padding + dilation*(KH - 1) + output_padding + 1

    Raises
    ------
    TypeError
        If an argument is not a Tensor, or dtypes differ.
    ValueError
        If a keyword is out of its range, there are both an output size and an output padding, or the size is not one of
        those that the images could have had.
    ShapeError
        If channels, groups or bias do not fit, or nothing of the output is left.

    Notes
    -----
    Gradients: grad_x is `conv2d` of grad_out with the same weight and keywords; grad_weight cross-correlates grad_out
    with x; grad_bias sums grad_out. Where the kernel is not a multiple of the stride, some output pixels get more
    terms than others, which shows as a checkerboard.
    Cost: 2*N*C_in*H*W*(C_out/groups)*KH*KW flop.
    """
    op = "conv_transpose2d"
    tensors(op, x=x, weight=weight)
    optional_tensors(op, bias=bias)
    stride, dilation = pair(stride, f"{op}: stride"), pair(dilation, f"{op}: dilation")
    groups, _ = pair(groups, f"{op}: groups")
    conv_algorithms.check(algorithm)
    if isinstance(padding, str):
        raise ValueError(f"{op}: padding - expected integers, got {padding!r}")
    padding = padding4(padding, f"{op}: padding")
    output_padding = pair(output_padding, f"{op}: output_padding", minimum=0)
    if output_size is not None:
        if any(output_padding):
            raise ValueError(f"{op}: output_padding - expected 0 with an output_size, got {output_padding}")
        output_size = pair(output_size, f"{op}: output_size")
        if x.data.ndim == weight.data.ndim == 4:  # other shapes are refused below
            smallest = _smallest_size(x.data.shape[2:], weight.data.shape[2:], stride, padding, dilation)
            output_padding = _extra_pixels(output_size, smallest, stride)
    padding, output_padding = _trimmed(padding, output_padding, stride)
    hyper = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    return ConvTranspose2d.apply(x, weight, bias, **hyper, groups=groups, algorithm=algorithm)


def conv_transpose1d(
    x: Operand, weight: Operand, bias: Operand | None = None, *, stride: Size = 1, padding: Size = 0,
    output_padding: Size = 0, dilation: Size = 1, groups: int = 1, algorithm: str = "auto",
    output_size: int | None = None
) -> Tensor:
    """Spread every sample of signals over a window, times a kernel: `conv_transpose2d` on images one pixel high.

    out[n, o, i*stride + u*dilation - padding] += x[n, c, i] * weight[c, o, u]    for all c, i, u; plus bias[o]

    Parameters
    ----------
    x : Tensor, shape (N, C_in, W)
    weight : Tensor, shape (C_in, C_out/groups, KW)
    bias : Tensor, shape (C_out,), or None
    stride : int, samples, >= 1
    padding : int or (left, right), samples
    output_padding : int, samples
    dilation : int, samples, >= 1
    groups, algorithm
        As in `conv_transpose2d`.
    output_size : int or None, samples

    Returns
    -------
    Tensor, shape (N, C_out, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `conv_transpose2d`.
    """
    op = "conv_transpose1d"
    tensors(op, x=x, weight=weight)
    for name, value, letters in (("x", x, "(N, C_in, W)"), ("weight", weight, "(C_in, C_out/groups, KW)")):
        if value.data.ndim != 3:
            got = f"{value.data.shape}{batch_hint(value.data.shape, name, 3)}"
            raise ShapeError(f"{op}: {name} - expected 3 axes {letters}, got shape {got}")
    left, right = pair(padding, f"{op}: padding", minimum=0)
    maps, taps = ((*t.data.shape[:2], 1, t.data.shape[2]) for t in (x, weight))
    out = conv_transpose2d(
        reshape(x, maps),
        reshape(weight, taps),
        bias,
        stride=(1, pair(stride, f"{op}: stride")[1]),
        padding=(0, 0, left, right),
        output_padding=(0, pair(output_padding, f"{op}: output_padding", minimum=0)[1]),
        dilation=(1, pair(dilation, f"{op}: dilation")[1]),
        groups=groups,
        algorithm=algorithm,
        output_size=None if output_size is None else (1, pair(output_size, f"{op}: output_size")[1]),
    )
    return reshape(out, (out.data.shape[0], out.data.shape[1], out.data.shape[3]))
