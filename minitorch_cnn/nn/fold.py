"""Folding of batch norm into the convolution before it: in inference both are linear, and so is their composition."""

import copy
from collections import Counter

import numpy as np

from minitorch_cnn import arguments, ops
from minitorch_cnn.autograd import Variable
from minitorch_cnn.nn.conv import Conv2d
from minitorch_cnn.nn.linear import Identity
from minitorch_cnn.nn.module import M, Module, Parameter
from minitorch_cnn.nn.norm import BatchNorm2d
from minitorch_cnn.nn.tracing import traced
from minitorch_cnn.types import Shape


def fold_batch_norm(model: M, input_shape: Shape) -> M:
    """Return a copy of a model for inference, with batch norm folded into the convolutions.

    With s = gamma / sqrt(running_var + eps), per output channel:

        batch_norm(conv(x; weight, bias)) = conv(x; s * weight, s * (bias - running_mean) + beta)

    Parameters
    ----------
    model : Module
        Not changed.
    input_shape : tuple of int
        (N, C, H, W) of an input that the model takes; its trace shows which convolution feeds which
        batch norm.

    Returns
    -------
    Module
        A frozen copy in evaluation mode. A batch norm becomes an `Identity` if nothing else reads the output of the
        convolution before it. It stays after any other layer, and after a convolution that runs more than once or whose
        output the model returns or keeps as an attribute. Results are the same up to rounding.

    Raises
    ------
    ShapeError
        If the model does not take inputs of this shape.

    Notes
    -----
    Cost: one pass over the weights, computed in float64.
    """
    arguments.instance("fold_batch_norm", Module, model=model)
    folded = copy.deepcopy(model).eval().freeze()
    _, records, result = traced(folded, input_shape)
    modules = dict(folded.named_modules())
    uses = Counter(id(v) for record in records for v in record.inputs)
    uses.update(map(id, _variables((result, [vars(module) for module in modules.values()]))))  # the user may see these
    runs = Counter(record.path for record in records if record.op in (ops.conv.Conv2d, ops.norm.BatchNorm))
    maker = {id(record.output): record for record in records}
    for record in records:
        before = maker.get(id(record.inputs[0]))
        if record.op is not ops.norm.BatchNorm or before is None or before.op is not ops.conv.Conv2d:
            continue
        conv, bn = modules[before.path], modules[record.path]
        alone = uses[id(before.output)] == runs[before.path] == runs[record.path] == 1
        if not (alone and type(conv) is Conv2d and type(bn) is BatchNorm2d and before.inputs[1] is conv.weight):
            continue
        if bn.running_mean is None:  # its statistics are those of each batch
            continue
        if uses[id(conv.weight)] == 1:
            _fold(conv, bn)
            parent, _, name = record.path.rpartition(".")
            setattr(modules[parent], name, Identity())
    return folded


def _variables(value):
    """Yield the variables, except parameters, that a model returned or keeps, also in tuples, lists and dicts."""
    if isinstance(value, Variable):
        yield from () if isinstance(value, Parameter) else (value,)
    elif isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _variables(item)


def _fold(conv, bn):
    dtype = conv.weight.data.dtype
    one, zero = np.ones(bn.num_features), np.zeros(bn.num_features)
    gamma, beta = (one if bn.weight is None else bn.weight.data), (zero if bn.bias is None else bn.bias.data)
    scale = gamma / np.sqrt(bn.running_var.astype(np.float64) + bn.eps)
    bias = zero if conv.bias is None else conv.bias.data
    conv.weight.data = (conv.weight.data * scale[:, None, None, None]).astype(dtype)
    conv.bias = Parameter(((bias - bn.running_mean) * scale + beta).astype(dtype), requires_grad=False)
