"""The graph that autograd keeps of a result: operations, their inputs, and the parameters at its ends."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minitorch_cnn import arguments
from minitorch_cnn.autograd import GraphError, Node, Variable, topological_order
from minitorch_cnn.explain.network.boxes import longest_path
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.nn import Module
from minitorch_cnn.nn.tracing import check_module
from minitorch_cnn.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Operation:
    """One operation of the graph."""

    op: str
    path: str  # of the module that ran it
    inputs: tuple[int, ...]  # indices of the operations that it reads
    leaves: tuple[str, ...]  # names of the parameters and inputs that it reads and that get a gradient
    rule: str
    kind: str  # "conv", "norm" and so on: `Function.kind`


@dataclass(frozen=True)
class Graph(Picture):
    """All operations that led to a result, in the order in which they ran; backward goes from last to first."""

    operations: list[Operation]
    vector = True

    def __str__(self) -> str:
        """The figure as text: a line for each operation, with the indices of those that it reads."""
        lines = []
        for number, operation in enumerate(self.operations):
            reads = [*map(str, operation.inputs), *operation.leaves]
            where = f" in {operation.path}" if operation.path else ""
            label = f"{operation.op}{where}"
            lines.append(f"{number:4d}  {label:<32}" + (f" reads {', '.join(reads)}" if reads else ""))
        return "\n".join(line.rstrip() for line in lines)

    @property
    def main_path(self) -> list[int]:
        """The operations on the longest path to the result; others lie on shortcuts and side branches."""
        return longest_path([operation.inputs for operation in self.operations])

    def figure(self) -> "Figure":
        """Return the drawing as a matplotlib Figure: forward along the arrows, backward against them."""
        from minitorch_cnn.explain.network.graph_drawing import draw

        return draw(self)

    def slides(self) -> "list[Figure]":
        """Return the drawing divided among as many slides as it needs; `save` makes them the pages of a .pdf file."""
        from minitorch_cnn.explain.network.graph_drawing import draw_slides

        return draw_slides(self)


def graph(result: Variable, model: Module | None = None) -> Graph:
    """Read the graph of a Tensor, before backward has freed it.

    Parameters
    ----------
    result : Tensor
        Such as a loss.
    model : Module or None
        Its parameters are named by their paths, others by their shapes.

    Returns
    -------
    Graph
        The transposed weight of a fully connected layer appears as the weight itself.

    Raises
    ------
    TypeError
        If ``result`` is not a Tensor, or ``model`` not a Module.
    GraphError
        If there is no graph: nothing needs a gradient, or backward has freed it.
    """
    arguments.instance("graph", Tensor, result=result)
    if model is not None:
        check_module("graph", model)
    root = result.node
    if root is None or root.ctx is None:
        reason = "one without a graph" if root is None else "one whose graph backward has freed; use retain_graph=True"
        raise GraphError(f"graph: result - expected a Tensor before backward, got {reason}")
    names = {id(p): path for path, p in model.named_parameters()} if model is not None else {}
    operations, numbers, views = [], {}, {}
    for node in topological_order(root):
        if not isinstance(node, Node):
            continue
        leaves = tuple(
            name
            for edge in node.edges
            if edge is not None
            for name in (views.get(edge, ()) if isinstance(edge, Node) else (_name(edge, names),))
        )
        inputs = tuple(numbers[edge] for edge in node.edges if edge in numbers)
        if not inputs and len(leaves) == 1 and node.function.kind == "view":
            views[node] = leaves
            continue
        numbers[node] = len(operations)
        function = node.function
        operations.append(Operation(function.__name__, node.path, inputs, leaves, function.rule, function.kind))
    return Graph(operations)


def _name(leaf, names):
    return names.get(id(leaf)) or " x ".join(map(str, leaf.data.shape)) or "number"
