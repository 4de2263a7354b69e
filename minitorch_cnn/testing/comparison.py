"""Two Jacobians of one function, along chosen directions: by backward, and by differences of forward."""

from dataclasses import dataclass

import numpy as np

from minitorch_cnn.autograd import Node, no_grad
from minitorch_cnn.autograd.checks import GradientCountError
from minitorch_cnn.testing import diagnosis
from minitorch_cnn.testing.report import CheckedTensor, GradcheckError

SAMPLES = {"full": 0, "random": 20, "projection": 2}  # by mode, the default
_REDRAWS = 10  # how often a direction that crosses a kink is drawn anew


@dataclass(frozen=True)
class Settings:
    """The keywords of `gradcheck`."""

    mode: str
    eps: float
    atol: float
    rtol: float
    samples: int
    max_kinks: float


def gradients(out, checked, grad_out):
    """Return a copy of each gradient by name."""
    __tracebackhide__ = True
    for t in checked.values():
        t.grad = None
    if out.requires_grad:
        try:
            out.backward(grad_out, retain_graph=True)
        except ValueError as error:  # such as the engine's own check of what a backward returns
            remark = "; looks like a missing sum over the batch or another axis that forward repeated, or a transpose"
            cause = "" if isinstance(error, GradientCountError) else remark
            raise GradcheckError(f"backward gave what does not fit: {error}{cause}") from error
    # Where the output does not depend on an input, its gradient is zero.
    return {name: np.zeros(t.shape) if t.grad is None else np.array(t.grad) for name, t in checked.items()}


def compare(run, checked, settings, which):
    """Return a CheckedTensor for each; ``which`` is the mode of the module, "train", "eval" or nothing."""
    __tracebackhide__ = True
    draw = np.random.default_rng(0)
    out = run()
    full = settings.mode == "full"
    weights = np.eye(out.size) if full else draw.standard_normal((1, out.size))
    jacobians = {name: np.empty((len(weights), t.size)) for name, t in checked.items()}
    for j, row in enumerate(weights):
        for name, grad in gradients(out, checked, row.reshape(out.shape)).items():
            jacobians[name][j] = grad.ravel()
    if full:
        _check_linear(out, checked, jacobians)
    watch, rows = bool(_choices(out)), []
    for name, tensor in checked.items():
        steps, analytic, numeric, kinks = [], [], [], []
        for u in _directions(settings, tensor.size, draw):
            above, below = (_moved(run, tensor, u, step, watch) for step in (settings.eps, -settings.eps))
            if operation := _chose_differently(above[1], below[1]):
                kinks.append(operation)
                continue
            slope = (above[0] - below[0]) / (2 * settings.eps)
            steps.append(u)
            analytic.append(jacobians[name][:, u] if isinstance(u, int) else jacobians[name] @ u)
            numeric.append(slope if full else weights @ slope)
            if settings.mode == "projection" and len(steps) == settings.samples:
                break
        a, n = (np.array(columns).reshape(len(steps), len(weights)).T for columns in (analytic, numeric))
        error = np.abs(a - n)
        bad = ~(error <= settings.atol + settings.rtol * np.abs(n))  # written so that NaN is bad
        failure = _too_many_kinks(settings, len(steps), kinks)
        if bad.any() or np.linalg.norm(error) > settings.atol + settings.rtol / 10 * np.linalg.norm(n):
            failure = _sentence(tensor.shape, out.shape, steps, a, n, bad, settings)
            if full and bad.any() and (remark := _one_sided(run, tensor, out, steps, bad, a, settings)):
                failure += f"; looks like {remark}"
            else:
                failure += f"; looks like {_remark(tensor.shape, out.shape, steps, a, n, full)}"
        place = f"{name} ({which} mode)" if which == "eval" else name
        total, largest = out.size * tensor.size, float(error.max(initial=0))
        shown = f"{place}{failure}" if failure else ""
        rows.append(CheckedTensor(name, which, tensor.shape, a.size, total, len(kinks), largest, shown))
    return rows


def _check_linear(out, checked, jacobians):
    """Raise unless the gradient of a mixture of outputs is the mixture of their gradients."""
    __tracebackhide__ = True
    mixed = np.cos(np.arange(out.size, dtype=np.float64))
    for name, grad in gradients(out, checked, mixed.reshape(out.shape)).items():
        expected = mixed @ jacobians[name]
        if np.linalg.norm(grad.ravel() - expected) > 1e-8 * (1 + np.linalg.norm(expected)):
            raise GradcheckError(f"{name}: backward is not linear: of a mixture of outputs it gives another gradient")


def _directions(settings, size, draw):
    """Yield what to move by eps: an element, by its number in row-major order, or all along a vector of length 1."""
    if settings.mode == "full":
        yield from range(size)
    elif settings.mode == "random":
        yield from map(int, np.sort(draw.permutation(size)[: settings.samples]))
    elif size:
        for _ in range(_REDRAWS * settings.samples):
            yield draw.choice([-1.0, 1.0], size) / np.sqrt(size)


def _moved(run, tensor, u, step, watch):
    """Return the output, flat, and the choices that led to it, while the tensor is moved along ``u``."""
    before = tensor.data.copy()
    if isinstance(u, int):
        tensor.data[np.unravel_index(u, tensor.shape)] += step
    else:
        tensor.data += step * u.reshape(tensor.shape)
    try:
        if watch:
            out = run()
            return out.data.flatten(), _choices(out)
        with no_grad():
            return run().data.flatten(), []
    finally:
        tensor.data[...] = before


def _choices(out):
    """Return (operation, discrete choices) of every operation that a Tensor depends on and that makes some."""
    found, seen, stack = [], set(), [out.node]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in seen:
            seen.add(node)
            if hasattr(node.function, "choices"):
                found.append((node.function.__name__, node.function.choices(node.ctx)))
            stack.extend(node.edges)
    return found


def _chose_differently(above, below):
    """Return the name of an operation whose choices differ, or nothing."""
    for (name, one), (_, other) in zip(above, below, strict=False):
        if not np.array_equal(one, other):
            return name
    return ""


def _too_many_kinks(settings, taken, kinks):
    tried = taken + len(kinks)
    if settings.mode == "projection":
        too_many = taken < min(settings.samples, tried)
    else:
        too_many = len(kinks) > settings.max_kinks * tried
    if not too_many:
        return ""
    return (
        f": {kinks[0]} chooses differently {settings.eps:g} above and below: "
        f"{len(kinks)} of {tried} steps cross a kink, move it"
    )


def _sentence(shape, out_shape, steps, analytic, numeric, bad, settings):
    """Say where the worst element is, both numbers, and how many are wrong."""
    error = np.abs(analytic - numeric)
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error * (bad + 1e-9))), error.shape)
    j, u = worst[0], steps[worst[1]]
    a, n = analytic[worst], numeric[worst]
    where = f" {[int(k) for k in np.unravel_index(u, shape)]}" if isinstance(u, int) else " along a random direction"
    of = "a random sum of the outputs"
    if settings.mode == "full":
        of = f"output {[int(k) for k in np.unravel_index(j, out_shape)]}"
    ratio = f", ratio {a / n:.6g}" if n else ""
    if bad.any():
        extent = f"{bad.sum()} of {bad.size} elements differ"
    else:
        extent = f"all together, analytic is {np.vdot(analytic, numeric) / np.vdot(numeric, numeric):.6g} times numeric"
    return f"{where}: analytic {a:.6g}, numeric {n:.6g}{ratio}, in the derivative of {of}; {extent}"


def _one_sided(run, tensor, out, steps, bad, analytic, settings):
    """Return a remark if the first wrong element has another slope on either side, and backward gave one of them."""
    j, column = np.argwhere(bad)[0]
    ends = [_moved(run, tensor, steps[column], step, False)[0][j] for step in (settings.eps, -settings.eps)]
    right, left = (
        (end - out.data.flat[j]) / step + 0.0 for end, step in zip(ends, (settings.eps, -settings.eps), strict=True)
    )
    two_slopes = abs(right - left) > 0.1 * max(abs(right), abs(left))
    if two_slopes and min(abs(analytic[j, column] - slope) for slope in (left, right)) < 1e-3:
        return f"a kink: the slope is {left:.4g} below and {right:.4g} above; move the input, or write choices(ctx)"
    return ""


def _remark(shape, out_shape, steps, analytic, numeric, full):
    if not full:
        known = diagnosis.factor(analytic, numeric, out_shape[0] if out_shape else 0)
        return known or 'no known mistake in this mode; mode="full" on a smaller input tells more'
    size = int(np.prod(shape))
    whole = [np.zeros((len(analytic), size)) for _ in range(2)]  # equal where a kink was left out
    for jacobian, columns in zip(whole, (analytic, numeric), strict=True):
        jacobian[:, steps] = columns
    return diagnosis.looks_like(*(jacobian.reshape(-1, *shape) for jacobian in whole), out_shape)
