"""The node tests that the `onnx` package carries, for the operators that we have: inputs and outputs, no gradients."""

import functools
import warnings

import numpy as np

from minitorch_cnn import Tensor
from tests.oracles.onnx_operators import OPERATORS
from tests.oracles.outcome import NoCounterpartError, outcome

TOLERANCE = 1e-5  # the standard's outputs are float32


@functools.cache
def _nodes():
    """Return the published tests of single nodes by operator."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package computes infinities on purpose
        tests = load_model_tests(kind="node")
    nodes = {name: [] for name in OPERATORS}
    for test in tests:
        graph = test.model.graph
        if len(graph.node) == 1 and graph.node[0].op_type in nodes:
            nodes[graph.node[0].op_type].append(test)
    return nodes


def node(name):
    """Yield the outcomes of an operator of the standard."""
    for test in _nodes()[name]:
        (given,) = test.model.graph.node
        if _is_random(given, test):
            continue
        for inputs, outputs in test.data_sets:
            yield outcome(
                f"onnx {name}: {test.name}",
                functools.partial(_run, name, given, inputs),
                functools.partial(_expected, given, outputs),
                TOLERANCE,
            )


def _is_random(given, test):
    return given.op_type == "Dropout" and "training" in test.name and "zero_ratio" not in test.name


def _run(name, given, inputs):
    from onnx.helper import get_attribute_value

    attributes = {attribute.name: _plain(get_attribute_value(attribute)) for attribute in given.attribute}
    if name == "Split" and len(given.input) == 1:  # the standard counts the outputs that the node names
        attributes.setdefault("num_outputs", len(given.output))
    arrays = iter(inputs)
    tensors = [_tensor(next(arrays)) if used else None for used in given.input]  # "" stands for an input left out
    outputs = OPERATORS[name](*tensors, **attributes)
    listed = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    if len(listed) < len(given.output):
        raise NoCounterpartError(f"no output {given.output[len(listed)]}")
    return [np.asarray(out.data if isinstance(out, Tensor) else out) for out in listed], []


def _plain(value):
    return value.decode() if isinstance(value, bytes) else value


def _tensor(array):
    """Return floats as float64, and what counts or names as it is."""
    return Tensor(array.astype(np.float64) if array.dtype == np.float32 else array)


def _expected(given, outputs):
    return [np.asarray(output) for output in outputs], []
