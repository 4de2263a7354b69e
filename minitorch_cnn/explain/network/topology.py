"""The layers of a network and who feeds whom, found in its trace."""

from dataclasses import dataclass, field

import numpy as np

from minitorch_cnn.autograd import no_grad, trace
from minitorch_cnn.tensor import Tensor

# Operations that are drawn; all others are a part of the layer before them.
_KINDS = {
    "Conv1d": "conv",
    "Conv2d": "conv",
    "MatMul": "full",
    "MaxPool1d": "pool",
    "MaxPool2d": "pool",
    "AvgPool1d": "pool",
    "AvgPool2d": "pool",
    "AdaptiveAvgPool2d": "pool",
    "AdaptiveMaxPool2d": "pool",
    "Div": "pool",  # of a sum: the mean of each map
    "Add": "add",
    "Concat": "concat",
}
_NOTED = {"BatchNorm": "BN", "LocalResponseNorm": "LRN", "ReLU": "ReLU", "Tanh": "tanh", "GELU": "GELU"}


@dataclass
class Node:
    """A layer: what it does, whom it reads, and the shape that it gives, without the batch."""

    kind: str  # "input", "conv", "pool", "full", "add" or "concat"
    text: str  # such as "3x3 /2"
    inputs: list  # positions of other nodes
    shape: tuple  # (C, H, W) or (D,)
    path: str = ""
    notes: list = field(default_factory=list)  # "BN", "ReLU": what follows in place

    @property
    def side(self):
        """Pixels along a side of the map, 1 for a row of numbers."""
        return self.shape[1] if len(self.shape) > 1 else 1


@dataclass(frozen=True)
class Topology:
    """All layers in the order in which they run, the input first."""

    name: str
    nodes: list

    @property
    def columns(self):
        """Steps from the input for each node, along the longest way."""
        columns = []
        for node in self.nodes:
            columns.append(1 + max((columns[i] for i in node.inputs), default=-1))
        return columns

    def __str__(self):
        """The figure as text: a line a layer, with the numbers of those that it reads."""
        lines = [self.name]
        for number, node in enumerate(self.nodes):
            reads = ", ".join(map(str, node.inputs))
            shape = " x ".join(map(str, node.shape))
            label = " ".join([node.kind, node.text, *node.notes]).replace("  ", " ").strip()
            lines.append(f"{number:4d}  {label:<32} {shape:>16}" + (f"   reads {reads}" if reads else ""))
        return "\n".join(lines)

    def figure(self):
        """Return the drawing as a matplotlib Figure; `figures.save` writes it as PNG or SVG."""
        from minitorch_cnn.explain.network.topology_drawing import draw

        return draw(self)

    def _repr_svg_(self):
        from minitorch_cnn.display import figures

        return figures.encoded(self.figure(), "svg").decode()


def topology(model, input_shape, name=None):
    """Find the layers of a model and the connections between them.

    Parameters
    ----------
    model : Module
        It is traced; nothing is computed, and nothing in it changes.
    input_shape : tuple of int
        (N, C, H, W).
    name : str or None
        The title; None takes the name of the model's class.

    Returns
    -------
    Topology
        Convolutions, poolings, full connections, sums and concatenations are nodes. Normalisation and
        activation are notes of the node before them; everything else only passes on.

    Raises
    ------
    ShapeError
        If the model does not take inputs of this shape.
    """
    x = Tensor.like_shape(input_shape, np.dtype(np.float32))
    with no_grad(), trace() as records:
        model(x)
    nodes, owner = [Node("input", "", [], tuple(input_shape[1:]))], {id(x): 0}
    for record in records:
        inputs = [owner[id(v)] for v in record.inputs if v is not None and id(v) in owner]
        if not inputs:
            continue  # made from parameters alone, such as a transposed weight
        kind = _kind(record, inputs)
        if kind is None:
            note = _NOTED.get(record.op.__name__)
            if note and note not in nodes[inputs[0]].notes:
                nodes[inputs[0]].notes.append(note)
            owner[id(record.output)] = inputs[0]
            continue
        nodes.append(Node(kind, _text(record), inputs, tuple(record.output.shape[1:]), record.path))
        owner[id(record.output)] = len(nodes) - 1
    return Topology(name or type(model).__name__, nodes)


def _kind(record, inputs):
    name = record.op.__name__
    kind = _KINDS.get(name)
    if kind == "add" and len(inputs) < 2:  # a bias
        return None
    if name == "Div" and len(record.output.shape) != 2:  # no mean over the pixels
        return None
    if name.startswith("Adaptive") and record.output.shape == record.inputs[0].shape:  # nothing to pool
        return None
    return kind


def _text(record):
    name, hyper = record.op.__name__, record.hyper
    if name in ("Add", "MatMul", "Concat"):
        return ""
    if name == "Div":
        return "mean"
    if name.startswith("Adaptive"):
        return "mean" if "Avg" in name else "max"
    kernel = hyper.get("kernel_size") or record.inputs[1].shape[2:]
    stride = max(hyper["stride"])
    pooled = {"MaxPool": "max ", "AvgPool": "mean "}.get(name[:-2], "")
    groups = f", {hyper['groups']} groups" if hyper.get("groups", 1) > 1 else ""
    return pooled + "x".join(map(str, kernel)) + (f" /{stride}" if stride > 1 else "") + groups
