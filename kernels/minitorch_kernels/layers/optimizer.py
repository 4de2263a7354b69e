"""Parameter updates, in place and in one pass: every number is read once and written once.

All arrays are flat, C-contiguous and of one dtype. Every element is computed on its own.
"""

import numpy as np

from minitorch_kernels.runtime.threads import parallel_kernel


@parallel_kernel(tasks=lambda parameter: len(parameter))
def _sgd(begin, end, parameter, grad, velocity, settings, nesterov, has_velocity):
    parameter, grad, velocity = parameter[begin:end], grad[begin:end], velocity[begin:end]
    lr, momentum, coupled, shrink, keep = settings
    for i in range(len(parameter)):
        step = grad[i] + coupled * parameter[i]
        if has_velocity:
            velocity[i] = keep * velocity[i] + step
            step = step + momentum * velocity[i] if nesterov else velocity[i]
        parameter[i] = parameter[i] * shrink - lr * step


@parallel_kernel(tasks=lambda parameter: len(parameter))
def _adam(begin, end, parameter, grad, mean, square, settings):
    parameter, grad, mean, square = parameter[begin:end], grad[begin:end], mean[begin:end], square[begin:end]
    step_size, beta1, rest1, beta2, rest2, eps, root, coupled, shrink = settings
    for i in range(len(parameter)):
        g = grad[i] + coupled * parameter[i]
        mean[i] = beta1 * mean[i] + rest1 * g
        square[i] = beta2 * square[i] + rest2 * g * g
        parameter[i] = parameter[i] * shrink - step_size * mean[i] / (np.sqrt(square[i]) * root + eps)


def _typed(parameter, *numbers):
    """Return the numbers as a tuple of the parameter's type, so that float32 arithmetic stays float32."""
    return tuple(parameter.dtype.type(number) for number in numbers)


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
    settings = _typed(parameter, lr, momentum, coupled, shrink, 0.0 if first_step else momentum)
    _sgd(parameter, grad, velocity, settings, nesterov, len(velocity) > 0)


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
    step_size, root = lr / (1 - beta1**step), 1 / np.sqrt(1 - beta2**step)
    settings = _typed(parameter, step_size, beta1, 1 - beta1, beta2, 1 - beta2, eps, root, coupled, shrink)
    _adam(parameter, grad, mean, square, settings)
