"""Which part of an image decides the prediction: saliency, occlusion and Grad-CAM.

All three follow the operations of the trace, not the modules: a module may run twice. Images may have any number of
channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from minitorch_cnn import arguments, ops
from minitorch_cnn.autograd import enable_grad, no_grad
from minitorch_cnn.display import figures, signs
from minitorch_cnn.explain.features.feature_maps import displayed
from minitorch_cnn.explain.features.filters import named
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.nn import Module
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array, Operand

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_ACROSS, _MOST = 5, 10  # images of a row and of a slide


@dataclass(frozen=True)
class Attribution(Picture):
    """A heat map for each image, with the class that it explains."""

    method: str
    heat: Array = field(repr=False)  # (N, H, W); of any sign for occlusion, else >= 0
    targets: Array  # class of each image, (N,)
    scores: Array  # its logit, (N,)
    images: Array = field(repr=False)  # (N, H, W, 3) in 0 .. 1, to be seen
    predictions: Array  # most probable class of each image, (N,)
    probabilities: Array  # of that class, (N,)
    labels: Array | None = None  # true class of each image, (N,)
    classes: tuple[str, ...] | None = None  # names

    def label(self, number: int) -> str:
        """Return the name of the class that the heat map of an image explains."""
        return self._name(self.targets[number])

    def _name(self, index):
        return str(int(index)) if self.classes is None else self.classes[index]

    def title(self, number: int) -> str:
        """Return "truth / prediction, probability" of an image, without the truth where it is not known."""
        truth = "" if self.labels is None else f"{self._name(self.labels[number])} / "
        title = f"{truth}{self._name(self.predictions[number])}, {self.probabilities[number]:.0%}"
        if self.targets[number] == self.predictions[number]:
            return title
        return f"{title}\nheat for {self.label(number)}"

    def wrong(self, number: int) -> bool:
        """Return True if the prediction for an image is known to be wrong."""
        return self.labels is not None and bool(self.labels[number] != self.predictions[number])

    def __str__(self) -> str:
        """The figure as text: the hottest pixel of each image, and the share of the heat in three by three parts."""
        lines = []
        for number, heat in enumerate(self.heat):
            y, x = np.unravel_index(np.abs(heat).argmax(), heat.shape)
            lines.append(
                f"{self.method} of image {number} for {self.label(number)} (logit {self.scores[number]:.3f}"
                f"{self._mistake(number)}): strongest {heat[y, x]:.4g} at row {y}, column {x}; "
                "share of the heat in each ninth of the image:"
            )
            whole = np.abs(heat).sum() or 1
            for rows in np.array_split(np.abs(heat), 3, axis=0):
                lines.append("".join(f"{part.sum() / whole:8.1%}" for part in np.array_split(rows, 3, axis=1)))
        return "\n".join(lines)

    def _mistake(self, number):
        wrong = f"; predicted {self._name(self.predictions[number])}, truly " if self.wrong(number) else ""
        return wrong and wrong + self._name(self.labels[number])

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing: the images above, the heat over them below; wrong predictions are red and crossed.

        Where heat has signs, orange supports the class and blue counts against it.
        """
        count, signed = min(len(self.heat), _MOST), self.heat.min() < 0
        across = min(count, _ACROSS)
        down = -(-count // across)
        drawing = figures.blank(f"{self.method[0].upper()}{self.method[1:]}", pads=(0.05, 0.05))
        grid = drawing.subplots(2 * down, across, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for number in range(count):
            above, below = grid[2 * (number // across) : 2 * (number // across) + 2, number % across]
            above.imshow(self.images[number], interpolation="nearest")
            cross, colour = (f"{signs.CROSS} ", figures.WRONG) if self.wrong(number) else ("", figures.INK)
            title = cross + self.title(number).replace(" / ", "\n")
            above.set_title(title, fontsize=figures.SMALL, color=colour, parse_math=False)
            grey = np.repeat(self.images[number].mean(2, keepdims=True), 3, 2)
            below.imshow(0.5 + 0.5 * grey, interpolation="nearest")
            largest = np.abs(self.heat[number]).max() or 1
            colours = (
                {"cmap": figures.signed(), "vmin": -1, "alpha": 0.65} if signed else {"cmap": figures.heat(), "vmin": 0}
            )
            below.imshow(self.heat[number] / largest, vmax=1, interpolation="nearest", **colours)
        meaning = "prediction, probability" if self.labels is None else "truth, then prediction and its probability"
        some = "" if count == len(self.heat) else f"; the first {count} of {len(self.heat)} images"
        drawing.supxlabel(f"above each image: {meaning}{some}", fontsize=figures.LABEL)
        return drawing


@enable_grad()
def saliency(
    model: Module,
    x: Operand,
    target: int | str | Sequence[int | str] | Array | None = None,
    *,
    labels: Operand | None = None,
    classes: Sequence[str] | None = None,
) -> Attribution:
    """Show which pixels the logit depends on most: |d logit / d pixel|, the largest over the channels.

    Parameters
    ----------
    model : Module
        Maps images to a logit for each class; used in evaluation mode.
    x : ndarray, shape (N, C, H, W)
        Images as the model takes them.
    target : int, str, a sequence of them, or None
        Class for all images, or for each; names only with ``classes``; None takes the most probable class.
    labels : int array of shape (N,), or None
        True classes; the figure then shows them and marks wrong predictions.
    classes : sequence of str or None
        Names for the figure.

    Returns
    -------
    Attribution

    Raises
    ------
    ValueError
        If there is no such class, labels do not fit, or the model does not give logits (N, classes).

    Notes
    -----
    Source: Simonyan, Vedaldi and Zisserman 2014, "Deep Inside Convolutional Networks", section 3.1.
    """
    x = arguments.array("saliency", "x", x)
    replay = Replay(model, x.shape)
    pixels = Tensor(x.astype(replay.dtype), requires_grad=True)
    logits = _logits("saliency", replay, [(replay.x, pixels)])
    targets = _targets("saliency", logits.data, target, classes)
    labels = _labels("saliency", labels, logits.shape)
    logits.backward(_one_hot(targets, logits))
    heat = np.abs(pixels.grad).max(1)
    return _result("saliency", heat, targets, logits, pixels, labels, classes)


def occlusion(
    model: Module,
    x: Operand,
    target: int | str | Sequence[int | str] | Array | None = None,
    *,
    size: int = 8,
    stride: int = 4,
    value: float = 0.0,
    labels: Operand | None = None,
    classes: Sequence[str] | None = None,
) -> Attribution:
    """Show how much the logit falls when a square covers a part of the image.

    Parameters
    ----------
    model, x, target, labels, classes
        As in `saliency`.
    size, stride : int, pixels, >= 1
        Side of the square, and its step; it is cut at the border.
    value : float
        Its colour; 0 is the mean colour of normalised images.

    Returns
    -------
    Attribution
        The heat of a pixel is the mean fall over all squares that covered it. It is negative where the logit rose.

    Raises
    ------
    ValueError
        As `saliency`, or if a size is not positive.

    Notes
    -----
    Cost: a forward pass for each position of the square.
    Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2.
    """
    arguments.integer("occlusion", least=1, size=size, stride=stride)
    arguments.number("occlusion", value=value)
    x = arguments.array("occlusion", "x", x)
    replay = Replay(model, x.shape)
    pixels = Tensor(x.astype(replay.dtype))
    with no_grad():
        logits = _logits("occlusion", replay, [(replay.x, pixels)])
        targets = _targets("occlusion", logits.data, target, classes)
        labels = _labels("occlusion", labels, logits.shape)
        every = np.arange(len(targets))
        fall, covered = np.zeros((len(targets), *pixels.shape[2:])), np.zeros(pixels.shape[2:])
        height, width = pixels.shape[2:]
        for top in range(0, max(height - size, 0) + stride, stride):
            for left in range(0, max(width - size, 0) + stride, stride):
                square = (slice(top, top + size), slice(left, left + size))
                hidden = pixels.data.copy()
                hidden[:, :, *square] = value
                after = replay.run([(replay.x, Tensor(hidden))], replay.end).data
                fall[:, *square] += (logits.data - after)[every, targets][:, None, None]
                covered[square] += 1
    return _result("occlusion", fall / np.maximum(covered, 1), targets, logits, pixels, labels, classes)


@enable_grad()
def grad_cam(
    model: Module,
    x: Operand,
    layer: str,
    target: int | str | Sequence[int | str] | Array | None = None,
    *,
    relu: bool = True,
    labels: Operand | None = None,
    classes: Sequence[str] | None = None,
) -> Attribution:
    """Show which places of a layer's maps support a class.

        weight_c = mean over i, j of d logit / d map[c, i, j]        heat = relu(sum over c of weight_c * map[c])

    Parameters
    ----------
    model, x, target, labels, classes
        As in `saliency`.
    layer : str
        Module path, usually the last convolution; its maps are taken after the normalisation and the
        activation that follow it directly.
    relu : bool
        False also shows what counts against the class.

    Returns
    -------
    Attribution
        The heat, scaled to the image by bilinear interpolation.

    Raises
    ------
    ValueError
        As `saliency`, or if there is no such layer or it gives no maps.

    Notes
    -----
    Source: Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", equations 1 and 2.
    """
    x = arguments.array("grad_cam", "x", x)
    arguments.flag("grad_cam", relu=relu)
    replay = Replay(model, x.shape)
    end = replay.last_op(layer, through_activation=True)
    variable = replay.records[end].output
    if len(variable.shape) != 4:
        raise ValueError(f"grad_cam: layer - expected one that gives maps (N, C, H, W), got shape {variable.shape}")
    pixels = Tensor(x.astype(replay.dtype))
    with no_grad():
        maps = replay.run([(replay.x, pixels)], end)
    maps = Tensor(maps.data, requires_grad=True)
    logits = _logits("grad_cam", replay, [(replay.x, pixels), (variable, maps)])
    targets = _targets("grad_cam", logits.data, target, classes)
    labels = _labels("grad_cam", labels, logits.shape)
    logits.backward(_one_hot(targets, logits))
    weights = maps.grad.mean((2, 3), keepdims=True)
    heat = (weights * maps.data).sum(1, keepdims=True)
    heat = ops.resize(Tensor(np.maximum(heat, 0) if relu else heat), pixels.shape[2:], mode="bilinear").data[:, 0]
    height, width = maps.shape[2:]
    coarse = f", whose maps have only {height} x {width} pixels" if min(height, width) < 4 else ""
    return _result(f"Grad-CAM at {named(layer)}{coarse}", heat, targets, logits, pixels, labels, classes)


def _logits(function, replay, given):
    logits = replay.run(given, replay.end)
    if logits.ndim != 2:
        raise ValueError(f"{function}: model - expected one that gives (N, classes), got shape {logits.shape}")
    return logits


def _targets(function, logits, target, classes):
    """Return the class of each image, (N,) int64."""
    _check_classes(function, logits, classes)
    if target is None:
        return logits.argmax(1)
    names = [target] if isinstance(target, str) else target if isinstance(target, (list, tuple)) else []
    for name in names:
        if isinstance(name, str) and name not in (classes or ()):
            expected = f"one of {', '.join(classes)}" if classes else "a number, since no classes are named"
            raise ValueError(f"{function}: target - expected {expected}, got {name!r}")
    if names:
        numbers = [list(classes).index(name) if isinstance(name, str) else name for name in names]
        target = numbers[0] if isinstance(target, str) else numbers
    targets = arguments.array(function, "target", target)
    if targets.shape not in ((), (len(logits),)):
        raise ValueError(
            f"{function}: target - expected one class, or one for each of {len(logits)} images, got {target!r}"
        )
    targets = np.broadcast_to(targets, len(logits))
    if targets.dtype.kind not in "iu" or (len(targets) and not 0 <= targets.min() <= targets.max() < logits.shape[1]):
        raise ValueError(f"{function}: target - expected classes 0 to {logits.shape[1] - 1}, got {target!r}")
    return targets


def _check_classes(function, logits, classes):
    """Raise unless names of classes, where there are any, are different strings, one for each logit."""
    if classes is None:
        return
    names = () if isinstance(classes, str) or not np.iterable(classes) else tuple(classes)
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{function}: classes - expected a sequence of strings, got {classes!r:.60}")
    if len(names) != logits.shape[1] or len(set(names)) < len(names):
        expected = f"{logits.shape[1]} different names, one for each logit"
        raise ValueError(f"{function}: classes - expected {expected}, got {', '.join(names):.80}")


def _labels(function, labels, shape):
    """Return the true classes, (N,) int64, or None."""
    if labels is None:
        return None
    labels = arguments.array(function, "labels", labels)
    if labels.shape != shape[:1] or labels.dtype.kind not in "iu" or np.any((labels < 0) | (labels >= shape[1])):
        expected = f"expected a class of 0 to {shape[1] - 1} for each of {shape[0]} images"
        raise ValueError(f"{function}: labels - {expected}, got {labels.tolist()!r}")
    return labels


def _one_hot(targets, logits):
    return np.eye(logits.shape[1], dtype=logits.data.dtype)[targets]


def _result(method, heat, targets, logits, pixels, labels, classes):
    every = np.arange(len(targets))
    scores, predictions = logits.data[every, targets], logits.data.argmax(1)
    probabilities = ops.softmax(Tensor(logits.data)).data[every, predictions]
    shown, names = displayed(pixels.data), classes and tuple(classes)
    guesses = {"predictions": predictions, "probabilities": probabilities}
    return Attribution(method, heat, targets, scores, shown, **guesses, labels=labels, classes=names)
