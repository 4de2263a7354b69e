"""Where in the image the reasons for an answer lie: saliency, occlusion and Grad-CAM.

All three go by the operations of the trace and not by modules, so that a module may run twice, and
take images of any number of channels.
"""

from dataclasses import dataclass, field

import numpy as np

from minitorch_cnn import arguments, ops
from minitorch_cnn.autograd import enable_grad, no_grad
from minitorch_cnn.display import figures
from minitorch_cnn.explain.features.feature_maps import displayed
from minitorch_cnn.explain.features.filters import diverging
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.tensor import Tensor


@dataclass(frozen=True)
class Attribution(Picture):
    """A heat map for each image, with the class that it speaks for."""

    method: str
    heat: np.ndarray = field(repr=False)  # (N, H, W); of any sign for occlusion, else >= 0
    targets: np.ndarray  # class of each image, (N,)
    scores: np.ndarray  # its logit, (N,)
    images: np.ndarray = field(repr=False)  # (N, H, W, 3) in 0 .. 1, to be seen
    classes: tuple | None = None  # names

    def label(self, number):
        """Return the name of the class that the heat map of an image speaks for."""
        target = int(self.targets[number])
        return str(target) if self.classes is None else self.classes[target]

    def __str__(self):
        """The figure as text: of each image the hottest pixel, and how the heat lies over three by three parts."""
        lines = []
        for number, heat in enumerate(self.heat):
            y, x = np.unravel_index(np.abs(heat).argmax(), heat.shape)
            lines.append(
                f"{self.method} of image {number} for {self.label(number)} (logit {self.scores[number]:.3f}): "
                f"strongest {heat[y, x]:.4g} at row {y}, column {x}; share of each ninth of the image:"
            )
            whole = np.abs(heat).sum() or 1
            for rows in np.array_split(np.abs(heat), 3, axis=0):
                lines.append("".join(f"{part.sum() / whole:8.1%}" for part in np.array_split(rows, 3, axis=1)))
        return "\n".join(lines)

    def figure(self):
        """Return the drawing: the images above, the heat over them below; blue is against the class, orange for it."""
        count = len(self.heat)
        across = min(count, 5)
        down = -(-count // across)
        drawing = figures.blank((max(7, 2.4 * across), 5.2 * down + 0.5))
        grid = drawing.subplots(2 * down, across, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for number in range(count):
            above, below = grid[2 * (number // across) : 2 * (number // across) + 2, number % across]
            above.imshow(self.images[number], interpolation="nearest")
            above.set_title(f"for {self.label(number)}", fontsize=14)
            grey = np.repeat(self.images[number].mean(2, keepdims=True), 3, 2)
            below.imshow(0.6 + 0.4 * grey if self.heat.min() < 0 else grey, interpolation="nearest")
            largest = np.abs(self.heat[number]).max() or 1
            signed = self.heat.min() < 0
            colours = {"cmap": diverging(), "vmin": -1} if signed else {"cmap": "viridis", "vmin": 0}
            below.imshow(self.heat[number] / largest, alpha=0.65, vmax=1, interpolation="nearest", **colours)
        drawing.suptitle(self.method, fontsize=18)
        return drawing


@enable_grad()
def saliency(model, x, target=None, *, classes=None):
    """Show which pixels the answer changes most with: |d logit / d pixel|, the largest over the channels.

    Parameters
    ----------
    model : Module
        Images in, one number a class out; used in evaluation mode.
    x : ndarray, shape (N, C, H, W)
        Images as the model takes them.
    target : int, str, a sequence of them, or None
        Class of all images or of each, names only with ``classes``; None takes the likeliest.
    classes : sequence of str or None
        Names for the figure.

    Returns
    -------
    Attribution

    Raises
    ------
    ValueError
        If there is no such class, or the model gives no row of numbers.

    Notes
    -----
    Source: Simonyan, Vedaldi and Zisserman 2014, "Deep Inside Convolutional Networks", section 3.1.
    """
    x = arguments.array("saliency", "x", x)
    replay = Replay(model, x.shape)
    pixels = Tensor(x.astype(replay.dtype), requires_grad=True)
    logits = _logits("saliency", replay, [(replay.x, pixels)])
    targets = _targets("saliency", logits.data, target, classes)
    logits.backward(_one_hot(targets, logits))
    heat = np.abs(pixels.grad).max(1)
    return _result("saliency", heat, targets, logits, pixels, classes)


def occlusion(model, x, target=None, *, size=8, stride=4, value=0.0, classes=None):
    """Show how much the logit falls when a square is laid over the image.

    Parameters
    ----------
    model, x, target, classes
        As in `saliency`.
    size, stride : int, pixels, >= 1
        Side of the square, and how far it moves; it is cut at the border.
    value : float
        What it is filled with; 0 is the mean colour of normalised images.

    Returns
    -------
    Attribution
        The heat of a pixel is the mean fall of all squares that covered it; negative where the answer became
        surer.

    Raises
    ------
    ValueError
        As `saliency`, or if a size is not positive.

    Notes
    -----
    Cost: a forward pass for each place of the square.
    Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2.
    """
    for name, number in (("size", size), ("stride", stride)):
        if number < 1:
            raise ValueError(f"occlusion: {name} - expected at least 1, got {number}")
    x = arguments.array("occlusion", "x", x)
    replay = Replay(model, x.shape)
    pixels = Tensor(x.astype(replay.dtype))
    with no_grad():
        logits = _logits("occlusion", replay, [(replay.x, pixels)])
        targets = _targets("occlusion", logits.data, target, classes)
        every = np.arange(len(targets))
        fall, covered = np.zeros((len(targets), *pixels.shape[2:])), np.zeros(pixels.shape[2:])
        height, width = pixels.shape[2:]
        for top in range(0, max(height - size, 0) + stride, stride):
            for left in range(0, max(width - size, 0) + stride, stride):
                square = (slice(top, top + size), slice(left, left + size))
                hidden = pixels.data.copy()
                hidden[:, :, *square] = value
                after = replay.run([(replay.x, Tensor(hidden))], len(replay.records) - 1).data
                fall[:, *square] += (logits.data - after)[every, targets][:, None, None]
                covered[square] += 1
    return _result("occlusion", fall / np.maximum(covered, 1), targets, logits, pixels, classes)


@enable_grad()
def grad_cam(model, x, layer, target=None, *, relu=True, classes=None):
    """Show which places of a layer's maps speak for a class.

        weight_c = mean over i, j of d logit / d map[c, i, j]        heat = relu(sum over c of weight_c * map[c])

    Parameters
    ----------
    model, x, target, classes
        As in `saliency`.
    layer : str
        Module path, usually the last convolution; its maps are taken after the normalisation and the
        activation that follow it directly.
    relu : bool
        False also shows what speaks against the class.

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
    logits.backward(_one_hot(targets, logits))
    weights = maps.grad.mean((2, 3), keepdims=True)
    heat = (weights * maps.data).sum(1, keepdims=True)
    heat = ops.resize(Tensor(np.maximum(heat, 0) if relu else heat), pixels.shape[2:], mode="bilinear").data[:, 0]
    height, width = maps.shape[2:]
    coarse = f", whose maps have {height} x {width} pixels only" if min(height, width) < 4 else ""
    return _result(f"Grad-CAM at {layer}{coarse}", heat, targets, logits, pixels, classes)


def _logits(function, replay, given):
    logits = replay.run(given, len(replay.records) - 1)
    if logits.ndim != 2:
        raise ValueError(f"{function}: model - expected one that gives (N, classes), got shape {logits.shape}")
    return logits


def _targets(function, logits, target, classes):
    """Return the class of each image, (N,) int64."""
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


def _one_hot(targets, logits):
    return np.eye(logits.shape[1], dtype=logits.data.dtype)[targets]


def _result(method, heat, targets, logits, pixels, classes):
    scores = logits.data[np.arange(len(targets)), targets]
    return Attribution(method, heat, targets, scores, displayed(pixels.data), classes and tuple(classes))
