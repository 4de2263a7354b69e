"""Operations: every function takes Tensors and returns a Tensor; hyper-parameters are keywords.

arithmetic, pointwise, choice, reduce, movement, indexing, padding, matmul  NumPy's operations, with gradients
activation, softmax, conv, pool, adaptive_pool, norm, dropout, resize       the operations of convolutional networks
loss, element_loss                                                          loss functions
fused, densenet_block                                                       several operations in one, for speed
sync_norm, reproducible_sum                                                 batches that several processes share
"""

from minitorch_cnn.ops.activation import gelu, leaky_relu, relu, sigmoid, tanh
from minitorch_cnn.ops.activation_pieces import hard_sigmoid, hard_swish, prelu, relu6
from minitorch_cnn.ops.activation_smooth import elu, mish, selu, silu, softplus
from minitorch_cnn.ops.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    global_avg_pool,
    global_max_pool,
)
from minitorch_cnn.ops.arithmetic import add, div, mul, neg, sub
from minitorch_cnn.ops.choice import clip, maximum, minimum, where
from minitorch_cnn.ops.conv import conv2d, convolve
from minitorch_cnn.ops.conv_1d import conv1d
from minitorch_cnn.ops.conv_algorithms import register_algorithm
from minitorch_cnn.ops.conv_choice import conv_algorithm
from minitorch_cnn.ops.conv_transpose import conv_transpose1d, conv_transpose2d
from minitorch_cnn.ops.densenet_block import DenseNetStage, dense_block
from minitorch_cnn.ops.dropout import dropout
from minitorch_cnn.ops.element_loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from minitorch_cnn.ops.fused import batch_norm_relu
from minitorch_cnn.ops.indexing import broadcast_to, flip, index, split
from minitorch_cnn.ops.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from minitorch_cnn.ops.loss import cross_entropy, nll_loss
from minitorch_cnn.ops.matmul import linear, matmul
from minitorch_cnn.ops.movement import concat, flatten, reshape, stack, transpose
from minitorch_cnn.ops.norm import batch_norm, local_response_norm
from minitorch_cnn.ops.ordering import cumsum, gather, one_hot, prod, topk
from minitorch_cnn.ops.padding import pad
from minitorch_cnn.ops.pointwise import abs, exp, log, power, sqrt
from minitorch_cnn.ops.pool import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from minitorch_cnn.ops.reduce import max, mean, min, sum, var
from minitorch_cnn.ops.resize import resize
from minitorch_cnn.ops.softmax import log_softmax, softmax
from minitorch_cnn.ops.sync_norm import sync_batch_norm

__all__ = [
    "DenseNetStage",
    "abs",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "add",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "batch_norm_relu",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "clip",
    "concat",
    "conv1d",
    "conv2d",
    "conv_algorithm",
    "conv_transpose1d",
    "conv_transpose2d",
    "convolve",
    "cross_entropy",
    "cumsum",
    "dense_block",
    "div",
    "dropout",
    "elu",
    "exp",
    "flatten",
    "flip",
    "gather",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "hard_sigmoid",
    "hard_swish",
    "huber_loss",
    "instance_norm",
    "index",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log",
    "log_softmax",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mish",
    "mse_loss",
    "mul",
    "neg",
    "nll_loss",
    "one_hot",
    "pad",
    "power",
    "prelu",
    "prod",
    "register_algorithm",
    "relu",
    "relu6",
    "reshape",
    "resize",
    "rms_norm",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "split",
    "sqrt",
    "stack",
    "sub",
    "sum",
    "sync_batch_norm",
    "tanh",
    "topk",
    "transpose",
    "var",
    "where",
]
