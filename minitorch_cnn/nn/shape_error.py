"""The error of a layer whose input does not fit: where it is, and what to write instead."""

from minitorch_cnn.autograd import Variable
from minitorch_cnn.nn.shape_trace import chain
from minitorch_cnn.shapes import ShapeError

_LONGEST_CHAIN = 30  # operations that the message lists


class LayerShapeError(ShapeError):
    """A ShapeError inside a module, whose message says where."""


def located_message(error, call, module, inputs):
    """Return the message of a ShapeError, the module that ran, how to repair it, and the shapes up to there."""
    inside = f"\nin module {call.path}" if call.path else ""
    if not call.op_log:  # the fault is the input's, not the model's
        return f"{error}{inside}"
    repair = module.shape_repair(inputs[0].data.shape) if inputs and isinstance(inputs[0], Variable) else ""
    story = ", ".join(filter(None, [chain(call.op_log), repair]))
    steps = [f"{path} {op.__name__} {shapes[0]} -> {shape}".strip() for path, op, shapes, shape, _ in call.op_log]
    if (hidden := len(steps) - _LONGEST_CHAIN) > 0:
        steps = [f"... {hidden} operations before", *steps[hidden:]]
    return "\n".join([f"{error}{inside}", *filter(None, [story]), "shapes so far:", *(f"    {step}" for step in steps)])
