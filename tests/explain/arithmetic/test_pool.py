"""Poolings shown element by element, and where their gradients go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitorch_kernels.reference as textbook
from minitorch_cnn import explain


@settings(max_examples=40, deadline=None)
@given(data=st.data(), kind=st.sampled_from(["max", "avg"]), counted=st.booleans())
def test_every_step_is_the_textbooks(data, kind, counted):
    channels, kernel, stride = (data.draw(st.integers(1, 3)) for _ in range(3))
    padding = data.draw(st.integers(0, kernel - 1))
    height, width = (kernel + data.draw(st.integers(0, 3)) for _ in range(2))
    x = np.random.default_rng(data.draw(st.integers(0, 99))).integers(0, 4, (channels, height, width)).astype(float)
    options = {"stride": stride, "padding": padding, "count_include_pad": counted}
    hyper = {"kernel_size": (kernel,) * 2, "stride": (stride,) * 2, "padding": (padding,) * 4}
    grad_size = {"input_size": (height, width)}
    story = explain.pool(x, kernel, kind, **options)
    incoming = np.random.default_rng(1).standard_normal(story.result.shape)
    if kind == "max":
        out, argmax = textbook.max_pool2d_forward(x[None], **hyper)
        grad = textbook.max_pool2d_backward(incoming[None], argmax, **grad_size, **hyper)
    else:
        out = textbook.avg_pool2d_forward(x[None], **hyper, count_include_pad=counted)
        grad = textbook.avg_pool2d_backward(incoming[None], **grad_size, **hyper, count_include_pad=counted)
    check(story, out[0])
    check(explain.pool_gradient(x, kernel, kind, grad_out=incoming, **options), grad[0])


def check(story, truth):
    assert [step.place for step in story.steps] == list(np.ndindex(truth.shape))
    for step in story.steps:
        assert step.value == pytest.approx(truth[step.place], abs=1e-12)


def test_the_first_of_equal_values_is_chosen_and_gets_the_gradient():
    x = [[3, 1], [3, 3]]
    story = explain.pool(x, 2)
    assert story.steps[0].chosen == (0, 0, 0) and story.steps[0].equation == "S[0, 0] = max(3, 1, 3, 3) = 3"
    text = str(explain.pool_gradient(x, 2, grad_out=[[5.0]]))
    assert "dx[0, 0] = dS[0, 0] = 5\n" in text
    assert "dx[1, 1] = 0, as it is not the largest element of any window" in text
    assert text.endswith("where each gradient goes\ndS[0, 0] = 5 goes to dx[0, 0]")


def test_overlapping_windows_add_up():
    text = str(explain.pool_gradient([1, 9, 2], 2, stride=1))
    assert "dx[1] = dS[0] + dS[1] = 1 + 2 = 3\n" in text
    text = str(explain.pool_gradient([1, 9, 2], 2, "avg", stride=1))
    assert "dx[1] = dS[0]/2 + dS[1]/2 = 1/2 + 2/2 = 1.5\n" in text
    assert text.endswith("dS[0] = 1 goes to dx[0], dx[1]\ndS[1] = 2 goes to dx[1], dx[2]")


def test_signals_of_several_channels():
    story = explain.pool([[1, 2, 5, 3], [4, 3, 2, 1]], (2,), "max")
    assert story.result.shape == (2, 2) and "S[1, 0] = max(4, 3) = 4" in str(story)
    assert "length: floor((4 + 2*0 - 2)/2) + 1 = floor(1) + 1 = 2" in str(story)


@pytest.mark.parametrize(
    "x, options, title",
    [
        ([1, 2, 3], {"padding": (1, 0)}, "Max pooling of 2, stride 2, padding (1, 0)"),
        (np.ones((3, 3)), {"padding": 1, "stride": (1, 2)}, "Max pooling of 2 x 2, stride 1 x 2, padding 1"),
        (
            np.ones((3, 3)),
            {"padding": (0, 1), "kind": "avg"},
            "Average pooling of 2 x 2, stride 2, padding (0, 0, 1, 1)",
        ),
        (np.ones((3, 3)), {}, "Max pooling of 2 x 2, stride 2"),
    ],
)
def test_titles_name_what_was_asked_for(x, options, title):
    assert explain.pool(x, 2, **options).title == title


def test_padding_of_the_maximum_never_wins_and_of_the_mean_counts_as_asked():
    x = [[-1.0, -2.0], [-3.0, -4.0]]
    assert explain.pool(x, 2, padding=1).steps[0].equation == "S[0, 0] = max(-1) = -1"
    assert explain.pool(x, 2, "avg", padding=1).steps[0].equation == "S[0, 0] = (0 + 0 + 0 + (-1)) / 4 = -0.25"
    story = explain.pool(x, 2, "avg", padding=1, count_include_pad=False)
    assert story.steps[0].equation == "S[0, 0] = ((-1)) / 1 = -1"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: explain.pool([1, 2], 2, "min"), "explain.pool: kind - expected 'max' or 'avg', got 'min'"),
        (lambda: explain.pool([1, 2], 3), "explain.pool: width - expected at least 3 padded pixels"),
        (lambda: explain.pool([[1, 2]], 0), "explain.pool: kernel_size - expected at least 1"),
        (lambda: explain.pool(np.ones((2, 2)), 2, padding=2), "padding - expected less than the window's height 2"),
        (lambda: explain.pool_gradient([1, 2], 2, grad_out=[1, 2]), r"grad_out - expected shape \(1,\), got \(2,\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
