"""Any model of ours as a PyTorch function: its trace, operation by operation, on tensors with the same numbers."""

import math

from minitorch_cnn import Tensor, autograd


def twin(model, images, torch):
    """Return (logits, parameters by path) of PyTorch for a model in its mode, with statistics of its own.

    Parameters
    ----------
    model : Module
        Its dropouts must have p = 0: the two libraries draw other numbers.
    images : ndarray, shape (N, C, H, W)
    """
    x = Tensor.like_shape(images.shape, images.dtype)
    with autograd.trace() as records:
        output = model(x)
    tensors = {id(x): torch.from_numpy(images)}
    parameters = {}
    for path, parameter in model.named_parameters():
        parameters[path] = tensors[id(parameter)] = torch.tensor(parameter.data, requires_grad=True)
    for record in records:
        inputs = [None if v is None else tensors.get(id(v), _constant(v, torch)) for v in record.inputs]
        tensors[id(record.output)] = _OPERATIONS[record.op.__name__](torch, *inputs, **record.hyper)
    return tensors[id(output)], parameters


def _constant(variable, torch):
    return None if variable.traced else torch.from_numpy(variable.data)


def _conv2d(torch, x, weight, bias, *, stride, padding, dilation, groups, algorithm):
    top, bottom, left, right = padding
    x = torch.nn.functional.pad(x, (left, right, top, bottom))
    return torch.nn.functional.conv2d(x, weight, bias, stride, 0, dilation, groups)


def _batch_norm(torch, x, weight, bias, *, running_mean, running_var, training, momentum, eps):
    mean, var = (torch.tensor(array) for array in (running_mean, running_var))
    return torch.nn.functional.batch_norm(x, mean, var, weight, bias, training, momentum, eps)


def _max_pool(torch, x, *, kernel_size, stride, padding):
    assert padding[0] == padding[1] and padding[2] == padding[3]
    return torch.nn.functional.max_pool2d(x, kernel_size, stride, padding[::2])


def _avg_pool(torch, x, *, kernel_size, stride, padding, count_include_pad):
    assert padding == (0, 0, 0, 0)
    return torch.nn.functional.avg_pool2d(x, kernel_size, stride)


def _dropout(torch, x, *, p):
    assert p == 0
    return x


def _pad(torch, x, *, padding, mode, value):
    assert mode == "zero"
    return torch.nn.functional.pad(x, [n for ends in padding[::-1] for n in ends], value=value)


_OPERATIONS = {
    "Add": lambda torch, a, b: a + b,
    "AdaptiveAvgPool2d": lambda torch, x, *, output_size: torch.nn.functional.adaptive_avg_pool2d(x, output_size),
    "AvgPool2d": _avg_pool,
    "BatchNorm": _batch_norm,
    "Concat": lambda torch, *tensors, axis: torch.cat(tensors, axis),
    "Conv2d": _conv2d,
    "Div": lambda torch, a, b: a / b,
    "Dropout": _dropout,
    "Index": lambda torch, x, *, key: x[key],
    "LocalResponseNorm": lambda torch, x, **hyper: torch.nn.functional.local_response_norm(x, **hyper),
    "MatMul": lambda torch, a, b: a @ b,
    "MaxPool2d": _max_pool,
    "Pad": _pad,
    "ReLU": lambda torch, x: x.relu(),
    "Reshape": lambda torch, x, *, shape: x.reshape(shape),
    "Sum": lambda torch, x, *, axis, keepdims: x.sum(axis, keepdims) if axis else math.nan,
    "Tanh": lambda torch, x: x.tanh(),
    "Transpose": lambda torch, x, *, axes: x.permute(axes),
}
