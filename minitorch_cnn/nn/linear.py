"""The fully connected layer, and the reshaping before it."""

import math

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn import init
from minitorch_cnn.nn._check import non_negative_int, positive_int
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Shape


class Linear(Module):
    """Multiply by a learned matrix, and add a bias.

    out = x @ weight.T + bias

    Parameters
    ----------
    in_features, out_features : int, >= 1
    bias : bool

    Returns
    -------
    Tensor, shape (N, out_features)
        On call, for x of shape (N, in_features).

    Raises
    ------
    TypeError, ValueError
        If ``in_features`` or ``out_features`` is not a positive integer.

    Notes
    -----
    Parameters: out_features * in_features weights and out_features biases, drawn uniformly from -b to b
    with b = 1/sqrt(in_features).
    """

    in_features: int
    out_features: int
    weight: Parameter  # (out_features, in_features)
    bias: Parameter | None  # (out_features,)

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        positive_int("Linear", in_features=in_features, out_features=out_features)
        arguments.flag("Linear", bias=bias)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter.empty(out_features, in_features)
        self.bias = Parameter.empty(out_features) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, uniformly from -b to b with b = 1/sqrt(in_features)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # with this slope the bound is 1 / sqrt(fan_in)
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def suggest_fix(self, shape: Shape) -> str:
        """Return the Linear that takes rows of this length, or for maps the layer that must come before it."""
        if len(shape) > 2:
            before = "nn.Flatten() or nn.GlobalAvgPool()"
            return f"Linear expects rows (N, {self.in_features}), got maps {shape}: use {before} before it"
        return f"Linear expects {self.in_features}: use Linear({shape[-1]}, {self.out_features})"

    def forward(self, x: Tensor) -> Tensor:
        """Return x @ weight.T + bias."""
        return ops.linear(x, self.weight, self.bias)


class Flatten(Module):
    """Merge the axes from ``start_axis`` to ``end_axis`` into one.

    Parameters
    ----------
    start_axis : int, >= 0
    end_axis : int

    Returns
    -------
    Tensor, shape (N, C*H*W) with the default
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If ``start_axis`` is not an integer of at least 0, or ``end_axis`` no integer.
    """

    start_axis: int
    end_axis: int

    def __init__(self, start_axis: int = 1, end_axis: int = -1):
        non_negative_int("Flatten", start_axis=start_axis)
        arguments.integer("Flatten", least=-math.inf, end_axis=end_axis)
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, x: Tensor) -> Tensor:
        """Return x with the axes from ``start_axis`` to ``end_axis`` merged into one."""
        return ops.flatten(x, start_axis=self.start_axis, end_axis=self.end_axis)


class Identity(Module):
    """Return the input: a placeholder for a removed layer.

    Returns
    -------
    Tensor
        On call, x itself.

    Raises
    ------
    Nothing
        For any x.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x."""
        return x
