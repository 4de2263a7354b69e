"""How the sample inputs of an installed PyTorch are called on our side and on PyTorch's."""

import warnings

import numpy as np

from minitorch_cnn import Tensor
from tests.oracles.outcome import NoCounterpartError, mixed


def run_ours(call, sample):
    """Return outputs and gradients, lists of ndarrays, of ``call`` on a sample with Tensors of ours."""
    leaves = {}
    arguments = _changed(sample, lambda t: _ours(t, leaves))
    outputs = _listed(call(*arguments[0], **arguments[1]))
    leaves = [leaf for leaf in leaves.values() if leaf.requires_grad]
    arrays = [np.asarray(out.data if isinstance(out, Tensor) else out) for out in outputs]
    if any(isinstance(out, Tensor) and out.requires_grad for out in outputs):
        _weighted_sum(outputs, lambda out, weights: (out * Tensor(weights)).sum()).backward()
    return arrays, [np.zeros(leaf.shape) if leaf.grad is None else leaf.grad for leaf in leaves]


def run_torch(call, sample):
    """Return outputs and gradients of ``call`` on a sample of PyTorch."""
    import torch

    leaves = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about PyTorch's own plans, which are not ours to judge
        arguments = _changed(sample, lambda t: _theirs(t, leaves))
        outputs = _listed(call(*arguments[0], **arguments[1]))
        if outputs[0] is NotImplemented:
            raise TypeError("not implemented")
        leaves = [leaf for leaf in leaves.values() if leaf.requires_grad]
        if any(isinstance(out, torch.Tensor) and out.requires_grad for out in outputs):
            _weighted_sum(outputs, lambda out, weights: (out * torch.from_numpy(weights)).sum()).backward()
    arrays = [out.detach().numpy() if isinstance(out, torch.Tensor) else np.asarray(out) for out in outputs]
    return arrays, [np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy() for leaf in leaves]


def described(sample, most=150):
    """Return the arguments of a sample in a line."""
    args, kwargs = _changed(sample, lambda t: _Text(str(tuple(t.shape)) + ("" if t.is_floating_point() else "int")))
    return ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])[:most]


class _Text(str):
    __repr__ = str.__str__


def _listed(outputs):
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def _weighted_sum(outputs, weighted):
    terms = [weighted(out, mixed(tuple(out.shape))) for out in outputs if getattr(out, "requires_grad", False)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _changed(value, change):
    """Return nested arguments with every tensor of PyTorch changed."""
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_changed(item, change) for item in value) if type(value) in (list, tuple) else value
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return value


def _ours(tensor, leaves):
    if tensor.ndim > 64:
        raise NoCounterpartError("no array of more than 64 axes")
    if id(tensor) not in leaves:
        array = tensor.detach().resolve_conj().numpy().copy()
        leaves[id(tensor)] = Tensor(array, requires_grad=tensor.requires_grad)
    return leaves[id(tensor)]


def _theirs(tensor, leaves):
    if id(tensor) not in leaves:
        leaves[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    return leaves[id(tensor)]


def sides(padding):
    """PyTorch pads all sides by one number, and an axis by a list of one."""
    return padding[0] if isinstance(padding, (tuple, list)) and len(padding) == 1 else padding


def absent(**arguments):
    """Raise unless every argument has a value that changes nothing: we have no counterpart."""
    neutral = {"dilation": (1, (1,), (1, 1))}
    for name, value in arguments.items():
        if value is None or value is False or isinstance(value, (int, tuple)) and value in neutral.get(name, ()):
            continue
        raise NoCounterpartError(f"no argument {name}")


def in_ours(value):
    """Return nested arguments with a Tensor of ours for every tensor of PyTorch."""
    leaves = {}
    return _changed(value, lambda tensor: _ours(tensor, leaves))
