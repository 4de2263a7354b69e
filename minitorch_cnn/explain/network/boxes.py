"""What one box of the drawing of a graph stands for: an operation, or in a long graph a layer."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from minitorch_cnn.explain.network.repeats import Frame, Step, fold

if TYPE_CHECKING:
    from minitorch_cnn.explain.network.graph import Graph, Operation

_BEFORE = {  # after which kinds of operations another one joins their box
    "norm": ("conv", "full"),
    "activation": ("conv", "full", "norm", "add"),
    "add": ("full",),
    "view": ("view",),
    "pointwise": ("view",),
    "reduce": ("loss",),
}


@dataclass(frozen=True)
class Box:
    """Operations, of which each reads only the one before it, and the indices of the boxes that the first one reads."""

    operations: "tuple[Operation, ...]"
    inputs: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """What the operations are called."""
        return tuple(operation.op for operation in self.operations)

    @property
    def label(self) -> list[str]:
        """The parameters that are read: the path of their module and their names, or of several modules the paths."""
        paths = list(dict.fromkeys(operation.path for operation in self.operations if operation.leaves))
        if len(paths) > 1:
            above = [path.rpartition(".")[0] for path in paths]
            inside = above[0] if len(set(above)) == 1 else ""
            names = [path.removeprefix(f"{inside}.") for path in paths]
            return [*filter(None, [inside]), ", ".join(names)]
        names = [leaf.removeprefix(f"{paths[0]}.") for operation in self.operations for leaf in operation.leaves]
        return [*filter(None, [paths[0]]), ", ".join(names)] if paths else []


def single(graph: "Graph") -> list[Box]:
    """Return a box for each operation."""
    return [Box((operation,), operation.inputs) for operation in graph.operations]


def layers(graph: "Graph") -> tuple[list[Box], list[Frame]]:
    """Return a box for each layer, of blocks that repeat only the first one, and the frames around these.

    A convolution, its normalisation and its activation are a layer if nothing else reads what lies between; so are a
    normalisation, its activation and the convolution after them, a product with its bias, and what selects and pads.
    """
    readers = [0] * len(graph.operations)
    for operation in graph.operations:
        for i in operation.inputs:
            readers[i] += 1
    boxes, owner = [], []
    for operation in graph.operations:
        alone = len(operation.inputs) == 1 and readers[operation.inputs[0]] == 1
        before = owner[operation.inputs[0]] if alone else None
        if alone and _joins(boxes[before].operations, operation):
            boxes[before] = replace(boxes[before], operations=(*boxes[before].operations, operation))
            owner.append(before)
        else:
            owner.append(len(boxes))
            boxes.append(Box((operation,), tuple(dict.fromkeys(owner[i] for i in operation.inputs))))
    return _folded(boxes)


def _joins(operations, operation):
    """Return whether an operation that alone reads these, is a part of their layer."""
    kinds = [one.kind for one in operations]
    if operation.kind == "conv":  # after a normalisation and its activation
        return kinds[0] == "norm" and "conv" not in kinds
    if kinds[0] == "norm" and "conv" in kinds:
        return False
    return kinds[-1] in _BEFORE.get(operation.kind, ())


def _folded(boxes):
    """Keep one of each block that repeats, and frame those."""
    steps = []
    for box in boxes:
        leaves = tuple(leaf.rpartition(".")[2] for operation in box.operations for leaf in operation.leaves)
        steps.append(Step((box.names, leaves), box.inputs, box.operations[0].path))
    kept, inputs, frames = fold(steps)
    return [replace(boxes[i], inputs=reads) for i, reads in zip(kept, inputs, strict=True)], frames


def longest_path(inputs: list[tuple[int, ...]]) -> list[int]:
    """Return the steps on the longest path to the last one, if each reads earlier ones of these indices."""
    depth = []
    for reads in inputs:
        depth.append(1 + max((depth[i] for i in reads), default=0))
    path = [len(inputs) - 1]
    while reads := inputs[path[-1]]:
        path.append(max(reads, key=lambda i: depth[i]))
    return path[::-1]
