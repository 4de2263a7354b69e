"""Our operations as the operators of the ONNX standard.

Each function takes Tensors and the attributes of a node, and returns the outputs that we compute; an attribute that we
do not have raises NoCounterpartError.
"""

import functools
import math

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.shapes import same_padding
from tests.oracles.outcome import NoCounterpartError


def numbers(tensor):
    """Return an input that holds sizes or axes as a list of int."""
    return np.asarray(tensor.data).ravel().tolist()


def absent(**attributes):
    """Raise for an attribute that we have no counterpart for, unless it has the value that changes nothing."""
    neutral = {"dilations": 1}
    for name, value in attributes.items():
        if value and not all(v == neutral.get(name) for v in np.ravel(value).tolist()):
            raise NoCounterpartError(f"no argument {name}")


def padding(x, kernel, strides, dilations, pads, auto_pad):
    """Return ours, (before, after) axis by axis, of ONNX's, all before and then all after."""
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        sides = zip(x.shape[2:], kernel, strides, dilations, strict=True)
        ends = [same_padding(*side)[:: 1 if auto_pad == "SAME_UPPER" else -1] for side in sides]
    else:
        half = len(pads) // 2
        ends = zip(pads[:half], pads[half:], strict=True)
    return tuple(p for end in ends for p in end)


def conv(
    x, weight, bias=None, *, kernel_shape=None, strides=None, pads=None, dilations=None, group=1, auto_pad="NOTSET"
):
    taps = weight.shape[2:]
    strides, dilations = strides or [1] * len(taps), dilations or [1] * len(taps)
    sides = padding(x, taps, strides, dilations, pads or [0] * (2 * len(taps)), auto_pad)
    return ops.conv2d(x, weight, bias, stride=tuple(strides), padding=sides, dilation=tuple(dilations), groups=group)


def conv_transpose(
    x, weight, bias=None, *, kernel_shape=None, strides=None, pads=None, dilations=None, group=1, auto_pad="NOTSET",
    output_padding=None, output_shape=None
):
    absent(output_shape=output_shape, auto_pad=None if auto_pad == "NOTSET" else auto_pad)
    axes = x.ndim - 2
    strides, dilations, extra = strides or [1] * axes, dilations or [1] * axes, output_padding or [0] * axes
    sides = padding(x, weight.shape[2:], strides, dilations, pads or [0] * (2 * axes), auto_pad)
    hyper = {"stride": tuple(strides), "output_padding": tuple(extra), "dilation": tuple(dilations)}
    if axes == 1:
        hyper = {name: value[0] for name, value in hyper.items()}
    op = ops.conv_transpose1d if axes == 1 else ops.conv_transpose2d
    return op(x, weight, bias, padding=sides, groups=group, **hyper)


def pool(one_axis, two_axes, **fixed):
    def call(x, *, kernel_shape, strides=None, pads=None, dilations=None, auto_pad="NOTSET", **hyper):
        absent(storage_order=hyper.pop("storage_order", 0))
        ones = [1] * len(kernel_shape)
        strides, dilations = strides or ones, dilations or ones
        if two_axes is ops.avg_pool2d:
            absent(dilations=dilations)
        else:
            hyper["dilation"] = dilations[0] if len(dilations) == 1 else tuple(dilations)
        hyper |= {"ceil_mode": bool(hyper.get("ceil_mode", 0)), **fixed}
        hyper["padding"] = padding(x, kernel_shape, strides, dilations, pads or [0] * (2 * len(ones)), auto_pad)
        if len(kernel_shape) == 1:
            return one_axis(x, kernel_shape[0], stride=strides[0], **hyper)
        return two_axes(x, tuple(kernel_shape), stride=tuple(strides), **hyper)

    return call


def average_pool(x, *, count_include_pad=0, **hyper):
    return pool(ops.avg_pool1d, ops.avg_pool2d, count_include_pad=bool(count_include_pad))(x, **hyper)


def global_pool(op):
    return lambda x: ops.reshape(op(x), (*x.shape[:2], 1, 1))


def batch_norm(x, weight, bias, mean, var, *, epsilon=1e-5, momentum=0.9, training_mode=0):
    """ONNX's momentum is the weight of the old statistics, ours that of the new ones."""
    running = mean.data.copy(), var.data.copy()
    hyper = {"training": bool(training_mode), "momentum": 1 - momentum, "eps": epsilon}
    out = ops.batch_norm(x, weight, bias, *running, **hyper)
    return [out, *running] if training_mode else out


def lrn(x, *, size, alpha=1e-4, beta=0.75, bias=1.0):
    return ops.local_response_norm(x, size, alpha=alpha, beta=beta, k=bias)


def instance_norm(x, weight, bias, *, epsilon=1e-5):
    return ops.group_norm(x, x.shape[1], weight, bias, eps=epsilon)


def group_norm(x, weight, bias, *, num_groups, epsilon=1e-5, stash_type=1):
    return ops.group_norm(x, num_groups, weight, bias, eps=epsilon)


def rms_norm(x, weight, *, axis=-1, epsilon=1e-5, stash_type=1):
    return ops.rms_norm(x, x.shape[axis % x.ndim :], weight, eps=epsilon)


def gelu(x, *, approximate="none"):
    if approximate != "none":
        raise NoCounterpartError("no argument approximate")
    return ops.gelu(x)


def softmax(op):
    return lambda x, *, axis=-1: op(x, axis=axis)


def gemm(a, b, c=None, *, alpha=1.0, beta=1.0, transA=0, transB=0):
    product = alpha * ops.matmul(a.T if transA else a, b.T if transB else b)
    return product if c is None else product + beta * c


def reduction(op):
    def call(x, axes=None, *, keepdims=1, noop_with_empty_axes=0, **attributes):
        axes = attributes.get("axes") or (None if axes is None else numbers(axes))
        if not axes and noop_with_empty_axes:
            return x
        return op(x, axis=tuple(axes) if axes else None, keepdims=bool(keepdims))

    return call


def argmax(x, *, axis=0, keepdims=1, select_last_index=0):
    absent(select_last_index=select_last_index)
    return x.argmax(axis, bool(keepdims))


def concat(*parts, axis):
    return ops.concat(parts, axis=axis)


def split(x, lengths=None, *, axis=0, num_outputs=None, **attributes):
    lengths = attributes.get("split") or (None if lengths is None else numbers(lengths))
    if lengths is None:
        each = math.ceil(x.shape[axis] / num_outputs)
        lengths = [min(each, x.shape[axis] - each * i) for i in range(num_outputs)]
    return ops.split(x, lengths, axis=axis)


def reshape(x, shape, *, allowzero=0):
    lengths = numbers(shape)
    return ops.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(lengths)))


def flatten(x, *, axis=1):
    axis = axis + x.ndim if axis < 0 else axis
    return ops.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def transpose(x, *, perm=None):
    return ops.transpose(x, perm)


def expand(x, shape):
    return ops.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(numbers(shape))))


def slice_(x, starts, ends, axes=None, steps=None):
    key = [slice(None)] * x.ndim
    starts, ends = numbers(starts), numbers(ends)
    axes = range(len(starts)) if axes is None else numbers(axes)
    steps = [1] * len(starts) if steps is None else numbers(steps)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        key[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return ops.index(x, tuple(key))


def gather(x, indices, *, axis=0):
    return ops.index(x, (slice(None),) * (axis % x.ndim) + (indices,))


def pad(x, pads, value=None, axes=None, *, mode="constant"):
    ends = np.reshape(numbers(pads), (2, -1)).T.tolist()
    pairs = [(0, 0)] * x.ndim
    for axis, end in zip(range(x.ndim) if axes is None else numbers(axes), ends, strict=True):
        pairs[axis] = tuple(end)
    constant = 0.0 if value is None else value.data.item()
    modes = {"constant": "zero", "edge": "replicate", "wrap": "circular"}
    return ops.pad(x, pairs, mode=modes.get(mode, mode), value=constant)


def dropout(x, ratio=0.5, training_mode=None, *, seed=None):
    """The ratio was an attribute in old versions, and is an input now."""
    p = ratio if isinstance(ratio, float) else ratio.data.item()
    return ops.dropout(x, p, training=training_mode is not None and bool(training_mode.data))


RULES = {  # (mode, transformation of coordinates): ours, and which pixel is the nearest
    ("linear", "half_pixel"): ({"mode": "bilinear"}, None),
    ("linear", "align_corners"): ({"mode": "bilinear", "align_corners": True}, None),
    ("cubic", "half_pixel"): ({"mode": "bicubic"}, None),
    ("cubic", "align_corners"): ({"mode": "bicubic", "align_corners": True}, None),
    ("nearest", "asymmetric"): ({"mode": "nearest"}, "floor"),
}


def resize(
    x,
    roi=None,
    scales=None,
    sizes=None,
    *,
    mode="nearest",
    coordinate_transformation_mode="half_pixel",
    nearest_mode="round_prefer_floor",
    antialias=0,
    cubic_coeff_a=-0.75,
    **unknown,
):
    absent(**unknown)
    rule, nearest = RULES.get((mode, coordinate_transformation_mode), ({}, None))
    if not rule or nearest not in (None, nearest_mode) or cubic_coeff_a != -0.75:
        raise NoCounterpartError(f"no mode {mode}, {coordinate_transformation_mode}, {nearest_mode}, {cubic_coeff_a}")
    if sizes is None:
        return ops.resize(x, scale_factor=tuple(scales.data.ravel().tolist()[2:]), **rule, antialias=bool(antialias))
    return ops.resize(x, tuple(numbers(sizes)[2:]), **rule, antialias=bool(antialias))


def upsample(x, scales, *, mode="nearest"):
    return resize(x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def loss(op):
    def call(x, labels, weights=None, *, reduction="mean", ignore_index=None):
        return op(x, labels, weight=weights, ignore_index=ignore_index, reduction=reduction)

    return call


def clip(x, low=None, high=None, *, min=None, max=None):
    """The limits were attributes in old versions, and are inputs now."""
    low, high = (given if limit is None else limit.data.item() for limit, given in ((low, min), (high, max)))
    return x if low is None and high is None else ops.clip(x, low, high)


def fold(op):
    """The standard takes any number of inputs."""
    return lambda *inputs: functools.reduce(op, inputs)


OPERATORS = {
    "Abs": ops.abs,
    "Add": ops.add,
    "ArgMax": argmax,
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Div": ops.div,
    "Dropout": dropout,
    "Elu": lambda x, *, alpha=1.0: ops.elu(x, alpha),
    "Exp": ops.exp,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gelu": gelu,
    "Gemm": gemm,
    "GlobalAveragePool": global_pool(ops.global_avg_pool),
    "GlobalMaxPool": global_pool(ops.global_max_pool),
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "HardSwish": ops.hard_swish,
    "LRN": lrn,
    "LeakyRelu": lambda x, *, alpha=0.01: ops.leaky_relu(x, alpha),
    "Log": ops.log,
    "LogSoftmax": softmax(ops.log_softmax),
    "MatMul": ops.matmul,
    "Max": fold(ops.maximum),
    "MaxPool": pool(ops.max_pool1d, ops.max_pool2d),
    "Min": fold(ops.minimum),
    "Mish": ops.mish,
    "Mul": ops.mul,
    "Neg": ops.neg,
    "NegativeLogLikelihoodLoss": loss(ops.nll_loss),
    "Pad": pad,
    "Pow": ops.power,
    "RMSNormalization": rms_norm,
    "Reciprocal": lambda x: ops.div(1, x),
    "ReduceMax": reduction(ops.max),
    "ReduceMean": reduction(ops.mean),
    "ReduceMin": reduction(ops.min),
    "ReduceSum": reduction(ops.sum),
    "Relu": ops.relu,
    "Reshape": reshape,
    "Resize": resize,
    "Sigmoid": ops.sigmoid,
    "Slice": slice_,
    "Softmax": softmax(ops.softmax),
    "SoftmaxCrossEntropyLoss": loss(ops.cross_entropy),
    "Softplus": ops.softplus,
    "Split": split,
    "Sqrt": ops.sqrt,
    "Sub": ops.sub,
    "Tanh": ops.tanh,
    "Transpose": transpose,
    "Upsample": upsample,
    "Where": lambda condition, a, b: ops.where(condition, a, b),
}
