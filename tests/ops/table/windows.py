"""Convolution, pooling and resizing."""

import math
from fractions import Fraction

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
    if padding_mode != "zeros":
        top, bottom, left, right = four(padding)
        mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[padding_mode]
        x, padding = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode), 0
    padding = 0 if padding == "valid" else padding
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
    sample(IMAGE, FILTERS, padding=2, padding_mode="replicate"),
    sample(IMAGE, FILTERS, padding=2, padding_mode="circular", stride=2),
    sample(IMAGE, FILTERS, padding="valid"),
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
        (lambda: op(tensor(*x), tensor(*weight), padding_mode="wrap"), ValueError, "expected one of 'zeros', "),
    ]


def conv_transpose2d(
    x, weight, bias=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1, algorithm="auto",
    output_size=None
):  # fmt: skip
    (top, bottom, left, right), stride, dilation, extra = four(padding), two(stride), two(dilation), two(output_padding)
    count, inside = weight.shape[1], x.shape[1] // groups
    each = zip(x.shape[2:], stride, dilation, weight.shape[2:], extra, strict=True)
    sides = [(n - 1) * s + d * (k - 1) + 1 + e for n, s, d, k, e in each]
    out = np.zeros((len(x), count * groups, *sides))
    for c, i, j, u, v in np.ndindex(*x.shape[1:], *weight.shape[2:]):
        group = slice(c // inside * count, c // inside * count + count)
        pixel = i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]
        out[:, group, *pixel] += x[:, c, i, j, None] * weight[c, :, u, v]
    if output_size is not None:
        lengths = (side + gone for side, gone in zip(two(output_size), (top + bottom, left + right), strict=True))
        grown = np.zeros((*out.shape[:2], *lengths))
        grown[:, :, : out.shape[2], : out.shape[3]] = out
        out = grown
    out = out[:, :, top : out.shape[2] - bottom, left : out.shape[3] - right]
    return out if bias is None else out + bias[:, None, None]


def conv_transpose1d(
    x, weight, bias=None, *, stride=1, padding=0, output_padding=0, dilation=1, output_size=None, **hyper
):
    if output_size is not None:
        hyper["output_size"] = (1, output_size)
    hyper |= {"stride": (1, stride), "padding": (0, 0, *two(padding)), "output_padding": (0, output_padding)}
    return conv_transpose2d(x[:, :, None], weight[:, :, None], bias, dilation=(1, dilation), **hyper)[:, :, 0]


def transposed_errors(name, x, weight):
    op = getattr(ops, name)
    return [
        (lambda: op(np.ones(x), tensor(*weight)), TypeError, f"{name}: x - expected a Tensor, got ndarray"),
        (lambda: op(tensor(*x), None), TypeError, f"{name}: weight - expected a Tensor, got NoneType"),
        (lambda: op(tensor(2, 3), tensor(*weight)), ShapeError, f"{name}: x - expected {len(x)} axes (N, C_in, "),
        (lambda: op(tensor(*x), tensor(9, *weight[1:])), ShapeError, "conv_transpose2d: x - expected 9 channels for"),
        (lambda: op(tensor(*x), tensor(*weight), groups=3), ShapeError, "weight - expected C_in divisible by groups 3"),
        (lambda: op(tensor(*x), tensor(*weight), tensor(7)), ShapeError, "conv_transpose2d: bias - expected shape"),
        (lambda: op(tensor(*x), tensor(*weight[:-1], 0)), ShapeError, "conv_transpose2d: weight - expected windows of"),
        (lambda: op(tensor(*x), tensor(*weight), stride=0), ValueError, "stride - expected at least 1, got 0"),
        (lambda: op(tensor(*x), tensor(*weight), padding=9), ShapeError, "expected at least 1 pixel of output for an"),
        (lambda: op(tensor(*x), tensor(*weight), output_padding=2), ValueError, "output_padding - expected less than"),
        (lambda: op(tensor(*x), tensor(*weight), algorithm="fft"), ValueError, "algorithm - expected one of auto,"),
        (lambda: op(tensor(*x), tensor(*weight), output_size=99), ValueError, "conv_transpose2d: output_size - expec"),
        (lambda: op(tensor(*x), tensor(*weight), output_size="7"), TypeError, "output_size - expected an int or two"),
        (
            lambda: op(tensor(*x), tensor(*weight), stride=2, output_padding=1, output_size=9),
            ValueError,
            "conv_transpose2d: output_padding - expected 0 with an output_size, got",
        ),
        (lambda: op(tensor(2), tensor(*weight), output_size=7), ShapeError, f"{name}: x - expected {len(x)} axes"),
    ]


SMALL, SPREAD = normal(2, 4, 3, 2), normal(4, 3, 3, 3)
TRANSPOSED = [
    sample(SMALL, SPREAD),
    sample(SMALL, SPREAD, normal(3)),
    sample(SMALL, SPREAD, normal(3), stride=2, padding=1, output_padding=1),
    sample(SMALL, SPREAD, stride=(2, 3), padding=(0, 1), output_padding=(1, 2)),
    sample(SMALL, SPREAD, padding=(0, 1, 2, 0), dilation=(2, 1)),
    sample(SMALL, normal(4, 2, 2, 3), normal(4), groups=2, stride=3),
    sample(SMALL, normal(4, 1, 1, 1), groups=4, stride=2, output_padding=1),
    sample(SMALL, normal(4, 2, 4, 4), stride=2, padding=1, algorithm="im2col"),
    sample(normal(0, 4, 3, 2), SPREAD, normal(3), stride=2),
    sample(SMALL, SPREAD, normal(3), stride=2, padding=1, output_size=(6, 4)),
    sample(SMALL, SPREAD, stride=(2, 3), padding=(0, 1, 2, 0), output_size=(7, 4)),
]
TRANSPOSED_1D = [
    sample(normal(2, 4, 5), normal(4, 3, 3)),
    sample(normal(2, 4, 5), normal(4, 3, 3), normal(3)),
    sample(normal(2, 4, 5), normal(4, 3, 3), stride=2, padding=1, output_padding=1),
    sample(normal(2, 4, 5), normal(4, 3, 2), stride=3, output_padding=2),
    sample(normal(2, 4, 5), normal(4, 3, 2), stride=3, output_size=15),
    sample(normal(2, 4, 5), normal(4, 3, 3), dilation=2, padding=(2, 1)),
    sample(normal(2, 4, 5), normal(4, 1, 3), groups=2),
    sample(normal(2, 4, 1), normal(4, 1, 3), groups=4),
    sample(normal(1, 4, 5), normal(4, 3, 1), stride=2),
]


def windows(length, kernel, stride, before, after, dilation, ceil_mode):
    """Yield (indices inside the image, elements counted with the padding) of each window of an axis."""
    extent, start = dilation * (kernel - 1) + 1, -before
    end = min(length + after + stride - 1, length + extent - 1) if ceil_mode else length + after
    while start + extent <= end:
        inside = [i for i in range(start, start + extent, dilation) if 0 <= i < length]
        yield inside, min(start + extent, length + after) - start
        start += stride


def pool2d(reduce):
    """Return pooling in loops; ``reduce(values, pixels of a window with its padding, its size)`` gives an element."""

    def truth(x, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False, **hyper):
        stride = kernel_size if stride is None else stride
        ends, sizes = four(padding), (two(kernel_size), two(stride), two(dilation))
        rows, columns = (
            list(windows(x.shape[2 + i], kernel, step, ends[2 * i], ends[2 * i + 1], gap, ceil_mode))
            for i, (kernel, step, gap) in enumerate(zip(*sizes, strict=True))
        )
        values = [
            [reduce(x[:, :, r][..., c], m * n, **hyper) for c, n in columns] for r, m in rows
        ]  # (OH, OW) of (N, C)
        return np.moveaxis(np.array(values), (0, 1), (2, 3))

    return truth


def pool1d(reduce):
    def truth(x, kernel_size, *, stride=None, padding=0, dilation=1, **hyper):
        stride = kernel_size if stride is None else stride
        hyper |= {"stride": (1, stride), "padding": (0, 0, *two(padding)), "dilation": (1, dilation)}
        return pool2d(reduce)(x[:, :, None], (1, kernel_size), **hyper)[:, :, 0]

    return truth


def largest(window, counted):
    return window.max((2, 3))


def average(window, counted, count_include_pad=True, divisor_override=None):
    return window.sum((2, 3)) / (divisor_override or (counted if count_include_pad else window[0, 0].size))


DIVISORS = [
    (
        lambda: ops.avg_pool2d(tensor(1, 1, 2, 2), 2, divisor_override=0),
        ValueError,
        "avg_pool2d: divisor_override - expected a number other than 0, got 0",
    ),
    (
        lambda: ops.avg_pool2d(tensor(1, 1, 2, 2), 2, divisor_override="2"),
        TypeError,
        "avg_pool2d: divisor_override - expected a number, got '2'",
    ),
]
GAPS = [
    (
        lambda: ops.max_pool2d(tensor(1, 1, 1, 2), 2, padding=1, dilation=2),
        ShapeError,
        "max_pool2d: padding - expected at least one pixel of the image in every window, got (1, 1, 1, 1)",
    ),
    (lambda: ops.max_pool2d(tensor(1, 1, 4, 4), 2, dilation=0), ValueError, "max_pool2d: dilation - expected at"),
    (lambda: ops.max_pool2d(tensor(2, 2), 2, dilation=2), ShapeError, "max_pool2d: x - expected 4 axes (N,"),
]


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
    rounded = [{"ceil_mode": True, "stride": stride, "padding": padding} for stride in (2, 3) for padding in (0, 1)]
    samples += [sample(apart(*shape), at=(size,), **hyper) for size in (2, 3) for hyper in rounded]
    if "avg" in name:
        samples += [
            sample(apart(*shape), at=(3,), padding=1, count_include_pad=False, **hyper)
            for hyper in ({}, {"ceil_mode": True, "stride": 2})
        ]
    else:
        gaps = [{"dilation": 2, **hyper} for hyper in ({}, *rounded)]
        samples += [sample(apart(*shape), at=(size,), **hyper) for size in (2, 3) for hyper in gaps]
    if name == "avg_pool2d":
        samples.append(sample(apart(*shape), at=(2,), padding=1, divisor_override=3))
    return Op(
        truth,
        samples,
        [
            *bare(name, 2),
            (lambda: op(tensor(2, 2), 2), ShapeError, f"{name}: x - expected {axes}, got shape (2, 2)"),
            (lambda: op(tensor(*shape), 0), ValueError, "expected at least 1, got 0"),
            (lambda: op(tensor(*shape), 9), ShapeError, "expected at least 9 padded pixels"),
            (lambda: op(tensor(*shape), 2, padding=2), ShapeError, "padding - expected less than the window's"),
            (lambda: op(tensor(2, 2), 2, ceil_mode=True), ShapeError, f"{name}: x - expected {axes}, got shape (2, 2)"),
            *(DIVISORS if name == "avg_pool2d" else GAPS if "max" in name else ()),
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


def cubic(distance, a):
    if distance <= 1:
        return (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    return a * (distance**3 - 5 * distance**2 + 8 * distance - 4) if distance < 2 else 0.0


def line_of(length, out, step, mode, antialias, align_corners):
    """Return the matrix (out, length) of a resize along one axis; ``step`` is the distance of output pixels."""
    matrix, stretch = np.zeros((out, length)), max(1, step) if antialias else 1
    for i in range(out):
        centre = i * step if align_corners and not antialias else (i + 0.5) * step - 0.5
        for j in range(-3 * length - 3, 4 * length + 3):
            distance = abs(j - centre) / stretch
            if mode == "nearest":
                weight = float(j == math.floor(i * step))
            elif mode == "bicubic":
                weight = cubic(distance, -0.5 if antialias else -0.75)
            else:
                weight = max(0, 1 - distance)
            if 0 <= j < length or not antialias:
                matrix[i, min(max(j, 0), length - 1)] += weight  # the border is repeated
    return matrix / matrix.sum(1, keepdims=True)


def resize(x, size=None, *, mode="bilinear", antialias=False, align_corners=False, scale_factor=None):
    axes = range(2, x.ndim)
    for n, axis in enumerate(axes):
        given, length = scale_factor if size is None else size, x.shape[axis]
        given = given[n] if isinstance(given, tuple) else given
        out = math.floor(length * given) if size is None else given
        step = 1 / given if size is None else Fraction(length, out)  # exact: the nearest pixel is a whole number
        if align_corners:
            step = (length - 1) / (out - 1) if out > 1 else 0
        matrix = line_of(length, out, step, mode, antialias, align_corners)
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
    return x


ROWS = {
    "conv2d": Op(conv2d, CONVS, conv_errors("conv2d", IMAGE.shape, FILTERS.shape)),
    "convolve": Op(
        lambda *arrays, **hyper: conv2d(*arrays, **hyper, flipped=True),
        CONVS,
        conv_errors("convolve", IMAGE.shape, FILTERS.shape),
    ),
    "conv_transpose2d": Op(
        conv_transpose2d, TRANSPOSED, transposed_errors("conv_transpose2d", SMALL.shape, SPREAD.shape)
    ),
    "conv_transpose1d": Op(
        conv_transpose1d, TRANSPOSED_1D, transposed_errors("conv_transpose1d", (2, 4, 5), (4, 3, 3))
    ),
    "conv1d": Op(conv1d, CONVS_1D, conv_errors("conv1d", SIGNAL.shape, TAPS.shape)),
    "max_pool2d": pool("max_pool2d", pool2d(largest), sample(np.ones((1, 1, 2, 2)), at=(2,))),
    "avg_pool2d": pool("avg_pool2d", pool2d(average)),
    "max_pool1d": pool("max_pool1d", pool1d(largest), sample(np.ones((1, 1, 2)), at=(2,))),
    "avg_pool1d": pool("avg_pool1d", pool1d(average)),
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
            *(sample(normal(1, 2, 4, 5), at=(size,), mode="bicubic") for size in (3, (8, 5), (1, 7))),
            sample(normal(1, 2, 6, 5), at=(3,), mode="bicubic", antialias=True),
            *(
                sample(normal(1, 2, 6, 5), at=((2, 3),), mode=mode, antialias=True, align_corners=True)
                for mode in ("bilinear", "bicubic")
            ),
            *(
                sample(normal(1, 2, 4, 5), at=(size,), mode=mode, align_corners=True)
                for size, mode in (((1, 7), "bilinear"), ((5, 2), "bicubic"))
            ),
            *(sample(normal(1, 2, 4, 5), mode=mode, scale_factor=2) for mode in ("bilinear", "nearest", "bicubic")),
            sample(normal(1, 2, 4, 5), scale_factor=(0.7, 1.5)),
            *(sample(normal(2, 2, 5), at=(8,), mode=mode) for mode in ("linear", "nearest")),
            sample(normal(2, 2, 5), mode="linear", scale_factor=0.5),
        ],
        [
            *bare("resize", 2),
            (
                lambda: ops.resize(tensor(1, 1, 2, 2), 2, mode="cubic"),
                ValueError,
                "resize: mode - expected one of 'bilinear', 'nearest', 'bicubic', 'linear', got 'cubic'",
            ),
            (
                lambda: ops.resize(tensor(2, 2), 2),
                ShapeError,
                "resize: x - expected 4 axes (N, C, H, W) for mode 'bilinear', got shape (2, 2)",
            ),
            (
                lambda: ops.resize(tensor(1, 1, 2, 2)),
                TypeError,
                "resize: size - expected a size or a scale_factor, got neither",
            ),
        ],
    ),
}
