"""A thousand random cases of each family of options against PyTorch, in float64, to 1e-8."""

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from minitorch_cnn import Tensor, nn, ops
from minitorch_cnn.shapes import ShapeError

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
functional = torch.nn.functional
torch.set_num_threads(1)  # the cases are tiny

thousand = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
SEEDS = st.integers(0, 2**32 - 1)
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def same(ours, theirs, *arrays):
    """Require equal outputs and gradients of two functions of the same arrays; one may refuse only with the other."""
    mine = [Tensor(a, requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    out, expected = ours(*mine), theirs(*other)
    close(out.data, expected.detach())
    grad = np.random.default_rng(1).standard_normal(out.shape)
    out.backward(grad)
    expected.backward(torch.tensor(grad))
    for a, b in zip(mine, other, strict=True):
        close(np.zeros(a.shape) if a.grad is None else a.grad, torch.zeros_like(b) if b.grad is None else b.grad)


def close(got, expected):
    assert got.shape == tuple(expected.shape)
    np.testing.assert_allclose(got, expected.numpy(), rtol=1e-8, atol=1e-8)


def optional(strategy):
    return st.none() | strategy


@thousand
@given(
    seed=SEEDS, images=st.integers(0, 4), count=st.integers(1, 5), more=st.lists(st.integers(1, 3), max_size=2),
    weighted=st.booleans(), ignore=optional(st.integers(-1, 4)), smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    soft=st.booleans(), reduction=REDUCTIONS
)  # fmt: skip
def test_cross_entropy(seed, images, count, more, weighted, ignore, smoothing, soft, reduction):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((images, count, *more))
    weight = rng.random(count) + 0.1 if weighted else None
    labels = rng.integers(0, count, (images, *more))
    if ignore is not None and not soft:
        labels[rng.random(labels.shape) < 0.3] = ignore
        labels[labels >= count] = 0 if ignore < count else ignore
    if soft:
        labels, ignore = rng.random(logits.shape), None
    hyper = {"reduction": reduction, "label_smoothing": smoothing}
    same(
        lambda x: ops.cross_entropy(x, labels, weight=weight, ignore_index=ignore, **hyper),
        lambda x: functional.cross_entropy(
            x,
            torch.tensor(labels),
            None if weight is None else torch.tensor(weight),
            ignore_index=-100 if ignore is None else ignore,
            **hyper,
        ),
        logits,
    )
    if not soft and not smoothing:
        same(
            lambda x: ops.nll_loss(x, labels, weight=weight, ignore_index=ignore, reduction=reduction),
            lambda x: functional.nll_loss(
                x,
                torch.tensor(labels),
                None if weight is None else torch.tensor(weight),
                ignore_index=-100 if ignore is None else ignore,
                reduction=reduction,
            ),
            logits,
        )


@thousand
@given(
    seed=SEEDS, shape=st.lists(st.integers(0, 4), max_size=3).map(tuple), reduction=REDUCTIONS,
    weighted=st.booleans(), scale=st.sampled_from([0.0, 0.5, 2.0]),
    name=st.sampled_from(["l1", "smooth_l1", "huber", "mse", "binary_cross_entropy", "with_logits"])
)  # fmt: skip
def test_losses_of_elements(seed, shape, reduction, weighted, scale, name):
    rng = np.random.default_rng(seed)
    x, target = np.round(rng.standard_normal((2, *shape)), 1)  # some are equal
    weight = rng.random(shape[-1:]) if weighted else None
    hyper, other = {"reduction": reduction}, {}
    if name == "smooth_l1":
        hyper["beta"] = scale
    elif name == "huber":
        hyper["delta"] = scale + 0.1
    elif name == "binary_cross_entropy":
        x, target = rng.random((2, *shape))
        hyper["weight"] = weight
    elif name == "with_logits":
        target = rng.random(shape)
        hyper |= {"weight": weight, "pos_weight": rng.random(shape[-1:]) if scale else None}
    other = {key: torch.tensor(value) if isinstance(value, np.ndarray) else value for key, value in hyper.items()}
    name = {"with_logits": "binary_cross_entropy_with_logits"}.get(name, name if "binary" in name else f"{name}_loss")
    same(
        lambda x, t: getattr(ops, name)(x, t, **hyper), lambda x, t: getattr(functional, name)(x, t, **other), x, target
    )


@thousand
@given(
    seed=SEEDS, images=st.integers(0, 2), height=st.integers(1, 9), width=st.integers(1, 9), data=st.data(),
    name=st.sampled_from(["max", "avg"])
)  # fmt: skip
def test_pools(seed, images, height, width, data, name):
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    hyper = {
        "stride": data.draw(optional(st.tuples(st.integers(1, 3), st.integers(1, 3)))),
        "padding": tuple(data.draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": data.draw(st.booleans()),
    }
    if name == "max":
        hyper["dilation"] = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    else:
        hyper["count_include_pad"] = data.draw(st.booleans())
        hyper["divisor_override"] = data.draw(optional(st.integers(1, 9)))
    x = np.random.default_rng(seed).permutation(images * 2 * height * width).reshape(images, 2, height, width) / 8
    theirs = getattr(functional, f"{name}_pool2d")
    try:
        ours = getattr(ops, f"{name}_pool2d")(Tensor(x), kernel, **hyper)
    except ShapeError:  # no window fits, or one would see padding alone: PyTorch refuses, or gives -inf
        with contextlib.suppress(RuntimeError):
            assert not np.isfinite(theirs(torch.tensor(np.ones_like(x)), kernel, **hyper).numpy()).all() or not images
        return
    same(
        lambda t: getattr(ops, f"{name}_pool2d")(t, kernel, **hyper), lambda t: theirs(t, kernel, **hyper), x
    )
    if name == "max":
        _, indices = ops.max_pool2d(Tensor(x), kernel, **hyper, return_indices=True)
        close(indices, theirs(torch.tensor(x), kernel, **hyper, return_indices=True)[1])
        assert ours.shape == indices.shape


@thousand
@given(
    seed=SEEDS, images=st.integers(1, 3), groups=st.integers(1, 3), inside=st.integers(1, 3), data=st.data(),
    more=st.lists(st.integers(1, 4), max_size=2), affine=st.booleans(), eps=st.sampled_from([1e-5, 0.1]),
    name=st.sampled_from(["group", "instance", "layer", "rms", "batch"])
)  # fmt: skip
def test_norms(seed, images, groups, inside, data, more, affine, eps, name):
    rng, channels = np.random.default_rng(seed), groups * inside
    x = rng.standard_normal((images, channels, *more)) + rng.integers(-3, 4)
    axes = data.draw(st.integers(1, x.ndim))
    last = x.shape[x.ndim - axes :]
    shape = last if name in ("layer", "rms") else (channels,)
    pair = [rng.standard_normal(shape) for _ in range(1 if name == "rms" else 2)] if affine else []
    if name == "batch":
        ours, theirs = batch_norms(channels, data.draw(st.booleans()), data.draw(st.sampled_from([None, 0.1])), eps)
    else:
        ours = {
            "group": lambda x, *affine: ops.group_norm(x, groups, *affine, eps=eps),
            "instance": lambda x, *affine: ops.group_norm(x, channels, *affine, eps=eps),
            "layer": lambda x, *affine: ops.layer_norm(x, last, *affine, eps=eps),
            "rms": lambda x, *affine: ops.rms_norm(x, last, *affine, eps=eps),
        }[name]
        theirs = {
            "group": lambda x, *affine: functional.group_norm(x, groups, *affine, eps=eps),
            "instance": lambda x, w=None, b=None: functional.instance_norm(x, weight=w, bias=b, eps=eps),
            "layer": lambda x, *affine: functional.layer_norm(x, last, *affine, eps=eps),
            "rms": lambda x, *affine: functional.rms_norm(x, last, *affine, eps=eps),
        }[name]
    values = {"group": x[0].size // groups, "instance": x[0, 0].size, "batch": x.size // channels}.get(name, 2)
    if values == 1 or (name == "instance" and x.ndim == 2):
        if name != "instance" or x.ndim > 2:
            with pytest.raises(ValueError, match="expected more than one value per"):
                ours(Tensor(x))
        return
    same(ours, theirs, x, *([] if name == "batch" else pair))


def batch_norms(channels, tracked, momentum, eps):
    """Return our and PyTorch's layer, in training and then in evaluation, as functions of one batch."""
    hyper = {"momentum": momentum, "track_running_stats": tracked, "eps": eps}
    mine, other = nn.BatchNorm1d(channels, **hyper).double(), torch.nn.BatchNorm1d(channels, **hyper).double()
    mine._axes = {2: "", 3: "", 4: ""}
    other._check_input_dim = lambda x: None
    return in_training_and_evaluation(mine), in_training_and_evaluation(other)


def in_training_and_evaluation(layer):
    def call(x):
        layer.train()
        total = layer(x) + layer(x * 2.0)
        layer.eval()
        return total + layer(x)

    return call


@thousand
@given(
    seed=SEEDS, images=st.integers(1, 3), channels=st.integers(1, 3), flat=st.booleans(), data=st.data(),
    affine=st.booleans(), tracked=st.booleans(), momentum=st.floats(0, 1), eps=st.sampled_from([1e-5, 0.1])
)  # fmt: skip
def test_instance_norm_with_running_statistics(seed, images, channels, flat, data, affine, tracked, momentum, eps):
    rng, kind = np.random.default_rng(seed), f"InstanceNorm{1 if flat else 2}d"
    sides = data.draw(st.tuples(*[st.integers(1, 4)] * (1 if flat else 2)).filter(lambda sides: np.prod(sides) > 1))
    mine, other = (
        getattr(package, kind)(channels, eps, momentum, affine, tracked).double() for package in (nn, torch.nn)
    )
    if affine:
        for name in ("weight", "bias"):
            values = rng.standard_normal(channels)
            getattr(mine, name).data[...] = values
            getattr(other, name).data = torch.tensor(values)
    x = rng.standard_normal((images, channels, *sides)) + rng.integers(-3, 4)
    same(in_training_and_evaluation(mine), in_training_and_evaluation(other), x)
    if tracked:
        close(mine.running_mean, other.running_mean)
        close(mine.running_var, other.running_var)
    assert set(mine.state_dict()) == set(other.state_dict())


@thousand
@given(
    seed=SEEDS, height=st.integers(1, 9), width=st.integers(1, 9), data=st.data(), aligned=st.booleans(),
    mode=st.sampled_from(["nearest", "bilinear", "bicubic", "linear"]), antialias=st.booleans()
)  # fmt: skip
def test_resize(seed, height, width, data, aligned, mode, antialias):
    flat = mode == "linear"
    hyper, least = {"mode": mode}, 1
    if mode != "nearest":
        hyper |= {"align_corners": aligned, "antialias": antialias and not flat}
    if hyper.get("antialias"):
        height, width, least = height + 1, width + 1, 2  # of images one pixel wide PyTorch reads the wrong rows
    if data.draw(st.booleans()):  # fractions that floats hold exactly: of others, PyTorch takes the float
        hyper["scale_factor"] = data.draw(st.integers(8, 24)) / 8
    else:
        sizes = data.draw(st.tuples(*[st.integers(least, 12)] * (1 if flat else 2)))
        hyper["size"] = sizes[0] if flat else sizes
    x = np.random.default_rng(seed).standard_normal((2, 2, *((width,) if flat else (height, width))))
    if "scale_factor" in hyper:  # PyTorch's modes differ in what kept axes do, and nearest to twice ignores the factor
        changed = [int(n * hyper["scale_factor"]) - n for n in x.shape[2:]]
        assume(all(changed) and min(x.shape[2:]) >= least or hyper["scale_factor"] == 1)
        assume(mode != "nearest" or hyper["scale_factor"] == 2 or not np.equal(changed, x.shape[2:]).any())
    same(lambda x: ops.resize(x, **hyper), lambda x: functional.interpolate(x, **hyper), x)


@thousand
@given(seed=SEEDS, images=st.integers(0, 2), groups=st.integers(1, 2), flat=st.booleans(), data=st.data())
def test_transposed_convolution(seed, images, groups, flat, data):
    rng, axes = np.random.default_rng(seed), 1 if flat else 2

    def sizes(low, high):
        return data.draw(st.tuples(*[st.integers(low, high)] * axes))

    stride, dilation, kernel = sizes(1, 3), sizes(1, 2), sizes(1, 4)
    inside, outside = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    x = rng.standard_normal((images, inside * groups, *sizes(1, 5)))
    weight = rng.standard_normal((inside * groups, outside, *kernel))
    bias = [rng.standard_normal(outside * groups)] if data.draw(st.booleans()) else []
    extra = tuple(data.draw(st.integers(0, s - 1)) for s in stride)
    hyper = {"stride": stride, "padding": sizes(0, 2), "output_padding": extra, "dilation": dilation}
    name = f"conv_transpose{axes}d"
    mine = {key: value[0] if flat else value for key, value in hyper.items()}
    try:
        getattr(ops, name)(Tensor(x), Tensor(weight), groups=groups, **mine)
    except ShapeError:
        some = torch.tensor(np.ones((max(images, 1), *x.shape[1:])))  # of no images PyTorch checks no sizes
        with pytest.raises(RuntimeError):
            getattr(functional, name)(some, torch.tensor(weight), groups=groups, **hyper)
        return
    same(
        lambda *t: getattr(ops, name)(*t, groups=groups, **mine),
        lambda *t: getattr(functional, name)(*t, groups=groups, **hyper),
        x, weight, *bias
    )  # fmt: skip


@thousand
@given(seed=SEEDS, flat=st.booleans(), whole=st.booleans(), data=st.data())
def test_output_size_of_transposed_convolution(seed, flat, whole, data):
    axes = 1 if flat else 2

    def sizes(low, high):
        drawn = data.draw(st.tuples(*[st.integers(low, high)] * axes))
        return drawn[0] if flat else drawn

    hyper = {"stride": sizes(1, 3), "padding": sizes(0, 1), "dilation": sizes(1, 2), "output_padding": sizes(0, 0)}
    arguments = 2, 3, sizes(2, 4)
    ours, theirs = (getattr(package, f"ConvTranspose{axes}d")(*arguments, **hyper) for package in (nn, torch.nn))
    theirs.double().load_state_dict({name: torch.tensor(array) for name, array in ours.double().state_dict().items()})
    x = np.random.default_rng(seed).standard_normal((2, 2, *np.atleast_1d(sizes(2, 5))))
    extra = data.draw(st.tuples(*[st.integers(-1, 3)] * axes))
    size = tuple(side + more for side, more in zip(ours(Tensor(x)).shape[2:], extra, strict=True))
    given_size = (2, 3, *size) if whole else size
    if not all(0 <= more < step for more, step in zip(extra, np.atleast_1d(hyper["stride"]), strict=True)):
        with pytest.raises(ValueError, match=r"output_size - expected .* to .* for these images|at least 1, got"):
            ours(Tensor(x), given_size)
        with pytest.raises(ValueError, match="requested an output size"):
            theirs(torch.tensor(x), given_size)
        return
    same(lambda x: ours(x, given_size), lambda x: theirs(x, given_size), x)
