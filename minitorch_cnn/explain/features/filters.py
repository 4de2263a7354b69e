"""The weights of a layer as pictures, and as a film of how they learn."""

import io
import math
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.display import figures
from minitorch_cnn.explain.features.epochs import load_state, saved_states
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.io import files
from minitorch_cnn.nn import Conv2d, Module
from minitorch_cnn.nn.tracing import check_module
from minitorch_cnn.optim.clip import total_norm
from minitorch_cnn.types import Array, Path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 16  # filters and channels of a grid without colour


def tile(weight, scale=None):
    """Arrange filters as one picture.

    Parameters
    ----------
    weight : ndarray, shape (C_out, C_in, KH, KW)
        A filter of three channels is a tile in colour; any other is a row of tiles, one for each channel.
    scale : float or None
        The weight that gets full colour; None takes the largest of each filter.

    Returns
    -------
    ndarray
        For three channels (height, width, 3) in 0 .. 1, where zero weights are grey; else (height, width) in
        -1 .. 1. Gaps between the tiles are NaN.
    """
    largest = np.abs(weight).max((1, 2, 3), keepdims=True) if scale is None else scale
    tiles = weight / np.where(largest == 0, 1, largest)
    if weight.shape[1] == 3:
        tiles = (0.5 + tiles.clip(-1, 1) / 2).transpose(0, 2, 3, 1)
        across = math.ceil(math.sqrt(len(tiles) * 1.6))
    else:
        tiles = tiles[:_MOST, :_MOST].reshape(-1, *weight.shape[2:], 1)
        across = min(weight.shape[1], _MOST)
        if across == 1:
            across = math.ceil(math.sqrt(len(tiles) * 1.6))
    return mosaic(tiles, across).squeeze()


def mosaic(tiles, across):
    """Lay tiles, (count, height, width, channels), out in rows of ``across``, NaN between them."""
    height, width = tiles.shape[1:3]
    down = -(-len(tiles) // across)
    sheet = np.full((down * (height + 1) - 1, across * (width + 1) - 1, tiles.shape[3]), np.nan)
    for number, one in enumerate(tiles):
        y, x = number // across * (height + 1), number % across * (width + 1)
        sheet[y : y + height, x : x + width] = one
    return sheet


@dataclass(frozen=True)
class FilterGrid(Picture):
    """All filters of a layer."""

    layer: str
    weight: Array = field(repr=False)  # (C_out, C_in, KH, KW)

    def __str__(self) -> str:
        """The figure as text: the norm and the mean of each filter, the strongest first."""
        count, channels, height, width = self.weight.shape
        lengths = np.sqrt((self.weight.astype(np.float64) ** 2).sum((1, 2, 3)))
        size = f"{height} x {width} x {channels} = {self.weight.size:,} weights"
        lines = [f"{named(self.layer)}: {count} filters of {size}", f"{'filter':>6} {'norm':>9} {'mean':>10}"]
        for i in np.argsort(-lengths, kind="stable"):
            lines.append(f"{i:6d} {lengths[i]:9.4f} {self.weight[i].mean():+10.5f}")
        return "\n".join(lines)

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing; each filter is scaled by its own largest weight."""
        count, channels, height, width = self.weight.shape
        sheet = tile(self.weight)
        drawing = figures.blank()
        axes = drawing.subplots()
        _show(axes, sheet)
        title = f"{named(self.layer)}: {count} filters of {height} x {width} x {channels}"
        signs = "grey: weight 0" if channels == 3 else "blue: below 0, white: 0, orange: above 0"
        meaning = f"{signs}; each filter is scaled by its own largest weight"
        if channels != 3 and (count > _MOST or channels > _MOST):
            title += f"\nthe first {min(count, _MOST)}, a row each, and their first {min(channels, _MOST)} channels"
        drawing.suptitle(title)
        drawing.supxlabel(meaning, fontsize=figures.LABEL)
        return drawing


def named(layer):
    """Return a module's path as a name: "layer 3" if it is only an index, as in a `Sequential`."""
    return f"layer {layer}" if layer.isdigit() else layer


def _show(axes, sheet):
    """Draw a sheet of tiles: colours as they are, signed values from blue through white to orange."""
    if sheet.ndim == 3:
        axes.imshow(np.nan_to_num(sheet, nan=1.0), interpolation="nearest")
    else:
        axes.imshow(sheet, interpolation="nearest", cmap=figures.signed(), vmin=-1, vmax=1)
    axes.axis("off")


def filters(model: Module, layer: str | None = None) -> FilterGrid:
    """Return the filters of a convolution.

    Parameters
    ----------
    model : Module
    layer : str or None
        Path of a `Conv2d`; None takes the first one.

    Returns
    -------
    FilterGrid

    Raises
    ------
    TypeError
        If ``model`` is not a Module.
    ValueError
        If there is no convolution at that path.
    """
    path, module = _convolution("filters", model, layer)
    return FilterGrid(path, module.weight.data.copy())


def _convolution(function, model, layer):
    check_module(function, model)
    known = {path: module for path, module in model.named_modules() if isinstance(module, Conv2d)}
    if layer is None and known:
        layer = next(iter(known))
    if not isinstance(layer, str) or layer not in known:
        expected = f"expected one of {', '.join(known)}" if known else "expected a model with a Conv2d"
        raise ValueError(f"{function}: layer - {expected}, got {layer!r}")
    return layer, known[layer]


@dataclass(frozen=True)
class FilterFilm:
    """The filters of a layer while a network learns, on one scale for all frames so that they can be compared."""

    layer: str
    frames: tuple[Any, ...] = field(repr=False)  # of (title, weight)
    note: str = ""  # why there are few frames

    def __str__(self) -> str:
        """The film as text: how far the weights moved from frame to frame."""
        lines, before = [f"{named(self.layer)}: {len(self.frames)} frames"], None
        for title, weight in self.frames:
            moved = "" if before is None else f", moved by {total_norm([weight - before]):.4f}"
            lines.append(f"{title}: norm {total_norm([weight]):.4f}{moved}")
            before = weight
        return "\n".join([*lines, self.note]).rstrip()

    def gif(self, milliseconds: int = 400) -> bytes:
        """Return the film as the bytes of a GIF that repeats forever."""
        from PIL import Image

        scale = max(float(np.abs(weight).max()) for _, weight in self.frames)
        pages = []
        for title, weight in self.frames:
            drawing = figures.blank(f"{named(self.layer)}, {title}")
            _show(drawing.subplots(), tile(weight, scale))
            drawing.supxlabel(self.note, fontsize=figures.LABEL)
            pages.append(Image.open(io.BytesIO(figures.encoded(drawing, "png"))).convert("RGB"))
        buffer = io.BytesIO()
        pages[0].save(buffer, "GIF", save_all=True, append_images=pages[1:], duration=milliseconds, loop=0)
        return buffer.getvalue()

    def save(self, path: Path) -> None:
        """Write the film to a .gif file; ValueError if the name ends otherwise."""
        if pathlib.Path(path).suffix.lower() != ".gif":
            raise ValueError(f"FilterFilm.save: path - expected the extension .gif, got {str(path)!r}")
        files.atomic_write(path, self.gif())

    def _repr_html_(self):
        import base64

        return f'<img alt="{self.layer}" src="data:image/gif;base64,{base64.b64encode(self.gif()).decode()}">'


def _frame(frame):
    """Return (title, weight) of a frame; the weight is None if a run has no such layer."""
    pair = isinstance(frame, (tuple, list)) and len(frame) == 2
    fits = pair and isinstance(frame[0], (str, int, np.integer)) and isinstance(frame[1], (np.ndarray, type(None)))
    if not fits:
        raise TypeError(f"filter_film: frames - expected pairs of a title and an ndarray, got {frame!r:.60}")
    return str(frame[0]), frame[1]


def filter_film(
    layer: str, folder: Path | None = None, frames: Sequence[tuple[Any, Array]] | None = None
) -> FilterFilm:
    """Make a film of the filters of a layer.

    Parameters
    ----------
    layer : str
        Path of a convolution.
    folder : str or Path
        Folder of a run. It gives a frame for each epoch that was saved (``Trainer(save_epochs=True)``), else one
        for each checkpoint and one for the finished model.
    frames : list of (str or int, ndarray)
        Titles, such as epochs, and weights, (C_out, C_in, KH, KW) each, instead of a folder.

    Returns
    -------
    FilterFilm

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If there is nothing to show.
    """
    arguments.instance("filter_film", str, layer=layer)
    if folder is not None:
        arguments.path("filter_film", folder=folder)
    if frames is None and folder is not None:
        found = saved_states(pathlib.Path(folder))
        frames = [(title, load_state(path, prefix).get(f"{layer}.weight")) for title, path, prefix in found]
    frames = [] if frames is None else [_frame(one) for one in arguments.listed("filter_film", "frames", frames)]
    if not frames or any(weight is None or weight.ndim != 4 for _, weight in frames):
        raise ValueError(
            f"filter_film: layer - expected a convolution with weights in {folder or 'frames'}, got {layer!r}"
        )
    kept = folder is None or any(title.startswith("epoch") for title, _ in frames)
    note = "" if kept else "from the last checkpoints; train with --save-epochs for a frame of each epoch"
    return FilterFilm(layer, tuple((title, weight.copy()) for title, weight in frames), note)
