"""How the receptive field and the number of non-linearities grow, layer by layer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minitorch_cnn import arguments
from minitorch_cnn.display import figures
from minitorch_cnn.explain.fields.formula import receptive_fields
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.explain.trace.semantics import is_window
from minitorch_cnn.nn import Module
from minitorch_cnn.ops.reads import UNKNOWN
from minitorch_cnn.types import Shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (figures.BLUE, figures.ORANGE, figures.GREEN, figures.YELLOW, figures.GREY, "black")


@dataclass(frozen=True)
class Step:
    """The output of one convolution or pooling: its depth, its receptive field, the non-linearities before it."""

    layer: str
    depth: int  # convolutions on the longest path
    size: tuple[int, ...] | str  # of the receptive field, unclipped; see `Field.size`
    non_linearities: int  # activations before it, on the longest path

    @property
    def side(self):
        """Pixels along the longer side of the field; "not known" where it is not."""
        sides = [] if self.size == UNKNOWN else [side for side in self.size if side is not None]
        return max(sides, default=UNKNOWN)


@dataclass(frozen=True)
class Growth(Picture):
    """The growth through some networks, a list of steps for each."""

    networks: dict[str, Any] = field(repr=False)  # name -> list of Step

    def __str__(self) -> str:
        """The figure as text."""
        lines = []
        for name, steps in self.networks.items():
            lines += [name, f"  {'layer':<24} {'depth':>5} {'sees':>9} {'activations before':>19}"]
            lines += [f"  {s.layer or '(model)':<24} {s.depth:5d} {s.side!s:>9} {s.non_linearities:19d}" for s in steps]
        return "\n".join(lines)

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing: field size above, activations below, both against depth."""
        drawing = figures.blank("Receptive field and number of non-linearities by depth")
        above, below = drawing.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        for number, (name, steps) in enumerate(self.networks.items()):
            depth = [step.depth for step in steps]
            line = {"marker": "osD^vP"[number % 6], "ms": 5, "lw": 2, "color": _COLOURS[number % 6], "label": name}
            above.plot(depth, [math.nan if step.side == UNKNOWN else step.side for step in steps], **line)
            below.plot(depth, [step.non_linearities for step in steps], **line)
        above.set_ylabel("receptive field,\npixels per side")
        below.set_ylabel("non-linearities\nbefore")
        for axis in (below.xaxis, below.yaxis, above.yaxis):
            axis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        below.set_xlabel("depth: convolutions on the longest path")
        above.legend()
        for axes in (above, below):
            axes.grid()
        return drawing


def field_growth(networks: Mapping[str, tuple[Module, Shape]]) -> Growth:
    """Follow receptive field and non-linearities through networks.

    Parameters
    ----------
    networks : dict of str to (Module, input_shape)
        Models are traced; nothing is computed.

    Returns
    -------
    Growth
        A step for each convolution and pooling that sees a part of the image.

    Raises
    ------
    TypeError
        If ``networks`` is not a dict of such pairs.
    ShapeError
        If a model does not take inputs of its shape.
    """
    arguments.instance("field_growth", Mapping, networks=networks)
    for name, entry in networks.items():
        if not isinstance(entry, (tuple, list)) or len(entry) != 2:
            expected = "a Module and its input shape"
            raise TypeError(f"field_growth: networks[{name!r}] - expected {expected}, got {entry!r:.60}")
    return Growth({name: _steps(Replay(model, shape)) for name, (model, shape) in networks.items()})


def _steps(replay):
    fields, depth, bends, steps = receptive_fields(replay.records, replay.x), {}, {}, []
    for record in replay.records:
        known = [id(v) for v in record.inputs if v is not None]
        key = id(record.output)
        depth[key] = max((depth.get(i, 0) for i in known), default=0) + (record.op.kind == "conv")
        bends[key] = max((bends.get(i, 0) for i in known), default=0) + (record.op.kind == "activation")
        if is_window(record) and key in fields and not fields[key].whole:
            steps.append(Step(record.path, depth[key], fields[key].size, bends[key]))
    return steps
