"""Stochastic gradient descent."""

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments as _check
from minitorch_cnn.optim.optimizer import Optimizer, Parameters

_NOTHING = {dtype: np.empty(0, dtype) for dtype in (np.dtype(np.float32), np.dtype(np.float64))}


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov momentum and weight decay.

    With g the gradient, x the parameter and v the velocity, which starts as g:

        g = g + weight_decay * x                (unless decoupled)
        v = momentum * v + g
        x = x - lr * v                          (nesterov: x - lr * (g + momentum * v))

    Without momentum, x = x - lr * g. Decoupled decay first multiplies x by 1 - lr * weight_decay; g stays.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Parameters or groups of them; see `Optimizer`.
    lr : float, >= 0
        Learning rate.
    momentum : float, >= 0
    nesterov : bool
    weight_decay : float, >= 0
    decoupled : bool
        Decay the parameter itself, not the gradient and through it the velocity.
    maximize : bool
        Negate the gradient first, to climb; a decay still makes the parameter smaller.

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; also if an option is negative or infinite, or ``nesterov`` is used without momentum.

    Notes
    -----
    The formulas are PyTorch's: the learning rate is not part of the velocity.
    Memory: with momentum one array of the size of the parameters, without momentum none.
    """

    _kept = ("velocity",)

    def __init__(
        self, params: Parameters, lr: float, momentum: float = 0.0, nesterov: bool = False,
        weight_decay: float = 0.0, decoupled: bool = False, *, maximize: bool = False
    ):
        options = {"nesterov": nesterov, "weight_decay": weight_decay, "decoupled": decoupled, "maximize": maximize}
        super().__init__(params, {"lr": lr, "momentum": momentum, **options})

    def _check_group(self, group):
        _check.number(self._name, least=0, **{option: group[option] for option in ("lr", "momentum", "weight_decay")})
        _check.flag(self._name, **{option: group[option] for option in ("nesterov", "decoupled", "maximize")})
        if group["nesterov"] and not group["momentum"]:
            raise ValueError(f"{self._name}: nesterov - expected False where momentum is 0, got True")

    def _update(self, parameter, grad, state, group):
        first_step = "velocity" not in state
        if first_step and group["momentum"]:
            state["velocity"] = np.zeros_like(parameter)
        kernels.layers.optimizer.sgd_update(
            parameter,
            grad,
            state["velocity"] if group["momentum"] else _NOTHING[parameter.dtype],
            lr=group["lr"],
            momentum=group["momentum"],
            nesterov=group["nesterov"],
            weight_decay=group["weight_decay"],
            decoupled=group["decoupled"],
            first_step=first_step,
        )
