"""What each operation is in ONNX: one function for each, which adds nodes and returns the name of the result.

A function takes the `Builder`, the `Call` and the names of the inputs (None for an absent one). Where ONNX has an
operator of the same meaning, it is used; resizing and adaptive pooling become products with small matrices, which
leave no doubt about borders and centres.

Source: the ONNX operator specification, opset 18.
"""

import math
from typing import NamedTuple

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
from minitorch_cnn.ops.indexing import BroadcastTo, Index
from minitorch_cnn.ops.layer_norm import GroupNorm, LayerNorm, RMSNorm
from minitorch_cnn.ops.matmul import MatMul
from minitorch_cnn.ops.movement import Concat, Reshape, Transpose
from minitorch_cnn.ops.norm import BatchNorm, LocalResponseNorm
from minitorch_cnn.ops.padding import Pad, PadContinued
from minitorch_cnn.ops.pointwise import Abs, Exp, Log, Power, PowerOf, Sqrt
from minitorch_cnn.ops.pool import AvgPool2d, MaxPool2d
from minitorch_cnn.ops.reduce import Max, Mean, Sum, Var
from minitorch_cnn.ops.resize import Resize
from minitorch_cnn.ops.softmax import LogSoftmax, Softmax
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.weights.onnx.builder import Unsupported

OPSET = 18
_END = np.iinfo(np.int64).max


class Call(NamedTuple):
    """One operation of a trace: shapes without the batch are final, lengths that follow the batch are -1."""

    shapes: tuple  # of the inputs, None for an absent one
    shape: tuple  # of the output
    hyper: dict
    dtype: np.dtype


TRANSLATIONS = {}


def _translates(*functions):
    """Register a translation for operations."""

    def add(translation):
        TRANSLATIONS.update(dict.fromkeys(functions, translation))
        return translation

    return add


def _same_name(function, kind, **attributes):
    """Register an operation whose ONNX operator has no settings, or settings of the same names."""

    def translation(builder, call, *inputs):
        named = {theirs: call.hyper[ours] for theirs, ours in attributes.items()}
        return builder.add(kind, *inputs, **named)

    TRANSLATIONS[function] = translation


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
    _same_name(_function, _kind)
_same_name(LeakyReLU, "LeakyRelu", alpha="negative_slope")
_same_name(Concat, "Concat", axis="axis")
_same_name(Softmax, "Softmax", axis="axis")
_same_name(LogSoftmax, "LogSoftmax", axis="axis")


@_translates(Power)
def _power(builder, call, x):
    return builder.add("Pow", x, builder.like(call.hyper["exponent"], call.dtype))


@_translates(Clip)
def _clip(builder, call, x):
    for kind, limit in (("Max", call.hyper["low"]), ("Min", call.hyper["high"])):
        if np.isfinite(limit):
            x = builder.add(kind, x, builder.like(limit, call.dtype))
    return x


@_translates(ReLU6)
def _relu6(builder, call, x):
    return builder.add("Clip", x, builder.like(0, call.dtype), builder.like(6, call.dtype))


@_translates(HardSigmoid)
def _hard_sigmoid(builder, call, x):
    return builder.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@_translates(SiLU)
def _silu(builder, call, x):
    return builder.add("Mul", x, builder.add("Sigmoid", x))


@_translates(Softplus)
def _softplus(builder, call, x):
    beta = builder.like(call.hyper["beta"], call.dtype)
    return builder.add("Div", builder.add("Softplus", builder.add("Mul", x, beta)), beta)


@_translates(ELU)
def _elu(builder, call, x):
    out = builder.add("Elu", x, alpha=call.hyper["alpha"])
    return builder.add("Mul", out, builder.like(call.hyper["scale"], call.dtype))


@_translates(PReLU)
def _prelu(builder, call, x, slope):
    """ONNX broadcasts the slope from the last axis; a slope for each channel needs axes of length 1 after it."""
    shape, slopes = call.shapes[0], math.prod(call.shapes[1])
    if slopes > 1:
        slope = builder.add("Reshape", slope, builder.integers(slopes, *(1,) * (len(shape) - 2)))
    return builder.add("PRelu", x, slope)


@_translates(Where)
def _where(builder, call, a, b):
    return builder.add("Where", builder.constant(call.hyper["condition"]), a, b)


@_translates(GELU)
def _gelu(builder, call, x):
    below = builder.add("Erf", builder.add("Mul", x, builder.like(math.sqrt(0.5), call.dtype)))
    twice = builder.add("Add", below, builder.like(1, call.dtype))
    return builder.add("Mul", builder.add("Mul", x, twice), builder.like(0.5, call.dtype))


def _ends(padding):
    """Return (top, bottom, left, right) as ONNX orders it: all beginnings, then all ends."""
    top, bottom, left, right = padding
    return [top, left, bottom, right]


@_translates(Conv2d)
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


@_translates(ConvTranspose2d)
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


@_translates(AvgPool2d)
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


@_translates(MaxPool2d, DilatedMaxPool2d)
def _max_pool(builder, call, x):
    hyper = call.hyper
    pads = _ends(hyper["padding"])
    if any(pad >= size for pad, size in zip(pads, hyper["kernel_size"] * 2, strict=True)):  # ONNX Runtime refuses
        least = builder.like(-np.inf, call.dtype)
        x, pads = builder.add("Pad", x, builder.integers(0, 0, *pads[:2], 0, 0, *pads[2:]), least), [0] * 4
    dilations = hyper.get("dilation", (1, 1))
    window = {"kernel_shape": hyper["kernel_size"], "strides": hyper["stride"], "pads": pads, "dilations": dilations}
    return builder.add("MaxPool", x, **window)


@_translates(Resize, AdaptiveAvgPool2d)
def _linear_map(builder, call, x):
    """Translate a map that acts on rows and columns apart: out = R x C^T for each feature map."""
    function, options = ops.resize, dict(call.hyper)
    if "output_size" in options:
        function, options = ops.adaptive_avg_pool2d, {"size": options["output_size"]}
    (height, width), (down, across) = call.shapes[0][2:], options.pop("size")
    rows = function(Tensor(np.eye(height)[:, None, :, None]), (down, 1), **options).data[:, 0, :, 0].T
    columns = function(Tensor(np.eye(width)[:, None, None, :]), (1, across), **options).data[:, 0, 0, :]
    x = builder.add("MatMul", builder.constant(rows.astype(call.dtype)), x)  # (OH, H) @ (N, C, H, W)
    return builder.add("MatMul", x, builder.constant(columns.astype(call.dtype)))  # (N, C, OH, W) @ (W, OW)


@_translates(AdaptiveMaxPool2d)
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


@_translates(BatchNorm)
def _batch_norm(builder, call, x, weight, bias):
    hyper = call.hyper
    if hyper["training"]:
        raise Unsupported("expected batch norm in evaluation, got one that uses the statistics of its batch")
    statistics = [
        builder.constant(hyper[name].astype(call.dtype, copy=False)) for name in ("running_mean", "running_var")
    ]
    affine = [_per_channel(builder, call, weight, 1), _per_channel(builder, call, bias, 0)]
    return builder.add("BatchNormalization", x, *affine, *statistics, epsilon=float(hyper["eps"]))


@_translates(BatchNormReLU)
def _batch_norm_relu(builder, call, x, weight, bias, residual):
    out = _batch_norm(builder, call, x, weight, bias)
    out = out if residual is None else builder.add("Add", out, residual)
    out, pool = builder.add("Relu", out), call.hyper["pool"]
    return out if pool == 1 else builder.add("MaxPool", out, kernel_shape=[pool] * 2, strides=[pool] * 2)


@_translates(LocalResponseNorm)
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


@_translates(Var)
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


@_translates(Transpose)
def _transpose(builder, call, x):
    axes = call.hyper["axes"]
    return builder.add("Transpose", x, perm=axes) if axes else builder.add("Identity", x)


@_translates(Reshape)
def _reshape(builder, call, x):
    return builder.add("Reshape", x, builder.integers(*call.shape))


@_translates(BroadcastTo)
def _broadcast(builder, call, x):
    ahead = len(call.shape) - len(call.shapes[0])
    new = [length for axis, length in enumerate(call.shape) if length == -1 and (axis < ahead)]
    if new:
        raise Unsupported("expected the batch to be there already, got a broadcast that makes it")
    return builder.add("Expand", x, builder.integers(*(1 if length == -1 else length for length in call.shape)))


@_translates(Pad)
def _pad(builder, call, x):
    hyper = call.hyper
    pads = builder.integers(*(pair[end] for end in (0, 1) for pair in hyper["padding"]))
    mode = {"zero": "constant"}.get(hyper["mode"], hyper["mode"])
    value = [builder.like(hyper["value"], call.dtype)] if mode == "constant" else []
    return builder.add("Pad", x, pads, *value, mode=mode)


@_translates(PadContinued)
def _pad_continued(builder, call, x):
    hyper = call.hyper
    if hyper["mode"] == "replicate":
        pads = builder.integers(*(pair[end] for end in (0, 1) for pair in hyper["padding"]))
        return builder.add("Pad", x, pads, mode="edge")
    for axis, (before, after) in enumerate(hyper["padding"]):  # ONNX wraps from opset 19 on
        ends = [(before, (-before, _END), 0), (after, (0, after), 1)]
        parts = [x]
        for width, (first, end), place in ends:
            if width:
                part = builder.add("Slice", x, *(builder.integers(value) for value in (first, end, axis)))
                parts.insert(place * len(parts), part)
        x = builder.add("Concat", *parts, axis=axis) if len(parts) > 1 else x
    return x


@_translates(Index)
def _index(builder, call, x):
    """Slice, then drop the axes that a single index took, then gather, then add new axes."""
    key, ndim = call.hyper["key"], len(call.shapes[0])
    used = sum(item is not None and item is not Ellipsis for item in key)
    places = [i for i, item in enumerate(key) if item is Ellipsis]
    at = places[0] if places else len(key)
    full = (*key[:at], *[slice(None)] * (ndim - used), *key[at + 1 :])
    axes, dropped, new, gathered, axis = [], [], [], [], 0
    for item in full:
        if item is None:
            new.append(axis - len(dropped) + len(new))
            continue
        if isinstance(item, (int, np.integer)):
            axes.append((axis, int(item), int(item) + 1 if item != -1 else _END, 1))
            dropped.append(axis)
        elif isinstance(item, slice):
            axes += [] if item == slice(None) else [(axis, *_bounds(item))]
        else:
            gathered.append((axis - len(dropped), item))
        axis += 1
    if len(gathered) > 1 or (gathered and (new or np.ndim(gathered[0][1]) != 1)):
        raise Unsupported("expected an index of slices, integers and at most one array of one axis")
    if axes:
        x = builder.add("Slice", x, *(builder.integers(*column) for column in _columns(axes)))
    x = builder.add("Squeeze", x, builder.integers(*dropped)) if dropped else x
    for place, item in gathered:
        chosen = np.asarray(item)
        chosen = np.flatnonzero(chosen) if chosen.dtype.kind == "b" else chosen
        x = builder.add("Gather", x, builder.constant(chosen.astype(np.int64)), axis=place)
    return builder.add("Unsqueeze", x, builder.integers(*new)) if new else x


def _bounds(item):
    """Return start, end and step of a slice as ONNX wants them."""
    step = 1 if item.step is None else item.step
    start = item.start if item.start is not None else (0 if step > 0 else _END)
    end = item.stop if item.stop is not None else (_END if step > 0 else -_END)
    return int(start), int(end), int(step)


def _columns(axes):
    """Return starts, ends, axes and steps."""
    where, starts, ends, steps = zip(*axes, strict=True)
    return starts, ends, where, steps
