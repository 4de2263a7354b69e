"""dense_block: layers one after the other, their gradients and their errors."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, autograd, ops
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.testing import gradcheck

HYPER = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}


def stage(normal, channels, filters, size, *, training, affine=True, bias=False, groups=1, norm=True):
    """Return a stage with random parameters, which require gradients."""

    def learned(shape, seed):
        return Tensor(normal(shape, seed), requires_grad=True)

    pair = [learned((channels,), seed) if affine and norm else None for seed in (2, 3)]
    running = {"running_mean": np.linspace(-0.5, 0.5, channels), "running_var": np.linspace(0.5, 1.5, channels)}
    running |= {"training": training, "momentum": 0.3, "eps": 1e-5}
    weight = learned((filters, channels // groups, size, size), 4)
    hyper = {**HYPER, "padding": (size // 2,) * 4, "groups": groups}
    shift = learned((filters,), 5) if bias else None
    return ops.DenseNetStage(*pair, weight, shift, running if norm else None, hyper)


def in_a_row(x, layers):
    for layer in layers:
        new = x
        for one in layer:
            new = new if one.norm is None else ops.batch_norm(new, one.gamma, one.beta, **one.norm)
            new = ops.conv2d(ops.relu(new), one.weight, one.bias, **one.hyper)
        x = ops.concat([x, new], axis=1)
    return x


def bottleneck(normal, **options):
    """Return two layers for 3 and more channels, each with a 1 x 1 and a 3 x 3 convolution."""
    return [[stage(normal, c, 5, 1, **options), stage(normal, 5, 2, 3, **options)] for c in (3, 5)]


def wide(normal, **options):
    return [[stage(normal, c, 2, 3, **options)] for c in (4, 6)]


def normless(normal, **options):
    first = [[stage(normal, 3, 4, 1, **options), stage(normal, 4, 2, 3, **options, norm=False)]]
    return [*first, [stage(normal, 5, 4, 1, bias=True, **options)]]


def grouped(normal, **options):
    return [[stage(normal, 4, 6, 1, groups=2, affine=False, bias=True, **options), stage(normal, 6, 2, 3, **options)]]


def winograd(normal, **options):
    """Return layers whose channels fill no whole vectors, and enough of them for Winograd's algorithm."""
    first = [stage(normal, 20, 13, 3, bias=True, **options)]
    return [first, [stage(normal, 33, 18, 1, **options), stage(normal, 18, 14, 3, **options)]]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [bottleneck, wide, normless, grouped, winograd])
def test_it_is_its_layers_one_after_the_other(normal, make, training):
    results = []
    for run in (ops.dense_block, in_a_row):
        layers = make(normal, training=training)
        stages = [one for layer in layers for one in layer]
        learned = [v for one in stages for v in one[:4] if v is not None]
        size = (8, 12) if make is winograd else (5, 6)
        x = Tensor(normal((3, layers[0][0].hyper["groups"] * layers[0][0].weight.shape[1], *size)), requires_grad=True)
        out = run(x, layers)
        out.backward(np.cos(np.arange(out.data.size)).reshape(out.shape))
        running = [one.norm[name] for one in stages if one.norm for name in ("running_mean", "running_var")]
        results.append([out.data, x.grad, *(v.grad for v in learned), *running])
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [bottleneck, wide, normless, grouped, winograd])
def test_without_gradients_the_same(normal, make):
    layers = make(normal, training=False)
    x = Tensor(normal((2, layers[0][0].hyper["groups"] * layers[0][0].weight.shape[1], 5, 6)))
    with autograd.no_grad():
        np.testing.assert_allclose(ops.dense_block(x, layers).data, in_a_row(x, layers).data, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_gradients_match_finite_differences(normal, training):
    layers = bottleneck(normal, training=training)
    for one in (one for layer in layers for one in layer):
        one.norm["momentum"] = 0.0
    learned = [v for layer in layers for one in layer for v in one[:3]]

    def run(x, *learned):
        three = iter(zip(*[iter(learned)] * 3, strict=True))
        names = "gamma", "beta", "weight"
        given = [[one._replace(**dict(zip(names, next(three), strict=True))) for one in layer] for layer in layers]
        return ops.dense_block(x, given)

    gradcheck(run, Tensor(normal((2, 3, 3, 2))), *learned)


def test_what_is_constant_gets_no_gradient(normal):
    (layer,) = wide(normal, training=True)[:1]
    layer[0].weight.requires_grad = False
    x = Tensor(normal((2, 4, 3, 3)))
    ops.dense_block(x, [layer]).backward(normal((2, 6, 3, 3)))
    assert x.grad is None and layer[0].weight.grad is None and layer[0].gamma.grad is not None


def test_feature_maps_stay_channels_last(normal, stays_channels_last):
    stays_channels_last(lambda x: ops.dense_block(x, [[stage_of(x, normal)]]))


def stage_of(x, normal):
    weight = Tensor(normal((2, x.shape[1], 1, 1)).astype(x.data.dtype))
    return ops.DenseNetStage(None, None, weight, None, None, {**HYPER, "padding": (0,) * 4})


def test_what_does_not_fit(normal):
    x = Tensor(np.zeros((2, 3, 4, 4)))
    (first, second), _ = bottleneck(normal, training=True)
    with pytest.raises(TypeError, match="dense_block: x - expected a Tensor, got ndarray"):
        ops.dense_block(x.data, [[first]])
    with pytest.raises(TypeError, match="dense_block: weight - expected a Tensor, got ndarray"):
        ops.dense_block(x, [[first._replace(weight=first.weight.data)]])
    with pytest.raises(ShapeError, match=r"batch_norm: weight - expected shape \(3,\), one per channel, got \(5,\)"):
        ops.dense_block(x, [[second]])
    with pytest.raises(ShapeError, match="conv2d: x - expected 3 channels"):
        ops.dense_block(Tensor(np.zeros((2, 2, 4, 4))), [[first._replace(norm=None, gamma=None, beta=None)]])
    with pytest.raises(
        ShapeError, match=r"dense_block: layers\[0\] - expected new maps of \(4, 4\) pixels, got \(2, 2"
    ):
        ops.dense_block(x, [[first, second._replace(hyper={**second.hyper, "padding": (0,) * 4})]])


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (1, 3, 1, 1)])
def test_training_needs_more_than_one_value_per_channel(normal, shape):
    x = Tensor(np.ones(shape))
    with pytest.raises(ValueError, match="batch_norm: x - expected more than one value per channel in training"):
        ops.dense_block(x, [[stage(normal, 3, 2, 3, training=True)]])
    assert ops.dense_block(x, [[stage(normal, 3, 2, 3, training=False)]]).shape == (shape[0], 5, *shape[2:])


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_in_evaluation_an_infinite_pixel_stays_where_it_is(normal, bad):
    clean, spoilt = normal((2, 3, 6, 6)), normal((2, 3, 6, 6))
    spoilt[0, 1, 2, 2] = bad
    grads = []
    for array in (clean, spoilt):
        x = Tensor(array, requires_grad=True)
        ops.dense_block(x, [[stage(normal, 3, 2, 3, training=False)]]).backward(np.ones((2, 5, 6, 6)))
        grads.append(x.grad)
    elsewhere = np.ones(clean.shape, bool)
    elsewhere[0, 1, 2, 2] = False  # in evaluation no pixel's gradient depends on another pixel here
    np.testing.assert_array_equal(grads[1][elsewhere], grads[0][elsewhere])
    assert np.isfinite(grads[1]).all()
