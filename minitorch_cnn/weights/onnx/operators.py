"""What each operation is in ONNX: one function for each, which adds nodes and returns the name of the result.

A function takes the `Builder`, the `Call` and the names of the inputs (None for an absent one). Where ONNX has an
operator of the same meaning, it is used; resizing and adaptive pooling become products with small matrices, which
leave no doubt about borders and centres.

Source: the ONNX operator specification, opset 18.
"""

import math

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.ops.activation import GELU, LeakyReLU, ReLU, Sigmoid, Tanh
from minitorch_cnn.ops.activation_pieces import HardSigmoid, HardSwish, PReLU, ReLU6
from minitorch_cnn.ops.activation_smooth import ELU, Mish, SiLU, Softplus
from minitorch_cnn.ops.adaptive_pool import AdaptiveAvgPool2d, AdaptiveMaxPool2d
from minitorch_cnn.ops.arithmetic import Add, Div, Mul, Sub
from minitorch_cnn.ops.choice import Clip, Maximum, Minimum, Where
from minitorch_cnn.ops.conv import Conv2d
from minitorch_cnn.ops.conv_transpose import ConvTranspose2d
from minitorch_cnn.ops.dilated_pool import DilatedMaxPool2d
from minitorch_cnn.ops.fused import BatchNormReLU
from minitorch_cnn.ops.layer_norm import GroupNorm, LayerNorm, RMSNorm
from minitorch_cnn.ops.matmul import Linear, MatMul
from minitorch_cnn.ops.movement import Concat
from minitorch_cnn.ops.norm import BatchNorm, LocalResponseNorm
from minitorch_cnn.ops.ordering import Cumsum, Prod
from minitorch_cnn.ops.pointwise import Abs, Exp, Log, Power, PowerOf, Sqrt
from minitorch_cnn.ops.pool import AvgPool2d, MaxPool2d
from minitorch_cnn.ops.reduce import Max, Mean, Sum, Var
from minitorch_cnn.ops.resize import Resize, interpolation_matrices
from minitorch_cnn.ops.softmax import LogSoftmax, Softmax
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.weights.onnx.builder import Unsupported
from minitorch_cnn.weights.onnx.registry import TRANSLATIONS, same_name, translates

for _function, _kind in (
    (ReLU, "Relu"),
    (Sigmoid, "Sigmoid"),
    (Tanh, "Tanh"),
    (Add, "Add"),
    (Sub, "Sub"),
    (Mul, "Mul"),
    (Div, "Div"),
    (MatMul, "MatMul"),
    (Sqrt, "Sqrt"),
    (Exp, "Exp"),
    (Log, "Log"),
    (Abs, "Abs"),
    (Maximum, "Max"),
    (Minimum, "Min"),
    (PowerOf, "Pow"),
    (HardSwish, "HardSwish"),
    (Mish, "Mish"),
):
    same_name(_function, _kind)
same_name(LeakyReLU, "LeakyRelu", alpha="negative_slope")
same_name(Concat, "Concat", axis="axis")
same_name(Softmax, "Softmax", axis="axis")
same_name(LogSoftmax, "LogSoftmax", axis="axis")


@translates(Power)
def _power(builder, call, x):
    return builder.add("Pow", x, builder.like(call.hyper["exponent"], call.dtype))


@translates(Clip)
def _clip(builder, call, x):
    for kind, limit in (("Max", call.hyper["low"]), ("Min", call.hyper["high"])):
        if np.isfinite(limit):
            x = builder.add(kind, x, builder.like(limit, call.dtype))
    return x


@translates(ReLU6)
def _relu6(builder, call, x):
    return builder.add("Clip", x, builder.like(0, call.dtype), builder.like(6, call.dtype))


@translates(HardSigmoid)
def _hard_sigmoid(builder, call, x):
    return builder.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@translates(SiLU)
def _silu(builder, call, x):
    return builder.add("Mul", x, builder.add("Sigmoid", x))


@translates(Softplus)
def _softplus(builder, call, x):
    beta = builder.like(call.hyper["beta"], call.dtype)
    return builder.add("Div", builder.add("Softplus", builder.add("Mul", x, beta)), beta)


@translates(ELU)
def _elu(builder, call, x):
    out = builder.add("Elu", x, alpha=call.hyper["alpha"])
    return builder.add("Mul", out, builder.like(call.hyper["scale"], call.dtype))


@translates(PReLU)
def _prelu(builder, call, x, slope):
    """ONNX broadcasts the slope from the last axis; a slope for each channel needs axes of length 1 after it."""
    shape, slopes = call.shapes[0], math.prod(call.shapes[1])
    if slopes > 1:
        slope = builder.add("Reshape", slope, builder.integers(slopes, *(1,) * (len(shape) - 2)))
    return builder.add("PRelu", x, slope)


@translates(Where)
def _where(builder, call, a, b):
    return builder.add("Where", builder.constant(call.hyper["condition"]), a, b)


@translates(GELU)
def _gelu(builder, call, x):
    below = builder.add("Erf", builder.add("Mul", x, builder.like(math.sqrt(0.5), call.dtype)))
    twice = builder.add("Add", below, builder.like(1, call.dtype))
    return builder.add("Mul", builder.add("Mul", x, twice), builder.like(0.5, call.dtype))


def _ends(padding):
    """Return (top, bottom, left, right) as ONNX orders it: all beginnings, then all ends."""
    top, bottom, left, right = padding
    return [top, left, bottom, right]


@translates(Conv2d)
def _conv(builder, call, x, weight, bias):
    hyper = call.hyper
    return builder.add(
        "Conv",
        *(name for name in (x, weight, bias) if name is not None),
        kernel_shape=call.shapes[1][2:],
        strides=hyper["stride"],
        pads=_ends(hyper["padding"]),
        dilations=hyper["dilation"],
        group=hyper["groups"],
    )


@translates(Linear)
def _linear(builder, call, x, weight, bias):
    return builder.add("Gemm", *(name for name in (x, weight, bias) if name is not None), transB=1)


@translates(ConvTranspose2d)
def _conv_transpose(builder, call, x, weight, bias):
    hyper = call.hyper
    return builder.add(
        "ConvTranspose",
        *(name for name in (x, weight, bias) if name is not None),
        kernel_shape=call.shapes[1][2:],
        strides=hyper["stride"],
        pads=_ends(hyper["padding"]),
        output_padding=hyper["output_padding"],
        dilations=hyper["dilation"],
        group=hyper["groups"],
    )


@translates(AvgPool2d)
def _average_pool(builder, call, x):
    hyper = call.hyper
    return builder.add(
        "AveragePool",
        x,
        kernel_shape=hyper["kernel_size"],
        strides=hyper["stride"],
        pads=_ends(hyper["padding"]),
        count_include_pad=int(hyper["count_include_pad"]),
    )


@translates(MaxPool2d, DilatedMaxPool2d)
def _max_pool(builder, call, x):
    hyper = call.hyper
    pads = _ends(hyper["padding"])
    if any(pad >= size for pad, size in zip(pads, hyper["kernel_size"] * 2, strict=True)):  # ONNX Runtime refuses
        least = builder.like(-np.inf, call.dtype)
        x, pads = builder.add("Pad", x, builder.integers(0, 0, *pads[:2], 0, 0, *pads[2:]), least), [0] * 4
    dilations = hyper.get("dilation", (1, 1))
    window = {"kernel_shape": hyper["kernel_size"], "strides": hyper["stride"], "pads": pads, "dilations": dilations}
    return builder.add("MaxPool", x, **window)


@translates(Resize)
def _resize(builder, call, x):
    return _along_both(builder, call, x, *interpolation_matrices(call.shapes[0][2:], call.hyper))


@translates(AdaptiveAvgPool2d)
def _adaptive_average(builder, call, x):
    """Translate bins that act on rows and columns apart; of an image that is one row, they give the matrix."""
    (height, width), (down, across) = call.shapes[0][2:], call.hyper["output_size"]
    rows = ops.adaptive_avg_pool2d(Tensor(np.eye(height)[:, None, :, None]), (down, 1)).data[:, 0, :, 0].T
    columns = ops.adaptive_avg_pool2d(Tensor(np.eye(width)[:, None, None, :]), (1, across)).data[:, 0, 0, :].T
    return _along_both(builder, call, x, rows, columns)


def _along_both(builder, call, x, rows, columns):
    """Return the name of R x C^T for each feature map, with the matrices R (OH, H) and C (OW, W)."""
    x = builder.add("MatMul", builder.constant(rows.astype(call.dtype)), x)  # (OH, H) @ (N, C, H, W)
    return builder.add("MatMul", x, builder.constant(columns.T.astype(call.dtype)))  # (N, C, OH, W) @ (W, OW)


@translates(AdaptiveMaxPool2d)
def _adaptive_max(builder, call, x):
    """Take the maximum over bins of rows, then over bins of columns."""
    for axis, length, bins in zip((2, 3), call.shapes[0][2:], call.hyper["output_size"], strict=True):
        axes = builder.integers(axis)
        parts = []
        for i in range(bins):
            first, end = i * length // bins, -(-(i + 1) * length // bins)
            part = builder.add("Slice", x, builder.integers(first), builder.integers(end), axes)
            parts.append(builder.add("ReduceMax", part, axes, keepdims=1))
        x = builder.add("Concat", *parts, axis=axis)
    return x


def _per_channel(builder, call, value, fallback):
    """Return the name of a value for each channel; ``fallback`` where there is none."""
    return value or builder.constant(np.full(call.shapes[0][1], fallback, call.dtype))


@translates(BatchNorm)
def _batch_norm(builder, call, x, weight, bias):
    hyper = call.hyper
    if hyper["training"]:
        raise Unsupported("expected batch norm in evaluation, got one that uses the statistics of its batch")
    statistics = [
        builder.constant(hyper[name].astype(call.dtype, copy=False)) for name in ("running_mean", "running_var")
    ]
    affine = [_per_channel(builder, call, weight, 1), _per_channel(builder, call, bias, 0)]
    return builder.add("BatchNormalization", x, *affine, *statistics, epsilon=float(hyper["eps"]))


@translates(BatchNormReLU)
def _batch_norm_relu(builder, call, x, weight, bias, residual):
    out = _batch_norm(builder, call, x, weight, bias)
    out = out if residual is None else builder.add("Add", out, residual)
    out, pool = builder.add("Relu", out), call.hyper["pool"]
    return out if pool == 1 else builder.add("MaxPool", out, kernel_shape=[pool] * 2, strides=[pool] * 2)


@translates(LocalResponseNorm)
def _response_norm(builder, call, x):
    hyper = call.hyper
    size, alpha, beta, k = (hyper[name] for name in ("size", "alpha", "beta", "k"))
    if size % 2:  # of an even size, ONNX takes other neighbours
        return builder.add("LRN", x, size=size, alpha=alpha, beta=beta, bias=k)
    pads = builder.integers(0, size // 2, 0, 0, 0, (size - 1) // 2, 0, 0)
    squares = builder.add("Pad", builder.add("Mul", x, x), pads)
    taps = [
        builder.add("Slice", squares, builder.integers(i), builder.integers(i + call.shape[1]), builder.integers(1))
        for i in range(size)
    ]
    base = builder.add("Mul", builder.add("Sum", *taps), builder.like(alpha / size, call.dtype))
    base = builder.add("Pow", builder.add("Add", base, builder.like(k, call.dtype)), builder.like(beta, call.dtype))
    return builder.add("Div", x, base)


def _reduction(function, kind):
    """Register a reduction over axes."""

    def translation(builder, call, x):
        return builder.add(kind, x, builder.integers(*call.hyper["axis"]), keepdims=int(call.hyper["keepdims"]))

    TRANSLATIONS[function] = translation


_reduction(Sum, "ReduceSum")
_reduction(Mean, "ReduceMean")
_reduction(Max, "ReduceMax")
_reduction(Prod, "ReduceProd")


@translates(Cumsum)
def _running_sum(builder, call, x):
    return builder.add("CumSum", x, builder.constant(np.array(call.hyper["axis"], np.int64)))


@translates(Var)
def _variance(builder, call, x):
    axes = builder.integers(*call.hyper["axis"])
    centred = builder.add("Sub", x, builder.add("ReduceMean", x, axes, keepdims=1))
    squares = builder.add("Mul", centred, centred)
    mean = builder.add("ReduceMean", squares, axes, keepdims=int(call.hyper["keepdims"]))
    correction = call.hyper["correction"]
    if not correction:
        return mean
    count = math.prod(call.shapes[0][axis] for axis in call.hyper["axis"])
    if count < 0:
        raise Unsupported("expected a corrected variance within images, got one over the batch")
    return builder.add("Mul", mean, builder.like(count / (count - correction), call.dtype))


def _within_images(function, shapes_of):
    """Register a norm of parts: ``shapes_of(call)`` gives the shape with parts, their axes, and that of weights."""

    def translation(builder, call, x, weight, bias):
        parts, axes, affine = shapes_of(call)
        out, over = builder.add("Reshape", x, builder.integers(*parts)), builder.integers(*axes)
        if function.centred:
            out = builder.add("Sub", out, builder.add("ReduceMean", out, over, keepdims=1))
        square = builder.add("ReduceMean", builder.add("Mul", out, out), over, keepdims=1)
        std = builder.add("Sqrt", builder.add("Add", square, builder.like(call.hyper["eps"], call.dtype)))
        out = builder.add("Reshape", builder.add("Div", out, std), builder.integers(*call.shape))
        for kind, name in (("Mul", weight), ("Add", bias)):
            if name is not None:
                out = builder.add(kind, out, builder.add("Reshape", name, builder.integers(*affine)))
        return out

    TRANSLATIONS[function] = translation


for _function in (GroupNorm, LayerNorm, RMSNorm):
    _within_images(_function, lambda call, function=_function: function.layout(call.shapes[0], call.hyper))
