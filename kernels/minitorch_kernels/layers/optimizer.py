"""Parameter updates, in place and in one pass: every element is read once and written once.

All arrays are flat, C-contiguous and of one dtype. Each element is updated independently of the others.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.runtime.chunks import BLOCK, blocks
from minitorch_kernels.runtime.threads import parallel_kernel


class SgdStep(NamedTuple):
    """The constants of a step of `sgd_update`, each of the parameter's dtype."""

    lr: np.floating
    momentum: np.floating
    coupled_decay: np.floating  # times the parameter, added to the gradient
    shrink: np.floating  # times the parameter, which is decoupled decay
    keep: np.floating  # times the old velocity: the momentum, or 0 in the first step


class AdamStep(NamedTuple):
    """The constants of a step of `adam_update`, each of the parameter's dtype."""

    step_size: np.floating  # lr / (1 - beta1**step)
    beta1: np.floating
    rest1: np.floating  # 1 - beta1
    beta2: np.floating
    rest2: np.floating
    eps: np.floating
    root: np.floating  # 1 / sqrt(1 - beta2**step)
    coupled_decay: np.floating
    shrink: np.floating


@parallel_kernel(tasks=lambda parameter: blocks(parameter))
def _sgd(begin, end, parameter, grad, velocity, step, nesterov, has_velocity):
    begin, end = begin * BLOCK, end * BLOCK
    parameter, grad, velocity = parameter[begin:end], grad[begin:end], velocity[begin:end]
    for i in range(len(parameter)):
        g = grad[i] + step.coupled_decay * parameter[i]
        if has_velocity:
            velocity[i] = step.keep * velocity[i] + g
            g = g + step.momentum * velocity[i] if nesterov else velocity[i]
        parameter[i] = parameter[i] * step.shrink - step.lr * g


@parallel_kernel(tasks=lambda parameter: blocks(parameter))
def _adam(begin, end, parameter, grad, mean, square, step):
    begin, end = begin * BLOCK, end * BLOCK
    parameter, grad, mean, square = parameter[begin:end], grad[begin:end], mean[begin:end], square[begin:end]
    for i in range(len(parameter)):
        g = grad[i] + step.coupled_decay * parameter[i]
        mean[i] = step.beta1 * mean[i] + step.rest1 * g
        square[i] = step.beta2 * square[i] + step.rest2 * g * g
        change = step.step_size * mean[i] / (np.sqrt(square[i]) * step.root + step.eps)
        parameter[i] = parameter[i] * step.shrink - change


@lru_cache(maxsize=64)
def _of_dtype(step, dtype):
    """Return the constants of a step in this dtype, so that float32 arithmetic stays float32."""
    return type(step)(*map(dtype.type, step))


def sgd_update(parameter, grad, velocity, *, lr, momentum, nesterov, weight_decay, decoupled, first_step):
    """Take one step of gradient descent with momentum.

    g = grad + weight_decay * parameter            (decoupled: g = grad; parameter *= 1 - lr * weight_decay)
    velocity = momentum * velocity + g             (first step: velocity = g)
    parameter -= lr * (g + momentum * velocity if nesterov else velocity)

    Parameters
    ----------
    parameter, grad : ndarray, 1-D
    velocity : ndarray, 1-D, or an empty array without momentum
    lr, momentum, weight_decay : float
    nesterov, decoupled, first_step : bool

    Notes
    -----
    Source: the update as PyTorch states it in the documentation of ``torch.optim.SGD``.
    """
    coupled, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    step = SgdStep(lr, momentum, coupled, shrink, keep=0.0 if first_step else momentum)
    _sgd(parameter, grad, velocity, _of_dtype(step, parameter.dtype), nesterov, len(velocity) > 0)


def adam_update(parameter, grad, mean, square, *, lr, beta1, beta2, eps, weight_decay, decoupled, step):
    """Take one step of Adam (decoupled: AdamW).

    g = grad + weight_decay * parameter            (decoupled: g = grad; parameter *= 1 - lr * weight_decay)
    mean = beta1 * mean + (1 - beta1) * g
    square = beta2 * square + (1 - beta2) * g**2
    parameter -= lr * mean / (1 - beta1**step) / (sqrt(square / (1 - beta2**step)) + eps)

    Parameters
    ----------
    parameter, grad, mean, square : ndarray, 1-D
    lr, beta1, beta2, eps, weight_decay : float
    decoupled : bool
    step : int, 1 for the first one

    Notes
    -----
    Source: Kingma and Ba 2015, algorithm 1, arXiv 1412.6980; Loshchilov and Hutter 2019, algorithm 2,
    arXiv 1711.05101.
    """
    coupled, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    constants = AdamStep(
        step_size=lr / (1 - beta1**step),
        beta1=beta1,
        rest1=1 - beta1,
        beta2=beta2,
        rest2=1 - beta2,
        eps=eps,
        root=1 / np.sqrt(1 - beta2**step),
        coupled_decay=coupled,
        shrink=shrink,
    )
    _adam(parameter, grad, mean, square, _of_dtype(constants, parameter.dtype))
