"""The parts of an ONNX graph while it grows: nodes, constants, and names for both."""

import numpy as np

from minitorch_cnn.weights.file import WeightFileError


class Unsupported(WeightFileError):
    """An operation, or one of its settings, that ONNX or this translation does not have."""


class Builder:
    """Collects nodes and constants.

    Parameters
    ----------
    onnx : module
        The package of that name, imported only where a file is written.
    names : dict
        From the id of an array to the name under which its constant is stored.
    """

    def __init__(self, onnx, names):
        self.onnx, self.names = onnx, names
        self.nodes, self.initializers, self._known = [], [], {}

    def constant(self, array, name=None):
        """Return the name of a constant; an array that was given before is stored once."""
        if id(array) not in self._known:
            name = self.names.get(id(array)) or name or f"constant{len(self.initializers)}"
            stored = np.ascontiguousarray(array).reshape(np.shape(array))
            self.initializers.append(self.onnx.numpy_helper.from_array(stored, name))
            self._known[id(array)] = name, array  # kept, so that no other array gets its id
        return self._known[id(array)][0]

    def integers(self, *values):
        """Return the name of a constant of int64."""
        return self.constant(np.array(values, np.int64))

    def like(self, value, dtype):
        """Return the name of a constant scalar of the type of the arrays around it."""
        return self.constant(np.array(value, dtype))

    def add(self, kind, *inputs, output=None, **attributes):
        """Add a node; return the name of its output."""
        output = output or f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output
