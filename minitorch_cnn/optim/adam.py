"""Adam, and its variant with decoupled weight decay."""

import math
import numbers

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments as _check
from minitorch_cnn.optim.optimizer import Optimizer, Parameters


class Adam(Optimizer):
    """Steps scaled by running estimates of the gradient's mean m and mean square v.

    At step t = 1, 2, ..., with g the gradient and x the parameter:

        g = g + weight_decay * x
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        x = x - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Parameters or groups of them; see `Optimizer`.
    lr : float, >= 0
        Learning rate: roughly the distance that an element moves per step.
    betas : (float, float), 0 <= beta < 1
    eps : float, >= 0
    weight_decay : float, >= 0
        Added to the gradient; `AdamW` subtracts it from the parameter instead.
    amsgrad : bool
        Divide by the largest v so far, so that the steps of an element never grow: v in the last line is the maximum
        of all v up to now. Slower: it runs in NumPy.
    maximize : bool
        Negate the gradient first, to climb; a decay still makes the parameter smaller.

    Raises
    ------
    TypeError, ValueError
        As `Optimizer`; also if an option is out of its range.

    Notes
    -----
    t counts the steps of each parameter separately, so a parameter that was frozen at first starts at 1.
    Memory: two arrays of the size of the parameters, three with amsgrad.
    Source: Kingma and Ba 2015, algorithm 1, arXiv 1412.6980.
    """

    _decoupled = False
    _kept = ("step", "m", "v")
    _kept_sometimes = ("largest",)
    _added_options = ("amsgrad", "maximize")

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, options | {"amsgrad": amsgrad, "maximize": maximize})

    def _check_group(self, group):
        _check.number(self._name, least=0, **{option: group[option] for option in ("lr", "eps", "weight_decay")})
        _check.flag(self._name, amsgrad=group["amsgrad"], maximize=group["maximize"])
        betas = group["betas"]
        if not isinstance(betas, (tuple, list)):
            raise TypeError(f"{self._name}: betas - expected two numbers from 0 to below 1, got {betas!r}")
        if len(betas) != 2 or not all(isinstance(beta, numbers.Real) and 0 <= beta < 1 for beta in betas):
            raise ValueError(f"{self._name}: betas - expected two numbers from 0 to below 1, got {betas!r}")

    def _expected_state(self, options):
        return (*self._kept, "largest") if options["amsgrad"] else self._kept

    def _update(self, parameter, grad, state, group):
        if not state:
            state.update(step=0, m=np.zeros_like(parameter), v=np.zeros_like(parameter))
        state["step"] += 1
        if group["amsgrad"]:
            self._update_with_largest(parameter, grad, state, group)
            return
        beta1, beta2 = group["betas"]
        kernels.layers.optimizer.adam_update(
            parameter,
            grad,
            state["m"],
            state["v"],
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            decoupled=self._decoupled,
            step=state["step"],
        )


    def _update_with_largest(self, parameter, grad, state, group):
        """Take a step of AMSGrad."""
        largest = state.setdefault("largest", np.zeros_like(parameter))
        (beta1, beta2), lr, decay, step = group["betas"], group["lr"], group["weight_decay"], state["step"]
        if self._decoupled:
            parameter *= 1 - lr * decay
        elif decay:
            grad = grad + decay * parameter
        mean, square = state["m"], state["v"]
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * grad * grad
        np.maximum(largest, square, out=largest)
        root = np.sqrt(largest) / math.sqrt(1 - beta2**step) + group["eps"]
        parameter -= lr / (1 - beta1**step) * mean / root


class AdamW(Adam):
    """Adam with weight decay that does not pass through the running estimates.

    First x = x * (1 - lr * weight_decay), then the step of `Adam` with the plain gradient g.

    Parameters
    ----------
    params, lr, betas, eps
        As in `Adam`.
    weight_decay : float, >= 0
    amsgrad, maximize : bool
        As in `Adam`.

    Raises
    ------
    TypeError, ValueError
        As `Adam`.

    Notes
    -----
    Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv 1711.05101.
    """

    _decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
