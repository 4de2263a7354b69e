"""Layers of a user's own: found by FILE:NAME, compared with a reference, and errors that fit one line of pytest."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, nn, ops, testing

pytest_plugins = ["pytester"]
FILE = """
import numpy as np
from minitorch_cnn import nn, ops
from minitorch_cnn.autograd import Function

class Double(Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x
    @staticmethod
    def backward(ctx, grad_out):
        return {factor} * grad_out

class Layer(nn.Module):
    def forward(self, x):
        return Double.apply(x)

class Needy(nn.Module):
    def __init__(self, width):
        super().__init__()

def square(x):
    return x * x

def make():
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
"""


def x(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape))


@pytest.mark.parametrize("name", ["Double", "Layer", "square", "make"])
def test_each_kind_of_name_is_checked(name, tmp_path):
    (tmp_path / "mine.py").write_text(FILE.format(factor=2))
    assert testing.gradcheck(testing.from_file(f"{tmp_path}/mine.py:{name}"), x(1, 3, 4, 4)).passed


def test_a_layer_that_needs_arguments_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(FILE.format(factor=2))
    with pytest.raises(ValueError, match="expected a network from Needy.*missing 1 required positional argument"):
        testing.from_file(f"{tmp_path}/mine.py:Needy")


# ---------------------------------------------------------------------------------------- compare


def test_the_same_is_accepted_and_the_layer_stays_as_it_is():
    layer = nn.Conv2d(3, 4, 3)
    before = {name: array.copy() for name, array in layer.state_dict().items()}
    testing.compare(layer, nn.Conv2d(3, 4, 3), x(2, 3, 5, 5))
    testing.compare(nn.ReLU(), lambda a: np.maximum(a, 0), x(2, 3))
    testing.compare(ops.mul, np.multiply, x(2, 3), x(2, 3, seed=1))
    assert all(np.array_equal(array, before[name]) for name, array in layer.state_dict().items())
    assert layer.weight.grad is None and layer.weight.dtype == np.float32


class Scaled(nn.Conv2d):
    """A convolution whose gradient of the weight is 0."""

    def forward(self, x):
        return ops.conv2d(x, self.weight.detach(), self.bias)


def test_differences_are_named():
    differs = testing.ComparisonError
    with pytest.raises(differs, match=r"^output \[1, 2\]: expected .* of the reference, got .*; 6 of 6"):
        testing.compare(nn.ReLU(), lambda a: np.maximum(a, 0) + np.arange(1, 7).reshape(2, 3), x(2, 3))
    with pytest.raises(differs, match=r"output: expected shape \(3, 2\) of the reference, got \(2, 3\)"):
        testing.compare(nn.ReLU(), lambda a: a.T, x(2, 3))
    with pytest.raises(differs, match="gradient of weight: expected one of shape .*, got none"):
        testing.compare(Scaled(3, 4, 3), nn.Conv2d(3, 4, 3), x(1, 3, 4, 4))
    with pytest.raises(nn.StateDictError):
        testing.compare(nn.Conv2d(3, 4, 3), nn.Linear(3, 4), x(1, 3, 4, 4))
    with pytest.raises(TypeError, match=r"compare: inputs\[0\] - expected a Tensor, got ndarray"):
        testing.compare(nn.ReLU(), np.abs, np.zeros(3))
    with pytest.raises(ValueError, match="compare: rtol - expected at least 0"):
        testing.compare(nn.ReLU(), np.abs, x(3), rtol=-1)


@pytest.mark.parametrize(
    "layer, reference, error, message",
    [
        (lambda t: t.data, lambda a: a, TypeError, "layer - expected a Tensor as its result, got ndarray"),
        (lambda t: (t, t), lambda a: a, TypeError, "layer - expected a Tensor as its result, got tuple"),
        (lambda t: t.data, nn.ReLU(), TypeError, "layer - expected a Tensor as its result, got ndarray"),
        (ops.relu, lambda a: None, TypeError, "reference: result - expected numbers, got dtype object"),
        (lambda t: t[:0], lambda a: a[:0], ValueError, r"inputs - expected at least one element to compare, got \(0,"),
    ],
)
def test_a_comparison_of_nothing_is_refused(layer, reference, error, message):
    with pytest.raises(error, match=f"compare: {message}"):
        testing.compare(layer, reference, x(2, 3))


# ------------------------------------------------------------------------------------- in pytest


def test_the_summary_line_shows_the_sentence_and_the_traceback_ends_in_the_test(pytester):
    pytester.makepyfile(
        test_it="""
        import numpy as np
        from minitorch_cnn import Tensor
        from minitorch_cnn.autograd import Function

        class Wrong(Function):
            @staticmethod
            def forward(ctx, x):
                return 2 * x
            @staticmethod
            def backward(ctx, grad_out):
                return 3 * grad_out

        def test_mine(gradcheck):
            gradcheck(Wrong.apply, Tensor(np.ones(2)))
        """
    )
    plugins = ["-p", "no:benchmark", "-p", "no:cacheprovider", "-p", "minitorch_cnn.pytest_plugin"]
    result = pytester.runpytest("-rf", *plugins)
    text = result.stdout.str()
    assert "FAILED test_it.py::test_mine - GradcheckError: input 0" in text
    assert "testing/gradcheck.py" not in text and "testing/comparison.py" not in text
