"""Transposed convolution layers; the arithmetic is in `ops.conv_transpose1d` and `ops.conv_transpose2d`."""

import math

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn import init
from minitorch_cnn.nn._check import non_negative_int, positive_int
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.shapes import padding4, pair
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Shape, Size


class ConvTranspose2d(Module):
    """Spread every pixel of feature maps over a window, times learned kernels: the input gradient of a `Conv2d`.

    out[n, o, i*stride + u*dilation - padding, j*stride + v*dilation - padding] +=
        x[n, c, i, j] * weight[c, o, u, v]    for all c, i, j, u, v; plus bias[o]

    Parameters
    ----------
    in_channels, out_channels : int, >= 1
        C_in and C_out.
    kernel_size : int or (int, int), pixels
        KH and KW. A multiple of the stride avoids checkerboards.
    stride : int or (int, int), pixels
        How much larger the maps become.
    padding : int, (int, int) or (top, bottom, left, right), pixels
        Pixels to cut off at the borders of the output.
    output_padding : int or (int, int), pixels
        More pixels at the bottom and the right.
    groups : int
        Output channels of a group see only the input channels of that group.
    bias : bool
    dilation : int or (int, int), pixels
    algorithm : str
        As in `Conv2d`.

    Returns
    -------
    Tensor, shape (N, C_out, OH, OW), OH = (H - 1)*stride - 2*padding + dilation*(KH - 1) + output_padding + 1
        On call, for x of shape (N, C_in, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range, or ``groups`` does not divide the channels.

    Notes
    -----
    Parameters: C_in * C_out/groups * KH*KW weights and C_out biases, drawn uniformly from -b to b with
    b = 1/sqrt(C_out/groups * KH*KW), as in PyTorch.
    """

    in_channels: int
    out_channels: int
    weight: Parameter  # (C_in, C_out/groups, KH, KW)
    bias: Parameter | None  # (C_out,)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        algorithm: str = "auto",
    ):
        layer = type(self).__name__
        positive_int(layer, in_channels=in_channels, out_channels=out_channels, groups=groups)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups:
                raise ValueError(f"{layer}: {name} - expected a multiple of groups {groups}, got {channels}")
        arguments.flag(layer, bias=bias)
        ops.conv_algorithms.check(algorithm, layer)
        sizes = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        taps = self._check_sizes(layer, padding, output_padding, **sizes)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation, self.algorithm = groups, dilation, algorithm
        self.weight = Parameter.empty(in_channels, out_channels // groups, *taps)
        self.bias = Parameter.empty(out_channels) if bias else None
        self.reset_parameters()

    @staticmethod
    def _check_sizes(layer, padding, output_padding, **sizes):
        """Raise on bad sizes and return (KH, KW)."""
        taps, *_ = (pair(size, f"{layer}: {name}") for name, size in sizes.items())
        if isinstance(padding, str):
            raise ValueError(f"{layer}: padding - expected integers, got {padding!r}")
        padding4(padding, f"{layer}: padding")
        pair(output_padding, f"{layer}: output_padding", minimum=0)
        return taps

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, uniformly from -b to b with b = 1/sqrt(C_out/groups * KH*KW)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def suggest_fix(self, shape: Shape) -> str:
        """Return the layer that fits these channels."""
        layer = type(self).__name__
        if len(shape) != self.weight.data.ndim or shape[1] == self.in_channels:
            return ""
        return f"{layer} expects {self.in_channels} channels: use {layer}({shape[1]}, {self.out_channels}, ...)"

    def _settings(self, x, output_size):
        """Return the keywords of the operation."""
        names = ("stride", "padding", "output_padding", "dilation", "groups", "algorithm")
        settings = {name: getattr(self, name) for name in names}
        if output_size is None:
            return settings
        if isinstance(output_size, (tuple, list)):
            sides = output_size[2:] if len(output_size) == x.ndim else output_size
            output_size = sides[0] if len(sides) == 1 == x.ndim - 2 else sides
        return settings | {"output_padding": 0, "output_size": output_size}

    def forward(self, x: Tensor, output_size: Size | Shape | None = None) -> Tensor:
        """Return the larger maps of feature maps x, (N, C_in, H, W).

        ``output_size`` is (OH, OW), or a whole shape such as ``images.shape``; it replaces ``output_padding``.
        """
        return ops.conv_transpose2d(x, self.weight, self.bias, **self._settings(x, output_size))


class ConvTranspose1d(ConvTranspose2d):
    """Spread every sample of signals over a window, times learned kernels; `ConvTranspose2d` along one axis.

    Parameters
    ----------
    in_channels, out_channels : int, >= 1
    kernel_size : int, samples
    stride : int, samples
    padding : int or (left, right), samples
    output_padding : int, samples
    groups, bias
        As in `ConvTranspose2d`.
    dilation : int, samples
    algorithm : str

    Returns
    -------
    Tensor, shape (N, C_out, OW)
        On call, for x of shape (N, C_in, W).

    Raises
    ------
    TypeError, ValueError
        As `ConvTranspose2d`.
    """

    @staticmethod
    def _check_sizes(layer, padding, output_padding, **sizes):
        """Raise on bad sizes and return (KW,)."""
        positive_int(layer, **sizes)
        pair(padding, f"{layer}: padding", minimum=0)
        non_negative_int(layer, output_padding=output_padding)
        return (sizes["kernel_size"],)

    def forward(self, x: Tensor, output_size: Size | Shape | None = None) -> Tensor:
        """Return the longer signals of signals x, (N, C_in, W); for ``output_size`` see `ConvTranspose2d.forward`."""
        return ops.conv_transpose1d(x, self.weight, self.bias, **self._settings(x, output_size))
