"""The gradient checker: what it must catch, what it says, and what it must leave as it was."""

import numpy as np
import pytest

from minitorch_cnn import Tensor, manual_seed, nn, ops, rng
from minitorch_cnn.autograd import Function
from minitorch_cnn.testing import GradcheckError, InputCountError, gradcheck


def cube(backward, forward=lambda x: x**3):
    """Return an operation x**3 with the backward given as a function of (grad_out, x)."""

    class Cube(Function):
        rule = "3 * x**2 * grad_out"

        @staticmethod
        def output_shape(x):
            return x

        @staticmethod
        def forward(ctx, x):
            ctx.save(x)
            return forward(x)

        @staticmethod
        def backward(ctx, grad_out):
            return backward(grad_out, ctx.saved[0])

    return lambda x: Cube.apply(x)


def right(grad_out, x):
    return 3 * x**2 * grad_out


X = np.array([[0.5, -1.5, 2.0], [1.0, -0.5, 3.0]])


def test_a_right_gradient_passes_and_is_reported():
    report = gradcheck(cube(right), Tensor(X))
    assert report.names == ("input 0",)
    assert report.n_checked == X.size**2
    assert 0 < report.largest_error < 1e-6


@pytest.mark.parametrize("factor", [0.999, 1.001, 2, -1, 0])
def test_a_wrong_factor_is_caught(factor):
    with pytest.raises(GradcheckError, match="input 0"):
        gradcheck(cube(lambda grad_out, x: factor * right(grad_out, x)), Tensor(X))


def test_one_wrong_element_is_named_with_both_numbers():
    def backward(grad_out, x):
        grad = right(grad_out, x)
        grad[1, 2] *= 2
        return grad

    message = (
        r"input 0 \[1, 2\]: analytic 54, numeric 27, ratio 2, "
        r"in the derivative of output \[1, 2\]; 1 of 36 elements differ"
    )
    with pytest.raises(GradcheckError, match=message):
        gradcheck(cube(backward), Tensor(X))


def test_a_small_mistake_everywhere_is_told_as_one_factor():
    with pytest.raises(GradcheckError, match=r"all together, analytic is 1\.0005 times numeric"):
        gradcheck(cube(lambda grad_out, x: 1.0005 * right(grad_out, x)), Tensor(X))


def test_nan_does_not_pass():
    with pytest.raises(GradcheckError, match="analytic nan"):
        gradcheck(cube(lambda grad_out, x: np.where(grad_out == 0, 0, np.nan)), Tensor(X))


def test_a_gradient_that_ignores_the_gradient_of_the_output_is_caught():
    with pytest.raises(GradcheckError, match="expected zeros for a zero gradient of the output, got up to 27"):
        gradcheck(cube(lambda grad_out, x: right(np.ones_like(x), x)), Tensor(X))


def test_a_gradient_of_another_shape_is_caught():
    with pytest.raises(GradcheckError, match="backward gave what does not fit: .*expected gradients of"):
        gradcheck(cube(lambda grad_out, x: right(grad_out, x)[:1]), Tensor(X))


def test_a_gradient_too_many_is_no_matter_of_shapes():
    with pytest.raises(GradcheckError, match="expected one gradient for each input of forward, 1, got 2$"):
        gradcheck(cube(lambda grad_out, x: (right(grad_out, x), grad_out)), Tensor(X))


@pytest.mark.parametrize("function", [ops.linear, nn.Linear(3, 3), lambda x, weight: x, cube(right)])
def test_another_count_of_inputs_is_named(function):
    with pytest.raises(InputCountError, match=r"gradcheck: inputs - expected one for each argument .*, got [04] \("):
        gradcheck(function, *[Tensor(X)] * (0 if function is ops.linear else 4))


def test_a_backward_that_is_not_deterministic_is_caught():
    draws = np.random.default_rng(0)
    with pytest.raises(GradcheckError, match="input 0: backward gave other bits the second time"):
        gradcheck(cube(lambda grad_out, x: right(grad_out, x) * (1 + 1e-9 * draws.random())), Tensor(X))


def test_a_forward_that_is_not_deterministic_is_caught():
    draws = np.random.default_rng(0)
    with pytest.raises(GradcheckError, match="forward gave other bits the second time"):
        gradcheck(cube(right, lambda x: x**3 + 1e-9 * draws.random()), Tensor(X))


def test_a_dependence_that_backward_forgets_is_caught():
    with pytest.raises(GradcheckError, match=r"ratio 0\.5"):
        gradcheck(lambda x: x * x.detach(), Tensor(X))


def test_a_kink_is_called_one():
    with pytest.raises(GradcheckError, match="ReLU chooses differently 1e-06 above and below: .* a kink, move it"):
        gradcheck(ops.relu, Tensor(np.array([0.0, 1.0])))
    with pytest.raises(GradcheckError, match="chooses differently"):
        gradcheck(lambda x: ops.max_pool2d(x, 2), Tensor(np.ones((1, 1, 2, 2))))


def test_a_layer_is_checked_with_its_parameters_and_stays_as_it_was():
    layer = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3))
    before = {key: array.copy() for key, array in layer.state_dict().items()}
    x = Tensor(np.random.default_rng(0).standard_normal((2, 2, 3, 3)))
    report = gradcheck(layer, x)
    assert report.names == ("input 0", "0.weight", "0.bias", "1.weight", "1.bias")
    after = layer.state_dict()
    assert all(after[key].dtype == before[key].dtype for key in before)
    for key in before:
        np.testing.assert_array_equal(after[key], before[key])
    assert layer.training and all(p.grad is None for p in layer.parameters())


def test_a_layer_with_a_wrong_gradient_of_a_parameter_is_caught():
    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(np.array([2.0, 3.0]))

        def forward(self, x):
            return x * self.weight + x * self.weight.detach()

    with pytest.raises(GradcheckError, match=r"weight \[\d\]: .* ratio 0\.5"):
        gradcheck(Wrong(), Tensor(np.array([1.0, 2.0])))


def test_frozen_parameters_and_inputs_that_ask_for_nothing_are_left_out():
    layer = nn.Linear(2, 3)
    layer.bias.requires_grad = False
    assert gradcheck(layer, Tensor(np.ones((1, 2)))).names == ("input 0", "weight")
    wanted, other = Tensor(np.ones(2), requires_grad=True), Tensor(np.ones(2))
    assert gradcheck(lambda a, b: a * b, wanted, other).names == ("input 0",)
    assert gradcheck(lambda a, b: a * b, other, other).names == ("input 0", "input 1")


def test_float32_inputs_are_checked_in_float64_and_keep_their_own():
    x = Tensor(X.astype(np.float32))
    report = gradcheck(lambda x: ops.exp(x), x)
    assert report.largest_error < 1e-7  # float32 would be wrong by 1e-2
    assert x.dtype == np.float32 and x.grad is None


def test_random_layers_draw_the_same_and_the_stream_goes_on_undisturbed():
    manual_seed(5)
    expected = rng.generator().random()
    manual_seed(5)
    gradcheck(lambda x: ops.dropout(x, 0.5), Tensor(np.ones((3, 4))))
    assert rng.generator().random() == expected


def test_what_cannot_be_checked():
    with pytest.raises(TypeError, match=r"gradcheck: inputs\[1\] - expected a Tensor, got ndarray"):
        gradcheck(lambda a, b: a, Tensor(X), X)
    with pytest.raises(TypeError, match="gradcheck: function - expected a Tensor as result, got float"):
        gradcheck(lambda x: 1.0, Tensor(X))
    with pytest.raises(ValueError, match="gradcheck: inputs - expected a floating Tensor or a module with parameters"):
        gradcheck(lambda x: x, Tensor([1, 2]))


@pytest.mark.parametrize("mode", ["random", "projection"])
def test_the_cheap_modes_catch_the_same_factor_and_count_what_they_looked_at(mode):
    x = Tensor(np.random.default_rng(0).standard_normal((10, 10)))
    report = gradcheck(cube(right), x, mode=mode)
    assert report.n_checked == {"random": 20, "projection": 2}[mode] and report.n_total == 100**2
    assert gradcheck(cube(right), x, mode=mode, samples=5).n_checked == 5
    with pytest.raises(GradcheckError, match=r"ratio 2, in the derivative of a random sum .* a factor 2"):
        gradcheck(cube(lambda grad_out, x: 2 * right(grad_out, x)), x, mode=mode)
    with pytest.raises(GradcheckError, match="no known mistake in this mode"):
        gradcheck(cube(lambda grad_out, x: grad_out * np.sin(x)), x, mode=mode)


def test_few_steps_across_kinks_are_left_out_and_counted():
    x = np.linspace(-3, 3, 40)
    x[7] = 0
    report = gradcheck(ops.relu, Tensor(x))
    assert report.n_kinks == 1 and report.n_checked == 40 * 39 < report.n_total == 1600
    assert "1560 of 1600 checked (full), 1 steps left out at kinks" in str(report)
    with pytest.raises(GradcheckError, match="1 of 40 steps cross a kink"):
        gradcheck(ops.relu, Tensor(x), max_kinks=0.01)


def test_a_direction_that_crosses_a_kink_is_drawn_anew():
    report = gradcheck(lambda a, b: ops.relu(a - b), Tensor(np.ones(2)), Tensor(np.zeros(2)), mode="projection")
    assert report.n_checked == 4
    with pytest.raises(GradcheckError, match="20 of 20 steps cross a kink"):
        gradcheck(ops.relu, Tensor(np.zeros(2)), mode="projection")


def test_a_kink_that_the_operation_does_not_tell_of_is_suspected():
    corner = cube(lambda grad_out, x: grad_out * (x > 0), lambda x: np.maximum(x, 0))
    with pytest.raises(GradcheckError, match="looks like a kink: the slope is 0 below and 1 above"):
        gradcheck(corner, Tensor(np.array([0.0, 1.0])))


def test_a_module_is_checked_in_training_and_in_evaluation():
    class Wrong(nn.Module):
        def forward(self, x):
            return x if self.training else x + x.detach()

    x = Tensor(np.ones(2))
    assert gradcheck(Wrong(), x, training=True).passed
    with pytest.raises(GradcheckError, match=r"input 0 \(eval mode\) \[0\]: analytic 1, numeric 2"):
        gradcheck(Wrong(), x)
    with pytest.raises(GradcheckError, match="eval mode"):
        gradcheck(Wrong(), x, training=False)


def test_a_backward_that_is_not_linear_is_caught():
    with pytest.raises(GradcheckError, match="backward is not linear"):
        gradcheck(cube(lambda grad_out, x: right(np.maximum(grad_out, 0), x)), Tensor(X))


def test_the_report_is_a_table_and_an_error_carries_it():
    report = gradcheck(nn.Linear(2, 3), Tensor(np.ones((1, 2))))
    page = report._repr_html_()
    assert page.count("<tr>") == 1 + len(report.tensors) == 7  # a head, and three tensors in two modes
    assert "gradcheck passed: 66 of 66 checked (full)" in page and "<td>weight</td>" in page
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda a, b: a * b.detach(), Tensor(X), Tensor(X))
    names = [(t.name, bool(t.failure)) for t in caught.value.report.tensors]
    assert names == [("input 0", False), ("input 1", True)] and not caught.value.report.passed
    assert "the gradient is 0 everywhere" in caught.value.report._repr_html_()


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda grad, x: 1.7 * grad, "a constant factor 1.7"),
        (lambda grad, x: -3 * grad, "the wrong sign and a factor 3"),
        (lambda grad, x: 6 * grad, "a forgotten division by 6"),
        (lambda grad, x: np.where(grad == 0, 0, np.nan), "NaN in the gradient"),
    ],
)
def test_what_a_mistake_looks_like(spoil, cause):
    with pytest.raises(GradcheckError, match=f"looks like .*{cause}"):
        gradcheck(cube(lambda grad_out, x: spoil(right(grad_out, x), x)), Tensor(X))


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="gradcheck: mode - expected one of full, random, projection, got 'fast'"):
        gradcheck(ops.exp, Tensor(X), mode="fast")


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: gradcheck(ops.relu, Tensor(np.ones((0, 3)))),
            r"at least one derivative to compare, got none for \(0, 3\)",
        ),
        (lambda: gradcheck(lambda x: x[:0], Tensor([1.0])), "at least one derivative to compare"),
        (lambda: gradcheck(ops.relu, Tensor([0.0]), max_kinks=1.0), "at least one derivative to compare"),
        (lambda: gradcheck(ops.exp, Tensor([1.0]), mode="random", samples=0), "samples - expected at least 1, got 0"),
        (lambda: gradcheck(ops.exp, Tensor([1.0]), atol=np.inf), "atol - expected a finite number, got inf"),
        (lambda: gradcheck(ops.exp, Tensor([1.0]), rtol=-1), "rtol - expected at least 0, got -1"),
        (lambda: gradcheck(ops.exp, Tensor([1.0]), eps=0), "eps - expected a positive number, got 0"),
        (lambda: gradcheck(ops.exp, Tensor([1.0]), max_kinks=2), "max_kinks - expected 0 to 1, got 2"),
    ],
)
def test_a_check_that_would_compare_nothing_is_refused(check, message):
    with pytest.raises(ValueError, match=f"gradcheck: .*{message}"):
        check()


def test_a_function_that_is_not_finite_is_called_so():
    with pytest.raises(GradcheckError, match="looks like a function that is not finite there: move the input into its"):
        gradcheck(ops.log, Tensor(np.linspace(-1, 1, 6).reshape(2, 3)))
