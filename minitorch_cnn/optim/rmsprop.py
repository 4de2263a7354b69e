"""RMSprop."""

import numpy as np

from minitorch_cnn import arguments as _check
from minitorch_cnn.optim.optimizer import Optimizer, Parameters


class RMSprop(Optimizer):
    """Steps scaled by a running estimate of the gradient's mean square v.

    With g the gradient, x the parameter, and b and m starting at 0:

        g = g + weight_decay * x
        v = alpha * v + (1 - alpha) * g * g
        m = alpha * m + (1 - alpha) * g         (centered: subtract m * m from v under the root)
        b = momentum * b + g / (sqrt(v) + eps)
        x = x - lr * b

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Parameters or groups of them; see `Optimizer`.
    lr : float, >= 0
        Learning rate.
    alpha : float, 0 to below 1
        How slowly the estimate changes.
    eps : float, >= 0
    weight_decay : float, >= 0
        Added to the gradient.
    momentum : float, >= 0
    centered : bool
        Divide by an estimate of the standard deviation instead.
    maximize : bool
        Negate the gradient first, to climb; a decay still makes the parameter smaller.

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; also if an option is out of its range.

    Notes
    -----
    The formulas are PyTorch's. Memory: three arrays of the size of the parameters.
    """

    _kept = ("square", "mean", "velocity")

    def __init__(
        self, params: Parameters, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0,
        momentum: float = 0.0, centered: bool = False, *, maximize: bool = False
    ):
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**options, "centered": centered, "maximize": maximize})

    def _check_group(self, group):
        names = ("lr", "eps", "weight_decay", "momentum")
        _check.number(self._name, least=0, **{option: group[option] for option in names})
        _check.number(self._name, least=0, most=1, alpha=group["alpha"])
        if group["alpha"] == 1:
            raise ValueError(f"{self._name}: alpha - expected 0 to below 1, got 1: the estimate would stay 0")
        _check.flag(self._name, centered=group["centered"], maximize=group["maximize"])

    def _update(self, parameter, grad, state, group):
        if not state:
            state.update({name: np.zeros_like(parameter) for name in self._kept})
        grad = grad + group["weight_decay"] * parameter if group["weight_decay"] else grad
        alpha, square, mean, velocity = group["alpha"], state["square"], state["mean"], state["velocity"]
        square += (1 - alpha) * (grad * grad - square)
        mean += (1 - alpha) * (grad - mean)
        spread = np.maximum(square - mean * mean, 0) if group["centered"] else square
        step = grad / (np.sqrt(spread) + group["eps"])
        velocity *= group["momentum"]
        velocity += step
        parameter -= group["lr"] * velocity
