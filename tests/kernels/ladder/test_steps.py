"""Every step of the ladder computes the same convolution as the textbook."""

import functools
import importlib
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels import ladder, reference
from minitorch_kernels.ladder import packing
from minitorch_kernels.runtime import simd

TILE_STEPS = ("step8_shipped", "step9_winograd")
FOLDER = pathlib.Path(ladder.__file__).parent


@pytest.fixture(params=list(ladder.STEPS), scope="module")
def step(request):
    if request.param in TILE_STEPS and not simd.supports(np.float32):
        pytest.skip("no tile fits this processor")
    return importlib.import_module(f"minitorch_kernels.ladder.{request.param}")


@functools.cache
def problem(images, channels, filters, height, width, kernel_height, kernel_width, stride, padding):
    """Return x, weight and the textbook's result, in float64."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((images, channels, height, width))
    weight = rng.standard_normal((filters, channels, kernel_height, kernel_width))
    return x, weight, reference.conv2d_forward(x, weight, stride=(stride, stride), padding=(padding,) * 4)


def check(step, dtype, stride=1, padding=0, **sizes):
    x, weight, want = problem(stride=stride, padding=padding, **sizes)
    got = step.conv2d(x.astype(dtype), weight.astype(dtype), stride=stride, padding=padding)
    assert got.shape == want.shape and got.dtype == dtype
    tolerance = {np.float32: 2e-4, np.float64: 1e-10}[dtype]  # Winograd rounds in float32 to about 1e-5 of the scale
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.sqrt(max(weight[0].size, 1)))


@st.composite
def sizes(draw):
    kernel_height, kernel_width, padding = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(0, 2))
    return {
        "images": draw(st.integers(1, 2)),
        "channels": draw(st.integers(1, 9)),
        "filters": draw(st.integers(1, 9)),
        "height": draw(st.integers(max(1, kernel_height - 2 * padding), 8)),
        "width": draw(st.integers(max(1, kernel_width - 2 * padding), 8)),
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride": draw(st.integers(1, 3)),
        "padding": padding,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=25, deadline=None)
@given(sizes=sizes())
def test_any_convolution_agrees_with_the_textbook(step, dtype, sizes):
    check(step, dtype, **sizes)


@pytest.mark.parametrize(
    "sizes",
    [
        {"channels": 400, "filters": 3, "height": 5, "width": 3, "kernel_height": 3, "kernel_width": 2},  # KC
        {"channels": 2, "filters": 2, "height": 13, "width": 12, "kernel_height": 2, "kernel_width": 2},  # MC
        {"channels": 1, "filters": 1030, "height": 2, "width": 2, "kernel_height": 1, "kernel_width": 1},  # NC
        {"channels": 1300, "filters": 2, "height": 2, "width": 2, "kernel_height": 1, "kernel_width": 1},  # a row > KC
    ],
    ids=["terms", "rows", "filters", "a row of a window alone"],
)
def test_convolutions_of_several_blocks(step, sizes):
    check(step, np.float32, images=1, stride=1, padding=0, **sizes)


def test_images_in_any_layout_give_the_same(step):
    x, weight, want = problem(2, 3, 4, 6, 5, 3, 3, 1, 1)
    turned = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for images in (turned, np.repeat(x, 2, axis=3)[..., ::2]):
        np.testing.assert_allclose(step.conv2d(images, weight, stride=1, padding=1), want, atol=1e-10)


def test_the_threads_do_not_change_the_bits(same_bits_for_any_threads):
    x, weight, _ = problem(2, 5, 6, 9, 9, 3, 3, 1, 1)
    for name in ("step7_threads", *TILE_STEPS):
        conv2d = importlib.import_module(f"minitorch_kernels.ladder.{name}").conv2d
        same_bits_for_any_threads(lambda conv2d=conv2d: [conv2d(x, weight, stride=1, padding=1)])


def test_a_micro_panel_holds_its_rows_one_after_the_other():
    a, b = packing.operands(np.arange(12.0).reshape(1, 1, 3, 4), np.arange(4.0).reshape(1, 1, 2, 2), 1, 0)
    assert a.shape == (1, 2, 3, 2, 2) and b.shape == (1, 1, 1, 2, 2)
    panels = packing.pack(a, 1, 4, 3)  # windows 1 to 4 of 6, three in a panel
    np.testing.assert_array_equal(panels[0], [[1, 2, 5, 6], [2, 3, 6, 7], [4, 5, 8, 9]])
    np.testing.assert_array_equal(panels[1][0], [5, 6, 9, 10])


def test_a_step_is_one_file_of_at_most_sixty_lines():
    assert sorted(path.stem for path in FOLDER.glob("step*.py")) == list(ladder.STEPS)
    for path in FOLDER.glob("*.py"):
        assert len(path.read_text().splitlines()) <= 60, path.name
