"""Stubs fail and say so, right answers pass, and the usual mistakes are called by their names."""

import re

import pytest

from minitorch_cnn import exercises
from tests.exercises import solutions

RIGHT = {name: getattr(solutions, name.upper()) for name in exercises.TASKS}


def graded(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    return exercises.check(path)


def spoiled(name, old, new):
    assert old in RIGHT[name]
    return RIGHT[name].replace(old, new)


@pytest.mark.parametrize("name", exercises.TASKS)
def test_a_stub_fails_with_a_clear_message(tmp_path, name):
    path = exercises.start(name, tmp_path / f"{name}.py")
    report = exercises.check(path)
    assert not report.passed and report.exercise == name
    assert str(report).count("nothing is written yet") == 2 and str(report).endswith("not right yet")
    assert all(len(line) <= 120 for line in path.read_text().splitlines())


@pytest.mark.parametrize("name", exercises.TASKS)
def test_a_right_answer_passes(tmp_path, name):
    report = graded(tmp_path, RIGHT[name])
    assert report.passed, str(report)
    assert "derivatives right" in str(report)


MISTAKES = [
    ("conv2d", "padded[window], weight,", "padded[window], weight[..., ::-1, ::-1],", "out .* the kernel is flipped"),
    ("conv2d", " + bias", "", "the bias is missing"),
    (
        "conv2d",
        "tensordot(grad, weight, 1)",
        "tensordot(grad, weight[..., ::-1, ::-1], 1)",
        "uses the kernel unflipped",
    ),
    ("conv2d", "grad_out.sum(axis=(0, 2, 3))", "grad_out", "grad_bias .* the sum over images and pixels is missing"),
    ("conv2d", "grad_out.sum(axis=(0, 2, 3))", "grad_out.sum(axis=(2, 3))", "grad_bias .* sum over images is missing"),
    ("conv2d", "grad_out.sum(axis=(0, 2, 3))", "grad_out.mean(axis=(0, 2, 3))", "mean over images and pixels is taken"),
    ("conv2d", "padded[window], ([0], [0])", "padded[window][..., ::-1, ::-1], ([0], [0])", "grad_weight is flipped"),
    ("conv2d", "return grad_x, grad_weight", "return grad_x, grad_weight / len(x)", "divided by the number of images"),
    ("conv2d", "return grad_x,", "return grad_padded,", "the border of the padding is not cut off"),
    (
        "conv2d",
        "tensordot(grad, padded",
        "tensordot(grad[:1], padded",
        "backward +1 of 5 cases right\n.*\n.*ValueError, line 30",
    ),
    ("max_pool2d", "grad_x[source] +=", "grad_x[source] =", "several windows gets the sum"),
    (
        "max_pool2d",
        "(np.argmax(window),",
        "(window.size - 1 - np.argmax(window[::-1, ::-1]),",
        "equal values the last gets",
    ),
    ("max_pool2d", "constant_values=-np.inf", "constant_values=0", "forward +[0-4] of 5 cases right"),
    ("relu", "(x > 0)", "(x >= 0)", "the gradient passes at x = 0"),
    ("relu", "return grad_out * (x > 0)", "return (x > 0) * 1.0", "grad_out is missing: the chain rule"),
    ("relu", "np.maximum(x, 0)", "x * 1.0", "negative values are kept"),
    ("relu", "np.maximum(x, 0)", "np.maximum(x, 0, out=x)", "forward changes x in place; make a new array"),
    ("linear", "weight.T + bias", "weight.T", "the bias is missing"),
    ("linear", "grad_out.T @ x", "x.T @ grad_out", "grad_weight is transposed"),
    ("linear", "grad_out.sum(axis=0)", "grad_out", "grad_bias .* the sum over images is missing"),
    ("linear", "x @ weight.T", "x @ weight", r"ValueError, line \d+: matmul"),
    (
        "batch_norm",
        "var = x.mean(axis=AXES), x.var(axis=AXES)",
        "var = x.mean(axis=AXES), x.var(axis=AXES, ddof=1)",
        "divided by M - 1",
    ),
    ("batch_norm", "np.sqrt(wide(var) + eps)", "(np.sqrt(wide(var)) + eps)", "eps is added to the standard deviation"),
    ("batch_norm", " - through_mean - through_var", "", "the gradient through both is missing"),
    ("batch_norm", " - through_var", "", "the gradient through the variance is missing"),
    ("cross_entropy", ".mean()", ".sum()", "the sum over the samples is taken"),
    ("cross_entropy", " - logits.max(axis=1, keepdims=True)", "", "exp overflows for large logits"),
    ("cross_entropy", " / len(labels) * grad_out", " * grad_out", "divide by the number of samples"),
    (
        "cross_entropy",
        "    grad[np.arange(len(labels)), labels] -= 1\n",
        "",
        "1 has to be subtracted at the right class",
    ),
    ("cross_entropy", " * grad_out", "", "grad_out is missing"),
]


@pytest.mark.parametrize("name, old, new, sentence", MISTAKES, ids=lambda text: str(text)[:30])
def test_a_mistake_is_called_by_its_name(tmp_path, name, old, new, sentence):
    report = graded(tmp_path, spoiled(name, old, new))
    assert not report.passed
    assert re.search(sentence, str(report)), str(report)


def test_a_number_that_is_wrong_without_a_known_reason_is_shown(tmp_path):
    report = graded(tmp_path, spoiled("relu", "return np.maximum(x, 0)", "return np.maximum(x, 0) + 1"))
    assert "out[" in str(report) and "12 of 12 differ" in str(report) and "looks like" not in str(report)


def test_the_gradient_check_says_where(tmp_path):
    report = graded(tmp_path, spoiled("linear", "return grad_out @ weight,", "return 2 * grad_out @ weight,"))
    last = [line for line in report.lines if "gradient check" in line]
    assert "input 0" in last[0] and "waits" not in last[0]


def test_what_does_not_fit(tmp_path):
    report = graded(tmp_path, spoiled("relu", "return np.maximum(x, 0)", "return None"))
    assert "out: expected an array of shape (3, 4), got None" in str(report)
    report = graded(tmp_path, spoiled("linear", ", grad_out.sum(axis=0)", ""))
    assert "expected 3 gradients, grad_x, grad_weight, grad_bias, got 2" in str(report)
    report = graded(tmp_path, spoiled("relu", "return np.maximum(x, 0)", "return 'x'"))
    assert "out: expected an array of numbers, got str" in str(report)


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 / 0", "check: path - expected a file that runs, got ZeroDivisionError, line 1"),
        ("x = 1", "check: EXERCISE - expected one of conv2d, .*, got None"),
        ("EXERCISE = 'relu'\ndef forward(x): pass", "check: backward - expected a function"),
    ],
)
def test_files_that_cannot_be_graded(tmp_path, text, message):
    with pytest.raises(exercises.ExerciseError, match=message):
        graded(tmp_path, text)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(exercises.ExerciseError, match="check: path - expected a Python file, got .*nothing.py"):
        exercises.check(tmp_path / "nothing.py")


def test_nothing_is_overwritten(tmp_path):
    path = exercises.start("relu", tmp_path / "mine.py")
    with pytest.raises(ValueError, match="exercise: path - expected a new file, got .*mine.py, which exists"):
        exercises.start("linear", path)
    with pytest.raises(ValueError, match="exercise: name - expected one of conv2d, .*, got 'conv3d'"):
        exercises.start("conv3d", tmp_path / "other.py")
