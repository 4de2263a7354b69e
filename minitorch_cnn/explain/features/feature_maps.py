"""The maps that the layers of a network make of an image."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.display import figures
from minitorch_cnn.explain.features.filters import mosaic, named
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.nn import Conv2d, Module
from minitorch_cnn.nn.tracing import check_module
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array, Operand

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_MOST, _LETTERS = 3, 18  # images of a slide, letters of a layer's name


@dataclass(frozen=True)
class FeatureMaps(Picture):
    """The feature maps of one image."""

    image: Array = field(repr=False)  # (C, H, W) as the network got it
    maps: dict[str, Array] = field(repr=False)  # layer -> (C, H, W)

    def __str__(self) -> str:
        """The figure as text: for each layer the shape, the share of zeros and the map with the largest mean."""
        lines = [f"{'layer':<20} {'maps':>6} {'pixels':>9} {'zeros':>7} {'strongest map':>14} {'its mean':>10}"]
        for layer, array in self.maps.items():
            means = array.mean((1, 2))
            pixels, zeros = f"{array.shape[1]} x {array.shape[2]}", f"{np.mean(array == 0):.0%}"
            best = int(means.argmax())
            lines.append(f"{layer:<20} {len(array):6d} {pixels:>9} {zeros:>7} {best:14d} {means[best]:10.4f}")
        return "\n".join(lines)

    def figure(self) -> "Figure":
        """Return the drawing: the image, then for each layer the sixteen maps with the largest means."""
        return MapsOfImages((self,)).figure()

    def draw(self, panels: Any) -> None:
        """Draw the image and its maps into matplotlib axes, one for each."""
        first, *rest = panels
        first.axis("off")
        first.imshow(displayed(self.image[None])[0], interpolation="nearest")
        first.set_title(f"image\n{self.image.shape[1]} x {self.image.shape[2]}", fontsize=figures.LABEL)
        for axes, (layer, array) in zip(rest, self.maps.items(), strict=False):
            chosen = array[np.argsort(-array.mean((1, 2)), kind="stable")[:16]]
            low, high = chosen.min((1, 2), keepdims=True), chosen.max((1, 2), keepdims=True)
            scaled = (chosen - low) / np.where(high > low, high - low, 1)
            axes.imshow(mosaic(scaled[..., None], 4)[..., 0], cmap="viridis", interpolation="nearest")
            title = f"{_shortened(named(layer))}\n{len(chosen)} of {len(array)}, {array.shape[1]} x {array.shape[2]}"
            axes.set_title(title, fontsize=figures.LABEL)
            axes.axis("off")
        for axes in rest[len(self.maps) :]:
            axes.remove()


@dataclass(frozen=True)
class MapsOfImages(Picture):
    """The feature maps of several images, one below the other."""

    each: tuple[FeatureMaps, ...]  # of FeatureMaps

    def __str__(self) -> str:
        """The figure as text: the table of each image."""
        return "\n\n".join(f"image {number}\n{one}" for number, one in enumerate(self.each))

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing: one image in two rows, several in a row each."""
        shown, panels = self.each[:_MOST], len(self.each[0].maps) + 1
        rows, columns = (min(2, panels), -(-panels // 2)) if len(self.each) == 1 else (len(shown), panels)
        drawing = figures.blank("The feature maps of an image" if len(self.each) == 1 else "The feature maps of images")
        grid = drawing.subplots(rows, columns, squeeze=False)
        for one, axes in zip(shown, [grid.flat] if len(self.each) == 1 else grid, strict=True):
            one.draw(axes)
        some = "" if len(shown) == len(self.each) else f"; the first {len(shown)} of {len(self.each)} images"
        meaning = f"the maps with the largest means, each scaled from its lowest to its highest value{some}"
        drawing.supxlabel(meaning, fontsize=figures.LABEL)
        return drawing


def _shortened(name):
    return name if len(name) <= _LETTERS else f"...{name[3 - _LETTERS :]}"


def displayed(x):
    """Return images (N, C, H, W) of any scale as (N, H, W, 3) in 0 .. 1; one channel becomes grey."""
    low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
    scaled = ((x - low) / np.where(high > low, high - low, 1)).transpose(0, 2, 3, 1)
    return scaled if scaled.shape[3] == 3 else np.repeat(scaled.mean(3, keepdims=True), 3, 3)


def feature_maps(model: Module, image: Operand, layers: Sequence[str] | None = None) -> FeatureMaps | MapsOfImages:
    """Run an image through a network, and keep the maps of some layers.

    Parameters
    ----------
    model : Module
        Used in evaluation mode.
    image : ndarray, shape (C, H, W), or (N, C, H, W) for several images
        As the model takes it: normalised.
    layers : list of str or None
        Module paths; the maps are taken after the normalisation and the activation that follow directly.
        None takes up to five convolutions, spread evenly.

    Returns
    -------
    FeatureMaps, or MapsOfImages for several images

    Raises
    ------
    TypeError
        If ``model`` is not a Module, or ``layers`` not a sequence.
    ValueError
        If there is no such layer, or it does not give maps.
    """
    check_module("feature_maps", model)
    layers = None if layers is None else arguments.listed("feature_maps", "layers", layers)
    if np.ndim(image) == 4:
        if not len(image):
            raise ValueError("feature_maps: image - expected at least one image, got none")
        return MapsOfImages(tuple(feature_maps(model, one, layers) for one in image))
    image = arguments.array("feature_maps", "image", image)
    replay = Replay(model, (1, *image.shape))
    if layers is None:
        known = [path for path, module in model.named_modules() if isinstance(module, Conv2d)]
        layers = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, 5).round().astype(int))] if known else []
    x, maps = Tensor(image.astype(replay.dtype)[None]), {}
    with no_grad():
        for layer in layers:
            out = replay.run([(replay.x, x)], replay.last_op(layer, through_activation=True))
            if out.ndim != 4:
                raise ValueError(f"feature_maps: layers - expected layers that give maps, got {layer!r}: {out.shape}")
            maps[layer] = out.data[0]
    return FeatureMaps(x.data[0], maps)
