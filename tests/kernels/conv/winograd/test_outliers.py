"""Images with infinite, NaN or much larger elements: Winograd leaves them to the definition, and no others."""

import numpy as np
import pytest

from minitorch_kernels import reference
from minitorch_kernels.conv.indirect import conv2d_forward_indirect
from minitorch_kernels.conv.winograd import correlate, outliers, panels, weight
from minitorch_kernels.runtime.simd import supports

HYPER = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
BAD = [np.inf, -np.inf, np.nan, 1e38, -1e30, 1e6, 1e4]

pytestmark = pytest.mark.skipif(not supports(np.dtype(np.float32)), reason="no register tile fits this processor")


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def spoil(maps, value, channels=slice(0, 1)):
    """Put a bad pixel into the second of three images (N, H, W, C)."""
    maps[1, 5, 5, channels] = value
    return maps


def nchw(maps):
    return maps.transpose(0, 3, 1, 2)


def measures_of(maps):
    """Return what the kernels measure of maps (N, H, W, C); of a column, 16 channels of the first pixel."""
    return outliers.Measures(np.abs(maps).max((2, 3)), np.abs(maps[:, 0, :, :16]).max(2))


def found(maps, filters):
    return outliers.find(maps, measures_of(maps), outliers.split_filters(filters), filters[0].size).tolist()


def found_pairs(x, grad):
    return outliers.find_pairs(x, grad, measures_of(x), measures_of(grad)).tolist()


def exact(function, *arrays, **hyper):
    """Return the definition's result in float64, where nothing overflows."""
    return function(*(a.astype(np.float64) for a in arrays), **HYPER | hyper)


def same(got, want, far):
    """Require the definition's result in outputs that do not see the pixel, and its NaN or infinity in the others."""
    np.testing.assert_allclose(got[far], want[far], rtol=1e-3, atol=1e-3)
    fits = ~np.isfinite(want) | (np.abs(want) < 1e30)  # others may overflow in float32
    np.testing.assert_array_equal(np.isfinite(got)[fits], np.isfinite(want)[fits])


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("channels", [slice(0, 1), slice(None)], ids=["one channel", "all channels"])
@pytest.mark.parametrize("size", [pytest.param(12, marks=pytest.mark.slow), 6])
@pytest.mark.parametrize("stride", [1, 2])
def test_outputs_that_do_not_see_a_bad_pixel_stay_what_they_were(value, channels, size, stride):
    x, w, hyper = normal(3, size, size, 16), normal(16, 16, 3, 3, seed=1), {"stride": (stride, stride)}
    wide = size * stride
    far, far_grad = np.ones((3, 16, size // stride, size // stride), bool), np.ones((3, 16, wide, wide), bool)
    far[1, :, 4 // stride : 6 // stride + 1, 4 // stride : 6 // stride + 1] = False  # the pixel is (5, 5)
    far_grad[1, :, 5 * stride - 1 : 5 * stride + 2, 5 * stride - 1 : 5 * stride + 2] = False
    with np.errstate(all="ignore"):
        spoil(x, value, channels)
        out = nchw(correlate.conv2d_forward_winograd(x, w, None, **HYPER | hyper))
        same(out, exact(reference.conv2d_forward, nchw(x), w, **hyper), far)
        grad = nchw(correlate.conv2d_backward_input_winograd(x, w, input_size=(wide, wide), **HYPER | hyper))
        same(grad, exact(reference.conv2d_backward_input, nchw(x), w, input_size=(wide, wide), **hyper), far_grad)


@pytest.mark.slow
@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("which", [0, 1], ids=["image", "gradient"])
@pytest.mark.parametrize("stride", [1, 2])
def test_filters_that_do_not_see_a_bad_pixel_get_the_gradient_of_the_definition(value, which, stride):
    maps = [normal(3, 12 * stride, 12 * stride, 16), normal(3, 12, 12, 16, seed=1)]
    spoil(maps[which], value)
    hyper = {"kernel_size": (3, 3), "stride": (stride, stride)}
    with np.errstate(all="ignore"):
        got = weight.conv2d_backward_weight_winograd(*maps, **HYPER | hyper)
        want = exact(reference.conv2d_backward_weight, *map(nchw, maps), **hyper)
    far = np.ones(got.shape, bool)
    far[(slice(None), 0) if which == 0 else 0] = False
    same(got, want, far)


@pytest.mark.parametrize("value", BAD[:4])
def test_a_bad_weight_spoils_its_filter_alone(value):
    x, w = normal(2, 8, 8, 16), normal(16, 16, 3, 3, seed=1)
    w[3, 2, 0, 0] = value
    with np.errstate(all="ignore"):
        got = nchw(correlate.conv2d_forward_winograd(x, w, None, **HYPER))
        want = nchw(conv2d_forward_indirect(x, w, None, **HYPER))
    if np.isfinite(value):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    else:
        np.testing.assert_array_equal(got, want)
    assert np.isfinite(got[:, np.arange(16) != 3]).all()


@pytest.mark.parametrize("size", [(1, 3), (4, 4), (9, 14)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(3, 1, 0), (3, 1, 1), (3, 1, 2), (5, 1, 0), (5, 1, 4), (3, 2, 0), (3, 2, 1), (3, 2, 4)],
)
@pytest.mark.parametrize("fill", [correlate.fill_by_tiles, panels.fill_by_panels])
def test_the_convolution_and_its_weight_gradient_measure_all_of_their_images(size, kernel, stride, padding, fill):
    x, w, memo = normal(3, *size, 12), normal(12, 12, kernel, kernel, seed=1), outliers.Memo()
    hyper = {**HYPER, "padding": (padding,) * 4, "stride": (stride, stride)}
    if min(size) + 2 * padding < kernel:
        return
    out = correlate.conv2d_forward_winograd(x, w, None, memo=memo, fill=fill, **hyper)
    of_gradient = outliers.Memo()
    weight.conv2d_backward_weight_winograd(x, out, kernel_size=(kernel, kernel), memo=of_gradient, **hyper)
    of_input = outliers.Memo()
    correlate.conv2d_backward_input_winograd(out, w, input_size=size, memo=of_input, fill=fill, **hyper)
    for maps, own in ((x, memo), (x, of_gradient), (out, of_gradient), (out, of_input)):
        for got, right in zip(own.known(maps), measures_of(maps), strict=True):
            np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [-np.inf, np.nan, -0.0])
@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (2, 2, 2, 1), (1, 7, 3, 20), (0, 4, 4, 8), (2, 4, 4, 0)])
def test_measures_of_images_that_are_not_finite_or_empty(dtype, value, shape):
    x, w, memo = normal(*shape).astype(dtype), normal(16, shape[3], 3, 3, seed=1).astype(dtype), outliers.Memo()
    x[:, -1, -1, -1:] = value
    of_gradient = outliers.Memo()
    with np.errstate(all="ignore"):
        out = correlate.conv2d_forward_winograd(x, w, None, memo=memo, **HYPER)
        weight.conv2d_backward_weight_winograd(x, out, kernel_size=(3, 3), memo=of_gradient, **HYPER)
    want = measures_of(x) if x.size else outliers.Measures(np.zeros(shape[:2]), np.zeros(shape[::2]))
    for known in (memo.known(x), of_gradient.known(x)):
        for got, right in zip(known, want, strict=True):
            np.testing.assert_array_equal(got, right)


def test_the_products_of_one_convolution_measure_each_array_once(monkeypatch):
    """Two backward passes with other gradients, as with ``retain_graph``; the second gradient has an outlier."""
    x, w, split_filters, split = normal(2, 8, 8, 16), normal(16, 16, 3, 3, seed=1), outliers.split_filters, []
    monkeypatch.setattr(outliers, "split_filters", lambda weight: split.append(weight.shape) or split_filters(weight))
    memo = outliers.Memo()
    correlate.conv2d_forward_winograd(x, w, None, memo=memo, **HYPER)
    for spoiled in ([], [1]):
        grad = normal(2, 8, 8, 16, seed=2)
        grad[spoiled] *= np.geomspace(1, 1e6, 8, dtype=np.float32)[:, None]
        correlate.conv2d_backward_input_winograd(grad, w, input_size=(8, 8), memo=memo, **HYPER)
        known = memo.known(x[:]), memo.known(grad[:])
        assert outliers.find_pairs(x, grad, *known).tolist() == spoiled
        weight.conv2d_backward_weight_winograd(x, grad, kernel_size=(3, 3), memo=memo, **HYPER)
        assert all(memo.known(maps) is own for maps, own in zip((x, grad), known, strict=True))  # not measured again
    assert split == [w.shape] and memo.known(x[:1]) is None  # another shape


def test_a_memo_keeps_the_memory_that_it_knows():
    memo = outliers.Memo()
    for value in (1.0, 2.0, 3.0):  # without the memo, a new array might lie where the last one was
        maps = np.full((1, 4, 4, 16), value, np.float32)
        assert memo.known(maps) is None
        assert (memo.of(maps, measures_of).rows == value).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 32, 3, 3), (2, 12, 5, 5), (1, 7, 3, 3), (0, 4, 3, 3), (2, 0, 3, 3)])
def test_the_ratio_between_a_weight_and_a_tap_that_makes_the_weight_large(dtype, shape):
    weight, most_ratio = normal(*shape).astype(dtype), 256 if dtype == np.float32 else 2.0**37
    weight[:, :, 1, 1] = 0  # a tap of zeros does not count
    split = outliers.split_filters(weight)
    assert split.rest is weight and split.largest == np.abs(weight).max(initial=0) and not len(split.large)
    if weight.size:
        weight[0, 0, 0, 0] = 8  # the largest by far
        for ratio, large in ((0.99, []), (1.01, [8])):
            weight[0, :, 0, 1] = 0
            weight[0, -1, 0, 1] = -8 / (most_ratio * ratio)
            split = outliers.split_filters(weight)
            assert split.large.tolist() == large and split.indices.tolist() == [[0] * len(large)] * 4
            rest = weight.copy()
            rest[0, 0, 0, 0] = 0 if large else 8
            np.testing.assert_array_equal(split.rest, rest)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_filters_that_are_not_finite_do_not_fit(value):
    weight = normal(4, 4, 3, 3)
    weight[1, 2, 0, 1] = value
    assert not outliers.split_filters(weight).fits


def beginning(channels, kernel, scale):
    """Return filters after the first steps of a training that began with the identity."""
    weight = np.float32(scale) * normal(channels, channels, kernel, kernel, seed=1)
    weight[np.arange(channels), np.arange(channels), kernel // 2, kernel // 2] += 1
    return weight


def no_definition(monkeypatch):
    for name in ("conv2d_forward_indirect", "conv2d_backward_input_indirect"):
        monkeypatch.setattr(correlate.indirect, name, lambda *_, **__: pytest.fail("the definition was used"))
    monkeypatch.setattr(weight.indirect_weight, "conv2d_backward_weight_indirect", lambda *_, **__: pytest.fail("used"))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("scale", [1e-9, 1e-4])
def test_filters_that_begin_as_the_identity_exclude_no_image(monkeypatch, kernel, scale):
    x, w, hyper = normal(2, 8, 8, 16), beginning(16, kernel, scale), {**HYPER, "padding": (kernel // 2,) * 4}
    no_definition(monkeypatch)
    memo = outliers.Memo()
    out = correlate.conv2d_forward_winograd(x, w, None, memo=memo, **hyper)
    grad = correlate.conv2d_backward_input_winograd(out, w, input_size=(8, 8), memo=memo, **hyper)
    weight.conv2d_backward_weight_winograd(x, out, kernel_size=(kernel, kernel), memo=memo, **hyper)
    np.testing.assert_allclose(out, x, atol=100 * scale + 1e-6)
    np.testing.assert_allclose(grad, x, atol=200 * scale + 2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(1, 2), (9, 6)])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        *((3, 1, (1, 1, 1, 1)), (3, 1, (0, 2, 2, 1)), (5, 1, (2, 2, 2, 2)), (5, 1, (4, 0, 3, 4))),
        *((3, 2, (1, 1, 1, 1)), (3, 2, (0, 2, 2, 1))),
    ],
)
@pytest.mark.parametrize("fill", [correlate.fill_by_tiles, panels.fill_by_panels])
@pytest.mark.parametrize("large", [1e3, pytest.param(1e12, marks=pytest.mark.slow)])
def test_outputs_that_do_not_see_a_large_weight_have_none_of_its_rounding_errors(
    dtype, size, kernel, stride, padding, fill, large
):
    """The images have zeros under many of the large weights, and the paddings are other zeros."""
    if large < 1e6 and dtype == np.float64:
        return  # no weight is large
    x, w = normal(2, *size, 16).astype(dtype), normal(12, 16, kernel, kernel, seed=1).astype(dtype)
    x[..., ::2] = 0
    x[..., 1::4] *= np.random.default_rng(2).random(x[..., 1::4].shape) < 0.5
    rng = np.random.default_rng(3)
    for o in range(12):
        w[(o, *rng.integers(0, (16, kernel, kernel)))] = large * rng.choice([-1, 1])
    assert len(outliers.split_filters(w).large) == 12
    hyper = {**HYPER, "padding": padding, "stride": (stride, stride)}
    wide, tolerance = [a.astype(np.float64) for a in (x, w)], 2e-4 if dtype == np.float32 else 1e-11

    def close(got, function, *operands, **more):
        want = function(*operands, **more, **hyper)
        seen = function(*map(np.abs, operands), **more, **hyper)  # the size of each output's products
        assert (np.abs(nchw(got) - want) <= tolerance * (seen + 10)).all()

    out = correlate.conv2d_forward_winograd(x, w, None, fill=fill, **hyper)
    close(out, reference.conv2d_forward, nchw(wide[0]), wide[1])
    grad = np.ascontiguousarray(out / np.abs(out).max((1, 2), keepdims=True).clip(1e-9))
    got = correlate.conv2d_backward_input_winograd(grad, w, input_size=size, fill=fill, **hyper)
    close(got, reference.conv2d_backward_input, nchw(grad.astype(np.float64)), wide[1], input_size=size)


@pytest.mark.parametrize("fill", [correlate.fill_by_tiles, panels.fill_by_panels])
@pytest.mark.parametrize("large_weights", [0, 1, 40])
@pytest.mark.parametrize("pixel", [1, *BAD])
def test_relu_comes_after_all_that_outliers_add(fill, large_weights, pixel):
    x, w, bias = normal(3, 6, 6, 16), normal(12, 16, 3, 3, seed=1), normal(12, seed=2)
    w[:, :, 1, 1].reshape(-1)[:large_weights] = -1e5
    spoil(x, pixel)
    out, got = (correlate.conv2d_forward_winograd(x, w, bias, fill=fill, relu=relu, **HYPER) for relu in (False, True))
    np.testing.assert_array_equal(got, np.where(out <= 0, 0, out))


def test_filters_of_many_large_weights_are_left_to_the_definition():
    x, w = normal(2, 8, 8, 16), normal(16, 16, 3, 3, seed=1)
    w[:, :3, 0, 0] *= 1e6
    assert not outliers.split_filters(w).fits
    out = correlate.conv2d_forward_winograd(x, w, None, **HYPER)
    np.testing.assert_array_equal(out, conv2d_forward_indirect(x, w, None, **HYPER))


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e38])
@pytest.mark.parametrize("which", [0, 1], ids=["image", "gradient"])
def test_a_bad_pixel_excludes_its_own_image_from_the_weight_gradient_and_no_other(value, which):
    maps = [normal(3, 8, 8, 16), normal(3, 8, 8, 16, seed=1)]
    spoil(maps[which], value)
    assert found_pairs(*maps) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("bad", [range(40), range(1, 40, 2), [39]])
def test_however_many_images_are_excluded_each_gets_the_result_of_the_definition(monkeypatch, bad):
    x, grad, w = normal(40, 6, 6, 16), normal(40, 6, 6, 16, seed=1), normal(16, 16, 3, 3, seed=2)
    monkeypatch.setattr(outliers, "_PART_BYTES", 14 * x[0].nbytes)  # 14 of either, or 7 of both
    x[bad, 3, 3, :] *= 1e5
    grad[bad, 2, 2, :] *= 1e5
    out = correlate.conv2d_forward_winograd(x, w, None, **HYPER)
    np.testing.assert_allclose(out[bad], conv2d_forward_indirect(x[bad], w, None, **HYPER), rtol=1e-5, atol=1e-4)
    grad_x = nchw(correlate.conv2d_backward_input_winograd(grad, w, input_size=(6, 6), **HYPER))
    want = exact(reference.conv2d_backward_input, nchw(grad), w, input_size=(6, 6))
    far = np.ones(grad_x.shape, bool)
    far[:, :, 1:4, 1:4] = False
    np.testing.assert_allclose(grad_x[far], want[far], rtol=1e-3, atol=1e-3)
    got = weight.conv2d_backward_weight_winograd(x, grad, kernel_size=(3, 3), **HYPER)
    want = exact(reference.conv2d_backward_weight, nchw(x), nchw(grad), kernel_size=(3, 3))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())


def test_large_maps_times_small_factors_do_not_overflow_on_the_way():
    x, w = normal(2, 8, 8, 16) * np.float32(1e37), normal(16, 16, 3, 3, seed=1) * np.float32(1e-20)
    out = nchw(correlate.conv2d_forward_winograd(x, w, None, **HYPER))
    want = exact(reference.conv2d_forward, nchw(x), w)
    np.testing.assert_allclose(out, want, rtol=0, atol=1e-4 * np.abs(want).max())
    grad = normal(2, 8, 8, 16, seed=2) * np.float32(1e-20)
    for pair in ((x, grad), (grad, x)):
        got = weight.conv2d_backward_weight_winograd(*pair, kernel_size=(3, 3), **HYPER)
        want = exact(reference.conv2d_backward_weight, *map(nchw, pair), kernel_size=(3, 3))
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())


def test_a_weight_gradient_computes_no_image_twice_that_is_known_beforehand(monkeypatch):
    x, grad, computed = normal(3, 8, 8, 16), normal(3, 8, 8, 16, seed=1), []
    spoil(x, np.inf)
    right = weight._gradient
    monkeypatch.setattr(weight, "_gradient", lambda *all: computed.append(all[2].tolist()) or right(*all))
    for known, images in ((False, [[0, 1, 2], [0, 2]]), (True, [[0, 2]])):
        computed.clear()
        memo = outliers.Memo()
        if known:
            memo.of(x, measures_of)
            memo.of(grad, measures_of)
        weight.conv2d_backward_weight_winograd(x, grad, kernel_size=(3, 3), memo=memo, **HYPER)
        assert computed == images


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [1, 2], ids=["row", "column"])
def test_the_ratio_between_the_largest_element_and_a_row_or_column_that_excludes_an_image(dtype, axis):
    x, w = normal(3, 6, 7, 12).astype(dtype), normal(12, 12, 3, 3, seed=1).astype(dtype)
    most_ratio = 256 if dtype == np.float32 else 2.0**37
    x[1, 5, 6, 11] = 8.0  # the largest element by far
    line = [np.s_[1, 2], np.s_[1, :, 2]][axis - 1]
    for ratio, excluded in ((0.99, []), (1.0, []), (1.01, [1])):
        x[line] = 0
        x[line][-1, -1] = -8.0 / (most_ratio * ratio)
        assert found(x, w) == excluded
        assert found_pairs(x, np.ones_like(x)) == excluded
        assert found_pairs(np.ones_like(x), x) == excluded
    x[line] = 0  # a row or column of zeros does not count
    assert found(x, w) == []


def test_a_block_of_large_pixels_sets_an_image_apart_whichever_way_it_lies():
    w = normal(16, 16, 3, 3, seed=1)
    for block in (np.s_[:, :6], np.s_[:6], np.s_[:6, :6]):
        x = normal(2, 12, 12, 16)
        x[1][block] *= 1e6
        assert found(x, w) == [1]


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_ordinary_images_of_any_scale_are_not_set_apart(scale):
    x, w = normal(64, 8, 8, 16) * np.float32(scale), normal(16, 16, 3, 3, seed=1)
    relu = np.maximum(x, 0) * (np.random.default_rng(2).random(x.shape) < 0.3)
    for maps in (x, relu.astype(np.float32), np.zeros_like(x)):
        assert found(maps, w) == found_pairs(maps, normal(64, 8, 8, 16)) == []
