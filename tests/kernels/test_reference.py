"""The textbook: by hand on small arrays, and against SciPy and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minitorch_kernels import reference

NAN = np.nan


def image(*rows):
    """Return rows as an array (1, 1, H, W)."""
    return np.array(rows, np.float64)[None, None]


def random(shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


# --------------------------------------------------------------------------------- convolution


def test_cross_correlation_slides_the_kernel_and_convolution_flips_it_first():
    signal, kernel = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 10.0, 100.0])
    # 1*1 + 2*10 + 4*100 = 421, 2*1 + 4*10 + 8*100 = 842
    np.testing.assert_array_equal(reference.cross_correlate1d(signal, kernel), [421, 842])
    # 4*1 + 2*10 + 1*100 = 124, 8*1 + 4*10 + 2*100 = 248
    np.testing.assert_array_equal(reference.convolve1d(signal, kernel), [124, 248])


def test_two_dimensions_by_hand():
    picture = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    kernel = np.array([[1.0, 10.0], [100.0, 1000.0]])
    # left: 0*1 + 1*10 + 3*100 + 4*1000 = 4310; right: each number is one more, so 1111 more
    np.testing.assert_array_equal(reference.cross_correlate2d(picture, kernel), [[4310, 5421]])
    # left: 4*1 + 3*10 + 1*100 + 0*1000 = 134
    np.testing.assert_array_equal(reference.convolve2d(picture, kernel), [[134, 1245]])


@pytest.mark.oracle
@settings(max_examples=30, deadline=None)
@given(size=st.tuples(*[st.integers(3, 7)] * 2), kernel=st.tuples(*[st.integers(1, 3)] * 2), seed=st.integers(0, 99))
def test_scipy_agrees_on_which_of_the_two_flips(size, kernel, seed):
    signal = pytest.importorskip("scipy.signal")
    a, k = random(size, seed), random(kernel, seed)
    np.testing.assert_allclose(reference.cross_correlate2d(a, k), signal.correlate2d(a, k, "valid"), atol=1e-13)
    np.testing.assert_allclose(reference.convolve2d(a, k), signal.convolve2d(a, k, "valid"), atol=1e-13)
    np.testing.assert_allclose(reference.cross_correlate1d(a[0], k[0]), signal.correlate(a[0], k[0], "valid"))
    np.testing.assert_allclose(reference.convolve1d(a[0], k[0]), signal.convolve(a[0], k[0], "valid"))


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        # first window 0 1 / 4 5: 0*1 + 1*2 + 4*4 + 5*6 = 48; a step right adds 1+2+4+6 = 13, a step down 52
        ({}, [[48, 61, 74], [100, 113, 126], [152, 165, 178]]),
        ({"stride": (2, 1)}, [[48, 61, 74], [152, 165, 178]]),
        ({"stride": (3, 2)}, [[48, 74]]),
        # corners 0 2 / 12 14: 0*1 + 2*2 + 12*4 + 14*6 = 136
        ({"dilation": (3, 2)}, [[136, 149]]),
        # above the image only 4*top left + 6*top right counts, right of it only 1*upper + 4*lower
        ({"padding": (1, 0, 0, 2), "stride": (2, 1)}, [[6, 16, 26, 12, 0], [100, 113, 126, 51, 0]]),
    ],
)
def test_stride_dilation_and_padding_pick_windows(keywords, expected):
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    out = reference.conv2d_forward(x, image([1, 2], [4, 6]), **keywords)
    np.testing.assert_array_equal(out[0, 0], expected)


def test_channels_are_added_groups_stay_apart_and_the_bias_comes_on_top():
    x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
    mixed = np.array([[1.0, 10, 100, 1000], [0, 0, 0, 1]]).reshape(2, 4, 1, 1)
    out = reference.conv2d_forward(x, mixed, np.array([0.5, -4]))
    np.testing.assert_array_equal(out.reshape(-1), [4321.5, 0])
    grouped = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]]).reshape(4, 2, 1, 1)
    out = reference.conv2d_forward(x, grouped, groups=2)  # filters 0 and 1 see 1 2, filters 2 and 3 see 3 4
    np.testing.assert_array_equal(out.reshape(-1), [21, 42, 129, 172])


def test_gradients_by_hand():
    keywords = {"stride": (1, 2), "padding": (0, 0, 1, 0), "dilation": (1, 1), "groups": 1}
    x, weight, grad_out = image([1, 2, 3]), image([5, 7]), image([10, 100])
    # windows (0, 1) and (2, 3): out = 0*5 + 1*7, 2*5 + 3*7
    np.testing.assert_array_equal(reference.conv2d_forward(x, weight, **keywords), image([7, 31]))
    grad_x = reference.conv2d_backward_input(grad_out, weight, input_size=(1, 3), **keywords)
    np.testing.assert_array_equal(grad_x, image([70, 500, 700]))
    grad_weight = reference.conv2d_backward_weight(x, grad_out, kernel_size=(1, 2), **keywords)
    np.testing.assert_array_equal(grad_weight, image([2 * 100, 1 * 10 + 3 * 100]))


@pytest.mark.oracle
def test_pytorch_computes_the_same_convolutions(many_convolutions):
    torch = pytest.importorskip("torch")
    for problem in many_convolutions[:100]:
        top, bottom, left, right = problem.hyper["padding"]
        x, weight, bias = (torch.tensor(a, requires_grad=True) for a in (problem.x, problem.weight, problem.bias))
        keywords = {name: problem.hyper[name] for name in ("stride", "dilation", "groups")}
        padded = torch.nn.functional.pad(x, (left, right, top, bottom))
        out = torch.nn.functional.conv2d(padded, weight, bias, **keywords)
        out.backward(torch.tensor(problem.grad_out))
        for got, want in zip(problem.results, (out.detach(), x.grad, weight.grad), strict=True):
            np.testing.assert_allclose(got, want.numpy(), atol=1e-12, err_msg=repr(problem))


def test_the_shortcut_of_these_tests_follows_the_loops(many_convolutions, by_taps):
    """Large convolutions are checked against `by_taps`, so that has to be the textbook's."""
    for problem in many_convolutions[100:150]:
        for got, want in zip(by_taps(problem), problem.results, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-12, err_msg=repr(problem))


# ------------------------------------------------------------------------------------- pooling

WINDOW = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 1, 0, 1)}


def test_max_pooling_by_hand():
    x = image([1, 5, -2], [5, 3, -2], [-7, -9, -8])
    out, argmax = reference.max_pool2d_forward(x, **WINDOW)
    # the first of equal values wins, and the padding never wins over negative numbers
    np.testing.assert_array_equal(out, image([5, -2], [-7, -8]))
    np.testing.assert_array_equal(argmax, image([1, 0], [0, 0]))
    grad_x = reference.max_pool2d_backward(image([1, 2], [3, 4]), argmax, input_size=(3, 3), **WINDOW)
    np.testing.assert_array_equal(grad_x, image([0, 1, 2], [0, 0, 0], [3, 0, 4]))


def test_the_first_nan_wins_the_window():
    out, argmax = reference.max_pool2d_forward(
        image([np.inf, NAN, NAN, 1]), kernel_size=(1, 3), stride=(1, 1), padding=(0,) * 4
    )
    np.testing.assert_array_equal(out, image([NAN, NAN]))
    np.testing.assert_array_equal(argmax, image([1, 0]))


def test_average_pooling_by_hand():
    x, grad_out = image([1, 2, 3], [4, 5, 6], [7, 8, 9]), image([4, 8], [12, 16])
    np.testing.assert_array_equal(reference.avg_pool2d_forward(x, **WINDOW), image([3, 9 / 4], [15 / 4, 9 / 4]))
    inside = reference.avg_pool2d_forward(x, **WINDOW, count_include_pad=False)
    np.testing.assert_array_equal(inside, image([3, 4.5], [7.5, 9]))
    grad_x = reference.avg_pool2d_backward(grad_out, input_size=(3, 3), **WINDOW)
    np.testing.assert_array_equal(grad_x, image([1, 1, 2], [1, 1, 2], [3, 3, 4]))
    grad_x = reference.avg_pool2d_backward(grad_out, input_size=(3, 3), **WINDOW, count_include_pad=False)
    np.testing.assert_array_equal(grad_x, image([1, 1, 4], [1, 1, 4], [6, 6, 16]))


# ------------------------------------------------------------------------------- normalisation


def test_batch_norm_by_hand():
    x = np.array([1.0, 3.0, 5.0, 7.0]).reshape(2, 1, 1, 2)  # mean 4, variance (9 + 1 + 1 + 9) / 4 = 5
    out, mean, var = reference.batch_norm_forward(x, np.array([6.0]), np.array([10.0]), eps=4.0)  # sqrt(5 + 4) = 3
    np.testing.assert_array_equal(out.reshape(-1), [4, 8, 12, 16])
    assert (mean, var) == (4, 5)


def test_batch_norm_gradients_by_hand():
    x, grad_out = np.array([-1.0, 1.0]).reshape(2, 1, 1, 1), np.array([8.0, 0.0]).reshape(2, 1, 1, 1)
    # mean 0, variance 1, sqrt(1 + 3) = 2: x / 2 is what gamma scales. d out_i / d x_j of (x_i - mean) / std:
    # (1 - 1/2) / 2 - x_i x_j / 2 / 8 on the diagonal, -(1/2) / 2 - x_i x_j / 2 / 8 beside it = 3/16 and -3/16
    grad_x, grad_gamma, grad_beta = reference.batch_norm_backward(grad_out, x, np.array([2.0]), eps=3.0)
    np.testing.assert_allclose(grad_x.reshape(-1), [3, -3], rtol=1e-15)
    assert (grad_gamma, grad_beta) == (-4, 8)


def test_local_response_norm_by_hand():
    x = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    # size 2 takes the channel before and the own one: squares 1, 1 + 4, 4 + 9; base = 1 + 6/2 * that
    out = reference.local_response_norm_forward(x, size=2, alpha=6.0, beta=0.5, k=1.0)
    np.testing.assert_allclose(out.reshape(-1), [1 / 4**0.5, 2 / 16**0.5, 3 / 40**0.5], rtol=1e-15)


@pytest.mark.oracle
@settings(max_examples=20, deadline=None)
@given(shape=st.tuples(st.integers(2, 3), *[st.integers(1, 4)] * 3), seed=st.integers(0, 99), size=st.integers(1, 5))
def test_pytorch_normalises_the_same(shape, seed, size):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x, grad_out, gamma, beta = (
        random(shape, seed),
        random(shape, seed + 1),
        random(shape[1:2], seed),
        random((shape[1],)),
    )
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, gamma, beta)]
    out = functional.batch_norm(tensors[0], None, None, *tensors[1:], training=True, eps=1e-2)
    out.backward(torch.tensor(grad_out))
    np.testing.assert_allclose(reference.batch_norm_forward(x, gamma, beta, eps=1e-2)[0], out.detach(), atol=1e-12)
    for got, tensor in zip(reference.batch_norm_backward(grad_out, x, gamma, eps=1e-2), tensors, strict=True):
        np.testing.assert_allclose(got, tensor.grad, atol=1e-11)

    tensor, numbers = torch.tensor(x, requires_grad=True), {"alpha": 0.5, "beta": 0.75, "k": 2.0}
    out = functional.local_response_norm(tensor, size, **numbers)
    out.backward(torch.tensor(grad_out))
    got = reference.local_response_norm_forward(x, size=size, **numbers)
    np.testing.assert_allclose(got, out.detach(), atol=1e-13)
    got = reference.local_response_norm_backward(grad_out, x, size=size, **numbers)
    np.testing.assert_allclose(got, tensor.grad, atol=1e-13)


@pytest.mark.oracle
@settings(max_examples=30, deadline=None)
@given(kernel=st.tuples(*[st.integers(1, 4)] * 2), stride=st.tuples(*[st.integers(1, 4)] * 2), data=st.data())
def test_pytorch_pools_the_same(kernel, stride, data):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    pad = [data.draw(st.integers(0, k // 2)) for k in kernel]
    x = random((2, 2, kernel[0] + data.draw(st.integers(0, 4)), kernel[1] + data.draw(st.integers(0, 4))))
    keywords = {"kernel_size": kernel, "stride": stride, "padding": (pad[0], pad[0], pad[1], pad[1])}
    tensor = torch.tensor(x, requires_grad=True)
    theirs = functional.max_pool2d(tensor, kernel, stride, pad)
    grad_out = random(tuple(theirs.shape), 1)
    theirs.backward(torch.tensor(grad_out))
    out, argmax = reference.max_pool2d_forward(x, **keywords)
    np.testing.assert_array_equal(out, theirs.detach())
    grad_x = reference.max_pool2d_backward(grad_out, argmax, input_size=x.shape[2:], **keywords)
    np.testing.assert_allclose(grad_x, tensor.grad, atol=1e-14)
    for include in (True, False):
        tensor = torch.tensor(x, requires_grad=True)
        theirs = functional.avg_pool2d(tensor, kernel, stride, pad, count_include_pad=include)
        theirs.backward(torch.tensor(grad_out))
        out = reference.avg_pool2d_forward(x, **keywords, count_include_pad=include)
        np.testing.assert_allclose(out, theirs.detach(), atol=1e-14)
        grad_x = reference.avg_pool2d_backward(grad_out, input_size=x.shape[2:], **keywords, count_include_pad=include)
        np.testing.assert_allclose(grad_x, tensor.grad, atol=1e-14)
