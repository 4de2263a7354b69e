"""The algorithm of a convolution: named, chosen, or registered by the user."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_kernels as kernels
from minitorch_cnn import Tensor, autograd, ops
from minitorch_cnn.ops.reproducible_sum import in_blocks
from minitorch_cnn.testing import gradcheck

needs_tile = pytest.mark.skipif(
    not kernels.runtime.simd.supports(np.float32), reason="no register tile fits this machine"
)


def random(shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def results(x, weight, **hyper):
    """Return the output and both gradients of a 3 x 3 convolution with padding 1."""
    tensors = [Tensor(a, requires_grad=True) for a in (x, weight)]
    out = ops.conv2d(*tensors, padding=1, **hyper)
    out.backward(np.cos(np.arange(out.data.size)).reshape(out.shape))
    return [out.data, *(t.grad for t in tensors)]


@needs_tile
@settings(max_examples=10, deadline=None)
@given(sizes=st.tuples(*[st.integers(3, 9)] * 5), side=st.sampled_from([3, 5]))
def test_winograd_agrees_with_the_textbook_and_finite_differences(sizes, side):
    batch, channels, filters, height, width = sizes
    x, weight = random((batch, channels, height, width)), random((filters, channels, side, side))
    for got, want in zip(*(results(x, weight, algorithm=a) for a in ("winograd", "reference")), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-11)
    small = Tensor(x[:1, :2, :4, :5]), Tensor(weight[:2, :2])
    gradcheck(lambda x, w: ops.conv2d(x, w, padding=1, algorithm="winograd"), *small)


@needs_tile
@pytest.mark.parametrize(
    ("x", "weight", "expected"),
    [
        ((32, 16, 8, 8), (16, 16, 3, 3), "winograd"),
        ((32, 32, 8, 8), (32, 32, 5, 5), "winograd"),
        ((32, 16, 8, 8), (16, 16, 5, 5), "direct"),
        ((32, 16, 8, 8), (16, 16, 1, 1), "direct"),
        ((32, 3, 8, 8), (16, 3, 3, 3), "direct"),
        ((1, 16, 3, 3), (16, 16, 3, 3), "direct"),
    ],
)
def test_auto_takes_the_algorithm_that_its_rule_names(x, weight, expected):
    """Each algorithm rounds differently, so equal bits show which one ran."""
    x, weight = (random(shape).astype(np.float32) for shape in (x, weight))
    auto, named = (results(x, weight, algorithm=algorithm) for algorithm in ("auto", expected))
    assert all((a == b).all() for a, b in zip(auto, named, strict=True))


@needs_tile
def test_auto_takes_winograd_for_fewer_patches_than_the_gradient_of_filters_needs():
    x, weight = random((1, 16, 7, 7)).astype(np.float32), random((16, 16, 3, 3)).astype(np.float32)
    auto, winograd, direct = (results(x, weight, algorithm=name) for name in ("auto", "winograd", "direct"))
    *maps, gradient = range(3)
    assert all((auto[k] == winograd[k]).all() and (auto[k] != direct[k]).any() for k in maps)
    assert (auto[gradient] == direct[gradient]).all() and (auto[gradient] != winograd[gradient]).any()


@needs_tile
def test_a_step_looks_for_outliers_once_in_the_weight_and_again_in_another_gradient(monkeypatch):
    outliers, looked = kernels.conv.winograd.outliers, []  # maps are measured while they are transformed
    right = outliers.split_filters
    monkeypatch.setattr(outliers, "split_filters", lambda weight: looked.append(weight.shape) or right(weight))
    maps = [random((2, 8, 8, 16), seed).astype(np.float32) for seed in range(3)]
    pixels, ordinary, spoilt = (array.transpose(0, 3, 1, 2) for array in maps)
    x, weight = (Tensor(a, requires_grad=True) for a in (pixels, random((16, 16, 3, 3)).astype(np.float32)))
    out = ops.conv2d(x, weight, padding=1, algorithm="winograd")
    spoilt[1, 3, 4, 4] = np.inf
    out.backward(ordinary, retain_graph=True)
    x.grad = weight.grad = None
    out.backward(spoilt)
    assert looked == [(16, 16, 3, 3)]
    assert np.isfinite(x.grad[0]).all() and np.isfinite(x.grad[1, :, :3]).all() and not np.isfinite(x.grad[1]).all()


@needs_tile
@pytest.mark.parametrize("hyper", [{"stride": 3}, {"dilation": 2}, {"groups": 2}], ids=["stride", "dilation", "groups"])
def test_winograd_refuses_what_it_cannot_do(hyper):
    x, weight = Tensor(np.zeros((1, 4, 9, 9))), Tensor(np.zeros((4, 4 // hyper.get("groups", 1), 3, 3)))
    message = "conv2d: algorithm - expected 3 x 3 filters with stride 1 or 2, or 5 x 5 with stride 1, dilation 1 and "
    with pytest.raises(ValueError, match=message):
        ops.conv2d(x, weight, algorithm="winograd", **hyper)


def test_where_no_tile_fits_auto_is_im2col_and_the_others_are_refused(monkeypatch):
    x, weight = random((1, 2, 5, 5)), random((3, 2, 3, 3))
    expected = results(x, weight, algorithm="im2col")
    monkeypatch.setattr(kernels.runtime.simd, "jit_enabled", lambda: False)
    assert all((a == b).all() for a, b in zip(results(x, weight), expected, strict=True))
    for name in ("direct", "winograd"):
        message = f"conv2d: algorithm - expected 'im2col' or 'reference' where nothing is compiled, got '{name}'"
        with pytest.raises(ValueError, match=re.escape(message)):
            results(x, weight, algorithm=name)


def test_a_registered_algorithm_is_used_by_name():
    calls = []

    def mine(x, weight, bias, **hyper):
        calls.append(hyper)
        return kernels.reference.conv2d_forward(x, weight, bias, **hyper)

    ops.register_algorithm("mine", mine)
    x, weight = Tensor(random((1, 1, 4, 4)), requires_grad=True), Tensor(random((1, 1, 2, 2)), requires_grad=True)
    out = ops.conv2d(x, weight, algorithm="mine")
    np.testing.assert_allclose(out.data, ops.conv2d(x, weight).data, atol=1e-14)
    out.backward(np.ones(out.shape))
    assert calls == [{"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}]
    with pytest.raises(ValueError, match="name - expected a new name, got the built-in 'direct'"):
        ops.register_algorithm("direct", mine)
    with pytest.raises(TypeError, match="forward - expected a function, got int"):
        ops.register_algorithm("other", 3)


@needs_tile
def test_conv_algorithm_tells_the_algorithms_and_why():
    x, weight = Tensor(random((32, 16, 8, 8)).astype(np.float32)), Tensor(random((16, 16, 3, 3)).astype(np.float32))
    told = ops.conv_algorithm(x, weight, padding=1)
    assert [chosen.name for chosen in told] == ["winograd"] * 3
    assert "fewer multiplications" in told.forward.reason and str(told).count("\n") == 2
    name, reason = ops.conv_algorithm(x, weight, padding=1, algorithm="direct").forward
    assert name == "indirect" and reason.startswith("asked for 'direct'; a matrix product that reads windows")
    for name in ("im2col", "winograd"):
        asked = ops.conv_algorithm(x, weight, padding=1, algorithm=name)
        assert {tuple(one) for one in asked} == {(name, "asked for by name")}
    assert ops.conv_algorithm(x, weight, padding=1, algorithm="reference").forward == ("reference", "asked for by name")
    ops.register_algorithm("told", kernels.reference.conv2d_forward)
    told = ops.conv_algorithm(x, weight, padding=1, algorithm="told")
    assert [chosen.name for chosen in told] == ["told", "im2col", "im2col"]
    with pytest.raises(ValueError, match="conv2d: algorithm - expected one of auto, .*, got 'fast'"):
        ops.conv_algorithm(x, weight, algorithm="fast")


@needs_tile
@settings(max_examples=25, deadline=None)
@given(
    sizes=st.tuples(st.sampled_from([1, 4, 32]), *[st.sampled_from([1, 3, 8, 16])] * 2, st.integers(5, 12)),
    kernel=st.sampled_from([1, 3, 5]),
    hyper=st.fixed_dictionaries({}, optional={"stride": st.just(2), "padding": st.just(1)}),
    algorithm=st.sampled_from(["auto", "direct", "im2col", "reference"]),
    traced=st.booleans(),
)
def test_the_trace_holds_the_algorithm_that_runs(sizes, kernel, hyper, algorithm, traced):
    batch, channels, filters, side = sizes
    x = Tensor.like_shape((batch, channels, side, side)) if traced else Tensor(np.ones((batch, channels, side, side)))
    weight = Tensor(np.ones((filters, channels, kernel, kernel), x.dtype))
    with autograd.trace() as records:
        ops.conv2d(x, weight, **hyper, algorithm=algorithm)
    assert records[-1].algorithm == ops.conv_algorithm(x, weight, **hyper, algorithm=algorithm)
    if not traced:
        weight.requires_grad = True
        (step,) = ops.conv2d(x, weight, **hyper, algorithm=algorithm).backward(
            np.ones(records[-1].output.shape), trace=True
        )
        assert [one[:2] for one in step.algorithm] == [tuple(one) for one in records[-1].algorithm]


def test_the_trace_of_blocks_that_processes_share_holds_what_runs_in_a_block():
    x, weight = Tensor.like_shape((2, 16, 8, 8)), Tensor(np.ones((16, 16, 3, 3), np.float32))
    seen = {}
    for blocks in (1, 2):
        with in_blocks(blocks), autograd.trace() as records:
            ops.conv2d(x, weight, padding=1)
            seen[blocks] = ops.conv_algorithm(x, weight, padding=1)
        assert records[0].algorithm == seen[blocks]
    one = ops.conv_algorithm(Tensor.like_shape((1, 16, 8, 8)), weight, padding=1)
    assert [a.name for a in seen[2]] == [a.name for a in one]


def test_an_own_algorithm_has_to_return_maps():
    ops.register_algorithm("flat", lambda x, weight, bias, **hyper: np.zeros(3))
    with pytest.raises(ValueError, match=re.escape("expected a result with 4 axes (N, C, H, W), got shape (3,)")):
        ops.conv2d(Tensor(random((1, 1, 4, 4))), Tensor(random((1, 1, 2, 2))), algorithm="flat")
    ops.register_algorithm("none", lambda x, weight, bias, **hyper: None)
    with pytest.raises(TypeError, match="conv2d: algorithm: result - expected an object of ndarray, got NoneType"):
        ops.conv2d(Tensor(random((1, 1, 4, 4))), Tensor(random((1, 1, 2, 2))), algorithm="none")
