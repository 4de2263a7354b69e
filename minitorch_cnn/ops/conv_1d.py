"""Convolution along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minitorch_cnn.ops._check import tensors
from minitorch_cnn.ops.conv import conv2d
from minitorch_cnn.ops.movement import reshape
from minitorch_cnn.shapes import ShapeError, batch_hint, pair
from minitorch_cnn.types import Operand, Size

if TYPE_CHECKING:
    from minitorch_cnn.tensor import Tensor


def conv1d(
    x: Operand, weight: Operand, bias: Operand | None = None, *, stride: Size = 1, padding: Size | str = 0,
    dilation: Size = 1, groups: int = 1, padding_mode: str = "zeros", algorithm: str = "auto"
) -> Tensor:
    """Cross-correlate signals with filters: `conv2d` on images one pixel high.

    out[n, o, i] = bias[o] + sum over c, u of x[n, c, i*stride + u*dilation - padding] * weight[o, c, u]

    Parameters
    ----------
    x : Tensor, shape (N, C_in, W)
    weight : Tensor, shape (C_out, C_in/groups, KW)
    bias : Tensor, shape (C_out,), or None
    stride : int, samples, >= 1
    padding : int, (left, right), "same" or "valid", samples
    dilation : int, samples, >= 1
    groups, padding_mode, algorithm
        As in `conv2d`.

    Returns
    -------
    Tensor, shape (N, C_out, OW)

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `conv2d`.
    """
    tensors("conv1d", x=x, weight=weight)
    for name, value, letters in (("x", x, "(N, C, W)"), ("weight", weight, "(C_out, C_in/groups, KW)")):
        if value.data.ndim != 3:
            got = f"{value.data.shape}{batch_hint(value.data.shape, name, 3)}"
            raise ShapeError(f"conv1d: {name} - expected 3 axes {letters}, got shape {got}")
    if padding not in ("same", "valid"):
        left, right = pair(padding, "conv1d: padding", minimum=0)
        padding = (0, 0, left, right)
    (batch, channels, width), (out_channels, group_channels, taps) = x.data.shape, weight.data.shape
    out = conv2d(
        reshape(x, (batch, channels, 1, width)),
        reshape(weight, (out_channels, group_channels, 1, taps)),
        bias,
        stride=(1, pair(stride, "conv1d: stride")[1]),
        padding=padding,
        dilation=(1, pair(dilation, "conv1d: dilation")[1]),
        groups=groups,
        padding_mode=padding_mode,
        algorithm=algorithm,
    )
    return reshape(out, (batch, out_channels, out.data.shape[3]))
