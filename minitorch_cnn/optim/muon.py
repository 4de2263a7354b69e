"""Muon: steps in which every direction of a weight matrix counts the same."""

import math

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import arguments as _check
from minitorch_cnn.optim.clip import total_norm
from minitorch_cnn.optim.optimizer import Optimizer, Parameters
from minitorch_cnn.optim.sgd import SGD
from minitorch_cnn.types import Array

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # a, b and c of the iteration
_LEAST_NORM = 1e-7


def orthogonalised(matrix: Array, iterations: int = 5) -> Array:
    """Bring the singular values of a matrix near 1, by products alone.

    With X the matrix divided by its Frobenius norm, so that no singular value is above 1, repeat

        A = X X^T
        X = a X + (b A + c A A) X               (a, b, c) = (3.4445, -4.7750, 2.0315)

    For X = U diag(s) V^T this maps each singular value s to a s + b s^3 + c s^5, while U and V stay. The slope a at 0
    lifts small ones quickly. None settles at 1: five iterations take those from 0.01 to 1 to about 0.7 to 1.2.

    Parameters
    ----------
    matrix : ndarray, shape (M, K), float32 or float64
    iterations : int, >= 0

    Returns
    -------
    ndarray, shape (M, K)
        A new array. That of zeros is zeros.

    Notes
    -----
    Cost: iterations * (4 * m^2 * k + 2 * m^3) flop, m the smaller and k the larger side.
    Bits: the products are `kernels.gemm`'s, so they are the same for any number of threads.
    Sources: K. Jordan and others 2024, "Muon: An optimizer for hidden layers in neural networks",
    https://kellerjordan.github.io/posts/muon/, as PyTorch's documentation of ``torch.optim.Muon`` states it.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix  # A is then the smaller of X X^T and X^T X
    x = np.ascontiguousarray(x / x.dtype.type(max(total_norm([x]), _LEAST_NORM)))
    product = kernels.gemm.matmul.matmul
    a, b, c = map(x.dtype.type, COEFFICIENTS)
    for _ in range(iterations):
        square = product(x, x.T)  # (m, k) @ (k, m) -> (m, m)
        x = a * x + product(b * square + c * product(square, square), x)  # (m, m) @ (m, k) -> (m, k)
    return np.ascontiguousarray(x.T) if tall else x


class Muon(SGD):
    """SGD with momentum whose direction is orthogonalised: all singular values of a step are nearly equal.

    The gradient of a weight matrix is nearly of low rank. Few directions have large singular values, and SGD learns
    along them alone. Muon gives each direction about the same weight. With g the gradient, x the parameter as a matrix
    and v the velocity, which starts as g:

        g = g + weight_decay * x                        (unless decoupled)
        v = momentum * v + g
        u = g + momentum * v                            (without nesterov: u = v)
        x = x * sqrt(M) / norm(x)                       (with unit_rows)
        x = x - lr * orthogonalised(u)

    The filters of a convolution, (OC, C, KH, KW), are a matrix of shape (OC, C * KH * KW). Vectors and scalars, such
    as biases, and all parameters of a group with ``orthogonal=False``, such as those of the last layer, take the steps
    of `SGD`.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Parameters or groups of them; see `Optimizer`.
    lr : float, >= 0
        Learning rate. A step of a matrix changes every direction by about this much at any scale of the gradient, so
        a vector usually needs another rate: give it a group of its own.
    momentum : float, >= 0
    nesterov : bool
    weight_decay : float, >= 0
    decoupled : bool
        Decay the parameter itself, not the gradient and through it the velocity.
    maximize : bool
        Negate the gradient first, as in `SGD`.
    orthogonal : bool
        Whether matrices and filters are orthogonalised.
    iterations : int, >= 1
        Of Newton and Schulz, see `orthogonalised`: more bring the singular values nearer to each other.
    unit_rows : bool
        Scale an orthogonalised matrix of M rows to the Frobenius norm sqrt(M) before each step, so that a row has the
        mean square length 1: where batch norm follows, the scale of a filter does not matter, and a fixed one keeps
        the steps in proportion.

    Raises
    ------
    TypeError, ValueError
        As `SGD`; also if the iterations are not an integer of at least 1, or a flag is neither True nor False.

    Notes
    -----
    PyTorch's `torch.optim.Muon` is decoupled, computes the iteration in bfloat16, and multiplies lr by
    sqrt(max(1, M / K)) for a matrix (M, K); otherwise its steps are these.
    Cost of a step: the products of `orthogonalised`, 6.3 GFLOP for three iterations of ``air94``.
    Memory: one array of the size of the parameters; during a step four of the largest.
    Source: ``airbench94_muon.py`` of https://github.com/KellerJordan/cifar10-airbench for ``unit_rows``.
    """

    def __init__(
        self, params: Parameters, lr: float, momentum: float = 0.95, nesterov: bool = True,
        weight_decay: float = 0.0, decoupled: bool = False, *, maximize: bool = False,
        orthogonal: bool = True, iterations: int = 5, unit_rows: bool = False
    ):
        options = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        options |= {"decoupled": decoupled, "orthogonal": orthogonal, "iterations": iterations, "unit_rows": unit_rows}
        Optimizer.__init__(self, params, options | {"maximize": maximize})

    def _check_group(self, group):
        super()._check_group(group)
        _check.flag(self._name, orthogonal=group["orthogonal"], unit_rows=group["unit_rows"])
        _check.integer(self._name, least=1, iterations=group["iterations"])

    def _form(self, shape):
        return (shape[0], math.prod(shape[1:])) if len(shape) > 1 else (-1,)

    def _update(self, parameter, grad, state, group):
        flat = parameter.reshape(-1)
        if parameter.ndim == 1 or not group["orthogonal"]:
            super()._update(flat, grad.reshape(-1), state, group)
            return
        decay = group["weight_decay"]
        if decay and not group["decoupled"]:
            grad, decay = grad + grad.dtype.type(decay) * parameter, 0.0
        # A step of SGD from 0 at the rate -1 ends at the direction itself.
        direction = np.zeros_like(parameter)
        super()._update(
            direction.reshape(-1), grad.reshape(-1), state, {**group, "lr": -1.0, "weight_decay": 0.0}
        )
        if group["unit_rows"]:
            parameter *= parameter.dtype.type(math.sqrt(len(parameter)) / max(total_norm([parameter]), _LEAST_NORM))
        step = orthogonalised(direction, group["iterations"])
        plain = {"momentum": 0.0, "nesterov": False, "weight_decay": decay, "decoupled": True}
        super()._update(flat, step.reshape(-1), {}, {**group, **plain})
