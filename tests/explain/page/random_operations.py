"""Each operation of the page with random hyper-parameters, shapes and elements."""

import math

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.explain.trace.replay import Replay
from tests.explain.page.engine import Call

TRIES = 200  # until the hyper-parameters that are drawn fit each other


def _shape(rng, least=1, most=4):
    return tuple(int(length) for length in rng.integers(1, 6, rng.integers(least, most + 1)))


def _normal(rng, shape, scale=1.5):
    return np.float32(scale * rng.standard_normal(shape))


def _positive(rng, shape):
    return np.float32(rng.uniform(0.2, 3, shape))


def _ints(rng, low, high, count):
    return tuple(int(value) for value in rng.integers(low, high + 1, count))


def _size(values):
    """Return what a size of one or two axes is written as."""
    return values[0] if len(values) == 1 else values


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def _axes(rng, dims):
    """Return None, one axis or several, counted from either end."""
    chosen = rng.permutation(dims)[: rng.integers(0, dims + 1)]
    axes = tuple(int(axis) - dims * int(rng.integers(2)) for axis in chosen)
    return None if not axes else axes[0] if len(axes) == 1 else axes


# Each function below draws one case: the arrays, of which the first is the image, and a function of them as Tensors.


def _pointwise(rng, name):
    x = _normal(rng, _shape(rng), 2)
    options = {
        "elu": {"alpha": float(rng.uniform(0.1, 2))},
        "leaky_relu": {"negative_slope": float(rng.uniform(-0.5, 0.9))},
        "softplus": {"beta": float(rng.uniform(0.3, 3))},
        "clip": {"low": float(rng.uniform(-2, 0)), "high": float(rng.uniform(0, 2))},
    }.get(name, {})
    if name == "clip":
        options.pop(_pick(rng, ["low", "high", None]), None)
    return [x], lambda x: getattr(ops, name)(x, **options)


def _of_positive(rng, name):
    exponent = _pick(rng, [0.0, 1.0, 2.0, 3.0, -1.0, float(rng.uniform(-2, 3))])
    more = (exponent,) if name == "power" else ()
    return [_positive(rng, _shape(rng))], lambda x: getattr(ops, name)(x, *more)


def _binary(rng, name):
    shape = _shape(rng)
    other = tuple(length * bool(rng.integers(4)) or 1 for length in shape)[rng.integers(0, len(shape)) :]
    first, second = (shape, other) if rng.integers(2) else (other, shape)
    draw = _positive if name == "div" else _normal
    if name == "where":
        chosen = rng.integers(0, 2, shape).astype(bool)
        return [draw(rng, first), draw(rng, second)], lambda a, b: ops.where(chosen, a, b)
    return [draw(rng, first), draw(rng, second)], getattr(ops, name)


def _reduction(rng, name):
    x = _normal(rng, _shape(rng))
    options = {"axis": _axes(rng, x.ndim), "keepdims": bool(rng.integers(2))}
    if name == "var":
        options["correction"] = float(rng.integers(0, 2))
    return [x], lambda x: getattr(ops, name)(x, **options)


def _along(rng, name):
    x = _normal(rng, _shape(rng))
    axis = int(rng.integers(-x.ndim, x.ndim))
    return [x], lambda x: getattr(ops, name)(x, axis)


def _conv(rng, name):
    dims = 1 if name.endswith("1d") else 2
    groups, depth, filters = _ints(rng, 1, 3, 3)
    kernel, dilation, stride = _ints(rng, 1, 4, dims), _ints(rng, 1, 3, dims), _ints(rng, 1, 3, dims)
    options = {"stride": _size(stride), "dilation": _size(dilation), "groups": groups}
    options["padding"] = _ints(rng, 0, 3, 2 * dims)
    lengths = tuple(d * (k - 1) + int(rng.integers(1, 7)) for d, k in zip(dilation, kernel, strict=True))
    outputs, inputs = groups * filters, groups * depth
    weight = (outputs, depth, *kernel)
    if "transpose" in name:
        weight = (inputs, filters, *kernel)
        options["output_padding"] = _size(tuple(int(rng.integers(0, s)) for s in stride))
    elif name != "convolve":
        options["padding_mode"] = _pick(rng, ["zeros", "zeros", "reflect", "replicate", "circular"])
        if rng.integers(4) == 0:
            options |= {"padding": "same", "stride": 1}
    arrays = [_normal(rng, (int(rng.integers(1, 3)), inputs, *lengths)), _normal(rng, weight)]
    if rng.integers(2):
        arrays.append(_normal(rng, (outputs,)))
    return arrays, lambda *tensors: getattr(ops, name)(*tensors, **options)


def _images(rng, dims=2):
    return _normal(rng, (*_ints(rng, 1, 3, 2), *_ints(rng, 1, 9, dims)))


def _pool(rng, name):
    dims = 1 if name.endswith("1d") else 2
    kernel = _ints(rng, 1, 4, dims)
    options = {
        "stride": _pick(rng, [None, _size(_ints(rng, 1, 4, dims))]),
        "padding": tuple(int(rng.integers(0, k)) for k in kernel for _ in range(2)),
        "ceil_mode": bool(rng.integers(2)),
    }
    if "max" in name:
        options["dilation"] = _size(_ints(rng, 1, 2, dims))
    else:
        options["count_include_pad"] = bool(rng.integers(2))
    if name == "avg_pool2d" and rng.integers(3) == 0:
        options["divisor_override"] = float(rng.uniform(0.5, 5))
    return [_images(rng, dims)], lambda x: getattr(ops, name)(x, _size(kernel), **options)


def _adaptive(rng, name):
    dims = 1 if name.endswith("1d") else 2
    size = _size(_ints(rng, 1, 7, dims))
    return [_images(rng, dims)], lambda x: getattr(ops, name)(x, size)


def _global(rng, name):
    return [_images(rng)], getattr(ops, name)


def _norm(rng, name):
    groups, wide = _ints(rng, 1, 3, 2)
    x = _normal(rng, (int(rng.integers(1, 3)), groups * wide, *_ints(rng, 2, 5, int(rng.integers(1, 3)))))
    if name == "group_norm":
        kept, first = x.shape[1:2], groups
    else:
        kept = x.shape[int(rng.integers(1, x.ndim)) :]
        first = kept
    eps = float(rng.uniform(1e-3, 0.2))
    most = 1 if name == "rms_norm" else 2
    arrays = [x, *(_normal(rng, kept) for _ in range(_pick(rng, [0, most])))]
    return arrays, lambda x, *more: getattr(ops, name)(x, first, *more, eps=eps)


def _instance_norm(rng, name):
    x = _normal(rng, (*_ints(rng, 1, 3, 2), *_ints(rng, 2, 5, int(rng.integers(1, 3)))))
    channels, eps = x.shape[1], float(rng.uniform(1e-3, 0.2))
    statistics = _normal(rng, channels), _positive(rng, channels)
    arrays = [x, *(_normal(rng, channels) for _ in range(_pick(rng, [0, 2])))]
    options = {"training": bool(rng.integers(2)), "eps": eps}
    return arrays, lambda x, w=None, b=None: ops.instance_norm(x, w, b, *statistics, **options)


def _batch_norm(rng, name):
    x = _normal(rng, (*_ints(rng, 1, 3, 2), *_ints(rng, 4, 7, 2)))
    channels, eps = x.shape[1], float(rng.uniform(1e-5, 0.2))
    mean, variance = _normal(rng, channels), _positive(rng, channels)
    arrays = [x, _normal(rng, channels), _normal(rng, channels)]
    options = {"training": False, "eps": eps}
    if name == "batch_norm":
        return arrays, lambda x, w, b: ops.batch_norm(x, w, b, mean, variance, **options)
    options["pool"] = int(rng.integers(1, 4))
    if rng.integers(2):
        arrays.append(_normal(rng, x.shape))
    return arrays, lambda x, w, b, *more: ops.batch_norm_relu(
        x, w, b, mean, variance, residual=more[0] if more else None, **options
    )


def _local_response_norm(rng, name):
    options = {"alpha": float(rng.uniform(1e-4, 2)), "beta": float(rng.uniform(0.3, 1)), "k": float(rng.uniform(1, 2))}
    x, size = _normal(rng, (*_ints(rng, 1, 7, 2), *_ints(rng, 1, 4, 2))), int(rng.integers(1, 6))
    return [x], lambda x: ops.local_response_norm(x, size, **options)


def _resize(rng, name):
    options = {"mode": _pick(rng, ["bilinear", "nearest", "bicubic"])}
    if options["mode"] != "nearest":
        options |= {name: bool(rng.integers(2)) for name in ("antialias", "align_corners")}
    if rng.integers(2):
        options["scale_factor"] = float(rng.uniform(1, 2.5))
        return [_images(rng)], lambda x: ops.resize(x, **options)
    size = _ints(rng, 1, 9, 2)
    return [_images(rng)], lambda x: ops.resize(x, size, **options)


def _pad(rng, name):
    x = _normal(rng, _shape(rng))
    ends, options = tuple(_ints(rng, 0, 3, 2) for _ in x.shape), {"mode": "zero", "value": float(rng.normal())}
    if rng.integers(2):
        options = {"mode": _pick(rng, ["reflect", "replicate", "circular"])}
    return [x], lambda x: ops.pad(x, ends, **options)


def _moved(rng, name):
    x = _normal(rng, _shape(rng, 1 if name != "flatten" else 2))
    dims = x.ndim
    argument = {
        "flatten": int(rng.integers(0, dims)),
        "transpose": tuple(int(axis) for axis in rng.permutation(dims)),
        "flip": tuple(int(axis) for axis in rng.permutation(dims)[: rng.integers(1, dims + 1)]),
        "reshape": tuple(int(length) for length in rng.permutation(x.shape)),
        "broadcast_to": (int(rng.integers(1, 4)), *x.shape),
    }[name]
    return [x], lambda x: getattr(ops, name)(x, argument)


def _joined(rng, name):
    shape, count = _shape(rng), int(rng.integers(1, 4))
    axis, shapes = int(rng.integers(0, len(shape))), [list(shape) for _ in range(count)]
    if name == "concat":
        for one in shapes:
            one[axis] = int(rng.integers(1, 5))
    return [_normal(rng, one) for one in shapes], lambda *tensors: getattr(ops, name)(list(tensors), axis=axis)


def _split(rng, name):
    x = _normal(rng, _shape(rng))
    axis, sections = int(rng.integers(0, x.ndim)), []
    while sum(sections) < x.shape[axis]:
        sections.append(int(rng.integers(1, x.shape[axis] - sum(sections) + 1)))
    part = int(rng.integers(len(sections)))
    return [x], lambda x: ops.split(x, sections, axis)[part]


def _selected(rng, name):
    x = _normal(rng, _shape(rng))
    axis = int(rng.integers(0, x.ndim))
    if name == "gather":
        shape = list(x.shape)
        shape[axis] = int(rng.integers(1, 6))
        indices = rng.integers(0, x.shape[axis], shape)
        return [x], lambda x: ops.gather(x, indices, axis)
    key = [
        _pick(rng, [slice(None, None, -1), slice(0, max(1, n - 1)), int(rng.integers(n)), rng.integers(0, n, 3)])
        for n in x.shape[: axis + 1]
    ]
    key = [slice(None) if isinstance(one, np.ndarray) and i < axis else one for i, one in enumerate(key)]
    return [x], lambda x: ops.index(x, tuple(key))


def _product(rng, name):
    rows, depth, columns = _ints(rng, 1, 7, 3)
    if name == "matmul":
        return [_normal(rng, (rows, depth)), _normal(rng, (depth, columns))], ops.matmul
    arrays = [_normal(rng, (rows, depth)), _normal(rng, (columns, depth)), _normal(rng, columns)]
    return arrays[: int(rng.integers(2, 4))], ops.linear


def _prelu(rng, name):
    x = _normal(rng, _shape(rng))
    channels = x.shape[1] if x.ndim > 1 else 1
    return [x, _normal(rng, _pick(rng, [1, channels]))], ops.prelu


ACTIVATIONS = (
    *("elu", "gelu", "hard_sigmoid", "hard_swish", "leaky_relu", "mish", "relu", "relu6", "selu", "sigmoid", "silu"),
    *("softplus", "tanh"),
)
DRAW = {
    **dict.fromkeys([*ACTIVATIONS, "abs", "clip", "exp", "neg"], _pointwise),
    **dict.fromkeys(["log", "sqrt", "power"], _of_positive),
    **dict.fromkeys(["add", "sub", "mul", "div", "maximum", "minimum", "where"], _binary),
    **dict.fromkeys(["sum", "mean", "max", "min", "prod", "var"], _reduction),
    **dict.fromkeys(["softmax", "log_softmax", "cumsum"], _along),
    **dict.fromkeys(["conv1d", "conv2d", "convolve", "conv_transpose1d", "conv_transpose2d"], _conv),
    **dict.fromkeys(["max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"], _pool),
    **{f"adaptive_{kind}_pool{dims}d": _adaptive for kind in ("avg", "max") for dims in (1, 2)},
    **dict.fromkeys(["global_avg_pool", "global_max_pool"], _global),
    **dict.fromkeys(["layer_norm", "group_norm", "rms_norm"], _norm),
    **dict.fromkeys(["batch_norm", "batch_norm_relu"], _batch_norm),
    **dict.fromkeys(["flatten", "transpose", "flip", "reshape", "broadcast_to"], _moved),
    **dict.fromkeys(["concat", "stack"], _joined),
    **dict.fromkeys(["gather", "index"], _selected),
    **dict.fromkeys(["matmul", "linear"], _product),
    "instance_norm": _instance_norm,
    "local_response_norm": _local_response_norm,
    "resize": _resize,
    "pad": _pad,
    "split": _split,
    "prelu": _prelu,
}


def random_case(name, rng):
    """Return (model, x, gradient of the output) of an operation; what it refuses is drawn again."""
    for _ in range(TRIES):
        arrays, function = DRAW[name](rng, name)
        model = Call(function, *arrays[1:])
        try:
            records = Replay(model, arrays[0].shape).records
        except ValueError:  # such as a window that is larger than its map
            continue
        if records and math.prod(records[-1].output.shape):
            return model, arrays[0], _normal(rng, records[-1].output.shape)
    raise AssertionError(f"{name}: no hyper-parameters fit each other in {TRIES} tries")
