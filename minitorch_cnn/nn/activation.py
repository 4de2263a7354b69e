"""Activation layers; for formulas and gradients see `ops`."""

from minitorch_cnn import ops
from minitorch_cnn.nn.module import Module
from minitorch_cnn.tensor import Tensor


class ReLU(Module):
    """max(x, 0), element by element; the gradient at 0 is 0.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    TypeError
        On call, if x is not a floating Tensor.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return max(x, 0)."""
        return ops.relu(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope * x.

    Parameters
    ----------
    negative_slope : float

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    TypeError
        On call, if x is not a floating Tensor.
    """

    negative_slope: float

    def __init__(self, negative_slope: float = 0.01):
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Return x where x > 0, else negative_slope * x."""
        return ops.leaky_relu(x, negative_slope=self.negative_slope)


class GELU(Module):
    """x * Phi(x), where Phi is the cumulative distribution function of the standard normal (the exact form).

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    TypeError
        On call, if x is not a floating Tensor.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x * Phi(x)."""
        return ops.gelu(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    TypeError
        On call, if x is not a floating Tensor.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return 1 / (1 + exp(-x))."""
        return ops.sigmoid(x)


class Tanh(Module):
    """tanh(x), element by element.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    TypeError
        On call, if x is not a floating Tensor.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return tanh(x)."""
        return ops.tanh(x)


class Softmax(Module):
    """exp(x) / sum of exp(x) along an axis: probabilities.

    Parameters
    ----------
    axis : int

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    TypeError
        On call, if x is not a floating Tensor.
    """

    axis: int

    def __init__(self, axis: int = -1):
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities that sum to 1 along ``axis``."""
        return ops.softmax(x, axis=self.axis)


class LogSoftmax(Module):
    """x - log(sum of exp(x)) along an axis: logarithms of probabilities.

    Parameters
    ----------
    axis : int

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of any shape.

    Raises
    ------
    TypeError
        On call, if x is not a floating Tensor.
    """

    axis: int

    def __init__(self, axis: int = -1):
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Return the logarithm of the softmax along ``axis``."""
        return ops.log_softmax(x, axis=self.axis)
