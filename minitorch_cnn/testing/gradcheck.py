"""Compare the gradients of backward with differences of forward.

With J the Jacobian of a function, backward gives rows v J and differences of forward give columns J u:

    analytic = (v J) u        numeric = v (f(x + eps u) - f(x - eps u)) / (2 eps)

The modes differ in what v and u are: all unit vectors, some of them, or random directions.
"""

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch_cnn import arguments, rng
from minitorch_cnn.autograd import Function
from minitorch_cnn.nn import Module
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.testing.comparison import SAMPLES, Settings, compare, gradients
from minitorch_cnn.testing.report import GradcheckError, GradcheckReport


class InputCountError(ValueError):
    """The function takes another number of inputs than `gradcheck` was given."""


def gradcheck(
    function: Callable[..., Any],
    *inputs: Tensor,
    mode: str = "full",
    training: bool | None = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    samples: int | None = None,
    max_kinks: float = 0.05,
) -> GradcheckReport:
    """Check the gradients of a function or a layer in float64, on a copy.

    numeric[j, i] = (out_j(x_i + eps) - out_j(x_i - eps)) / (2 eps), analytic[j] from backward of output j

    Parameters
    ----------
    function : callable or Module
        Takes Tensors, returns one Tensor of any shape. Of a Module all parameters that require a
        gradient are checked too.
    inputs : Tensor
        Checked where they require a gradient, or all floating ones if none does; copied to float64.
    mode : "full", "random" or "projection"
        "full" compares every element of the Jacobian; "random" compares for ``samples`` elements of each tensor
        the derivative of a random sum of the outputs; "projection" compares that sum along ``samples`` random
        directions, so that a whole network costs a few forwards per parameter.
    training : bool or None
        The mode in which a Module is checked; None checks both, training and evaluation.
    eps : float
        Half the step of the difference.
    atol, rtol : float
        An element passes if |analytic - numeric| <= atol + rtol * |numeric|, and a Jacobian as a whole
        if ||analytic - numeric|| <= atol + rtol / 10 * ||numeric||: single elements may suffer from
        rounding, but a factor of 1.001 on all of them is a mistake.
    samples : int or None
        None means 20 elements for "random", 2 directions for "projection".
    max_kinks : float, 0..1
        A step at whose two ends an operation chooses differently, such as the sign in ReLU or the place of a
        maximum, is left out and counted; more than this part of all fails. In "projection" it is drawn anew.

    Returns
    -------
    GradcheckReport

    Raises
    ------
    GradcheckError
        If a Jacobian does not pass, too many steps cross kinks, forward or backward give other bits the
        second time, a zero gradient of the output gives others than zeros, or a gradient has the wrong
        shape or dtype. The message is a sentence with both numbers and what the mistake looks like.
    TypeError
        If an input or the output is not a Tensor, or another argument is not a number.
    InputCountError
        If the function takes more or fewer inputs.
    ValueError
        If there is nothing to compare, the mode is unknown, or a number is
        out of its range.

    Notes
    -----
    Kinks are known from ``choices(ctx)`` of the operations. Every forward starts with the same buffers, such
    as running statistics, and at the same place of the random stream, so that dropout and batch norm can be checked.
    Cost of "full": two forwards per element of the inputs, and one backward per element of the output.
    """
    __tracebackhide__ = True  # pytest ends its traceback at the line that called this
    for position, value in enumerate(inputs):
        if not isinstance(value, Tensor):
            raise TypeError(f"gradcheck: inputs[{position}] - expected a Tensor, got {type(value).__name__}")
    arguments.function("gradcheck", function=function)
    _check_count(function, inputs)
    arguments.one_of("gradcheck", SAMPLES, mode=mode)
    arguments.number("gradcheck", least=0, atol=atol, rtol=rtol)
    arguments.number("gradcheck", least=0, most=1, max_kinks=max_kinks)
    arguments.number("gradcheck", eps=eps)
    arguments.positive("gradcheck", eps=eps)
    if training is not None:
        arguments.flag("gradcheck", training=training)
    if samples is not None:
        arguments.integer("gradcheck", least=1, samples=samples)
    settings = Settings(mode, eps, atol, rtol, SAMPLES[mode] if samples is None else samples, max_kinks)
    modes = [""] if not isinstance(function, Module) else ["train", "eval"]
    if training is not None and modes != [""]:
        modes = ["train" if training else "eval"]
    state, rows = rng.get_state(), []
    try:
        for which in modes:
            call, tensors, checked = _float64_copies(function, inputs, which)
            if not checked:
                raise ValueError(
                    "gradcheck: inputs - expected a floating Tensor or a module with parameters, got neither"
                )
            run = _repeatable(call, tensors, state)
            _check_habits(run, checked)
            rows += compare(run, checked, settings, which)
    finally:
        rng.set_state(state)
    report = GradcheckReport(mode, tuple(rows))
    if not report.passed:
        raise GradcheckError(next(row.failure for row in rows if row.failure), report)
    if not report.n_checked:
        shapes = ", ".join(str(row.shape) for row in rows)
        raise ValueError(f"gradcheck: inputs - expected at least one derivative to compare, got none for {shapes}")
    return report


def _check_count(function, inputs):
    """Raise unless what is called takes that many inputs: a function, or the forward of a Module or Function."""
    owner, forward, given = getattr(function, "__self__", None), function, [None] * len(inputs)
    if isinstance(function, Module):
        forward = function.forward
    elif isinstance(owner, type) and issubclass(owner, Function):
        forward, given = owner.forward, [None, *given]  # the first is ctx
    try:
        signature = inspect.signature(forward)
    except ValueError:  # some that are written in C have none
        return
    try:
        signature.bind(*given)
    except TypeError as error:
        told = f"expected one for each argument of {forward.__qualname__}{signature}, got {len(inputs)}"
        raise InputCountError(f"gradcheck: inputs - {told} ({error})") from error


def _float64_copies(function, inputs, which):
    """Return the function, its inputs in float64, and what to check by name."""
    wanted = any(t.requires_grad for t in inputs)
    tensors = []
    for t in inputs:
        floating = t.dtype.kind == "f"
        array = t.data.astype(np.float64) if floating else t.data
        tensors.append(Tensor(array, requires_grad=floating and (t.requires_grad or not wanted)))
    checked = {f"input {i}": t for i, t in enumerate(tensors) if t.requires_grad}
    if not isinstance(function, Module):
        return function, tensors, checked
    module = copy.deepcopy(function).double().train(which == "train")
    parameters = dict(module.named_parameters())
    buffers = {key: array for key, array in module.state_dict().items() if key not in parameters}

    def call(*arguments):
        module.load_state_dict(buffers, strict=False)  # a forward in training mode moves running statistics
        return module(*arguments)

    return call, tensors, checked | {name: p for name, p in parameters.items() if p.requires_grad}


def _repeatable(call, tensors, state):
    """Return a function without arguments that draws the same random numbers every time."""

    def run():
        rng.set_state(state)
        out = call(*tensors)
        if not isinstance(out, Tensor):
            raise TypeError(f"gradcheck: function - expected a Tensor as result, got {type(out).__name__}")
        return out

    return run


def _check_habits(run, checked):
    """Raise unless equal calls give equal bits, and a zero gradient gives zeros."""
    __tracebackhide__ = True
    results = []
    for _ in range(2):
        out = run()
        mixed = np.cos(np.arange(out.size, dtype=np.float64)).reshape(out.shape)  # no two outputs alike
        results.append((out.data.copy(), gradients(out, checked, mixed)))
    (first_out, first), (second_out, second) = results
    if not np.array_equal(first_out, second_out, equal_nan=True):
        raise GradcheckError("forward gave other bits the second time; it is not deterministic")
    zero = gradients(out, checked, np.zeros(out.shape))
    for name in checked:
        if not np.array_equal(first[name], second[name], equal_nan=True):
            raise GradcheckError(f"{name}: backward gave other bits the second time; it is not deterministic")
        if zero[name].any():
            largest = np.abs(zero[name]).max()
            raise GradcheckError(f"{name}: expected zeros for a zero gradient of the output, got up to {largest:.6g}")
