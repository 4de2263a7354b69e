"""Activation layers; for formulas and gradients see `ops`."""

import math

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._docstring import add_sections
from minitorch_cnn.nn.module import Module
from minitorch_cnn.tensor import Tensor

_SECTIONS = """\
Returns
-------
Tensor, of the shape of x
    On call, for x of any shape.

Raises
------
TypeError
    On call, if x is not a floating Tensor.
"""


class _Activation(Module):
    """A function of each element, or along one axis; the docstring of a subclass gets the sections that all share."""

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        add_sections(cls, _SECTIONS)


class ReLU(_Activation):
    """max(x, 0), element by element; the gradient at 0 is 0."""

    def forward(self, x: Tensor) -> Tensor:
        """Return max(x, 0)."""
        return ops.relu(x)


class LeakyReLU(_Activation):
    """x where x > 0, else negative_slope * x.

    Parameters
    ----------
    negative_slope : float
    """

    negative_slope: float

    def __init__(self, negative_slope: float = 0.01):
        arguments.number("LeakyReLU", negative_slope=negative_slope)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Return x where x > 0, else negative_slope * x."""
        return ops.leaky_relu(x, negative_slope=self.negative_slope)


class GELU(_Activation):
    """x * Phi(x), where Phi is the cumulative distribution function of the standard normal (the exact form)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x * Phi(x)."""
        return ops.gelu(x)


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        """Return 1 / (1 + exp(-x))."""
        return ops.sigmoid(x)


class Tanh(_Activation):
    """tanh(x), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        """Return tanh(x)."""
        return ops.tanh(x)


class Softmax(_Activation):
    """exp(x) / sum of exp(x) along an axis: probabilities.

    Parameters
    ----------
    axis : int
    """

    axis: int

    def __init__(self, axis: int = -1):
        arguments.integer("Softmax", least=-math.inf, axis=axis)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities that sum to 1 along ``axis``."""
        return ops.softmax(x, axis=self.axis)


class LogSoftmax(_Activation):
    """x - log(sum of exp(x)) along an axis: logarithms of probabilities.

    Parameters
    ----------
    axis : int
    """

    axis: int

    def __init__(self, axis: int = -1):
        arguments.integer("LogSoftmax", least=-math.inf, axis=axis)
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithm of the softmax along ``axis``."""
        return ops.log_softmax(x, axis=self.axis)
