"""Why pooling helps: how much feature maps change when the image moves by a few pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minitorch_cnn import arguments, ops
from minitorch_cnn.autograd import no_grad
from minitorch_cnn.data import Shapes10
from minitorch_cnn.display import figures, html
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Operand

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {
    "no pooling": lambda x, weight: ops.relu(ops.conv2d(x, weight)),
    "strided convolution, 2": lambda x, weight: ops.relu(ops.conv2d(x, weight, stride=2)),
    "average pooling 2": lambda x, weight: ops.avg_pool2d(ops.relu(ops.conv2d(x, weight)), 2),
    "max pooling 2": lambda x, weight: ops.max_pool2d(ops.relu(ops.conv2d(x, weight)), 2),
    "max pooling 3, stride 2": lambda x, weight: ops.max_pool2d(ops.relu(ops.conv2d(x, weight)), 3, stride=2),
}
_EDGES = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]  # Sobel's filter


@dataclass(frozen=True)
class ShiftSensitivity(Picture):
    """The change of the maps for each method and shift: 0 for equal maps, sqrt(2) for orthogonal ones."""

    shifts: tuple[int, ...]  # pixels
    changes: dict[str, Any]  # method -> list

    @property
    def _rows(self):
        rows = [("change of the maps after a shift of", *(f"{s} pixel{'s' * (s > 1)}" for s in self.shifts))]
        return rows + [(name, *(f"{change:.0%}" for change in line)) for name, line in self.changes.items()]

    def __str__(self) -> str:
        """The figure as text: a line for each method, a column for each shift."""
        widths = [max(map(len, column)) for column in zip(*self._rows, strict=True)]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in self._rows)

    def _repr_html_(self):
        return html.table(self._rows)

    @figures.style()
    def figure(self) -> "Figure":
        """Return the curves as a matplotlib Figure."""
        figure = figures.blank("How much feature maps change when the image moves")
        axes = figure.subplots()
        looks = zip(
            (figures.GREY, figures.YELLOW, figures.GREEN, figures.BLUE, figures.ORANGE),
            ("o-", "D:", "s--", "^-", "v-"),
            strict=True,
        )
        for (name, line), (colour, mark) in zip(self.changes.items(), looks, strict=True):
            axes.plot(self.shifts, [100 * change for change in line], mark, color=colour, label=name)
        axes.set_xlabel("shift of the image, pixels")
        axes.set_ylabel("change of the maps, % of their norm")
        axes.set_xticks(self.shifts)
        axes.set_ylim(bottom=0)
        axes.grid()
        axes.legend()
        return figure


def shift_sensitivity(
    images: Operand | None = None, weight: Operand | None = None, shifts: Sequence[int] = (1, 2, 3, 4)
) -> ShiftSensitivity:
    """Measure how much the maps of a convolution change when the image moves, after different poolings.

    change = ||a - b|| / sqrt((||a||**2 + ||b||**2) / 2) for the maps a of all images and b of the moved images

    Parameters
    ----------
    images : ndarray, shape (N, C, H, W), or None
        None takes 64 grey images of shapes10.
    weight : ndarray, shape (K, C, KH, KW), or None
        Filters, such as ``model.conv1.weight.data``; None takes Sobel's filters for edges in four directions.
    shifts : sequence of int, pixels
        To the left. A window moves over the image, so that no border comes into view.

    Returns
    -------
    ShiftSensitivity

    Raises
    ------
    ShapeError
        If images and filters do not fit, or the image is too small.
    TypeError, ValueError
        If a shift is not an integer, or is negative.
    """
    images = _grey_shapes() if images is None else arguments.array("shift_sensitivity", "images", images, np.float32)
    weight = _edge_filters() if weight is None else arguments.array("shift_sensitivity", "weight", weight, np.float32)
    shifts = tuple(arguments.listed("shift_sensitivity", "shifts", shifts))
    for shift in shifts:
        arguments.integer("shift_sensitivity", least=0, shifts=shift)
    if not shifts:
        raise ValueError("shift_sensitivity: shifts - expected at least one, got none")
    width = images.shape[3] - max(shifts) if images.ndim == 4 else 0
    if weight.ndim != 4 or width < weight.shape[3] + 2:
        columns = max(shifts) + weight.shape[3] + 2 if weight.ndim == 4 else "a few"
        expected = f"images (N, C, H, W) with at least {columns} columns and filters of 4 axes"
        raise ShapeError(f"shift_sensitivity: images - expected {expected}, got {images.shape} and {weight.shape}")
    changes = {}
    with no_grad():
        filters = Tensor(weight)
        for name, method in METHODS.items():
            still, *moved = (
                method(Tensor(np.ascontiguousarray(images[..., s : s + width])), filters).data for s in (0, *shifts)
            )
            changes[name] = [_distance(still, maps) for maps in moved]
    return ShiftSensitivity(shifts, changes)


def _distance(a, b):
    size = np.sqrt((np.linalg.norm(a) ** 2 + np.linalg.norm(b) ** 2) / 2)
    return float(np.linalg.norm(a - b) / size) if size else 0.0


def _grey_shapes():
    return Shapes10(train=False, size=64).images.mean(axis=3, dtype=np.float32)[:, None] / 255


def _edge_filters():
    edges = np.array(_EDGES, np.float32)
    return np.stack([edges, -edges, edges.T, -edges.T])[:, None]
