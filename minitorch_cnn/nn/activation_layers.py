"""Further activation layers; for formulas and gradients see `ops`."""

import numpy as np

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._check import positive_int
from minitorch_cnn.nn.activation import _Activation
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.tensor import Tensor


class Softplus(_Activation):
    """log(1 + exp(beta * x)) / beta, a smooth version of `ReLU`.

    Parameters
    ----------
    beta : float
    """

    beta: float

    def __init__(self, beta: float = 1.0):
        arguments.positive("Softplus", beta=beta)
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.softplus(x, beta=self.beta)


class SiLU(_Activation):
    """x * sigmoid(x), also called swish."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.silu(x)


class Mish(_Activation):
    """x * tanh(log(1 + exp(x)))."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.mish(x)


class ELU(_Activation):
    """x where x > 0, else alpha * (exp(x) - 1).

    Parameters
    ----------
    alpha : float
    """

    alpha: float

    def __init__(self, alpha: float = 1.0):
        arguments.number("ELU", alpha=alpha)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.elu(x, alpha=self.alpha)


class SELU(_Activation):
    """`ELU` with the alpha and scale that keep mean 0 and variance 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.selu(x)


class ReLU6(_Activation):
    """x, limited to the range from 0 to 6."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.relu6(x)


class Hardsigmoid(_Activation):
    """x/6 + 1/2, limited to the range from 0 to 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.hard_sigmoid(x)


class Hardswish(_Activation):
    """x times its hard sigmoid."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of each element."""
        return ops.hard_swish(x)


class PReLU(Module):
    """x where x > 0, else weight * x, with a learned slope for each channel or one for all.

    Parameters
    ----------
    num_parameters : int, >= 1
        The number of channels C, or 1.
    init : float
        The slopes at the beginning.

    Returns
    -------
    Tensor, of the shape of x
        On call, for x of shape (N, C, ...), or of any shape with a single slope.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x does not have C channels.
    """

    num_parameters: int
    weight: Parameter  # (num_parameters,)

    def __init__(self, num_parameters: int = 1, init: float = 0.25):
        positive_int("PReLU", num_parameters=num_parameters)
        arguments.number("PReLU", init=init)
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(np.full(num_parameters, init, np.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Return x where x > 0, else weight * x."""
        return ops.prelu(x, self.weight)
