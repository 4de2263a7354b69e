"""conv2d, conv1d and convolve: every algorithm against the textbook, PyTorch and finite differences."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_kernels as kernels
from minitorch_cnn import Tensor, autograd, ops, shapes
from minitorch_cnn.shapes import ShapeError, nchw
from minitorch_cnn.testing import gradcheck

ALGORITHMS = ["reference", "im2col", "auto", *["direct"] * kernels.runtime.simd.supports(np.float32)]
TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-12}


@st.composite
def cases(draw):
    """Shapes and keywords of a convolution in which at least one window fits."""
    small, groups = st.integers(1, 3), draw(st.integers(1, 3))
    kernel, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    height, width = (
        max(dilation[axis] * (kernel[axis] - 1) + 1 - sum(padding[2 * axis : 2 * axis + 2]), 1)
        + draw(st.integers(0, 4))
        for axis in range(2)
    )
    batch, in_channels, out_channels = draw(small), groups * draw(small), groups * draw(small)
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (batch, in_channels, height, width), (out_channels, in_channels // groups, *kernel), hyper


def random(shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
@settings(max_examples=25, deadline=None)
@given(case=cases())
def test_every_algorithm_agrees_with_the_textbook(algorithm, dtype, case):
    x_shape, weight_shape, hyper = case
    x, weight, bias = random(x_shape), random(weight_shape), random(weight_shape[:1])
    expected = kernels.reference.conv2d_forward(x, weight, bias, **hyper)
    grad_out = random(expected.shape, 1)
    expected_x = kernels.reference.conv2d_backward_input(grad_out, weight, input_size=x_shape[2:], **hyper)
    expected_w = kernels.reference.conv2d_backward_weight(x, grad_out, kernel_size=weight_shape[2:], **hyper)

    tensors = [Tensor(a.astype(dtype), requires_grad=True) for a in (x, weight, bias)]
    out = ops.conv2d(*tensors, **hyper, algorithm=algorithm)
    out.backward(grad_out)
    wanted = (expected, expected_x, expected_w, grad_out.sum((0, 2, 3)))
    for got, want in zip((out.data, *(t.grad for t in tensors)), wanted, strict=True):
        products = grad_out.size // grad_out.shape[1] + weight.size
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=0, atol=TOLERANCE[np.dtype(dtype)] * np.sqrt(products) * 4)


@pytest.mark.oracle
@settings(max_examples=25, deadline=None)
@given(case=cases())
def test_agrees_with_pytorch(case):
    torch = pytest.importorskip("torch")
    x_shape, weight_shape, hyper = case
    arrays = [random(x_shape), random(weight_shape), random(weight_shape[:1])]
    ours = [Tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    top, bottom, left, right = hyper["padding"]
    padded = torch.nn.functional.pad(theirs[0], (left, right, top, bottom))
    keywords = {name: hyper[name] for name in ("stride", "dilation", "groups")}
    expected = torch.nn.functional.conv2d(padded, *theirs[1:], **keywords)
    out = ops.conv2d(*ours, **hyper)
    grad_out = random(out.shape, 1)
    out.backward(grad_out)
    expected.backward(torch.tensor(grad_out))
    np.testing.assert_allclose(out.data, expected.detach().numpy(), atol=1e-11)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), atol=1e-11)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@settings(max_examples=8, deadline=None)
@given(case=cases())
def test_gradients_match_finite_differences(algorithm, case):
    x_shape, weight_shape, hyper = case
    tensors = [Tensor(random(s), requires_grad=True) for s in (x_shape, weight_shape, weight_shape[:1])]
    gradcheck(lambda *t: ops.conv2d(*t, **hyper, algorithm=algorithm), *tensors)


def test_one_window_by_hand():
    x = Tensor(np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3))
    weight = Tensor(np.array([[[[1.0, 2.0], [3.0, 4.0]]]], np.float32))
    # top left window 0 1 / 3 4: 0*1 + 1*2 + 3*3 + 4*4 = 27; each step to the right adds 1+2+3+4 = 10, down 30
    np.testing.assert_array_equal(ops.conv2d(x, weight).data, [[[[27, 37], [57, 67]]]])


def test_convolve_flips_the_kernel():
    impulse = np.zeros((1, 1, 5, 5), np.float32)
    impulse[0, 0, 2, 2] = 1
    kernel = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3)
    response = ops.convolve(Tensor(impulse), Tensor(kernel), padding=1).data
    np.testing.assert_array_equal(response[0, 0, 1:4, 1:4], kernel[0, 0])
    mirrored = ops.conv2d(Tensor(impulse), Tensor(kernel), padding=1).data
    np.testing.assert_array_equal(mirrored[0, 0, 1:4, 1:4], kernel[0, 0, ::-1, ::-1])


def test_convolve_gradients():
    x, weight = Tensor(random((1, 2, 4, 4)), requires_grad=True), Tensor(random((2, 2, 3, 2)), requires_grad=True)
    gradcheck(lambda x, w: ops.convolve(x, w, stride=2, padding=1), x, weight)


@pytest.mark.parametrize(("size", "stride", "expected"), [(7, 1, 7), (7, 2, 4), (8, 3, 3)])
def test_same_padding(size, stride, expected):
    x, weight = Tensor(random((1, 1, size, size))), Tensor(random((1, 1, 4, 4)))
    assert ops.conv2d(x, weight, stride=stride, padding="same").shape == (1, 1, expected, expected)


def test_reflect_padding_mirrors_without_repeating_the_edge():
    x = Tensor(np.arange(4, dtype=np.float64).reshape(1, 1, 1, 4), requires_grad=True)
    one = Tensor(np.ones((1, 1, 1, 1)))
    out = ops.conv2d(x, one, padding=(0, 0, 2, 2), padding_mode="reflect")
    np.testing.assert_array_equal(out.data, [[[[2, 1, 0, 1, 2, 3, 2, 1]]]])
    out.backward(np.ones(out.shape))
    np.testing.assert_array_equal(x.grad, [[[[1, 3, 3, 1]]]])


def test_pixels_that_the_floor_drops_get_no_gradient():
    x = Tensor(random((1, 1, 32, 32)), requires_grad=True)
    out = ops.conv2d(x, Tensor(np.ones((1, 1, 5, 5))), stride=2)
    assert out.shape == (1, 1, 14, 14)  # floor((32 - 5) / 2) + 1 = floor(13.5) + 1
    out.backward(np.ones(out.shape))
    assert (x.grad[..., -1, :] == 0).all() and (x.grad[..., :, -1] == 0).all() and x.grad[..., 30, 30] != 0


@settings(max_examples=20, deadline=None)
@given(
    width=st.integers(4, 9),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_conv1d_is_the_sum_over_taps(width, kernel, stride, dilation, seed):
    if dilation * (kernel - 1) + 1 > width:
        return
    x, weight, bias = random((2, 3, width), seed), random((4, 3, kernel), seed), random((4,), seed)
    out = ops.conv1d(Tensor(x), Tensor(weight), Tensor(bias), stride=stride, dilation=dilation).data
    for i in range(out.shape[2]):
        window = x[:, :, i * stride : i * stride + dilation * (kernel - 1) + 1 : dilation]
        np.testing.assert_allclose(out[:, :, i], np.einsum("ncu,ocu->no", window, weight) + bias, atol=1e-12)


def test_conv1d_gradients_and_padding():
    x, weight = Tensor(random((2, 2, 6)), requires_grad=True), Tensor(random((2, 1, 3)), requires_grad=True)
    gradcheck(lambda x, w: ops.conv1d(x, w, padding=(2, 1), groups=2, stride=2), x, weight)
    assert ops.conv1d(x, Tensor(random((2, 2, 3))), padding="same").shape == (2, 2, 6)


def test_nan_stays_inside_its_windows():
    x = random((1, 2, 6, 6), dtype=np.float32)
    x[0, 0, 0, 0] = np.nan
    for algorithm in ALGORITHMS:
        out = ops.conv2d(Tensor(x), Tensor(random((3, 2, 3, 3), dtype=np.float32)), algorithm=algorithm).data
        assert np.isnan(out[:, :, 0, 0]).all() and np.isnan(out).sum() == 3, algorithm


def test_layouts_give_equal_results_and_channels_last_is_not_copied():
    x, weight = random((2, 3, 6, 5), dtype=np.float32), Tensor(random((4, 3, 3, 3), dtype=np.float32))
    channels_last = nchw(np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    before = shapes.layout_copies
    out = ops.conv2d(Tensor(channels_last), weight)
    assert shapes.layout_copies == before
    assert out.data.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(ops.conv2d(Tensor(x), weight).data, out.data)
    strided = np.zeros((2, 6, 6, 5), np.float32)[:, ::2]
    strided[...] = x
    np.testing.assert_array_equal(ops.conv2d(Tensor(strided), weight).data, out.data)


def first_pixel_large(shape):
    """Return images of ones, but for 2**24 in the first pixel: float32 cannot add a 1 to that."""
    x = np.ones(shape, np.float32)
    x[0, :, 0, 0] = 2**24
    return Tensor(x)


@pytest.mark.parametrize(
    ("shape", "filters"),
    [
        ((1, 1, 100, 200), (1, 1, 1, 1)),
        ((1, 3, 100, 200), (8, 3, 3, 3)),
        ((1, 32, 100, 200), (2, 32, 1, 1)),
        ((1, 32, 100, 200), (40, 32, 1, 1)),
        ((1, 32, 100, 200), (32, 1, 3, 3)),
        ((1, 32, 100, 200), (32, 1, 5, 5)),
    ],
)
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_the_gradient_of_filters_goes_on_growing_with_the_pixels(shape, filters, algorithm):
    weight = Tensor(np.zeros(filters, np.float32), requires_grad=True)
    out = ops.conv2d(first_pixel_large(shape), weight, groups=shape[1] // filters[1], algorithm=algorithm)
    out.backward(np.ones(out.shape, np.float32))
    pixels = out.shape[2] * out.shape[3]  # the gradients of the first tap see the large pixel, the others do not
    np.testing.assert_allclose(weight.grad[:, :, 0, 0], 2**24 + pixels - 1, rtol=0, atol=pixels / 4)
    np.testing.assert_array_equal(weight.grad.reshape(*filters[:2], -1)[:, :, 1:], pixels)


def test_no_images_give_no_outputs():
    for algorithm in ALGORITHMS:
        x, weight = (Tensor(np.zeros(s, np.float32), requires_grad=True) for s in ((0, 3, 5, 5), (2, 3, 3, 3)))
        out = ops.conv2d(x, weight, algorithm=algorithm)
        out.backward(np.zeros(out.shape))
        assert out.shape == (0, 2, 3, 3) and x.grad.shape == x.shape and (weight.grad == 0).all()


def test_trace_knows_the_shape():
    with autograd.trace() as records:
        out = ops.conv2d(Tensor.like_shape((1, 3, 32, 32)), Tensor(np.ones((8, 3, 5, 5), np.float32)), stride=2)
    assert out.traced and out.shape == (1, 8, 14, 14)
    assert records[0].hyper["stride"] == (2, 2)


def conv(x=(1, 3, 8, 8), weight=(4, 3, 3, 3), bias=None, **hyper):
    tensors = [None if s is None else Tensor(np.zeros(s, np.float32)) for s in (x, weight, bias)]
    return ops.conv2d(*tensors, **hyper)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv(x=(3, 8, 8)), ShapeError, "conv2d: x - expected 4 axes (N, C, H, W), got shape (3, 8, 8)"),
        (lambda: conv(weight=(4, 3, 3)), ShapeError, "conv2d: weight - expected 4 axes"),
        (lambda: conv(x=(3, 8, 8), padding="same"), ShapeError, "conv2d: x - expected 4 axes"),
        (lambda: conv(x=(3, 8, 8), padding=1, padding_mode="reflect"), ShapeError, "conv2d: x - expected 4 axes"),
        (lambda: conv(weight=(4, 3, 3), padding="same"), ShapeError, "conv2d: weight - expected 4 axes"),
        (
            lambda: conv(weight=(4, 16, 3, 3)),
            ShapeError,
            "x - expected 16 channels (weight (4, 16, 3, 3), groups 1), got 3",
        ),
        (lambda: conv(weight=(4, 1, 3, 3), groups=3), ShapeError, "expected C_out divisible by groups 3, got 4"),
        (lambda: conv(bias=(3,)), ShapeError, "conv2d: bias - expected shape (4,), got (3,)"),
        (lambda: conv(weight=(4, 3, 9, 9)), ShapeError, "conv2d: height - expected at least 9 padded pixels"),
        (lambda: conv(stride=0), ValueError, "conv2d: stride - expected at least 1, got 0"),
        (lambda: conv(dilation=1.5), TypeError, "conv2d: dilation - expected an int or two ints, got 1.5"),
        (lambda: conv(groups=0), ValueError, "conv2d: groups - expected at least 1, got 0"),
        (lambda: conv(padding=-1), ValueError, "conv2d: padding - expected at least 0, got -1"),
        (lambda: conv(padding="full"), ValueError, "expected an int, two or four ints, 'same' or 'valid', got 'full'"),
        (lambda: conv(padding_mode="wrap"), ValueError, "padding_mode - expected one of 'zeros', 'reflect'"),
        (lambda: conv(algorithm="fft"), ValueError, "algorithm - expected one of auto, reference, im2col, direct"),
        (lambda: ops.conv2d(np.zeros((1, 1, 2, 2)), None), TypeError, "conv2d: x - expected a Tensor, got ndarray"),
        (
            lambda: ops.conv1d(Tensor(np.zeros((1, 2))), Tensor([1.0])),
            ShapeError,
            "conv1d: x - expected 3 axes (N, C, W)",
        ),
        (lambda: ops.convolve(Tensor([1.0]), Tensor([1.0])), ShapeError, "convolve: weight - expected 4 axes"),
    ],
)
def test_errors_name_argument_expected_and_got(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
