"""Compare the gradients of backward with differences of forward, element by element."""

import copy
from dataclasses import dataclass

import numpy as np

from minitorch_cnn import rng
from minitorch_cnn.autograd import Node, no_grad
from minitorch_cnn.nn import Module
from minitorch_cnn.tensor import Tensor


class GradcheckError(AssertionError):
    """Backward does not give the gradient of forward; the message says where, and by how much."""


@dataclass(frozen=True)
class GradcheckReport:
    """What was checked.

    ``n_checked`` elements of the Jacobians by ``names``, inputs and parameters; ``largest_error`` is the
    largest distance between an analytic and a numeric element.
    """

    n_checked: int
    names: tuple
    largest_error: float


def gradcheck(function, *inputs, eps=1e-6, atol=1e-5, rtol=1e-3):
    """Check every element of the Jacobian of a function or a layer, in float64.

    numeric[j, i] = (out_j(x_i + eps) - out_j(x_i - eps)) / (2 eps), analytic[j] from backward of output j

    Parameters
    ----------
    function : callable or Module
        Takes Tensors, returns one Tensor of any shape. Of a Module all parameters that require a
        gradient are checked too, on a float64 copy in its present mode.
    inputs : Tensor
        Checked where they require a gradient, or all floating ones if none does; copied to float64.
    eps : float
        Half the step of the difference.
    atol, rtol : float
        An element passes if |analytic - numeric| <= atol + rtol * |numeric|, and a Jacobian as a whole
        if ||analytic - numeric|| <= atol + rtol / 10 * ||numeric||: single elements may suffer from
        rounding, but a factor of 1.001 on all of them is a mistake.

    Returns
    -------
    GradcheckReport

    Raises
    ------
    GradcheckError
        If a Jacobian does not pass, forward or backward give other bits the second time, a zero
        gradient of the output gives others than zeros, or a gradient has the wrong shape or dtype.
    TypeError
        If an input or the output is no Tensor.
    ValueError
        If there is nothing to check.

    Notes
    -----
    Keep inputs away from kinks, by more than eps from 0 for ReLU, from each other for max pooling; a
    failure there says that it is one. Every forward starts with the same buffers, such as running
    statistics, and at the same place of the random stream, so layers in training mode can be checked.
    Cost: two forwards per element of the inputs, and one backward per element of the output.
    """
    for position, value in enumerate(inputs):
        if not isinstance(value, Tensor):
            raise TypeError(f"gradcheck: inputs[{position}] - expected a Tensor, got {type(value).__name__}")
    function, tensors, checked = _float64_copies(function, inputs)
    if not checked:
        raise ValueError("gradcheck: inputs - expected a floating Tensor or a module with parameters, got neither")
    state = rng.get_state()

    def run():
        rng.set_state(state)
        out = function(*tensors)
        if not isinstance(out, Tensor):
            raise TypeError(f"gradcheck: function - expected a Tensor as result, got {type(out).__name__}")
        return out

    try:
        _check_habits(run, checked)
        return _compare(run, checked, eps, atol, rtol)
    finally:
        rng.set_state(state)


def _float64_copies(function, inputs):
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
    module = copy.deepcopy(function).double()
    parameters = dict(module.named_parameters())
    buffers = {key: array for key, array in module.state_dict().items() if key not in parameters}

    def run(*arguments):
        module.load_state_dict(buffers, strict=False)  # a forward in training mode moves running statistics
        return module(*arguments)

    return run, tensors, checked | {name: p for name, p in parameters.items() if p.requires_grad}


def _check_habits(run, checked):
    """Raise unless equal calls give equal bits, and a zero gradient gives zeros."""
    results = []
    for _ in range(2):
        out = run()
        mixed = np.cos(np.arange(out.size, dtype=np.float64)).reshape(out.shape)  # no two outputs alike
        results.append((out.data.copy(), _gradients(out, checked, mixed)))
    (first_out, first), (second_out, second) = results
    if not np.array_equal(first_out, second_out, equal_nan=True):
        raise GradcheckError("forward gave other bits the second time; it is not deterministic")
    out = run()
    zero = _gradients(out, checked, np.zeros(out.shape))
    for name in checked:
        if not np.array_equal(first[name], second[name], equal_nan=True):
            raise GradcheckError(f"{name}: backward gave other bits the second time; it is not deterministic")
        if zero[name].any():
            largest = np.abs(zero[name]).max()
            raise GradcheckError(f"{name}: expected zeros for a zero gradient of the output, got up to {largest:.6g}")


def _gradients(out, checked, grad_out):
    """Return a copy of each gradient by name."""
    for t in checked.values():
        t.grad = None
    if out.requires_grad:
        try:
            out.backward(grad_out, retain_graph=True)
        except ValueError as error:  # such as the engine's own check of what a backward returns
            raise GradcheckError(f"backward gave what does not fit: {error}") from error
    # Where the output does not depend on an input, its gradient is zero.
    return {name: np.zeros(t.shape) if t.grad is None else np.array(t.grad) for name, t in checked.items()}


def _compare(run, checked, eps, atol, rtol):
    out = run()
    analytic = {name: np.empty((out.size, t.size)) for name, t in checked.items()}
    for j in range(out.size):
        unit = np.zeros(out.size)
        unit[j] = 1
        for name, grad in _gradients(out, checked, unit.reshape(out.shape)).items():
            analytic[name][j] = grad.ravel()
    largest = 0.0
    for name, tensor in checked.items():
        numeric = _numeric(run, tensor, out.size, eps)
        error = np.abs(analytic[name] - numeric)
        bad = ~(error <= atol + rtol * np.abs(numeric))  # written so that NaN is bad
        if bad.any() or np.linalg.norm(error) > atol + rtol / 10 * np.linalg.norm(numeric):
            worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error * (bad + 1e-9))), error.shape)
            sentence = _sentence(name, tensor.shape, out.shape, analytic[name], numeric, worst, bad)
            raise GradcheckError(sentence + _kink(run, tensor, worst[1], eps))
        largest = max(largest, error.max(initial=0))
    return GradcheckReport(sum(a.size for a in analytic.values()), tuple(checked), float(largest))


def _at(run, tensor, i, step, read):
    """Return what ``read`` finds in the output while element i, in row-major order, is moved by ``step``."""
    where = np.unravel_index(i, tensor.shape)
    value = tensor.data[where]
    tensor.data[where] = value + step
    try:
        return read(run())
    finally:
        tensor.data[where] = value


def _numeric(run, tensor, outputs, eps):
    """Return the Jacobian (outputs, elements) from central differences."""
    jacobian = np.empty((outputs, tensor.size))
    with no_grad():
        for i in range(tensor.size):
            above, below = (_at(run, tensor, i, step, lambda out: out.data.flatten()) for step in (eps, -eps))
            jacobian[:, i] = (above - below) / (2 * eps)
    return jacobian


def _sentence(name, shape, out_shape, analytic, numeric, worst, bad):
    j, i = worst
    where, of = ([int(k) for k in np.unravel_index(at, lengths)] for at, lengths in ((i, shape), (j, out_shape)))
    a, n = analytic[worst], numeric[worst]
    ratio = f", ratio {a / n:.6g}" if n else ""
    if bad.any():
        extent = f"{bad.sum()} of {bad.size} elements differ"
    else:
        extent = f"all together, analytic is {np.vdot(analytic, numeric) / np.vdot(numeric, numeric):.6g} times numeric"
    return f"{name} {where}: analytic {a:.6g}, numeric {n:.6g}{ratio}, in the derivative of output {of}; {extent}"


def _kink(run, tensor, i, eps):
    """Return a remark if an operation chooses differently at the two ends of the difference."""
    above, below = (_at(run, tensor, i, step, _choices) for step in (eps, -eps))
    for (name, one), (_, other) in zip(above, below, strict=False):
        if not np.array_equal(one, other):
            return f"; {name} chooses differently {eps:g} above and below: the input lies on a kink, move it"
    return ""


def _choices(out):
    """Return (operation, discrete choices) of every operation behind a Tensor that makes some."""
    found, seen, stack = [], set(), [out.node]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in seen:
            seen.add(node)
            if hasattr(node.function, "choices"):
                found.append((node.function.__name__, node.function.choices(node.ctx)))
            stack.extend(node.edges)
    return found
