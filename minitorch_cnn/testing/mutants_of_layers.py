"""Wrong backwards of convolution, pooling and normalisation, with what each is tried on."""

import numpy as np

import minitorch_kernels as kernels
from minitorch_cnn import ops
from minitorch_cnn.shapes import nchw, nhwc
from minitorch_cnn.testing.mutant import (
    BATCH,
    BESIDE,
    KERNEL,
    MASK,
    MEAN,
    SIGN,
    TURNED,
    TWICE,
    apart,
    beside,
    changed,
    family,
    first,
    flip,
    instead,
    keywords,
    misread,
    no_border,
    normal,
    only,
    seeing,
    times,
)

_MAP = normal(3, 1, 4, 4)
_POOL = apart(2, 1, 5, 5)
_CONV = (lambda x, w, b: ops.conv2d(x, w, b, padding=1, algorithm="im2col"), _MAP, normal(2, 1, 3, 3), normal(2))
_MAX = (lambda x: ops.max_pool2d(x, 3, stride=2, padding=1), _POOL)
_AVG = (lambda x: ops.avg_pool2d(x, 2, padding=1), _POOL)
_BORDER = (lambda x: ops.avg_pool2d(x, 2, padding=1, count_include_pad=False), _POOL)
_STATISTICS = {"running_mean": np.array([0.5, -1.0]), "running_var": np.array([2.0, 0.7])}


def _batch_norm(op, training):
    copies = {name: array.copy() for name, array in _STATISTICS.items()}
    return lambda x, w, b: op(x, w, b, **copies, training=training, momentum=0.0)


_BN_ARRAYS = normal(3, 2, 2, 2), normal(2) + 2, normal(2)
_BN, _BN_EVAL = ((_batch_norm(ops.batch_norm, training), *_BN_ARRAYS) for training in (True, False))
_FUSED = (_batch_norm(ops.batch_norm_relu, True), *_BN_ARRAYS)
_LRN = (lambda x: ops.local_response_norm(x, 3, alpha=0.9, beta=0.75, k=2.0), normal(1, 5, 2, 2))


def _everywhere(right, ctx, g):
    hyper = {**ctx.hyper, "count_include_pad": True}
    return nchw(9 * kernels.layers.pool.avg_pool2d_backward(nhwc(g), input_size=ctx.input_size, **hyper))


def _without(term):
    """Batch norm's input gradient with one of its two means dropped."""

    def make(right, ctx, g, grad):
        x, mean, inv_std, weight = (a.reshape(1, -1, 1, 1) if a.ndim == 1 else a for a in ctx.saved)
        normal = (x - mean) * inv_std
        axes = {"axis": (0, 2, 3), "keepdims": True}
        means = {"mean": g.mean(**axes), "projection": normal * (g * normal).mean(**axes)}
        return weight * inv_std * (g - sum(value for name, value in means.items() if name != term))

    return only(0, make)


def _scaled_alone(ctx, g):
    """Return the input gradient of a norm whose mean and standard deviation are taken for constants."""
    (normal, inv_std, weight), (shape, _, affine) = ctx.saved, ctx.layout
    return ((g * weight.reshape(affine)).reshape(shape) * inv_std).reshape(normal.shape)


LAYERS = (
    *family(
        "conv",
        "conv.Conv2d",
        _CONV,
        ("input: forgot to flip the kernel", misread(lambda x, w: (x, flip(w))), KERNEL),
        ("input: kernel transposed", misread(lambda x, w: (x, w.swapaxes(2, 3).copy())), TURNED),
        ("weight: flipped once too often", changed(flip, 1), KERNEL),
        ("weight: forgot the sum over the batch", misread(lambda x, w: (first(x), w), 1), BATCH),
        ("bias: forgot the sum over the batch", seeing(first, 2), BATCH),
        ("weight: mean over the batch", times(1 / 3, 1), "a mean over the batch"),
        ("input: padding off by one", misread(hyper=keywords(padding=(1, 1, 0, 2))), BESIDE),
        ("weight: padding off by one", misread(i=1, hyper=keywords(padding=(0, 2, 1, 1))), BESIDE),
        ("input: border cut off", changed(no_border), "a mistake in the padding"),
        ("input: wrong sign", times(-1), SIGN),
        ("weight: counted twice", times(2, 1), TWICE),
        ("input: last filter forgotten", seeing(lambda g: g * np.array([1, 0]).reshape(1, 2, 1, 1))),
        ("weight: filters swapped", changed(lambda grad: grad[::-1].copy(), 1)),
        ("bias: mean over the pixels", times(1 / 16, 2), "a needless division by 16"),
        ("bias: never computed", times(0, 2), "a path that was cut"),
    ),
    *family(
        "conv",
        "conv_transpose.ConvTranspose2d",
        (
            lambda x, w, b: ops.conv_transpose2d(x, w, b, stride=2, padding=1, algorithm="im2col"),
            normal(3, 2, 3, 3), normal(2, 1, 4, 4), normal(1)
        ),  # fmt: skip
        ("transposed, input: kernel flipped", misread(lambda x, w: (x, flip(w)))),
        ("transposed, weight: flipped", changed(flip, 1)),
        ("transposed, weight: no sum over the batch", misread(lambda x, w: (first(x), w), 1), BATCH),
        ("transposed, bias: mean over the pixels", times(1 / 36, 2)),
    ),
    *family(
        "pool",
        "pool.MaxPool2d",
        _MAX,
        ("max: counted twice", times(2), TWICE),
        ("max: to the whole window", _everywhere, MASK),
        ("max: place in the window transposed", misread(lambda at: (at % 3 * 3 + at // 3,))),
        ("max: off by one", changed(beside), BESIDE),
        ("max: wrong sign", times(-1), SIGN),
        ("max: border cut off", changed(no_border), "a mistake in the padding"),
    ),
    *family(
        "pool",
        "dilated_pool.DilatedMaxPool2d",
        (lambda x: ops.max_pool2d(x, 2, padding=1, dilation=2, ceil_mode=True), _POOL),
        ("dilated max: gaps forgotten", misread(hyper=keywords(dilation=(1, 1)))),
        ("dilated max: padding off by one", misread(hyper=keywords(padding=(1, 1, 0, 2))), BESIDE),
        ("dilated max: counted twice", times(2), TWICE),
    ),
    *family(
        "pool",
        "pool.AvgPool2d",
        _AVG,
        ("average: forgot to divide", times(4), "a forgotten division by 4"),
        ("average: padding not counted", misread(hyper=keywords(count_include_pad=False)), "a mistake in the padding"),
        (
            "average: padding counted",
            misread(hyper=keywords(count_include_pad=True)),
            "a mistake in the padding",
            _BORDER,
        ),
        ("average: padding off by one", misread(hyper=keywords(padding=(1, 1, 0, 2))), BESIDE),
        ("average: wrong sign", times(-1), SIGN),
    ),
    *family(
        "pool",
        "adaptive_pool.AdaptiveAvgPool2d",
        (lambda x: ops.adaptive_avg_pool2d(x, (2, 3)), _POOL),
        (
            "adaptive average: forgot to divide where it overlaps",
            changed(lambda grad: grad * (1 + (np.arange(5) == 1))),
        ),
        ("adaptive average: off by one", changed(beside), BESIDE),
    ),
    *family(
        "pool",
        "adaptive_pool.AdaptiveMaxPool2d",
        (lambda x: ops.adaptive_max_pool2d(x, (2, 3)), _POOL),
        ("adaptive max: next pixel", misread(lambda at: ((at + 1) % 25,)), BESIDE),
        ("adaptive max: counted twice", times(2), TWICE),
    ),
    *family(
        "norm",
        "norm.BatchNorm",
        _BN,
        ("batch norm: mean and variance taken as constants", misread(training=lambda _: False), MEAN),
        ("batch norm: mean term missing", _without("mean"), MEAN),
        ("batch norm: projection missing", _without("projection"), MEAN),
        ("batch norm: bias of the first image alone", seeing(first, 2), BATCH),
        ("batch norm: weight gets x, not the normalised x", misread(lambda x, m, s, w: (x, m, s**0, w), 1)),
        ("batch norm: unbiased variance", misread(lambda x, m, s, w: (x, m, s * (11 / 12) ** 0.5, w))),
        ("batch norm: weight forgotten", misread(lambda x, m, s, w: (x, m, s, w**0))),
        ("batch norm: evaluation as training", misread(training=lambda _: True), "", _BN_EVAL),
        ("batch norm: wrong sign of the weight", times(-1, 1), SIGN),
    ),
    *family(
        "norm",
        "norm.LocalResponseNorm",
        _LRN,
        ("response norm: neighbours forgotten", instead(lambda g, x, out, base: g * nchw(base) ** -0.75)),
        ("response norm: alpha not divided", misread(hyper=lambda h: {**h, "alpha": 3 * h["alpha"]})),
        ("response norm: another beta", misread(hyper=keywords(beta=0.5))),
        ("response norm: window too wide", misread(hyper=keywords(size=5))),
    ),
    *family(
        "norm",
        "fused.BatchNormReLU",
        _FUSED,
        ("fused: mean and variance taken as constants", misread(training=lambda _: False)),
        ("fused: no mask", misread(coefficients=lambda pair: (0 * pair[0], pair[1] ** 0))),
    ),
    *family(
        "norm",
        "layer_norm.GroupNorm",
        (lambda x, w, b: ops.group_norm(x, 2, w, b), normal(3, 4, 2, 2), normal(4) + 2, normal(4)),
        ("group norm: weight forgotten", misread(lambda x, inv, w: (x, inv, np.ones_like(w)))),
        ("group norm: constants", only(0, lambda right, ctx, g, grad: _scaled_alone(ctx, g))),
        ("group norm: weight's sum over the batch forgotten", seeing(first, 1), BATCH),
    ),
    *family(
        "norm",
        "layer_norm.LayerNorm",
        (lambda x, w, b: ops.layer_norm(x, 4, w, b), normal(3, 4), normal(4) + 2, normal(4)),
        ("layer norm: constants", only(0, lambda right, ctx, g, grad: _scaled_alone(ctx, g))),
        ("layer norm: bias's sum forgotten", seeing(first, 2), BATCH),
    ),
    *family(
        "norm",
        "layer_norm.RMSNorm",
        (lambda x, w: ops.rms_norm(x, 4, w), normal(3, 4), normal(4) + 2),
        ("rms norm: constants", only(0, lambda right, ctx, g, grad: _scaled_alone(ctx, g))),
    ),
)
