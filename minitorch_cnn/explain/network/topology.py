"""The layers of a network and their connections, found in its trace."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minitorch_cnn import arguments
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.explain.trace.semantics import call_of, covers_maps, declared, is_window, label
from minitorch_cnn.nn import Module
from minitorch_cnn.nn.tracing import traced
from minitorch_cnn.ops.reads import TransposedWindows
from minitorch_cnn.types import Shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Node:
    """A layer: what it does, what it reads, and the shape of its output without the batch."""

    kind: str  # "input", "conv", "pool", "full", "resize", "add", "product", "concat"; "" if it is not known
    text: str  # such as "3x3 /2"
    inputs: list[int]  # positions of other nodes
    shape: tuple[int, ...]  # (C, H, W) or (D,)
    path: str = ""
    notes: list[str] = field(default_factory=list)  # "BN", "ReLU": what follows directly

    @property
    def side(self) -> int:
        """Pixels along a side of the map, 1 for a vector."""
        return self.shape[1] if len(self.shape) > 1 else 1


@dataclass(frozen=True)
class Topology(Picture):
    """All layers in the order in which they run, the input first."""

    name: str
    nodes: list[Node]
    vector = True

    @property
    def columns(self) -> list[int]:
        """Steps from the input to each node, along the longest path."""
        columns = []
        for node in self.nodes:
            columns.append(1 + max((columns[i] for i in node.inputs), default=-1))
        return columns

    def __str__(self) -> str:
        """The figure as text: a line for each layer, with the indices of those that it reads."""
        lines = [self.name]
        for number, node in enumerate(self.nodes):
            reads = ", ".join(map(str, node.inputs))
            shape = " x ".join(map(str, node.shape))
            label = " ".join([node.kind, node.text, *node.notes]).replace("  ", " ").strip()
            lines.append(f"{number:4d}  {label:<32} {shape:>16}" + (f"   reads {reads}" if reads else ""))
        return "\n".join(lines)

    def figure(self) -> "Figure":
        """Return the drawing as a matplotlib Figure."""
        from minitorch_cnn.explain.network.topology_drawing import draw

        return draw(self)


def topology(model: Module, input_shape: Shape, name: str | None = None) -> Topology:
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
        Convolutions, poolings, fully connected layers, resizes, and sums, products and concatenations of
        branches are nodes, and so is every operation of unknown kind. Normalisation and activation are notes of the
        node before them; everything else is left out.

    Raises
    ------
    ShapeError
        If the model does not take inputs of this shape.
    """
    x, records, _ = traced(model, input_shape)
    if name is not None:
        arguments.instance("topology", str, name=name)
    return Topology(name or type(model).__name__, layers(x, records)[0])


def layers(x, records):
    """Find the layers in a trace.

    Parameters
    ----------
    x : Tensor
        The input that was traced.
    records : list of Record

    Returns
    -------
    nodes : list of Node
    owner : dict
        From the id of every variable that depends on x to the index of its node.
    """
    nodes, owner = [Node("input", "", [], tuple(x.shape[1:]))], {id(x): 0}
    for record in records:
        inputs = [owner[id(v)] for v in record.inputs if v is not None and id(v) in owner]
        if not inputs:
            continue  # made from parameters alone, such as a transposed weight
        kind = _kind(record, inputs)
        if kind is None:
            owner[id(record.output)] = inputs[0]
            _remark(nodes[inputs[0]], record)
            continue
        nodes.append(Node(kind, _text(record), inputs, tuple(record.output.shape[1:]), record.path))
        owner[id(record.output)] = len(nodes) - 1
    return nodes, owner


def _kind(record, inputs):
    """Return the kind of node for a record; None if it is a part of the layer before it."""
    kind = record.op.kind
    if kind in ("", "conv", "concat"):
        return kind
    if kind in ("pool", "resize"):
        return None if record.output.shape == record.inputs[0].shape else kind  # nothing to pool
    if kind == "reduce":
        return "pool" if covers_maps(record) else None
    several = len(set(inputs)) > 1
    if kind == "full":
        return "product" if len(inputs) > 1 else "full"
    if kind in ("add", "product", "divide") and several:
        return "add" if kind == "add" else "product"
    return None


def _remark(node, record):
    """Add a note to a layer for a record that is a part of it."""
    if record.op.kind in ("norm", "activation") and label(record) not in node.notes:
        node.notes.append(label(record))


def _text(record):
    kind, reads = record.op.kind, declared(record)
    if kind in ("add", "product", "divide", "concat", "full"):
        return ""
    call, spread = call_of(record), isinstance(reads, TransposedWindows)
    if not (is_window(record) or spread):
        return label(record)
    kernel, stride, _, dilation = reads.window(call)
    text = {"pool": f"{label(record)} ", "conv": "transposed " if spread else ""}[kind] + "x".join(map(str, kernel))
    text += f" /{_sides(stride)}" if max(stride) > 1 else ""
    groups = call.value(reads.groups) or 1
    text += f", {groups} groups" if groups > 1 else ""
    return text + (f", dilation {_sides(dilation)}" if max(dilation) > 1 else "")


def _sides(pair):
    """Return a stride or dilation as "2", or "2x1" where rows and columns differ."""
    return "x".join(map(str, pair if len(set(pair)) > 1 else pair[:1]))
