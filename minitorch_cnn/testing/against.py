"""Compare a layer with a reference: outputs, and gradients where the reference has some."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.nn import Module
from minitorch_cnn.tensor import Tensor


class ComparisonError(AssertionError):
    """A layer does not give what its reference gives; the message says where, and both numbers."""


def compare(
    layer: Callable[..., Tensor],
    reference: Callable[..., Any],
    *inputs: Tensor,
    rtol: float = 1e-7,
    atol: float = 1e-9,
) -> None:
    """Require that a layer and a reference give the same, in float64.

    Parameters
    ----------
    layer : callable or Module
        Takes Tensors, returns a Tensor; a Module is compared as it is, in training or evaluation mode, on a copy.
    reference : callable or Module
        A Module gets the parameters and buffers of ``layer``, which must have the same names, and its gradients of
        inputs and parameters are compared too. Any other callable takes ndarrays and returns the output as an ndarray:
        loops, NumPy or SciPy that are easy to believe.
    inputs : Tensor
        Copied to float64 where they are floating.
    rtol, atol : float, >= 0
        An element passes if |layer - reference| <= atol + rtol * |reference|; two NaN are equal.

    Raises
    ------
    ComparisonError
        If shapes or elements differ.
    StateDictError
        If the parameters of two Modules have other names or shapes.
    TypeError, ValueError
        If an input or a result is not a Tensor, or the result of a callable reference no array of numbers; if a
        tolerance is not a number >= 0, or the output has no element to compare.

    Examples
    --------
    ``compare(MyRelu(), lambda x: np.maximum(x, 0), Tensor(x))``
    """
    __tracebackhide__ = True  # pytest ends its traceback at the line that called this
    arguments.number("compare", least=0, rtol=rtol, atol=atol)
    arguments.function("compare", layer=layer, reference=reference)
    for position, value in enumerate(inputs):
        if not isinstance(value, Tensor):
            raise TypeError(f"compare: inputs[{position}] - expected a Tensor, got {type(value).__name__}")
    ours = _float64(layer)
    if not isinstance(reference, Module):
        with no_grad():
            got = _tensor("layer", ours(*_copies(inputs))).data
        expected = arguments.array("compare", "reference: result", reference(*(x.data for x in _copies(inputs))))
        _require_equal("output", got, expected, rtol, atol)
        return
    theirs = _float64(reference)
    if isinstance(ours, Module):
        theirs.load_state_dict(ours.state_dict())
    named = ("layer", ours), ("reference", theirs)
    results = [_with_gradients(name, function, _copies(inputs)) for name, function in named]
    for name, expected in results[1].items():
        _require_equal(name, results[0].get(name), expected, rtol, atol)


def _float64(function):
    return copy.deepcopy(function).double() if isinstance(function, Module) else function


def _copies(inputs):
    """Return the inputs in float64, with a gradient; those of integers as they are."""
    return [Tensor(x.data.astype(np.float64), requires_grad=True) if x.dtype.kind == "f" else x for x in inputs]


def _tensor(name, out):
    if not isinstance(out, Tensor):
        raise TypeError(f"compare: {name} - expected a Tensor as its result, got {type(out).__name__}")
    return out


def _with_gradients(name, function, inputs):
    """Return output and gradients by name."""
    out = _tensor(name, function(*inputs))
    if out.requires_grad:
        out.backward(np.cos(np.arange(out.size, dtype=np.float64)).reshape(out.shape))  # no two outputs alike
    found = {"output": out.data} | {f"gradient of input {i}": x.grad for i, x in enumerate(inputs)}
    if isinstance(function, Module):
        found |= {f"gradient of {name}": parameter.grad for name, parameter in function.named_parameters()}
    return {name: array for name, array in found.items() if array is not None}


def _require_equal(name, got, expected, rtol, atol):
    """Raise ComparisonError unless two arrays are equal."""
    __tracebackhide__ = True
    if got is None:
        raise ComparisonError(f"{name}: expected one of shape {expected.shape} as of the reference, got none")
    if name == "output" and not expected.size:
        raise ValueError(f"compare: inputs - expected at least one element to compare, got {expected.shape} of output")
    if got.shape != expected.shape:
        raise ComparisonError(f"{name}: expected shape {expected.shape} of the reference, got {got.shape}")
    bad = ~np.isclose(got, expected, rtol=rtol, atol=atol, equal_nan=True)
    if bad.any():
        distance = np.where(bad, np.nan_to_num(np.abs(got - expected), nan=np.inf), -1)
        at = np.unravel_index(distance.argmax(), bad.shape)
        where = [int(i) for i in at]
        raise ComparisonError(
            f"{name} {where}: expected {expected[at]:.8g} of the reference, got {got[at]:.8g}; "
            f"{bad.sum()} of {bad.size} elements differ"
        )
