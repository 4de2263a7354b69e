"""Backpropagation step by step: as text, and as a table in notebooks."""

from minitorch_cnn.autograd import BackwardStep
from minitorch_cnn.display.html import table
from minitorch_cnn.optim.clip import total_norm

_SHOWN = 6  # elements of a gradient that are written out


class BackwardTrace(list[BackwardStep]):
    """The steps of a backward pass, the last operation first; prints as text and shows itself in notebooks.

        steps = loss.backward(trace=True)
        print(explain.BackwardTrace(steps))

    Parameters
    ----------
    steps : iterable of `autograd.BackwardStep`
        What ``backward(trace=True)`` returned.
    """

    def __str__(self) -> str:
        """Return a paragraph for each step: operation, incoming gradient, rule, kernels, and what each input gets."""
        lines = []
        for number, step in enumerate(self, start=1):
            lines.append(f"{number}. {_name(step)}")
            lines.append(f"     incoming  {describe_gradient(step.grad_out)}")
            lines += [f"     rule      {step.rule}"] if step.rule else []
            lines += [f"     kernels   {kernels_of(step)}"] if step.algorithm else []
            lines += [f"     input {i}   {describe_gradient(grad)}" for i, grad in enumerate(step.grads)]
        return "\n".join(lines)

    def _repr_html_(self):
        rows = [("step", "operation", "incoming gradient", "rule", "kernels", "what each input gets")]
        for number, step in enumerate(self, start=1):
            grads = [f"{i}: {describe_gradient(grad)}" for i, grad in enumerate(step.grads)]
            incoming, kernels = describe_gradient(step.grad_out), kernels_of(step) if step.algorithm else ""
            rows.append((str(number), _name(step), incoming, step.rule, kernels, "\n".join(grads)))
        return table(rows)


def kernels_of(step):
    """Return which kernels computed the gradients of a convolution: "small_cin for x, winograd for the weight"."""
    products = ("x", step.algorithm.backward_input), ("the weight", step.algorithm.backward_weight)
    made = [f"{one.name} for {of}" for (of, one), grad in zip(products, step.grads, strict=False) if grad is not None]
    return ", ".join(made)


def describe_gradient(grad):
    """Return shape, norm and first elements of a gradient as one line."""
    if grad is None:
        return "none wanted"
    values = " ".join(f"{value:.4g}" for value in grad.flat[:_SHOWN])
    more = " ..." if grad.size > _SHOWN else ""
    return f"{_shape(grad)}, norm {total_norm([grad]):.4g}: {values}{more}"


def _name(step):
    return step.op + (f" in {step.path}" if step.path else "")


def _shape(array):
    return " x ".join(map(str, array.shape)) or "scalar"
