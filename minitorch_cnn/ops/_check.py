"""Argument checks that every public operation shares."""

from minitorch_cnn.autograd import Variable


def tensors(op, **named):
    """Raise TypeError unless every named argument is a Tensor."""
    for name, value in named.items():
        if not isinstance(value, Variable):
            raise TypeError(f"{op}: {name} - expected a Tensor, got {type(value).__name__}; wrap it: Tensor({name})")


def optional_tensors(op, **named):
    """Raise TypeError unless every named argument is a Tensor or None."""
    tensors(op, **{name: value for name, value in named.items() if value is not None})
