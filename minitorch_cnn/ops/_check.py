"""Argument checks that every public operation shares."""

from minitorch_cnn.autograd import TraceError, Variable


def tensors(op, **named):
    """Raise TypeError unless every named argument is a Tensor."""
    for name, value in named.items():
        if not isinstance(value, Variable):
            got = type(value).__name__
            got = got if got != "Tensor" else f"that of {type(value).__module__}"  # another framework's
            raise TypeError(f"{op}: {name} - expected a Tensor, got {got}; wrap it: Tensor({name})")


def optional_tensors(op, **named):
    """Raise TypeError unless every named argument is a Tensor or None."""
    tensors(op, **{name: value for name, value in named.items() if value is not None})


def values(op, **named):
    """Raise TraceError if a named Tensor is traced: what depends on values would be the same for all of them."""
    for name, value in named.items():
        if value.traced:
            raise TraceError(f"{op}: {name} - expected a Tensor with values, got a traced one, which has a shape alone")
