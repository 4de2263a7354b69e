"""Layers: modules with parameters whose ``forward`` is one call into `minitorch_cnn.ops`."""

from minitorch_cnn.nn import init
from minitorch_cnn.nn.activation import GELU, LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from minitorch_cnn.nn.activation_layers import ELU, SELU, Hardsigmoid, Hardswish, Mish, PReLU, ReLU6, SiLU, Softplus
from minitorch_cnn.nn.containers import Concat, ModuleList, Residual, Sequential
from minitorch_cnn.nn.conv import Conv1d, Conv2d
from minitorch_cnn.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d
from minitorch_cnn.nn.dropout import Dropout
from minitorch_cnn.nn.fold import fold_batch_norm
from minitorch_cnn.nn.fuse import bn_act_conv, conv_bn_act, dense_block, fuse
from minitorch_cnn.nn.layer_norm import GroupNorm, InstanceNorm1d, InstanceNorm2d, LayerNorm, RMSNorm
from minitorch_cnn.nn.linear import Flatten, Identity, Linear
from minitorch_cnn.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.named_containers import ModuleDict, ParameterDict, ParameterList
from minitorch_cnn.nn.norm import BatchNorm1d, BatchNorm2d, LocalResponseNorm
from minitorch_cnn.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    ConstantPad1d,
    ConstantPad2d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    ZeroPad1d,
    ZeroPad2d,
)
from minitorch_cnn.nn.parameter import Parameter
from minitorch_cnn.nn.pool import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
)
from minitorch_cnn.nn.resize import Resize
from minitorch_cnn.nn.state import StateDictError
from minitorch_cnn.nn.sync_norm import SyncBatchNorm2d, sync_batch_norm

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "CircularPad1d",
    "CircularPad2d",
    "Concat",
    "ConstantPad1d",
    "ConstantPad2d",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "ELU",
    "Flatten",
    "GELU",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LocalResponseNorm",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RMSNorm",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "Residual",
    "Resize",
    "SELU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "StateDictError",
    "SyncBatchNorm2d",
    "Tanh",
    "ZeroPad1d",
    "ZeroPad2d",
    "bn_act_conv",
    "conv_bn_act",
    "dense_block",
    "fold_batch_norm",
    "fuse",
    "init",
    "sync_batch_norm",
]
