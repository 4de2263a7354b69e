"""What networks have in common, found in their topologies: stages of convolutions, each on smaller maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minitorch_cnn import arguments

if TYPE_CHECKING:
    from minitorch_cnn.explain.network.topology import Topology


@dataclass(frozen=True)
class Stage:
    """Neighbouring convolutions on maps of one size."""

    convolutions: int
    side: int  # pixels of its first map
    channels: int  # of its last map
    halved_by: str  # what made the maps smaller before it: "pooling" or "stride"; "" for the first
    joined_by: str  # "sum", "concatenation" or ""


@dataclass(frozen=True)
class Pattern:
    """The stages of a network, and how it ends."""

    stages: list[Stage]
    mean: bool  # global average pooling before the end
    full: int  # fully connected layers
    depth: int  # layers with weights along the longest path

    def __str__(self) -> str:
        counts = [stage.convolutions for stage in self.stages]
        low, high = min(counts), max(counts)
        inside = f"{low}" if low == high else f"{low} to {high}"
        start = f"{len(counts)} stage{_plural(len(counts))} of {inside} convolution{_plural(high)}"
        joined = {stage.joined_by for stage in self.stages} - {""}
        shortcuts = f" with {' and '.join(sorted(joined))}" if joined else ""
        halved = " or ".join(sorted({stage.halved_by for stage in self.stages} - {""}))
        end = ["global average pooling"] if self.mean else []
        end += [f"{self.full} fully connected layer{_plural(self.full)}"] if self.full else []
        start = f"{start}{shortcuts}" + (f", halved by {halved}" if halved else "") if high else "no convolutions"
        return f"{start}; then {' and '.join(end)}" if end else start


def _plural(count):
    return "" if count == 1 else "s"


def pattern(topology: "Topology") -> Pattern:
    """Find the stages of a network.

    Parameters
    ----------
    topology : Topology

    Returns
    -------
    Pattern
        A stage begins at the first convolution after a pooling, or at one with a stride. A convolution without
        padding, which makes the maps smaller by a few pixels, begins no stage.

    Raises
    ------
    TypeError
        If ``topology`` is not one.
    """
    from minitorch_cnn.explain.network.topology import Topology

    arguments.instance("pattern", Topology, topology=topology)
    stages, pooled = [], False
    convolutions = side = channels = 0
    halved_by = joined_by = ""
    for node in topology.nodes:
        if node.kind == "conv" and convolutions and node.side < side and (pooled or "/" in node.text):
            stages.append(Stage(convolutions, side, channels, halved_by, joined_by))
            convolutions, halved_by, joined_by = 0, "pooling" if pooled else "stride", ""
        if node.kind == "conv":
            side = side if convolutions else node.side
            convolutions, channels, pooled = convolutions + 1, node.shape[0], False
        elif node.kind == "pool":
            pooled = True
        elif node.kind in ("add", "concat") and convolutions:
            joined_by, channels = {"add": "sum", "concat": "concatenation"}[node.kind], node.shape[0]
    stages.append(Stage(convolutions, side, channels, halved_by, joined_by))
    mean = any(node.kind == "pool" and node.side == 1 and node.text == "mean" for node in topology.nodes)
    depths = []
    for node in topology.nodes:
        depths.append((node.kind in ("conv", "full")) + max((depths[i] for i in node.inputs), default=0))
    return Pattern(stages, mean, sum(node.kind == "full" for node in topology.nodes), max(depths))


def shared(patterns: Sequence[Pattern]) -> list[tuple[str, int]]:
    """Return what most networks do, as (sentence, number of networks for which it holds).

    Parameters
    ----------
    patterns : list of Pattern

    Returns
    -------
    list of (str, int)

    Raises
    ------
    TypeError
        If ``patterns`` is not a sequence of such objects.
    """
    patterns = arguments.listed("shared", "patterns", patterns)
    for number, one in enumerate(patterns):
        arguments.instance("shared", Pattern, **{f"patterns[{number}]": one})
    questions = {
        "the maps get smaller from stage to stage": lambda p: _falls([s.side for s in p.stages]),
        "the number of channels grows": lambda p: p.stages[-1].channels > p.stages[0].channels,
        "pooling or a stride halves the maps": lambda p: len(p.stages) > 1 and all(s.halved_by for s in p.stages[1:]),
        "fully connected layers, or global average pooling, turn maps into classes": lambda p: p.mean or p.full > 0,
    }
    return [(sentence, sum(map(holds, patterns))) for sentence, holds in questions.items()]


def _falls(numbers):
    return len(numbers) > 1 and all(a > b for a, b in zip(numbers, numbers[1:], strict=False))
