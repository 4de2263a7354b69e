"""Top-activating patches: what each unit of a layer responds to most in a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.data import ArrayDataset
from minitorch_cnn.data.samples import as_arrays
from minitorch_cnn.display import figures
from minitorch_cnn.explain.features.filters import named
from minitorch_cnn.explain.fields.formula import receptive_fields
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.explain.trace.replay import Replay
from minitorch_cnn.nn import Module
from minitorch_cnn.nn.tracing import check_module
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minitorch_cnn.data import Dataset

_ROWS = 8  # units of a figure


@dataclass(frozen=True)
class Patches(Picture):
    """The strongest activations of some units, strongest first, and the patches that caused them."""

    layer: str
    units: Array  # channels, (U,)
    scores: Array = field(repr=False)  # (U, k); -inf where the dataset has fewer images than k
    indices: Array = field(repr=False)  # of the image in the dataset, (U, k)
    places: Array = field(repr=False)  # row and column on the map, (U, k, 2)
    boxes: Array = field(repr=False)  # top, left, bottom, right of the receptive field, unclipped, (U, k, 4)
    dataset: object = field(repr=False)

    def crop(self, unit: int, rank: int) -> tuple[Array, Array]:
        """Return one patch.

        Parameters
        ----------
        unit, rank : int
            Positions in ``units`` and among its patches.

        Returns
        -------
        pixels : uint8 ndarray, shape (h, w, C)
            The exact receptive field; black in the padding.
        padding : bool ndarray, shape (h, w)
            True in the padding.
        """
        image = self.dataset.images[self.indices[unit, rank]]
        top, left, bottom, right = self.boxes[unit, rank]
        rows, columns = np.arange(top, bottom), np.arange(left, right)
        inside = np.logical_and.outer((rows >= 0) & (rows < len(image)), (columns >= 0) & (columns < image.shape[1]))
        pixels = image[np.ix_(rows.clip(0, len(image) - 1), columns.clip(0, image.shape[1] - 1))]
        return pixels * inside[..., None], ~inside

    def __str__(self) -> str:
        """The figure as text: a line for each unit, its patches as class image@row,column=score."""
        height, width = self.boxes[0, 0, 2:] - self.boxes[0, 0, :2]
        lines = [f"{named(self.layer)}: each unit sees {height} x {width} pixels; {len(self.dataset):,} images"]
        for i, unit in enumerate(self.units):
            answers = [
                f"{self._class(index)} {index}@{place[0]},{place[1]}={score:.2f}"
                for index, place, score in zip(self.indices[i], self.places[i], self.scores[i], strict=True)
                if np.isfinite(score)
            ]
            lines.append(f"unit {unit:4d}  " + "  ".join(answers))
        return "\n".join(lines)

    def _class(self, index):
        return self.dataset.classes[self.dataset.labels[index]]

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing: a row for each unit, a score in each patch, hatched padding."""
        shown = min(len(self.units), _ROWS)
        count = self.scores.shape[1]
        more = f" (the first {shown} of {len(self.units)})" if shown < len(self.units) else ""
        drawing = figures.blank(f"Top-activating patches of {named(self.layer)}{more}", pads=(0.03, 0.03))
        grid = drawing.subplots(shown, count, squeeze=False)
        for i, row in enumerate(grid):
            for rank, axes in enumerate(row):
                axes.set(xticks=[], yticks=[])
                if np.isfinite(self.scores[i, rank]):
                    self._draw(axes, i, rank)
                if rank == 0:
                    axes.set_ylabel(f"unit {self.units[i]}", rotation=0, ha="right", va="center")
        side = max(self.boxes[0, 0, 2:] - self.boxes[0, 0, :2])
        cut = ""
        if side > max(self.dataset.images.shape[1:3]):
            cut = f"; the receptive field, {side} x {side} pixels, is larger than the image, which is shown whole"
        drawing.supxlabel(f"in each patch: the activation{cut}", fontsize=figures.SMALL)
        return drawing

    def _draw(self, axes, unit, rank):
        pixels, padding = self.crop(unit, rank)
        if max(pixels.shape[:2]) > max(self.dataset.images.shape[1:3]):  # mostly padding: show the image alone
            rows, columns = np.flatnonzero(~padding.all(1)), np.flatnonzero(~padding.all(0))
            pixels, padding = pixels[np.ix_(rows, columns)], padding[np.ix_(rows, columns)]
        picture = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels
        axes.imshow(np.where(padding[..., None], 215, picture), interpolation="nearest")
        if padding.any():
            lines = {"levels": [0.5, 1.5], "colors": "none", "hatches": ["////"]}
            mask = np.pad(padding, 1, mode="edge").astype(float)  # so that the hatch reaches the frame
            sides = [np.arange(-1, n + 1) for n in padding.shape]
            axes.contourf(sides[1], sides[0], mask, **lines)
            axes.set(xlim=(-0.5, padding.shape[1] - 0.5), ylim=(padding.shape[0] - 0.5, -0.5))
        label = {"facecolor": "black", "alpha": 0.65, "pad": 1.5, "lw": 0}
        axes.text(
            0.03,
            0.04,
            f"{self.scores[unit, rank]:.1f}",
            transform=axes.transAxes,
            color="white",
            fontsize=figures.SMALL,
            bbox=label,
        )


def patches(
    model: Module,
    layer: str,
    dataset: "Dataset",
    *,
    k: int = 9,
    units: Sequence[int] | None = None,
    batch_size: int = 64,
) -> Patches:
    """Find the patches of a dataset that the units of a layer respond to most.

    The model sees every image once. Only the strongest place in each image counts, so that the k patches come
    from k images.

    Parameters
    ----------
    model : Module
        Used in evaluation mode.
    layer : str
        Module path; activations are taken after the normalisation and the activation that follow it.
    dataset : Dataset
        Its images are normalised by its mean and std, as in training.
    k : int, >= 1
        Number of patches for each unit.
    units : sequence of int or None
        Channels; None takes the 8 with the strongest activations.
    batch_size : int, >= 1

    Returns
    -------
    Patches

    Raises
    ------
    ValueError
        If there is no such layer or unit or no image, or if the units see the whole image or no box in it.

    Notes
    -----
    Memory: O(channels * k) and one batch.
    Source: Girshick, Donahue, Darrell and Malik 2014, "Rich feature hierarchies for accurate object
    detection and semantic segmentation", section 3.1.
    """
    dataset = as_arrays("patches", "dataset", dataset)
    check_module("patches", model)
    arguments.integer("patches", least=1, k=k, batch_size=batch_size)
    if not len(dataset):
        raise ValueError("patches: dataset - expected at least one image, got none")
    best = replay = None
    for start in range(0, len(dataset), batch_size):
        pixels = dataset.images[start : start + batch_size]
        if replay is None or len(pixels) != replay.x.shape[0]:  # the last batch may be smaller
            replay = Replay(model, (len(pixels), pixels.shape[3], *pixels.shape[1:3]))
            end = replay.last_op(layer, through_activation=True)
        scores, places = _strongest(replay, end, normalised(pixels, dataset))
        indices = np.broadcast_to(np.arange(start, start + len(pixels)), scores.shape)
        new = (scores, indices, places)
        best = _top(new if best is None else [np.concatenate(pair, 1) for pair in zip(best, new, strict=True)], k)
    output = replay.records[end].output
    seen = receptive_fields(replay.records, replay.x)[id(output)]
    if seen.whole or not seen.placed:
        raise ValueError(f"patches: layer - expected one whose units see a part of the image, got {layer!r}")
    scores, indices, places = best
    if units is None:
        chosen = np.sort(np.argsort(-scores[:, 0], kind="stable")[:_ROWS])
    else:
        chosen = arguments.array("patches", "units", arguments.listed("patches", "units", units))
    fit = chosen.size and chosen.ndim == 1 and chosen.dtype.kind in "iu"
    if not fit or not 0 <= chosen.min() <= chosen.max() < len(scores):
        raise ValueError(f"patches: units - expected channels 0 to {len(scores) - 1}, got {chosen.tolist()}")
    width = output.shape[3]
    places = np.stack([places[chosen] // width, places[chosen] % width], axis=2)
    boxes = np.array([[seen.box(*place) for place in row] for row in places.tolist()])
    return Patches(layer, chosen, scores[chosen], indices[chosen], places, boxes, dataset)


def normalised(pixels: Array, dataset: ArrayDataset) -> Array:
    """Normalise images as a dataset does.

    Parameters
    ----------
    pixels : uint8 ndarray, shape (N, H, W, C)
    dataset : ArrayDataset
        Its ``mean`` and ``std`` are used, one value per channel.

    Returns
    -------
    ndarray, shape (N, C, H, W), float64
        (pixels / 255 - mean) / std

    Raises
    ------
    TypeError, ValueError
        If ``pixels`` are not such images, or ``dataset`` is not an ArrayDataset.
    """
    arguments.instance("normalised", ArrayDataset, dataset=dataset)
    pixels = np.asarray(pixels)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != len(dataset.mean):
        got = f"{pixels.dtype} {pixels.shape}"
        raise ValueError(f"normalised: pixels - expected uint8 (N, H, W, {len(dataset.mean)}), got {got}")
    return ((pixels / 255 - dataset.mean) / dataset.std).transpose(0, 3, 1, 2)


def _strongest(replay, end, x):
    """Return for each channel and image the largest element of its map and its index; both (C, N)."""
    with no_grad():
        maps = replay.run([(replay.x, Tensor(x.astype(replay.dtype)))], end).data
    if maps.ndim != 4:
        raise ValueError(f"patches: layer - expected one that gives maps (N, C, H, W), got shape {maps.shape}")
    flat = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], maps.shape[0], -1)
    places = flat.argmax(2)
    return np.take_along_axis(flat, places[..., None], 2)[..., 0], places


def _top(columns, k):
    """Return the k best columns of (scores, indices, places), best first; equal ones in order of the dataset."""
    order = np.argsort(-columns[0], axis=1, kind="stable")[:, :k]
    return [np.take_along_axis(array, order, 1) for array in columns]
