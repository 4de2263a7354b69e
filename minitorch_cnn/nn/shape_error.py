"""The error of a layer whose input does not fit: where the layer is, and how to fix it."""

from minitorch_cnn.autograd import Variable
from minitorch_cnn.nn.shape_trace import describe_shapes
from minitorch_cnn.shapes import ShapeError

_LONGEST_LIST = 30  # operations that the message lists


class LayerShapeError(ShapeError):
    """A ShapeError inside a module, whose message says where."""


def located_message(error, call, module, inputs):
    """Return the message of a ShapeError with the module that ran, a suggested fix, and the shapes so far."""
    inside = f"\nin module {call.path}" if call.path else ""
    if not call.op_log:  # the input is wrong, not the model
        return f"{error}{inside}"
    fix = module.suggest_fix(inputs[0].data.shape) if inputs and isinstance(inputs[0], Variable) else ""
    sizes = ", ".join(filter(None, [describe_shapes(call.op_log), fix]))
    steps = [f"{path} {op.__name__} {shapes[0]} -> {shape}".strip() for path, op, shapes, shape, _ in call.op_log]
    if (hidden := len(steps) - _LONGEST_LIST) > 0:
        steps = [f"... {hidden} operations before", *steps[hidden:]]
    return "\n".join([f"{error}{inside}", *filter(None, [sizes]), "shapes so far:", *(f"    {step}" for step in steps)])
