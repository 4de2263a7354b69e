"""The table of convolution algorithms: which row is taken for which problem, and that every row is right."""

import dataclasses
import functools

import numpy as np
import pytest

from minitorch_kernels import reference
from minitorch_kernels.conv import borders, select
from minitorch_kernels.runtime import simd

pytestmark = pytest.mark.skipif(not simd.supports(np.float32), reason="no micro-kernel fits this machine")


@dataclasses.dataclass
class Layer:
    """A convolution by its usual sizes."""

    images: int = 128
    channels: int = 64
    filters: int = 64
    size: int = 16
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1

    def problem(self, dtype=np.float32):
        pairs = [(n, n) for n in (self.size, self.kernel, self.stride)]
        padding = (self.padding,) * 4
        out = borders.output_size(*pairs, padding, (1, 1))
        sizes = self.images, self.images, self.channels, self.filters, pairs[0], out, *pairs[1:], padding
        return select.Problem(*sizes, (1, 1), self.groups, np.dtype(dtype))


def family(name):
    return [row for row in select.TABLE if row.family == name]


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (Layer(), ("winograd", "winograd", "winograd")),
        (Layer(kernel=1, padding=0), ("indirect", "indirect", "indirect")),
        (Layer(stride=2), ("indirect", "indirect", "indirect")),
        (Layer(groups=64), ("depthwise", "depthwise", "depthwise")),
        (Layer(channels=1, filters=6, size=32, kernel=5, padding=0), ("small_cout", "small_cout", "small_cout")),
        (Layer(images=0), ("empty", "empty", "empty")),
        (Layer(filters=0), ("empty", "empty", "empty")),
    ],
)
def test_the_first_row_that_is_faster_is_taken(layer, names):
    assert tuple(one.name for one in select.choose(layer.problem())) == names


def test_few_filters_of_colour_images_have_a_weight_gradient_of_their_own():
    layer = Layer(channels=3, filters=6, size=32, kernel=5, padding=0)
    assert select.choose(layer.problem()).backward_weight.name == "small_cout"


@pytest.mark.parametrize(("channels", "filters", "kernel", "name"), [
    (1, 8, 3, "small_cout"), (6, 16, 5, "small_cout"), (8, 8, 3, "small_cout"), (3, 16, 3, "indirect"),
    (3, 64, 7, "indirect"), (1, 32, 3, "indirect"),
])  # fmt: skip
def test_rows_that_would_be_gathered_count_in_the_choice_of_a_weight_gradient(channels, filters, kernel, name):
    layer = Layer(channels=channels, filters=filters, size=32, kernel=kernel, padding=0, stride=2)
    assert select.choose(layer.problem()).backward_weight.name == name


@pytest.mark.parametrize(("channels", "filters", "kernel", "size", "name"), [
    (6, 16, 5, 14, "small_cin"), (3, 64, 3, 32, "small_cin"), (12, 16, 5, 14, "small_cin"),
    (1, 8, 3, 32, "small_cout"), (4, 16, 3, 32, "small_cout"), (16, 16, 5, 32, "indirect"),
])  # fmt: skip
def test_input_gradients_go_by_windows_where_few_channels_meet_many_filters(channels, filters, kernel, size, name):
    if simd.VECTOR_BYTES != 64:
        pytest.skip("where one becomes faster than another depends on the width of the registers")
    layer = Layer(channels=channels, filters=filters, size=size, kernel=kernel, padding=0)
    assert select.choose(layer.problem()).backward_input.name == name


def test_a_family_is_taken_where_it_is_not_the_fastest():
    assert {one.name for one in select.choose(Layer().problem(), family("direct"))} == {"indirect"}
    tiny = Layer(images=1, channels=2, filters=2, size=4).problem()
    assert {one.name for one in select.choose(tiny, family("winograd"))} == {"winograd"}
    with pytest.raises(LookupError, match="no algorithm for forward among winograd, winograd supports"):
        select.choose(Layer(stride=2).problem(), family("winograd"))


def test_without_a_micro_kernel_im2col_is_taken(monkeypatch):
    monkeypatch.setattr(simd, "jit_enabled", lambda: False)
    assert {row.name for row in select.choose(Layer().problem())} == {"im2col"}
    assert {row.name for row in select.choose(Layer().problem(np.int64))} == {"im2col"}


def test_few_tiles_and_many_filters_go_panel_by_panel():
    forward, backward_input, _ = select.choose(Layer(images=8, channels=512, filters=512, size=8).problem())
    assert forward.function.__name__ == "conv2d_forward_panels"
    assert backward_input.function.__name__ == "conv2d_backward_input_panels"


def test_every_row_has_a_function_a_reason_and_a_family_that_users_know():
    for row in select.TABLE:
        assert any(getattr(row, product) for product in select.PRODUCTS) and row.reason
        assert row.family in ("direct", "winograd", "im2col") or row is select.EMPTY
    last = select.TABLE[-1]
    assert all(getattr(last, product) for product in select.PRODUCTS)  # so that there is always a row


PROBLEMS = [  # channels, filters, kernel, stride, padding, dilation, groups
    *((channels, filters, 3, 1, 1, 1, 1) for channels in (1, 3, 40) for filters in (1, 7, 40)),
    *((3, 5, 5, 1, 2, 1, 1), (6, 9, 2, 2, 0, 1, 1), (5, 4, 3, 1, 2, 2, 1)),
    *((4, 8, 3, 1, 1, 1, 2), (8, 8, 3, 1, 1, 1, 8)),
]


@functools.cache
def worked(sizes):
    """Return a problem, arrays for it (N, C, H, W), its keywords, and what the textbook makes of them."""
    channels, filters, kernel, stride, padding, dilation, groups = sizes
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, channels, 9, 8)).astype(np.float32)
    weight = rng.standard_normal((filters, channels // groups, kernel, kernel)).astype(np.float32)
    hyper = {"stride": (stride,) * 2, "padding": (padding,) * 4, "dilation": (dilation,) * 2, "groups": groups}
    out = reference.conv2d_forward(x, weight, None, **hyper)
    grad = rng.standard_normal(out.shape).astype(np.float32)
    right = {
        "forward": out,
        "backward_input": reference.conv2d_backward_input(grad, weight, input_size=(9, 8), **hyper),
        "backward_weight": reference.conv2d_backward_weight(x, grad, kernel_size=(kernel,) * 2, **hyper),
    }
    shapes = (9, 8), out.shape[2:], (kernel,) * 2, hyper["stride"], hyper["padding"], hyper["dilation"]
    return select.Problem(2, 2, channels, filters, *shapes, groups, np.dtype(np.float32)), x, weight, grad, hyper, right


@pytest.mark.parametrize("sizes", PROBLEMS, ids=str)
@pytest.mark.parametrize("row", select.TABLE, ids=lambda row: f"{row.family}-{row.name}")
def test_what_a_row_supports_it_computes(row, sizes):
    problem, x, weight, grad, hyper, right = worked(sizes)
    if not row.supports(problem):
        return
    pixels, grad_pixels = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (x, grad))
    calls = {
        "forward": lambda f: f(pixels, weight, None, **hyper).transpose(0, 3, 1, 2),
        "backward_input": lambda f: f(grad_pixels, weight, input_size=(9, 8), **hyper).transpose(0, 3, 1, 2),
        "backward_weight": lambda f: f(pixels, grad_pixels, kernel_size=problem.kernel_size, **hyper),
    }
    for product in select.PRODUCTS:
        if function := getattr(row, product):
            atol = 2e-4 * np.abs(right[product]).max()
            np.testing.assert_allclose(calls[product](function), right[product], rtol=0, atol=atol, err_msg=product)
