"""Initial values: every function fills a Tensor in place, from the stream of `manual_seed`, and returns it.

A weight has shape (fan-out axis, fan-in axis, ...kernel axes), so with R = product of the kernel axes

    fan_in = shape[1] * R      inputs that one output sums over
    fan_out = shape[0] * R     outputs that one input feeds, at stride 1
"""

import math

import numpy as np

from minitorch_cnn import arguments, rng
from minitorch_cnn.autograd import Variable, no_grad
from minitorch_cnn.nn.init_convolution import identity_, patch_whitening_
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor

__all__ = [
    "constant_",
    "dirac_",
    "identity_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "patch_whitening_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {"linear": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "leaky_relu": None}  # the last needs a slope


def _require_tensor(name, tensor):
    if not isinstance(tensor, Variable):
        raise TypeError(f"{name}: tensor - expected a Tensor, got {type(tensor).__name__}")


def _fill(name, tensor, values):
    """Write values (a number, or a function that draws for a shape) into a tensor, outside the graph."""
    _require_tensor(name, tensor)
    if callable(values) and not rng.weights_are_drawn():
        return tensor
    with no_grad():
        array = values(tensor.shape) if callable(values) else values
        return tensor.copy_(np.broadcast_to(array, tensor.shape))


def _fans(name, tensor):
    """Return (fan_in, fan_out)."""
    _require_tensor(name, tensor)
    if tensor.data.ndim < 2:
        raise ShapeError(f"{name}: tensor - expected at least 2 axes to count inputs and outputs, got {tensor.shape}")
    area = math.prod(tensor.shape[2:])
    return tensor.shape[1] * area, tensor.shape[0] * area


def constant_(tensor: Tensor, value: float) -> Tensor:
    """Set every element to ``value``.

    Parameters
    ----------
    tensor : Tensor, any shape
    value : float

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError
        If ``tensor`` is not a Tensor.
    """
    arguments.real("constant_", value=value)
    return _fill("constant_", tensor, value)


def zeros_(tensor: Tensor) -> Tensor:
    """Set every element to 0.

    Parameters
    ----------
    tensor : Tensor, any shape

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError
        If ``tensor`` is not a Tensor.
    """
    return _fill("zeros_", tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Set every element to 1.

    Parameters
    ----------
    tensor : Tensor, any shape

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError
        If ``tensor`` is not a Tensor.
    """
    return _fill("ones_", tensor, 1)


def uniform_(tensor: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Draw every element from the uniform distribution on [low, high).

    Parameters
    ----------
    tensor : Tensor, any shape
    low, high : float

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError
        If ``tensor`` is not a Tensor.
    """
    arguments.number("uniform_", low=low)
    arguments.number("uniform_", least=low, high=high)
    return _fill("uniform_", tensor, lambda shape: rng.generator().uniform(low, high, shape))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Draw every element from the normal distribution.

    Parameters
    ----------
    tensor : Tensor, any shape
    mean : float
    std : float, >= 0

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError
        If ``tensor`` is not a Tensor.
    ValueError
        If ``std`` is negative.
    """
    arguments.number("normal_", mean=mean)
    arguments.number("normal_", least=0, std=std)
    return _fill("normal_", tensor, lambda shape: rng.generator().normal(mean, std, shape))


def _kaiming_std(name, tensor, a, mode, nonlinearity):
    arguments.number(name, a=a)
    arguments.one_of(name, ("fan_in", "fan_out"), mode=mode)
    arguments.one_of(name, _GAINS, nonlinearity=nonlinearity)
    fan = dict(zip(("fan_in", "fan_out"), _fans(name, tensor), strict=True))[mode]
    gain = _GAINS[nonlinearity] or math.sqrt(2 / (1 + a * a))
    return gain / math.sqrt(max(fan, 1))  # a weight without elements has a fan of 0


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Draw from the uniform distribution on [-bound, bound] that keeps the variance constant through a layer.

    bound = sqrt(3) * gain / sqrt(fan),    gain = sqrt(2 / (1 + a*a)) for "leaky_relu", sqrt(2) for "relu"

    Parameters
    ----------
    tensor : Tensor, at least 2 axes
    a : float
        Slope of the following leaky ReLU for x < 0.
    mode : "fan_in" or "fan_out"
        Keep the variance of the activations in forward, or of the gradients in backward.
    nonlinearity : "linear", "sigmoid", "tanh", "relu" or "leaky_relu"

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError, ShapeError
        If ``tensor`` is not a Tensor of at least 2 axes.
    ValueError
        If ``mode`` or ``nonlinearity`` is unknown.

    Notes
    -----
    Source: He, Zhang, Ren and Sun 2015, "Delving Deep into Rectifiers".
    """
    bound = math.sqrt(3) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> Tensor:
    """Draw from the normal distribution with standard deviation gain / sqrt(fan); see `kaiming_uniform_`.

    Parameters
    ----------
    tensor : Tensor, at least 2 axes
    a, mode, nonlinearity
        As in `kaiming_uniform_`.

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `kaiming_uniform_`.
    """
    return normal_(tensor, 0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Draw from the uniform distribution on [-bound, bound], bound = gain * sqrt(6 / (fan_in + fan_out)).

    Parameters
    ----------
    tensor : Tensor, at least 2 axes
    gain : float

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError, ShapeError
        If ``tensor`` is not a Tensor of at least 2 axes.

    Notes
    -----
    Source: Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".
    """
    arguments.number("xavier_uniform_", least=0, gain=gain)
    bound = gain * math.sqrt(6 / max(sum(_fans("xavier_uniform_", tensor)), 1))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Draw from the normal distribution with standard deviation gain * sqrt(2 / (fan_in + fan_out)).

    Parameters
    ----------
    tensor : Tensor, at least 2 axes
    gain : float

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError, ShapeError
        If ``tensor`` is not a Tensor of at least 2 axes.
    """
    arguments.number("xavier_normal_", least=0, gain=gain)
    return normal_(tensor, 0, gain * math.sqrt(2 / max(sum(_fans("xavier_normal_", tensor)), 1)))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution's weight the identity: each output channel copies the input channel of the same index.

    Parameters
    ----------
    tensor : Tensor, shape (C_out, C_in/groups, KW) or (C_out, C_in/groups, KH, KW)
    groups : int, >= 1
        The weight becomes the identity within each group.

    Returns
    -------
    Tensor, the same one

    Raises
    ------
    TypeError
        If ``tensor`` is not a Tensor.
    ShapeError
        If the tensor does not have 3 or 4 axes, or ``groups`` does not divide C_out.
    """
    _require_tensor("dirac_", tensor)
    if tensor.data.ndim not in (3, 4):
        raise ShapeError(f"dirac_: tensor - expected 3 or 4 axes of a convolution, got {tensor.shape}")
    arguments.integer("dirac_", least=1, groups=groups)
    if tensor.shape[0] % groups:
        raise ShapeError(f"dirac_: groups - expected a divisor of C_out = {tensor.shape[0]}, got {groups}")
    values = np.zeros(tensor.shape)
    centre = tuple(size // 2 for size in tensor.shape[2:])
    group_outputs = tensor.shape[0] // groups
    for out_channel in range(tensor.shape[0]):
        if (channel := out_channel % group_outputs) < tensor.shape[1]:
            values[(out_channel, channel, *centre)] = 1
    return _fill("dirac_", tensor, values)
