"""Any model of ours in PyTorch: its trace, operation by operation, on tensors with the same numbers.

The tests compare the two, and the benchmarks race them.
"""

from minitorch_cnn import Tensor, autograd, nn


def twin(torch, model, shape):
    """Return a `torch.nn.Module` that computes what a model does in its present mode.

    Parameters
    ----------
    torch : module
    model : Module
        Its dropouts keep their rate, but draw other numbers than PyTorch's.
    shape : tuple of int
        (N, C, H, W) of the inputs.

    Returns
    -------
    torch.nn.Module
        With parameters of its own, in the order of ``model.parameters()``; running statistics are copied.
    """
    dtype = next(model.parameters()).data.dtype
    x = Tensor.like_shape(shape, dtype)
    with autograd.trace() as records:
        output = model(x)
    uses = [id(v) for record in records for v in record.inputs]
    steps, values = [], {id(x): "x"}

    class Twin(torch.nn.Module):
        def forward(self, x):
            values = {"x": x}
            for function, inputs, hyper, target in steps:
                arguments = [getattr(self, name) if name.startswith("p_") else values[name] for name in inputs]
                values[target] = function(torch, *arguments, **hyper)
            return values[last]

    result = Twin()
    for number, parameter in enumerate(model.parameters()):
        values[id(parameter)] = name = f"p_{number}"
        setattr(result, name, torch.nn.Parameter(torch.tensor(parameter.data)))
    for number, record in enumerate(records):
        inputs = []
        for v in record.inputs:
            if id(v) not in values:  # no argument, or a number such as what a sum is divided by
                values[id(v)] = name = f"p_constant_{number}_{len(inputs)}"
                result.register_buffer(name, None if v is None else torch.tensor(v.data))
            inputs.append(values[id(v)])
        hyper = dict(record.hyper)
        if record.op.__name__ == "BatchNorm":
            hyper |= {key: torch.tensor(hyper[key]) for key in ("running_mean", "running_var")}
        if record.op.__name__ == "ReLU":
            hyper["inplace"] = uses.count(id(record.inputs[0])) == 1
        values[id(record.output)] = target = f"v_{number}"
        steps.append((_OPERATIONS[record.op.__name__], inputs, hyper, target))
    last = values[id(output)]
    return result


def without_dropout(model):
    """Let no dropout of a model drop anything, and return the model."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def _conv2d(torch, x, weight, bias, *, stride, padding, dilation, groups, algorithm):
    top, bottom, left, right = padding
    if (top, left) != (bottom, right):
        x = torch.nn.functional.pad(x, (left, right, top, bottom))
        top = left = 0
    return torch.nn.functional.conv2d(x, weight, bias, stride, (top, left), dilation, groups)


def _batch_norm(torch, x, weight, bias, *, running_mean, running_var, training, momentum, eps):
    return torch.nn.functional.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def _max_pool(torch, x, *, kernel_size, stride, padding):
    if padding[0] != padding[1] or padding[2] != padding[3]:
        raise ValueError(f"max_pool2d: padding - expected the same on opposite sides, got {padding}")
    return torch.nn.functional.max_pool2d(x, kernel_size, stride, padding[::2])


def _avg_pool(torch, x, *, kernel_size, stride, padding, count_include_pad):
    if any(padding):
        raise ValueError(f"avg_pool2d: padding - expected none, got {padding}")
    return torch.nn.functional.avg_pool2d(x, kernel_size, stride)


def _pad(torch, x, *, padding, mode, value):
    if mode != "zero":
        raise ValueError(f"pad: mode - expected 'zero', got {mode!r}")
    return torch.nn.functional.pad(x, [n for ends in padding[::-1] for n in ends], value=value)


_OPERATIONS = {
    "Add": lambda torch, a, b: a + b,
    "AdaptiveAvgPool2d": lambda torch, x, *, output_size: torch.nn.functional.adaptive_avg_pool2d(x, output_size),
    "AdaptiveMaxPool2d": lambda torch, x, *, output_size: torch.nn.functional.adaptive_max_pool2d(x, output_size),
    "AvgPool2d": _avg_pool,
    "BatchNorm": _batch_norm,
    "Concat": lambda torch, *tensors, axis: torch.cat(tensors, axis),
    "Conv2d": _conv2d,
    "Div": lambda torch, a, b: a / b,
    "Dropout": lambda torch, x, *, p: torch.nn.functional.dropout(x, p),
    "GELU": lambda torch, x: torch.nn.functional.gelu(x),
    "Index": lambda torch, x, *, key: x[key],
    "Linear": lambda torch, x, weight, bias: torch.nn.functional.linear(x, weight, bias),
    "LocalResponseNorm": lambda torch, x, **hyper: torch.nn.functional.local_response_norm(x, **hyper),
    "MatMul": lambda torch, a, b: a @ b,
    "MaxPool2d": _max_pool,
    "Mul": lambda torch, a, b: a * b,
    "Pad": _pad,
    "ReLU": lambda torch, x, *, inplace: torch.nn.functional.relu(x, inplace=inplace),
    "Reshape": lambda torch, x, *, shape: x.reshape(shape),
    "Mean": lambda torch, x, *, axis, keepdims: x.mean(axis, keepdims),
    "Sum": lambda torch, x, *, axis, keepdims: x.sum(axis, keepdims),
    "Tanh": lambda torch, x: x.tanh(),
    "Transpose": lambda torch, x, *, axes: x.permute(axes),
}
