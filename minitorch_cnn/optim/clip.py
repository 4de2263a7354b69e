"""Gradient clipping, between ``backward()`` and ``step()``."""

import math
from collections.abc import Iterable

import numpy as np

from minitorch_cnn import arguments as _check
from minitorch_cnn.autograd import Variable
from minitorch_cnn.tensor import Tensor

_LEAST_SQUARES = 1e-290  # a smaller sum of squares has lost digits


def _with_gradients(name, parameters):
    """Return the parameters that have a gradient, each once."""
    if not isinstance(parameters, Variable) and not hasattr(parameters, "__iter__"):
        raise TypeError(f"{name}: parameters - expected Tensors, got {type(parameters).__name__}")
    parameters = [parameters] if isinstance(parameters, Variable) else list(parameters)
    if not parameters:
        raise ValueError(f"{name}: parameters - expected at least one Tensor, got none; was a generator used twice?")
    for parameter in parameters:
        if not isinstance(parameter, Variable):
            raise TypeError(f"{name}: parameters - expected Tensors, got {type(parameter).__name__}")
    once = {id(parameter): parameter for parameter in parameters}.values()
    return [parameter for parameter in once if parameter.grad is not None]


def total_norm(grads):
    """Return the square root of the sum of squares, in float64."""
    with np.errstate(all="ignore"):
        # np.sum adds in an order that depends only on the shape; a BLAS dot product would not.
        squares = sum(float(np.sum(np.square(grad, dtype=np.float64))) for grad in grads)
        if _LEAST_SQUARES < squares < math.inf:
            return math.sqrt(squares)
        largest = max((float(np.abs(grad).max(initial=0)) for grad in grads), default=0.0)
        if not 0 < largest < math.inf:
            return math.sqrt(squares)
        # Squares left the range of float64: those of numbers of at most 1 do not.
        return largest * math.sqrt(sum(float(np.sum(np.square(grad / largest))) for grad in grads))


def clip_grad_norm(parameters: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor so that their total norm is at most ``max_norm``.

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are skipped; one that is given twice counts once.
    max_norm : float, > 0

    Returns
    -------
    float
        The norm before scaling: the square root of the sum of squares over all elements, summed in float64.

    Raises
    ------
    TypeError
        If a parameter is not a Tensor, or ``max_norm`` is not a number.
    ValueError
        If ``max_norm`` is not positive, or there are no parameters.

    Notes
    -----
    As in PyTorch, the factor is min(1, max_norm / (norm + 1e-6)). A NaN or infinite element makes all
    gradients NaN or 0; the returned norm is then NaN or infinite.
    """
    _check.positive("clip_grad_norm", max_norm=max_norm)
    parameters = _with_gradients("clip_grad_norm", parameters)
    norm = total_norm([parameter.grad for parameter in parameters])
    factor = max_norm / (norm + 1e-6)
    if not factor >= 1:  # also for NaN
        for parameter in parameters:
            grad, kind = parameter.grad, parameter.grad.dtype.type
            exact = factor < np.finfo(grad.dtype).tiny  # float32 would keep few digits of it, or none
            scaled = (grad * np.float64(factor)).astype(grad.dtype) if exact else grad * kind(factor)
            parameter.grad = np.asarray(scaled)  # not a scalar
    return norm


def clip_grad_value(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Clip every element of every gradient to [-clip_value, clip_value].

    Parameters
    ----------
    parameters : iterable of Tensor
        Those without a gradient are skipped.
    clip_value : float, > 0

    Raises
    ------
    TypeError
        If a parameter is not a Tensor, or ``clip_value`` is not a number.
    ValueError
        If ``clip_value`` is not positive, or there are no parameters.
    """
    _check.positive("clip_grad_value", clip_value=clip_value)
    for parameter in _with_gradients("clip_grad_value", parameters):
        largest = float(np.finfo(parameter.grad.dtype).max)
        bound = parameter.grad.dtype.type(min(clip_value, largest))  # a float64 scalar would make the gradient float64
        parameter.grad = np.asarray(np.clip(parameter.grad, -bound, bound))
