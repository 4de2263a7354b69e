"""Running a model on a shape alone, and in evaluation mode for a while."""

import contextlib

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import no_grad, trace
from minitorch_cnn.nn.module import Module
from minitorch_cnn.tensor import Tensor


def check_module(owner, model):
    """Raise TypeError unless a model is a Module."""
    arguments.instance(owner, Module, model=model)


@contextlib.contextmanager
def keeping_modes(model):
    """Give every module its own mode back at the end of a ``with`` block."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model
    finally:
        for module, mode in modes:
            module.training = mode


@contextlib.contextmanager
def evaluating(model):
    """Put a model into evaluation mode inside a ``with`` block; every module gets its own mode back."""
    with keeping_modes(model):
        model.eval()
        yield model


def traced(model, input_shape):
    """Run a model on a shape alone, in its current mode.

    Parameters
    ----------
    model : Module
    input_shape : tuple or list of int >= 0

    Returns
    -------
    x : Tensor
        Traced, of the dtype of the model's parameters, float32 if it has none.
    records : list of Record
    output : object
        What the model returned.

    Raises
    ------
    TypeError, ValueError
        If the shape is not a tuple of such integers.
    TraceError
        If the model reads values, such as for a decision.
    """
    check_module("trace", model)
    if not isinstance(input_shape, (tuple, list)):
        raise TypeError(f"trace: input_shape - expected a tuple of integers, got {input_shape!r}")
    arguments.integer("trace", least=0, **{f"input_shape[{axis}]": n for axis, n in enumerate(input_shape)})
    dtype = next((parameter.data.dtype for parameter in model.parameters()), np.dtype(np.float32))
    x = Tensor.like_shape(tuple(input_shape), dtype)
    with no_grad(), trace() as records:
        output = model(x)
    return x, records, output
