"""The receptive field of one unit: the exact box of pixels, and how much each pixel matters."""

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import enable_grad
from minitorch_cnn.display import figures
from minitorch_cnn.explain.fields.exact import reach
from minitorch_cnn.explain.fields.formula import Field, receptive_fields
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.nn import Module
from minitorch_cnn.nn.tracing import check_module
from minitorch_cnn.ops.reads import UNKNOWN
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array, Operand, Shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_LINES = 14  # layers beside the drawing


@dataclass(frozen=True)
class Stop:
    """A layer on the way to the unit: its field, and the centre of what its first element sees."""

    layer: str
    operation: str
    field: Field

    def __str__(self) -> str:
        size, jump = self.field.size, self.field.jump
        middle = self.field.centre(0, 0) if self.field.placed else ""
        return (
            f"{self.layer or '(model)':<28} {self.operation:<12} {_pair(size):>11} {_pair(jump):>9} {_pair(middle):>15}"
        )


@dataclass(frozen=True)
class UnitField(Picture):
    """What one unit of a network sees."""

    model: str
    layer: str
    unit: tuple[int, ...]  # (y, x)
    input_shape: tuple[int, ...]
    # (top, left, bottom, right), the last two exclusive, cut at the border; None: no pixel
    box: tuple[int, ...] | str | None
    formula: Field | None  # unclipped; None where the unit sees the whole image
    effective: Array | None = field(repr=False)  # (H, W), sums to 1: mean |d unit / d pixel| over the images
    stops: tuple[Stop, ...] = field(repr=False)

    @property
    def size(self) -> Any:
        """(height, width) of the box as if the image had no edges; see `Field.size`."""
        return self.formula and self.formula.size

    @property
    def centre(self) -> Any:
        """(y, x) of the middle of the unclipped box, pixels; None where the formula has no such box."""
        return self.formula.centre(*self.unit) if self.formula and self.formula.placed else None

    @property
    def effective_side(self) -> Any:
        """Square root of the number of pixels that hold 95 % of the gradient; None if it was not measured."""
        if self.effective is None or not self.effective.any():
            return None
        shares = np.sort(self.effective, axis=None)[::-1].cumsum()
        return math.sqrt(1 + np.count_nonzero(shares < 0.95))

    def __str__(self) -> str:
        """The figure as text."""
        place = f"unit ({self.unit[0]}, {self.unit[1]}) of {self.layer or 'the model'} in {self.model}"
        lines = [f"{place}, input {' x '.join(map(str, self.input_shape))}"]
        if self.box is None:
            lines.append("sees no pixel: its window lies in the padding")
        elif self.box == UNKNOWN:
            lines.append("what it sees is not known: an operation before it does not say what it reads")
        else:
            top, left, bottom, right = self.box
            lines.append(
                f"sees rows {top} to {bottom - 1}, columns {left} to {right - 1}: {bottom - top} x {right - left}"
            )
        if self.centre:
            lines.append(f"without the border {_pair(self.size)} pixels, centre {_pair(self.centre)}")
        if self.effective_side:
            side = f"{self.effective_side:.0f}"
            lines.append(f"effective field: {side} x {side} pixels hold 95 % of the gradient")
        head = f"{'layer':<28} {'operation':<12} {'sees':>11} {'jump':>9} {'first centre':>15}"
        return "\n".join([*lines, "", head, *map(str, self.stops)])

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing: the effective field as a heat map, the exact box over it, and how the field grew."""
        from matplotlib.patches import Rectangle

        height, width = self.input_shape[2:] if len(self.input_shape) == 4 else (1, self.input_shape[2])
        drawing = figures.blank(f"What unit ({self.unit[0]}, {self.unit[1]}) of {self.layer} sees in {self.model}")
        axes, words = drawing.subplots(1, 2, width_ratios=(1.25, 1))
        values = np.zeros((height, width)) if self.effective is None else self.effective
        look = {"cmap": figures.heat(), "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        shown = axes.imshow(values / (values.max() or 1), **look)
        bar = drawing.colorbar(shown, ax=axes, location="bottom", shrink=0.7, ticks=[0, 0.5, 1])
        bar.set_label("|d unit / d pixel|, 1 is the largest")
        axes.spines[:].set_visible(True)
        if self.box not in (None, UNKNOWN):
            top, left, bottom, right = self.box
            edge = {"fill": False, "ec": figures.INPUT, "lw": 4, "clip_on": False}
            axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, **edge))
        if self.centre:
            look = {"color": figures.INK, "ms": 14, "mew": 2, "scalex": False, "scaley": False}
            axes.plot(self.centre[1], self.centre[0], "+", **look)
        words.axis("off")
        lines = self._sentences()
        words.text(0, 1, "\n".join(lines), va="top", color=figures.INPUT, transform=words.transAxes)
        rows = [
            ("layer", "sees"),
            *((stop.layer or stop.operation, _pair(stop.field.size)) for stop in self._steps_shown()),
        ]
        for x, column in zip((0, 0.72), zip(*rows, strict=True), strict=True):
            words.text(x, 0.92 - 0.055 * len(lines), "\n".join(column), va="top", transform=words.transAxes)
        return drawing

    def _sentences(self):
        """Yield what the drawing says about the box, in lines that fit beside it."""
        if self.box == UNKNOWN:
            return ["exact box not known"]
        if self.box is None:
            return ["sees no pixel: its window lies in the padding"]
        top, left, bottom, right = self.box
        lines = [f"exact box (green): {bottom - top} x {right - left} pixels"]
        if self.centre and self.size != (bottom - top, right - left):
            lines.append(f"without the border: {_pair(self.size)} pixels")
        if self.effective_side:
            side = f"{self.effective_side:.0f}"
            lines.append(f"{side} x {side} pixels hold 95 % of the gradient")
        return lines

    def _steps_shown(self):
        """Return the layers on the way that change the field, thinned out where they do not fit beside the drawing."""
        pairs = itertools.pairwise(self.stops)
        steps = [stop for stop, next in pairs if _pair(next.field.size) != _pair(stop.field.size)]
        steps.extend(self.stops[-1:])
        chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _LINES)).round().astype(int))
        return [steps[i] for i in chosen]


@enable_grad()
def receptive_field(
    model: Module,
    layer: str,
    y: int,
    x: int,
    *,
    input_shape: Shape,
    channel: int | None = None,
    images: int | Operand = 4,
) -> UnitField:
    """Find the pixels that one unit depends on, and measure how much it does.

    The search goes back through every operation of the trace and all branches of shortcuts and concatenations; the
    box is the smallest one around what they read. The effective field is
    the mean over images of |d unit / d pixel|, summed over the channels of the image.

    Parameters
    ----------
    model : Module
        Used in evaluation mode: in training mode, batch norm lets every pixel see every other.
    layer : str
        Module path, such as ``"layer3.1"``; of a layer that runs twice, the last run.
    y, x : int
        Row and column of the unit on the map of that layer; both are 0 for a vector, y is 0 for a signal.
    input_shape : tuple of int
        (N, C, H, W), or (N, C, W); one image counts, for any N.
    channel : int or None
        Channel of the unit; None takes all channels together.
    images : int or ndarray, shape (N, C, H, W)
        Number of images of noise for the measurement, 0 for none, or the images themselves.

    Returns
    -------
    UnitField

    Raises
    ------
    ValueError
        If there is no such layer, unit or channel.
    ShapeError
        If the model does not take inputs of this shape.

    Notes
    -----
    Cost: a trace for the box; a forward and a backward pass up to the layer for the measurement.
    Source: Luo, Li, Urtasun and Zemel 2016, "Understanding the Effective Receptive Field in Deep
    Convolutional Neural Networks", section 3.
    """
    arguments.integer("receptive_field", least=-math.inf, y=y, x=x, **({} if channel is None else {"channel": channel}))
    check_module("receptive_field", model)
    one = (1, *arguments.listed("receptive_field", "input_shape", input_shape)[1:])
    replay = Replay(model, one)
    end = replay.last_op(layer)
    output = replay.records[end].output
    masks = _unit_masks(output.shape, y, x, channel)
    fields = receptive_fields(replay.records, replay.x)
    if (field := fields.get(id(output))) is None:
        raise ValueError(f"receptive_field: layer - expected one that depends on the image, got {layer!r}")
    return UnitField(
        model=replay.name,
        layer=layer,
        unit=(y, x),
        input_shape=one,
        box=_box(reach(replay.records, replay.x, output, masks)),
        formula=None if field.whole else field,
        effective=_effective(model, layer, masks, one, images, replay.dtype),
        stops=_stops(replay, end, fields),
    )


def _box(reached):
    """Return the smallest box around masks; None if they are empty, UNKNOWN if there are none."""
    if reached is None:
        return UNKNOWN
    *_, rows, columns = [None, np.ones(1, bool), *reached[2:]]
    if not rows.any() or not columns.any():
        return None
    (top, bottom), (left, right) = (np.flatnonzero(mask)[[0, -1]] for mask in (rows, columns))
    return int(top), int(left), int(bottom) + 1, int(right) + 1


def _unit_masks(shape, y, x, channel):
    """Return a mask for each axis of a layer's output: it selects one image, one channel or all, one place."""
    places = (y, x)[4 - len(shape) :] if len(shape) > 2 else ()
    for name, place, length in zip("yx", (y, x), ((1, 1) + tuple(shape[2:]))[-2:], strict=True):
        if not 0 <= place < length:
            raise ValueError(f"receptive_field: {name} - expected 0 to {length - 1} in a map {shape}, got {place}")
    if channel is not None and not 0 <= channel < shape[1]:
        raise ValueError(f"receptive_field: channel - expected 0 to {shape[1] - 1}, got {channel}")
    masks = [np.ones(1, bool), np.ones(shape[1], bool) if channel is None else np.arange(shape[1]) == channel]
    return masks + [np.arange(length) == place for length, place in zip(shape[2:], places, strict=True)]


def _effective(model, layer, masks, shape, images, dtype):
    if np.ndim(images) == 0:
        arguments.integer("receptive_field", least=0, images=images)
        if images == 0:
            return None
        images = np.random.Generator(np.random.PCG64(0)).standard_normal((images, *shape[1:]))
    images = arguments.array("receptive_field", "images", images)
    replay = Replay(model, images.shape)
    x = Tensor(images.astype(dtype), requires_grad=True)
    out = replay.run([(replay.x, x)], replay.last_op(layer))
    grad = np.zeros(out.shape, dtype)
    grad[np.ix_(np.ones(len(images), bool), *masks[1:])] = 1
    out.backward(grad)
    heat = np.abs(x.grad).sum((0, 1)).astype(np.float64).reshape((1, *shape[2:])[-2:])
    return heat / (heat.sum() or 1)


def _stops(replay, end, fields):
    """Return the layers and joints before an operation that see a part of the image, or whose field is not known."""
    on_way = [replay.records[i] for i in replay.ancestors(end)]
    kinds = ("", "conv", "pool", "resize", "add", "product", "concat")
    shown = [r for r in on_way if r.op.kind in kinds and id(r.output) in fields and not fields[id(r.output)].whole]
    return tuple(Stop(r.path, r.op.__name__, fields[id(r.output)]) for r in shown)


def _pair(pair):
    if isinstance(pair, str):
        return pair
    texts = ["all" if value is None else f"{value:g}" for value in pair]
    return texts[0] if texts[0] == texts[1] else " x ".join(texts)
