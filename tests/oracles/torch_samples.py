"""PyTorch's sample inputs and wrong inputs for the operations, layers and optimisers that we have."""

import functools
import importlib
import warnings

from tests.oracles.outcome import outcome
from tests.oracles.torch_calls import described, in_ours, run_ours, run_torch
from tests.oracles.torch_layers import LAYERS
from tests.oracles.torch_operations import OPERATIONS
from tests.oracles.torch_optimizers import OPTIMIZERS, steps


def published(module, names):
    """Return a list of PyTorch's test suite."""
    return getattr(importlib.import_module(f"torch.testing._internal.{module}"), names)


@functools.cache
def _operations():
    infos = published("common_methods_invocations", "op_db")
    return {".".join(filter(None, (info.name, info.variant_test_name))): info for info in infos}


def operation(name):
    """Yield the outcomes of an operation: inputs that PyTorch computes, and inputs that it refuses."""
    import torch

    info = _operations()[name]
    inputs = info.sample_inputs if name == "where" else info.reference_inputs  # where's longer list fails in PyTorch
    samples = list(inputs("cpu", torch.float64, requires_grad=True))
    if info.error_inputs_func:
        samples += [wrong.sample_input for wrong in info.error_inputs("cpu")]
    for sample in samples:
        if not hasattr(sample, "input") or _is_random(name, sample.kwargs):  # without input: of PyTorch's own machinery
            continue
        arguments = (sample.input, *sample.args), sample.kwargs
        case = f"operation {name}({described(arguments)})"
        ours, theirs = functools.partial(run_ours, OPERATIONS[name]), functools.partial(run_torch, info.op)
        yield outcome(case, functools.partial(ours, arguments), functools.partial(theirs, arguments))


def _is_random(name, named):
    return name == "nn.functional.dropout" and named.get("training", True) and 0 < named.get("p", 0.5) < 1


@functools.cache
def _layers():
    return {info.name.removeprefix("nn."): info for info in published("common_modules", "module_db")}


def layer(name):
    """Yield the outcomes of a layer in both modes, with the gradients of its parameters and with its buffers."""
    import torch

    info = _layers()[name]
    make = {"device": "cpu", "dtype": torch.float64, "requires_grad": True}
    for training in (True, False):
        inputs = list(info.module_inputs_func(info, **make, training=training))
        if info.module_error_inputs_func:
            inputs += [w.module_error_input for w in info.module_error_inputs_func(info, **make, training=training)]
        for given in inputs:
            if given.forward_input is None:
                continue
            built, forward = ((part.args, part.kwargs) for part in (given.constructor_input, given.forward_input))
            case = f"layer {name}({described(built)})({described(forward)}) training={training}"
            yield outcome(
                case,
                functools.partial(_run_layer, name, built, forward, training),
                functools.partial(_run_torch_layer, name, built, forward, training),
            )


def _torch_layer(name, built, training):
    import torch

    torch.manual_seed(0)
    return getattr(torch.nn, name)(*built[0], **built[1]).double().train(training)


def _state(layer):
    return {**dict(layer.named_parameters()), **dict(layer.named_buffers())}


def _run_torch_layer(name, built, forward, training):
    from torch.func import functional_call

    layer = _torch_layer(name, built, training)

    def call(state, *args, **kwargs):
        out = functional_call(layer, state, args, kwargs)
        return [*(out if isinstance(out, tuple) else [out]), *(state[key] for key, _ in layer.named_buffers())]

    return run_torch(call, ((_state(layer), *forward[0]), forward[1]))


def _run_layer(name, built, forward, training):
    layer = LAYERS[name](*in_ours(built[0]), **in_ours(built[1])).train(training)
    theirs = _torch_layer(name, built, training)
    buffers = [key for key, _ in theirs.named_buffers()]

    def call(state, *inputs):
        for key, value in state.items():
            vars(layer)[key] = value.data if key in buffers else value
        with warnings.catch_warnings():  # Tensors that need gradients stand in for parameters
            warnings.filterwarnings("ignore", r".*expected parameters of the module itself", UserWarning)
            out = layer(*inputs)
        return [*(out if isinstance(out, tuple) else [out]), *(getattr(layer, key) for key in buffers)]

    return run_ours(call, ((_state(theirs), *forward[0], *forward[1].values()), {}))


@functools.cache
def _optimizers():
    return {info.optim_cls.__name__: info for info in published("common_optimizers", "optim_db")}


def optimizer(name):
    """Yield the outcomes of an optimiser: the parameters after each of a few steps, and refused options."""
    import torch

    info = _optimizers()[name]
    inputs = list(info.optim_inputs_func("cpu"))
    inputs += [wrong.optimizer_error_input for wrong in info.optim_error_inputs_func("cpu", torch.float64)]
    for given in inputs:
        params, options = given.params, given.kwargs
        case = f"optimizer {name}({'' if params is None else type(params).__name__ + ', '}{options})"
        yield outcome(
            case,
            functools.partial(steps, OPTIMIZERS[name], params, options),
            functools.partial(steps, info.optim_cls, params, options),
        )
