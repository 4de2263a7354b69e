"""What a walk back through the graph returns: its steps as text, and as a table in notebooks."""

import numpy as np

from minitorch_cnn.display.html import table

_SHOWN = 6  # numbers of an array that are written out


class Story(list):
    """The steps of ``backward(trace=True)``, the last operation first; a list of `autograd.BackwardStep`."""

    def __str__(self):
        """A paragraph a step: operation, incoming gradient, rule, and what each input gets."""
        lines = []
        for number, step in enumerate(self, start=1):
            lines.append(f"{number}. {_name(step)}")
            lines.append(f"     incoming  {gradient(step.grad_out)}")
            lines += [f"     rule      {step.rule}"] if step.rule else []
            lines += [f"     input {i}   {gradient(grad)}" for i, grad in enumerate(step.grads)]
        return "\n".join(lines)

    def _repr_html_(self):
        rows = [("step", "operation", "incoming gradient", "rule", "what each input gets")]
        for number, step in enumerate(self, start=1):
            results = [f"{i}: {gradient(grad)}" for i, grad in enumerate(step.grads)]
            rows.append((str(number), _name(step), gradient(step.grad_out), step.rule, "\n".join(results)))
        return table(rows)


def gradient(grad):
    """Return shape, length and first numbers of a gradient as one line."""
    if grad is None:
        return "none wanted"
    values = " ".join(f"{value:.4g}" for value in grad.flat[:_SHOWN])
    more = " ..." if grad.size > _SHOWN else ""
    return f"{_shape(grad)}, norm {np.linalg.norm(grad):.4g}: {values}{more}"


def _name(step):
    return step.op + (f" in {step.path}" if step.path else "")


def _shape(array):
    return " x ".join(map(str, array.shape)) or "one number"
