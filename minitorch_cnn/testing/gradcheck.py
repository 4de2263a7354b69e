"""Compare the gradients of backward with differences of forward, element by element."""

import copy
from dataclasses import dataclass

import numpy as np

from minitorch_cnn.autograd import no_grad
from minitorch_cnn.nn import Module
from minitorch_cnn.tensor import Tensor


class GradcheckError(AssertionError):
    """Backward does not give the gradient of forward; the message says where, and by how much."""


@dataclass(frozen=True)
class GradcheckReport:
    """What was checked.

    ``n_checked`` elements of the Jacobian, of ``names``; ``largest_error`` the largest distance
    between an analytic and a numeric element.
    """

    n_checked: int
    names: tuple
    largest_error: float


def gradcheck(function, *inputs, eps=1e-6, atol=1e-5, rtol=1e-3):
    """Check every element of the Jacobian of a function or a layer, in float64.

    numeric[j, i] = (out_j(x_i + eps) - out_j(x_i - eps)) / (2 eps), analytic from one backward per output

    Parameters
    ----------
    function : callable or Module
        Takes Tensors, returns one Tensor. Of a Module all parameters are checked too, on a copy, in
        its present mode; buffers are put back after every call.
    inputs : Tensor
        Checked where they require a gradient, or all floating ones if none does; copied to float64.
    eps : float
        Half the step of the difference.
    atol, rtol : float
        An element passes if |analytic - numeric| <= atol + rtol * |numeric|.

    Returns
    -------
    GradcheckReport

    Raises
    ------
    GradcheckError
        If an element does not pass, backward gives other bits the second time, a zero gradient of the
        output gives others than zeros, or a gradient is missing or has the wrong shape or dtype.
    ValueError
        If there is nothing to check.

    Notes
    -----
    Keep inputs away from kinks: by more than eps from 0 for ReLU, from each other for max pooling.
    Cost: two forwards per element of the inputs, and one backward per element of the output.
    """
    function, tensors, checked = _prepare(function, inputs)
    if not checked:
        raise ValueError("gradcheck: inputs - expected a floating Tensor or a module with parameters, got neither")
    out = function(*tensors)
    analytic = _analytic(function, tensors, checked, out.data.shape)
    largest, count = 0.0, 0
    for name, tensor in checked.items():
        numeric = _numeric(function, tensors, tensor, eps)
        error = np.abs(analytic[name] - numeric)
        bad = ~(error <= atol + rtol * np.abs(numeric))  # written so that NaN is bad
        if bad.any():
            raise GradcheckError(_report(name, tensor, out, analytic[name], numeric, bad))
        largest, count = max(largest, error.max(initial=0)), count + error.size
    return GradcheckReport(count, tuple(checked), float(largest))


def _prepare(function, inputs):
    """Return the function on float64 copies, its inputs, and what to check by name."""
    wanted = any(t.requires_grad for t in inputs)
    tensors = []
    for t in inputs:
        floating = t.data.dtype.kind == "f"
        array = t.data.astype(np.float64) if floating else t.data
        tensors.append(Tensor(array, requires_grad=floating and (t.requires_grad or not wanted)))
    checked = {f"input {i}": t for i, t in enumerate(tensors) if t.requires_grad}
    if isinstance(function, Module):
        module = copy.deepcopy(function).double()
        buffers = {id(m): {k: b.copy() for k, b in m._own_buffers()} for m in module.modules()}

        def run(*arguments):
            for m in module.modules():  # a forward in training mode moves running statistics
                for name, saved in buffers[id(m)].items():
                    getattr(m, name)[...] = saved
            return module(*arguments)

        checked |= {name: p for name, p in module.named_parameters() if p.requires_grad}
        return run, tensors, checked
    return function, tensors, checked


def _analytic(function, tensors, checked, out_shape):
    """Return the Jacobians (outputs, elements) that backward gives, one output at a time."""
    outputs = int(np.prod(out_shape, dtype=np.int64))
    jacobians = {name: np.zeros((outputs, t.data.size)) for name, t in checked.items()}
    for j in range(outputs):
        unit = np.zeros(outputs)
        unit[j] = 1
        for name, grad in _gradients(function, tensors, checked, unit.reshape(out_shape)).items():
            jacobians[name][j] = grad.ravel()
    mixed = np.cos(np.arange(outputs)).reshape(out_shape)
    first, second = (_gradients(function, tensors, checked, mixed) for _ in range(2))
    zero = _gradients(function, tensors, checked, np.zeros(out_shape))
    for name in checked:
        if not np.array_equal(first[name], second[name], equal_nan=True):
            raise GradcheckError(f"{name}: backward gave other bits the second time; it is not deterministic")
        if zero[name].any():
            raise GradcheckError(
                f"{name}: expected zeros for a zero gradient of the output, got {np.abs(zero[name]).max()}"
            )
    return jacobians


def _gradients(function, tensors, checked, grad_out):
    for t in checked.values():
        t.grad = None
    out = function(*tensors)
    if out.requires_grad:
        out.backward(grad_out)
    for name, t in checked.items():
        if t.grad is None:
            t.grad = np.zeros_like(t.data)  # the function does not depend on it
        if t.grad.shape != t.data.shape or t.grad.dtype != t.data.dtype:
            raise GradcheckError(
                f"{name}: expected a gradient {t.data.shape} {t.data.dtype}, got {t.grad.shape} {t.grad.dtype}"
            )
    return {name: t.grad.copy() for name, t in checked.items()}


def _numeric(function, tensors, tensor, eps):
    """Return the Jacobian (outputs, elements) from central differences."""
    columns = []
    with no_grad():
        for i in np.ndindex(*tensor.data.shape):
            value = tensor.data[i]
            ends = []
            for step in (eps, -eps):
                tensor.data[i] = value + step
                ends.append(function(*tensors).data.astype(np.float64).ravel().copy())
            tensor.data[i] = value
            columns.append((ends[0] - ends[1]) / (2 * eps))
    return np.stack(columns, 1) if columns else np.zeros((0, 0))


def _report(name, tensor, out, analytic, numeric, bad):
    distance = np.where(bad, np.abs(analytic - numeric), -1)
    j, i = np.unravel_index(np.nanargmax(distance), bad.shape)
    a, n = analytic[j, i], numeric[j, i]
    ratio = f", ratio {a / n:.4g}" if n else ""
    where = [int(k) for k in np.unravel_index(i, tensor.data.shape)]
    of = [int(k) for k in np.unravel_index(j, out.data.shape)]
    return (
        f"{name}{where}: analytic {a:.6g}, numeric {n:.6g}{ratio}, in the derivative of output{of}; "
        f"{int(bad.sum())} of {bad.size} elements differ"
    )
