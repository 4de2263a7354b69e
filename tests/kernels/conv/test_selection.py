"""The table of convolution algorithms: which row is taken for which problem, and that every row is right."""

import dataclasses
import functools

import numpy as np
import pytest

from minitorch_kernels import reference
from minitorch_kernels.conv import borders, selection
from minitorch_kernels.layers import elementwise
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
    precision: str = "float32"

    def problem(self, dtype=np.float32):
        pairs = [(n, n) for n in (self.size, self.kernel, self.stride)]
        padding = (self.padding,) * 4
        out = borders.output_size(*pairs, padding, (1, 1))
        sizes = self.images, self.images, self.channels, self.filters, pairs[0], out, *pairs[1:], padding
        return selection.Problem(*sizes, (1, 1), self.groups, np.dtype(dtype), self.precision)


def family(name):
    return [row for row in selection.TABLE if row.family == name]


PROCESSORS = {"avx512": (64, 8), "avx2": (32, 6), "neon": (16, 8)}  # bytes of a vector register, and MR


@pytest.fixture
def choose_on(monkeypatch):
    """Return `selection.choose` as it answers on a processor; nothing is compiled, so this machine need not have it."""
    monkeypatch.setattr(selection, "_choose", selection._choose.__wrapped__)  # what it remembers holds for this machine

    def choose(processor, layer):
        vector_bytes, mr = PROCESSORS[processor]
        monkeypatch.setattr(simd, "VECTOR_BYTES", vector_bytes)
        for module in (selection.small_cout, selection.small_cin, selection.indirect_weight):
            monkeypatch.setattr(module, "MR", mr)
        return selection.choose(layer.problem())

    return choose


@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (Layer(), "winograd"),
        (Layer(kernel=1, padding=0), "indirect"),
        (Layer(stride=2), "winograd"),
        (Layer(stride=3), "indirect"),
        (Layer(kernel=5, stride=2, padding=2), "indirect"),
        (Layer(groups=64), "depthwise"),
        (Layer(images=0), "empty"),
        (Layer(filters=0), "empty"),
        (Layer(precision="bf16"), "winograd"),
        (Layer(kernel=1, padding=0, precision="bf16"), "bf16"),
        (Layer(stride=2, precision="bf16"), "bf16"),
        (Layer(filters=0, stride=2, precision="bf16"), "empty"),
        (Layer(stride=2, groups=2, precision="bf16"), "indirect"),
        (Layer(channels=16, filters=32, kernel=1, padding=0, stride=2, precision="bf16"), "indirect"),  # few products
    ],
)
def test_the_first_row_that_is_faster_is_taken(choose_on, processor, layer, name):
    assert {one.name for one in choose_on(processor, layer)} == {name}


@pytest.mark.parametrize(("processor", "names"), [
    ("avx512", ("small_cout", "small_cout", "small_cin")),
    ("avx2", ("small_cout", "small_cin", "small_cin")),
    ("neon", ("indirect", "small_cin", "small_cin")),  # six filters fill a vector of four lanes
])  # fmt: skip
def test_a_first_layer_with_few_filters(choose_on, processor, names):
    layer = Layer(channels=1, filters=6, size=32, kernel=5, padding=0)
    assert tuple(one.name for one in choose_on(processor, layer)) == names


@pytest.mark.parametrize("processor", PROCESSORS)
def test_few_filters_of_colour_images_have_a_weight_gradient_of_their_own(choose_on, processor):
    layer = Layer(channels=3, filters=6, size=32, kernel=5, padding=0)
    assert choose_on(processor, layer).backward_weight.name == "small_cout"


def product_on(choose_on, product, layer):
    """Return the name of the algorithm of a product on each processor, in the order of `PROCESSORS`."""
    return tuple(getattr(choose_on(processor, layer), product).name for processor in PROCESSORS)


@pytest.mark.parametrize(("channels", "filters", "kernel", "names"), [
    (4, 8, 3, ("small_cout", "indirect", "small_cout")), (6, 16, 5, ("small_cout", "indirect", "small_cout")),
    (8, 8, 3, ("small_cout", "indirect", "indirect")), (1, 32, 3, ("indirect", "indirect", "small_cout")),
    (3, 16, 3, ("small_cin", "indirect", "indirect")), (3, 64, 7, ("indirect",) * 3),
])  # fmt: skip
def test_rows_that_would_be_gathered_count_in_the_choice_of_a_weight_gradient(
    choose_on, channels, filters, kernel, names
):
    layer = Layer(channels=channels, filters=filters, size=32, kernel=kernel, padding=0, stride=2)
    assert product_on(choose_on, "backward_weight", layer) == names


@pytest.mark.parametrize(("channels", "filters", "kernel", "names"), [
    (1, 6, 5, ("small_cin",) * 3), (1, 32, 5, ("indirect",) * 3), (1, 96, 5, ("small_cin",) * 3),
    (3, 96, 3, ("small_cin", "indirect", "indirect")), (8, 8, 3, ("small_cout", "indirect", "indirect")),
])  # fmt: skip
def test_weight_gradients_go_by_windows_where_these_are_small(choose_on, channels, filters, kernel, names):
    layer = Layer(channels=channels, filters=filters, size=32, kernel=kernel, padding=0)
    assert product_on(choose_on, "backward_weight", layer) == names


@pytest.mark.parametrize(("channels", "filters", "kernel", "size", "names"), [
    (6, 16, 5, 14, ("small_cin",) * 3), (3, 64, 3, 32, ("small_cin",) * 3), (12, 16, 5, 14, ("small_cin",) * 3),
    (1, 8, 3, 32, ("small_cout", "small_cout", "small_cin")), (4, 16, 3, 32, ("small_cout", "small_cout", "indirect")),
    (16, 16, 5, 32, ("indirect", "small_cin", "small_cin")),
])  # fmt: skip
def test_input_gradients_go_by_windows_where_few_channels_meet_many_filters(
    choose_on, channels, filters, kernel, size, names
):
    layer = Layer(channels=channels, filters=filters, size=size, kernel=kernel, padding=0)
    assert product_on(choose_on, "backward_input", layer) == names


def test_a_family_is_taken_where_it_is_not_the_fastest():
    assert {one.name for one in selection.choose(Layer().problem(), family("direct"))} == {"indirect"}
    tiny = Layer(images=1, channels=2, filters=2, size=4).problem()
    assert {one.name for one in selection.choose(tiny, family("winograd"))} == {"winograd"}
    with pytest.raises(LookupError, match="no algorithm for forward among winograd, winograd supports"):
        selection.choose(Layer(stride=3).problem(), family("winograd"))


def test_without_a_micro_kernel_im2col_is_taken(monkeypatch):
    monkeypatch.setattr(simd, "jit_enabled", lambda: False)
    assert {row.name for row in selection.choose(Layer().problem())} == {"im2col"}
    assert {row.name for row in selection.choose(Layer().problem(np.int64))} == {"im2col"}


@pytest.mark.parametrize("stride", [1, 2])
def test_few_tiles_and_many_filters_go_panel_by_panel(stride):
    layer = Layer(images=8, channels=512, filters=512, size=8 * stride, stride=stride)
    forward, backward_input, _ = selection.choose(layer.problem())
    assert forward.function.__name__ == "conv2d_forward_panels"
    assert backward_input.function.__name__ == "conv2d_backward_input_panels"


def test_every_row_has_a_function_a_reason_and_a_family_that_users_know():
    for row in selection.TABLE:
        assert any(getattr(row, product) for product in selection.PRODUCTS) and row.reason
        assert row.family in ("direct", "winograd", "im2col") or row is selection.EMPTY
    last = selection.TABLE[-1]
    assert all(getattr(last, product) for product in selection.PRODUCTS)  # so that there is always a row


PROBLEMS = [  # channels, filters, kernel, stride, padding, dilation, groups
    *((channels, filters, 3, 1, 1, 1, 1) for channels in (1, 3, 40) for filters in (1, 7, 40)),
    *((3, 7, 3, 2, 1, 1, 1), (40, 17, 3, 2, 1, 1, 1), (17, 40, 3, 2, 0, 1, 1)),
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
    problem = selection.Problem(2, 2, channels, filters, *shapes, groups, np.dtype(np.float32))
    return problem, x, weight, grad, hyper, right


@pytest.mark.parametrize("sizes", PROBLEMS, ids=str)
@pytest.mark.parametrize("row", selection.TABLE, ids=lambda row: f"{row.family}-{row.name}")
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
    for product in selection.PRODUCTS:
        if function := getattr(row, product):
            atol = 2e-4 * np.abs(right[product]).max()
            np.testing.assert_allclose(calls[product](function), right[product], rtol=0, atol=atol, err_msg=product)


BIASES = [None, [np.nan, -np.inf, np.inf, -0.0, 0.0, -3.0, 3.0]]


@pytest.mark.parametrize("bias", BIASES, ids=["no bias", "any bias"])
@pytest.mark.parametrize("sizes", [*PROBLEMS, (700, 9, 3, 1, 1, 1, 1)], ids=str)  # 700 * 9 terms come in many parts
@pytest.mark.parametrize("row", selection.TABLE, ids=lambda row: f"{row.family}-{row.name}")
def test_with_relu_the_same_bits_follow_as_of_relu_afterwards(row, sizes, bias):
    problem, x, weight, _, hyper, _ = worked(sizes)
    if not row.forward or not row.supports(problem):
        return
    pixels = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    bias = bias and np.resize(np.array(bias, np.float32), len(weight))
    for dtype in (np.float32, np.float64):
        arrays = [a if a is None else a.astype(dtype) for a in (pixels, weight, bias)]
        out, got = row.forward(*arrays, **hyper), row.forward(*arrays, relu=True, **hyper)
        assert got.dtype == dtype and got.tobytes() == elementwise.relu_forward(out.reshape(-1)).tobytes()
