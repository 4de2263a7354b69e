"""Convolutions shown product by product: what is shown is what the kernels and the textbook compute."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_kernels.reference as textbook
from minitorch_cnn import Tensor, explain, ops
from minitorch_cnn.explain.arithmetic.text import size_sentence

X = np.arange(25).reshape(5, 5) % 7
SOBEL = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]


@st.composite
def problems(draw):
    """Return (x, weight, options) of a convolution of one or two axes, with or without channels."""
    axes, several = draw(st.integers(1, 2)), draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    taps = [draw(st.integers(1, 3)) for _ in range(axes)]
    options = {name: draw(st.integers(low, 3)) for name, low in (("stride", 1), ("padding", 0), ("dilation", 1))}
    sides = [options["dilation"] * (k - 1) + 1 + draw(st.integers(0, 3)) for k in taps]
    channels, filters = (draw(st.integers(1, 2)), draw(st.integers(1, 2))) if several else (1, 1)
    x = rng.standard_normal((channels, *sides) if several else sides)
    weight = rng.standard_normal((filters, channels, *taps) if several else taps)
    return x, weight, options


def four(x, weight):
    """Return both as (C, H, W) and (C_out, C, KH, KW)."""
    signal = weight.ndim % 2 == 1
    if weight.ndim <= 2:
        x, weight = x[None], weight[None, None]
    return (x[:, None], weight[:, :, None], True) if signal else (x, weight, False)


def hyper(options, signal):
    s, p, d = options["stride"], options["padding"], options["dilation"]
    if signal:
        return {"stride": (1, s), "padding": (0, 0, p, p), "dilation": (1, d), "groups": 1}
    return {"stride": (s, s), "padding": (p,) * 4, "dilation": (d, d), "groups": 1}


@settings(max_examples=30, deadline=None)
@given(problem=problems())
def test_every_step_of_every_pass_is_the_textbooks(problem):
    x, weight, options = problem
    full_x, full_weight, signal = four(x, weight)
    given = hyper(options, signal)
    truth = textbook.conv2d_forward(full_x[None], full_weight, **given)[0]
    story = explain.conv(x, weight, **options)
    check_steps(story, truth)
    grad_out = np.random.default_rng(0).standard_normal(story.result.shape)
    incoming = grad_out.reshape(1, *truth.shape)
    size, taps = full_x.shape[1:], full_weight.shape[2:]
    grad_x = textbook.conv2d_backward_input(incoming, full_weight, input_size=size, **given)[0]
    grad_weight = textbook.conv2d_backward_weight(full_x[None], incoming, kernel_size=taps, **given)
    check_steps(explain.conv_gradient(x, weight, "input", grad_out=grad_out, **options), grad_x)
    check_steps(explain.conv_gradient(x, weight, "weight", grad_out=grad_out, **options), grad_weight)


def check_steps(story, truth):
    """Require a step for each result, whose products sum to the textbook's number."""
    truth = truth.reshape(story.result.values.shape)
    assert [step.place for step in story.steps] == list(np.ndindex(truth.shape))
    for step in story.steps:
        total = sum(story.left.at(a) * story.right.at(b) for a, b in zip(step.left, step.right, strict=True))
        assert step.value == pytest.approx(truth[step.place], abs=1e-9)
        assert total == pytest.approx(truth[step.place], abs=1e-9)


def test_text_has_formula_window_kernel_products_and_sum():
    text = str(explain.conv(X, SOBEL, stride=2, padding=1))
    assert "height and width: floor((5 + 2*1 - 3)/2) + 1 = floor(2) + 1 = 3\n" in text
    assert "S[1, 1] = 6*1 + 0*0 + 1*(-1) + 4*2 + 5*0 + 6*(-2) + 2*1 + 3*0 + 4*(-1) = -1\n" in text
    assert "  6 0 1      1  0 -1       6   0  -1\n  4 5 6  *   2  0 -2  =    8   0 -12\n" in text


@pytest.mark.parametrize(
    "sizes, sentence, unread",
    [
        ((32, 5, 2, 0, 0, 1), "floor((32 + 2*0 - 5)/2) + 1 = floor(13.5) + 1 = 14; the last 1 row of", [31]),
        ((8, 3, 4, 0, 0, 1), "floor((8 + 2*0 - 3)/4) + 1 = floor(1.25) + 1 = 2; the last 1 row of", [3, 7]),
        ((6, 2, 2, 0, 0, 2), "floor((6 + 2*0 - 2*(2 - 1) - 1)/2) + 1 = floor(1.5) + 1 = 2; the la", [1, 3, 5]),
        ((4, 3, 2, 1, 1, 1), "= floor(1.5) + 1 = 2; the last 1 row of the padding is never read", []),
        ((4, 2, 2, 1, 0, 1), "floor((4 + 1 + 0 - 2)/2) + 1 = floor(1.5) + 1 = 2; the last 1 row of the input", [3]),
        ((9, 3, 6, 0, 0, 1), "floor(1) + 1 = 2; 3 rows between the windows are never read", [3, 4, 5]),
        ((5, 3, 1, 0, 0, 1), "floor((5 + 2*0 - 3)/1) + 1 = floor(2) + 1 = 3", []),
    ],
)
def test_the_size_of_the_output_in_a_sentence(sizes, sentence, unread):
    text, found = size_sentence(*sizes)
    assert sentence in text and found == unread


@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_what_is_hatched_has_no_gradient_and_all_else_has(problem):
    x, weight, options = problem
    story = explain.conv_gradient(x, np.ones_like(weight), grad_out=None, **options)
    zero = (story.result.values == 0).all(0)
    np.testing.assert_array_equal(story.result.unread, zero)  # gradients 1, 2, 3, ... through weights of 1
    assert all("no window reads" in s.equation for s in story.steps if zero[s.place[1:]])


def test_the_algorithm_that_was_asked_for_computes_what_is_shown(monkeypatch):
    monkeypatch.setattr(ops.conv_algorithms, "_registered", {})

    def wrong(x, weight, bias, **hyper):
        out = textbook.conv2d_forward(x, weight, bias, **hyper)
        out[0, 0, 1, 2] += 1
        return out

    ops.register_algorithm("wrong", wrong)
    with pytest.raises(explain.MismatchError, match=r"explain.conv: at \(0, 1, 2\) the kernel gives .*, the textbook"):
        explain.conv(X, SOBEL, algorithm="wrong")


def test_tensors_and_float32_are_taken_exactly():
    x = Tensor(np.random.default_rng(0).standard_normal((2, 4, 4)).astype(np.float32))
    story = explain.conv(x, np.ones((1, 2, 3, 3), np.float32))
    assert story.left.values.dtype == np.float64
    np.testing.assert_array_equal(story.left.values, x.data)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: explain.conv(X, "abc"), TypeError, "explain.conv: weight - expected numbers, got dtype <U3"),
        (lambda: explain.conv(X, np.ones(())), ValueError, r"weight - expected 1 or 2 or 3 or 4 axes, got shape \(\)"),
        (lambda: explain.conv(X, [1, 2]), ValueError, r"explain.conv: x - expected 1 axes, got shape \(5, 5\)"),
        (lambda: explain.conv(X[None], np.ones((1, 2, 3, 3))), ValueError, "x - expected 2 channels"),
        (lambda: explain.conv(X, SOBEL, stride=0), ValueError, "explain.conv: stride - expected at least 1"),
        (lambda: explain.conv(X, np.ones((6, 6))), ValueError, "explain.conv: height - expected at least 6 padded"),
        (lambda: explain.conv(X, SOBEL, algorithm="x"), ValueError, "algorithm - expected one of"),
        (lambda: explain.conv_gradient(X, SOBEL, "bias"), ValueError, "wrt - expected 'input' or 'weight', got 'bias'"),
        (
            lambda: explain.conv_gradient(X, SOBEL, grad_out=np.ones((2, 3))),
            ValueError,
            r"explain.conv_gradient: grad_out - expected shape \(3, 3\), got \(2, 3\)",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
