"""Convolution layers; the arithmetic is in `ops.conv1d`, `ops.conv2d` and `ops.convolve`."""

import math
from typing import Any

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn import init
from minitorch_cnn.nn._check import one_of, positive_int
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.nn.shape_trace import SMALLER_WINDOW
from minitorch_cnn.shapes import padding4, pair
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Shape, Size


class _Convolution(Module):
    """Arguments and parameters of 1-D and 2-D convolutions."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        flip_kernel: bool = False,
        algorithm: str = "auto",
    ):
        layer = type(self).__name__
        positive_int(layer, in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{layer}: {name} - expected a multiple of groups {groups}, got {channels}")
        one_of(layer, ops.conv.PADDING_MODES, padding_mode=padding_mode)
        arguments.flag(layer, bias=bias, flip_kernel=flip_kernel)
        ops.conv_algorithms.check(algorithm, layer)
        taps = self._check_sizes(layer, kernel_size, stride, padding, dilation)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.padding_mode, self.flip_kernel, self.algorithm = padding_mode, bool(flip_kernel), algorithm
        self.weight = Parameter.empty(out_channels, in_channels // groups, *taps)
        self.bias = Parameter.empty(out_channels) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, uniformly from -b to b with b = 1/sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # with this slope the bound is 1 / sqrt(fan_in)
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def suggest_fix(self, shape: Shape) -> str:
        """Return the layer that fits these channels, or a hint if the window is larger than the feature maps."""
        layer = type(self).__name__
        if len(shape) != self.weight.data.ndim:
            return ""
        if shape[1] != self.in_channels:
            return f"{layer} expects {self.in_channels} channels: use {layer}({shape[1]}, {self.out_channels}, ...)"
        return f"the window {self.kernel_size} is larger than the maps: {SMALLER_WINDOW}"


class Conv2d(_Convolution):
    """Cross-correlate images with learned filters, and add a bias.

    out[n, o, i, j] = bias[o] + sum over c, u, v of
                      x[n, c, i*stride + u*dilation - padding, j*stride + v*dilation - padding] * weight[o, c, u, v]

    Parameters
    ----------
    in_channels, out_channels : int, >= 1
        C_in and C_out.
    kernel_size : int or (int, int), pixels
        KH and KW.
    stride : int or (int, int), pixels
    padding : int, (int, int), (top, bottom, left, right), "same" or "valid", pixels
    dilation : int or (int, int), pixels
    groups : int
        Output channels of a group see only the input channels of that group.
    bias : bool
    padding_mode : "zeros", "reflect", "replicate" or "circular"
    flip_kernel : bool
        True convolves in the mathematical sense: the kernel is flipped before use; see `ops.convolve`.
    algorithm : str
        "auto", "reference", "im2col", "direct", "winograd" or a registered one; see `ops.conv2d`.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW), OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1
        On call, for x of shape (N, C_in, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range, or ``groups`` does not divide the channels.

    Notes
    -----
    Parameters: C_out * C_in/groups * KH*KW weights and C_out biases, drawn uniformly from -b to b with
    b = 1/sqrt(C_in/groups * KH*KW).
    """

    in_channels: int
    out_channels: int
    kernel_size: Size
    weight: Parameter  # (C_out, C_in/groups, KH, KW)
    bias: Parameter | None  # (C_out,)

    @staticmethod
    def _check_sizes(layer, kernel_size, stride, padding, dilation):
        """Raise on bad sizes and return (KH, KW)."""
        taps = pair(kernel_size, f"{layer}: kernel_size")
        stride, dilation = pair(stride, f"{layer}: stride"), pair(dilation, f"{layer}: dilation")
        padding4(padding, f"{layer}: padding", taps, taps, stride, dilation)  # any size serves the check
        return taps

    def forward(self, x: Tensor, relu: bool = False, residual: Tensor | None = None) -> Tensor:
        """Return the feature maps of images x, (N, C_in, H, W); with ``relu``, return max(maps + residual, 0)."""
        arguments.flag(type(self).__name__, relu=relu)
        weight = ops.flip(self.weight, (2, 3)) if self.flip_kernel else self.weight
        hyper: dict[str, Any] = {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "padding_mode": self.padding_mode,
            "algorithm": self.algorithm,
        }
        if residual is not None and not relu:
            raise ValueError(f"{type(self).__name__}: relu - expected True together with a residual, got False")
        if relu:
            return ops.fused.conv2d_relu(x, weight, self.bias, residual, **hyper)
        return ops.conv2d(x, weight, self.bias, **hyper)


class Conv1d(_Convolution):
    """Cross-correlate signals with learned filters, and add a bias; `Conv2d` along one axis.

    out[n, o, i] = bias[o] + sum over c, u of x[n, c, i*stride + u*dilation - padding] * weight[o, c, u]

    Parameters
    ----------
    in_channels, out_channels : int, >= 1
    kernel_size : int, samples
    stride : int, samples
    padding : int, (left, right), "same" or "valid", samples
    dilation : int, samples
    groups, bias, padding_mode, flip_kernel, algorithm
        As in `Conv2d`.

    Returns
    -------
    Tensor, shape (N, C_out, OW)
        On call, for x of shape (N, C_in, W).

    Raises
    ------
    TypeError, ValueError
        As `Conv2d`.
    """

    in_channels: int
    out_channels: int
    kernel_size: int
    weight: Parameter  # (C_out, C_in/groups, KW)
    bias: Parameter | None  # (C_out,)

    @staticmethod
    def _check_sizes(layer, kernel_size, stride, padding, dilation):
        """Raise on bad sizes and return (KW,)."""
        positive_int(layer, kernel_size=kernel_size, stride=stride, dilation=dilation)
        if padding not in ("same", "valid"):
            pair(padding, f"{layer}: padding", minimum=0)
        return (kernel_size,)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of signals x, (N, C_in, W)."""
        weight = ops.flip(self.weight, 2) if self.flip_kernel else self.weight
        return ops.conv1d(
            x,
            weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            padding_mode=self.padding_mode,
            algorithm=self.algorithm,
        )
