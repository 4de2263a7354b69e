"""Our optimisers under the signatures of PyTorch's; see `torch_operations`."""

import warnings

import numpy as np

from minitorch_cnn import Tensor, optim
from tests.oracles.torch_calls import absent, in_ours

SHAPES, STEPS = [(3, 4), (5,), ()], 6


def sgd(params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, **others):
    """Ours has no default for lr: the default here is PyTorch's."""
    maximize = others.pop("maximize", False)
    absent(dampening=dampening or None, **others)
    return optim.SGD(params, lr, momentum, nesterov, weight_decay, maximize=maximize)


def adam(optimizer):
    def make(params, *, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, **others):
        options = {name: others.pop(name) for name in ("weight_decay", "amsgrad", "maximize") if name in others}
        absent(**others)
        return optimizer(params, lr, betas, eps, **options)

    return make


def rmsprop(
    params, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, maximize=False, **others
):
    absent(**others)
    return optim.RMSprop(params, lr, alpha, eps, weight_decay, momentum, centered, maximize=maximize)


OPTIMIZERS = {"RMSprop": rmsprop, "SGD": sgd, "Adam": adam(optim.Adam), "AdamW": adam(optim.AdamW)}


def steps(make, params, options):
    """Return the parameters after each step, as outputs of a case.

    Parameters
    ----------
    make : callable
        An optimiser of PyTorch, or one of `OPTIMIZERS`.
    params : what PyTorch publishes as wrong parameters, or None for good ones
    options : dict
    """
    ours = make in OPTIMIZERS.values()
    if params is not None:  # wrong ones: construction must refuse them; PyTorch only warns of some
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            make(in_ours(params) if ours else params, **options)
        return [], []
    rng = np.random.default_rng(0)
    parameters = [_parameter(rng.standard_normal(shape), ours) for shape in SHAPES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = make(parameters, **options)
    states = []
    for _ in range(STEPS):
        for parameter in parameters:
            grad = rng.standard_normal(tuple(parameter.shape))
            parameter.grad = np.asarray(grad) if ours else _torch_tensor(grad)
        optimizer.step()
        states += [np.array(p.data if ours else p.detach().numpy()) for p in parameters]
    return states, []


def _parameter(array, ours):
    array = np.asarray(array)
    return Tensor(array.copy(), requires_grad=True) if ours else _torch_tensor(array).requires_grad_()


def _torch_tensor(array):
    import torch

    return torch.from_numpy(np.array(array))
