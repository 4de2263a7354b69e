"""Convolution, pooling and resizing."""

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.shapes import ShapeError
from tests.ops.table.row import Op, apart, bare, normal, reference, sample, tensor


def two(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def four(padding, kernel=None):
    if isinstance(padding, int):
        return (padding,) * 4
    return tuple(padding) if len(padding) == 4 else (padding[0],) * 2 + (padding[1],) * 2


def conv2d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros", flipped=False):
    if padding_mode == "reflect":
        top, bottom, left, right = four(padding)
        x, padding = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), "reflect"), 0
    weight = weight[:, :, ::-1, ::-1] if flipped else weight
    hyper = {"stride": two(stride), "padding": four(padding), "dilation": two(dilation), "groups": groups}
    return reference.conv2d_forward(x, weight, bias, **hyper)


def conv1d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, **hyper):
    hyper |= {"stride": (1, stride), "padding": (0, padding), "dilation": (1, dilation)}
    return conv2d(x[:, :, None], weight[:, :, None], bias, **hyper)[:, :, 0]


IMAGE, FILTERS = normal(2, 2, 5, 4), normal(4, 2, 3, 3)
CONVS = [
    sample(IMAGE, FILTERS),
    sample(IMAGE, FILTERS, normal(4)),
    sample(IMAGE, FILTERS, normal(4), padding=1),
    sample(IMAGE, FILTERS, stride=2, padding=(2, 1)),
    sample(IMAGE, FILTERS, padding=2, dilation=(2, 1)),
    sample(IMAGE, normal(4, 1, 2, 3), normal(4), groups=2, padding=(0, 1, 2, 0)),
    sample(IMAGE, normal(1, 2, 1, 1)),
    sample(IMAGE, FILTERS, padding=1, padding_mode="reflect"),
]
SIGNAL, TAPS = normal(2, 2, 6), normal(4, 2, 3)
CONVS_1D = [
    sample(SIGNAL, TAPS),
    sample(SIGNAL, TAPS, normal(4)),
    sample(SIGNAL, TAPS, padding=1),
    sample(SIGNAL, TAPS, stride=2, padding=2),
    sample(SIGNAL, TAPS, dilation=2),
    sample(SIGNAL, normal(4, 1, 2), groups=2),
    sample(SIGNAL, normal(1, 2, 1)),
    sample(SIGNAL, TAPS, padding=2, padding_mode="reflect"),
]


def conv_errors(name, x, weight):
    op = getattr(ops, name)
    few = tensor(weight[0], weight[1] + 1, *weight[2:])
    return [
        (lambda: op(np.ones(x), tensor(*weight)), TypeError, f"{name}: x - expected a Tensor, got ndarray"),
        (lambda: op(tensor(*x), None), TypeError, f"{name}: weight - expected a Tensor, got NoneType"),
        (lambda: op(tensor(*x), few), ShapeError, "conv2d: x - expected 3 channels"),
        (lambda: op(tensor(*x), tensor(*weight), stride=0), ValueError, "stride - expected at least 1, got 0"),
        (lambda: op(tensor(*x), tensor(*weight), algorithm="fft"), ValueError, "algorithm - expected one of auto,"),
        (
            lambda: op(tensor(*x), tensor(*weight), tensor(7)),
            ShapeError,
            "conv2d: bias - expected shape (4,), got (7,)",
        ),
        (lambda: op(tensor(*x), tensor(*weight), padding_mode="wrap"), ValueError, "expected 'zeros' or 'reflect'"),
    ]


def pool2d(forward):
    def truth(x, kernel_size, *, stride=None, padding=0, **hyper):
        stride = kernel_size if stride is None else stride
        out = forward(x, kernel_size=two(kernel_size), stride=two(stride), padding=four(padding), **hyper)
        return out[0] if isinstance(out, tuple) else out

    return truth


def pool1d(forward):
    def truth(x, kernel_size, *, stride=None, padding=0, **hyper):
        stride, ends = kernel_size if stride is None else stride, two(padding)
        return pool2d(forward)(x[:, :, None], (1, kernel_size), stride=(1, stride), padding=(0, 0, *ends), **hyper)[
            :, :, 0
        ]

    return truth


def pool(name, truth, kink=None):
    op = getattr(ops, name)
    if name.endswith("2d"):
        shape, axes = (2, 2, 6, 5), "4 axes (N, C, H, W)"
        keywords = [
            (2, {}),
            (3, {}),
            ((2, 3), {}),
            (3, {"stride": 1}),
            (3, {"stride": (2, 1)}),
            (2, {"padding": 1}),
            (3, {"stride": 2, "padding": (2, 0)}),
            (3, {"padding": (1, 0, 2, 1)}),
            (1, {}),
        ]
    else:
        shape, axes = (2, 2, 7), "3 axes (N, C, W)"
        keywords = [
            (2, {}),
            (3, {}),
            (7, {}),
            (3, {"stride": 1}),
            (3, {"stride": 2}),
            (2, {"padding": 1}),
            (3, {"stride": 2, "padding": (2, 0)}),
            (1, {}),
        ]
    samples = [sample(apart(*shape), at=(size,), **hyper) for size, hyper in keywords]
    if "avg" in name:
        samples.append(sample(apart(*shape), at=(3,), padding=1, count_include_pad=False))
    return Op(
        truth,
        samples,
        [
            *bare(name, 2),
            (lambda: op(tensor(2, 2), 2), ShapeError, f"{name}: x - expected {axes}, got shape (2, 2)"),
            (lambda: op(tensor(*shape), 0), ValueError, "expected at least 1, got 0"),
            (lambda: op(tensor(*shape), 9), ShapeError, "expected at least 9 padded pixels"),
            (lambda: op(tensor(*shape), 2, padding=2), ShapeError, "padding - expected less than the window's"),
        ],
        kink,
    )


def adaptive(name, average, kink=None):
    op, two_d = getattr(ops, name), name.endswith("2d")
    shape = (2, 2, 6, 5) if two_d else (2, 2, 7)

    def truth(x, output_size):
        reduce = np.mean if average else np.max
        x, sizes = (x, two(output_size)) if two_d else (x[:, :, None], (1, output_size))
        rows, columns = (
            [slice(i * length // bins, -(-(i + 1) * length // bins)) for i in range(bins)]
            for length, bins in zip(x.shape[2:], sizes, strict=True)
        )
        out = np.stack([np.stack([reduce(x[:, :, r, c], (2, 3)) for c in columns], -1) for r in rows], -2)
        return out if two_d else out[:, :, 0]

    sizes = [1, 2, 3, 5, (1, 4), (4, 1), (3, 2), 7] if two_d else [1, 2, 3, 4, 5, 6, 7, 9]
    axes = "4 axes (N, C, H, W)" if two_d else "3 axes (N, C, W)"
    return Op(
        truth,
        [sample(apart(*shape), at=(size,)) for size in sizes],
        [
            *bare(name, 2),
            (lambda: op(tensor(2, 2), 2), ShapeError, f"{name}: x - expected {axes}, got shape (2, 2)"),
            (lambda: op(tensor(*shape), 0), ValueError, "expected at least 1, got 0"),
            (lambda: op(tensor(*shape), "2"), TypeError, "expected an int or two ints, got '2'"),
        ],
        kink,
    )


MAPS = [(1, 1, 1, 1), (2, 3, 4, 5), (1, 2, 3, 1), (3, 1, 2, 2), (1, 1, 5, 5), (2, 2, 1, 4), (1, 4, 2, 3), (2, 1, 3, 3)]


def whole(name, truth, kink=None):
    op = getattr(ops, name)
    axes = (lambda: op(tensor(2, 3)), ShapeError, f"{name}: x - expected 4 axes (N, C, H, W), got shape (2, 3)")
    return Op(truth, [sample(apart(*shape)) for shape in MAPS], [*bare(name), axes], kink)


def resize(x, size, *, mode="bilinear", antialias=False):
    for axis, out in zip((2, 3), two(size), strict=True):
        length = x.shape[axis]
        if mode == "nearest":
            x = np.take(x, np.arange(out) * length // out, axis)
            continue
        centres = (np.arange(out) + 0.5) * length / out - 0.5
        width = max(1, length / out) if antialias else 1
        inside = centres if antialias else centres.clip(0, length - 1)
        weights = np.maximum(0, 1 - np.abs(inside[:, None] - np.arange(length)) / width)  # a triangle
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ (weights / weights.sum(1, keepdims=True)).T, -1, axis)
    return x


ROWS = {
    "conv2d": Op(conv2d, CONVS, conv_errors("conv2d", IMAGE.shape, FILTERS.shape)),
    "convolve": Op(
        lambda *arrays, **hyper: conv2d(*arrays, **hyper, flipped=True),
        CONVS,
        conv_errors("convolve", IMAGE.shape, FILTERS.shape),
    ),
    "conv1d": Op(conv1d, CONVS_1D, conv_errors("conv1d", SIGNAL.shape, TAPS.shape)),
    "max_pool2d": pool("max_pool2d", pool2d(reference.max_pool2d_forward), sample(np.ones((1, 1, 2, 2)), at=(2,))),
    "avg_pool2d": pool("avg_pool2d", pool2d(reference.avg_pool2d_forward)),
    "max_pool1d": pool("max_pool1d", pool1d(reference.max_pool2d_forward), sample(np.ones((1, 1, 2)), at=(2,))),
    "avg_pool1d": pool("avg_pool1d", pool1d(reference.avg_pool2d_forward)),
    "adaptive_avg_pool2d": adaptive("adaptive_avg_pool2d", True),
    "adaptive_max_pool2d": adaptive("adaptive_max_pool2d", False, sample(np.ones((1, 1, 2, 2)), at=(1,))),
    "adaptive_avg_pool1d": adaptive("adaptive_avg_pool1d", True),
    "adaptive_max_pool1d": adaptive("adaptive_max_pool1d", False, sample(np.ones((1, 1, 2)), at=(1,))),
    "global_avg_pool": whole("global_avg_pool", lambda x: x.mean((2, 3))),
    "global_max_pool": whole("global_max_pool", lambda x: x.max((2, 3)), sample(np.ones((1, 1, 2, 2)))),
    "resize": Op(
        resize,
        [
            *(
                sample(normal(1, 2, 4, 5), at=(size,), mode=mode)
                for size in (3, (8, 5), (1, 7))
                for mode in ("bilinear", "nearest")
            ),
            *(sample(normal(1, 2, 6, 5), at=(size,), antialias=True) for size in (2, (3, 7))),
        ],
        [
            *bare("resize", 2),
            (
                lambda: ops.resize(tensor(1, 1, 2, 2), 2, mode="cubic"),
                ValueError,
                "expected 'bilinear' or 'nearest', got 'cubic'",
            ),
            (
                lambda: ops.resize(tensor(2, 2), 2),
                ShapeError,
                "resize: x - expected 4 axes (N, C, H, W), got shape (2, 2)",
            ),
        ],
    ),
}
