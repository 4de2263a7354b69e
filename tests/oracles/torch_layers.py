"""Our layers under the signatures of PyTorch's; see `torch_operations`."""

from minitorch_cnn import nn
from tests.oracles.outcome import NoCounterpartError
from tests.oracles.torch_calls import absent, sides


def batch_norm(layer):
    def make(num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, bias=True):
        return layer(num_features, eps, momentum, affine, track_running_stats=track_running_stats, bias=bias)

    return make


def max_pool(layer):
    def make(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False):
        sizes = map(sides, (kernel_size, stride, padding, dilation))
        return layer(*sizes, return_indices=return_indices, ceil_mode=ceil_mode)

    return make


def avg_pool1d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    return nn.AvgPool1d(*map(sides, (kernel_size, stride, padding)), count_include_pad, ceil_mode)


def avg_pool2d(kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    return nn.AvgPool2d(*map(sides, (kernel_size, stride, padding)), count_include_pad, ceil_mode, divisor_override)


def loss(layer):
    def make(weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", **named):
        absent(size_average=size_average, reduce=reduce)
        return layer(reduction=reduction, weight=weight, ignore_index=ignore_index, **named)

    return make


def element_loss(layer):
    def make(weight=None, size_average=None, reduce=None, reduction="mean", **named):
        absent(size_average=size_average, reduce=reduce)
        return layer(reduction=reduction, **({} if weight is None else {"weight": weight}), **named)

    return make


def gelu(approximate="none"):
    if approximate != "none":
        raise NoCounterpartError("no argument approximate")
    return nn.GELU()


def elu(alpha=1.0, inplace=False):
    absent(inplace=inplace)
    return nn.ELU(alpha)


def softplus(beta=1.0, threshold=20.0):
    absent(threshold=None if threshold == 20 else threshold)
    return nn.Softplus(beta)


PADDINGS = ("Circular", "Constant", "Reflection", "Replication", "Zero")
LAYERS = {
    "AdaptiveAvgPool1d": nn.AdaptiveAvgPool1d,
    "AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d,
    "AdaptiveMaxPool1d": nn.AdaptiveMaxPool1d,
    "AdaptiveMaxPool2d": nn.AdaptiveMaxPool2d,
    "AvgPool1d": avg_pool1d,
    "AvgPool2d": avg_pool2d,
    "BCELoss": element_loss(nn.BCELoss),
    "BCEWithLogitsLoss": element_loss(nn.BCEWithLogitsLoss),
    "BatchNorm1d": batch_norm(nn.BatchNorm1d),
    "BatchNorm2d": batch_norm(nn.BatchNorm2d),
    **{f"{kind}Pad{axes}d": getattr(nn, f"{kind}Pad{axes}d") for kind in PADDINGS for axes in (1, 2)},
    "Conv1d": nn.Conv1d,
    "Conv2d": nn.Conv2d,
    "ConvTranspose1d": nn.ConvTranspose1d,
    "ConvTranspose2d": nn.ConvTranspose2d,
    "CrossEntropyLoss": loss(nn.CrossEntropyLoss),
    **{name: getattr(nn, name) for name in ("Hardswish", "Mish", "PReLU", "ReLU6", "SELU", "SiLU")},
    "ELU": elu,
    "GELU": gelu,
    "Softplus": softplus,
    "GroupNorm": nn.GroupNorm,
    "HuberLoss": nn.HuberLoss,
    "InstanceNorm1d": nn.InstanceNorm1d,
    "InstanceNorm2d": nn.InstanceNorm2d,
    "L1Loss": nn.L1Loss,
    "LayerNorm": nn.LayerNorm,
    "LeakyReLU": nn.LeakyReLU,
    "Linear": nn.Linear,
    "LocalResponseNorm": nn.LocalResponseNorm,
    "LogSoftmax": nn.LogSoftmax,
    "MSELoss": nn.MSELoss,
    "MaxPool1d": max_pool(nn.MaxPool1d),
    "MaxPool2d": max_pool(nn.MaxPool2d),
    "NLLLoss": loss(nn.NLLLoss),
    "RMSNorm": nn.RMSNorm,
    "ReLU": nn.ReLU,
    "Sigmoid": nn.Sigmoid,
    "SmoothL1Loss": nn.SmoothL1Loss,
    "Softmax": nn.Softmax,
    "Softmax2d": lambda: nn.Softmax(axis=-3),
    "Tanh": nn.Tanh,
}
