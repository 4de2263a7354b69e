"""Cross-correlation and convolution: the flip of the kernel, and why learning makes it irrelevant."""

import pathlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

import minitorch_kernels.reference as textbook
from minitorch_cnn import arguments, nn, ops, optim
from minitorch_cnn.autograd import enable_grad
from minitorch_cnn.display import figures, signs
from minitorch_cnn.explain.arithmetic.steps import agree, numbers
from minitorch_cnn.explain.arithmetic.text import matrix, short
from minitorch_cnn.io import files
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Array, Operand, Path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMULAS = {
    "cross-correlation": "S(i, j) = sum over m, n of I(i + m, j + n) K(m, n)",
    "convolution": "S(i, j) = sum over m, n of I(i - m, j - n) K(m, n)",
}
_TYPESET = {
    "cross-correlation": r"$S(i, j) = \sum_{m, n}\, I(i + m,\, j + n)\; K(m, n)$",
    "convolution": r"$S(i, j) = \sum_{m, n}\, I(i - m,\, j - n)\; K(m, n)$",
}
_HEIGHT = 170  # points of a drawn matrix on a slide
_IMAGES, _SIDE, _LR = 16, 12, 0.2  # images that the demonstration learns from, their pixels per side, and the rate


class _Shown:
    """A result that can be saved as a picture or as text; a notebook shows the picture."""

    def save(self, path: Path) -> None:
        """Write a .png, .svg, .pdf or .txt file, all or nothing; ValueError if ``path`` ends otherwise."""
        if pathlib.Path(path).suffix.lower() == ".txt":
            files.atomic_write(path, f"{self}\n".encode())
        else:
            figures.save(self.figure(), path)

    def _repr_svg_(self):
        return figures.encoded(self.figure(), "svg").decode()


@dataclass(frozen=True)
class SideBySide(_Shown):
    """One image under the same kernel, by cross-correlation and by convolution."""

    x: Array  # (H, W)
    weight: Array  # (KH, KW)
    correlated: Array  # (OH, OW)
    convolved: Array

    def __str__(self) -> str:
        blocks = (
            ("input I", self.x),
            ("kernel K", self.weight),
            (f"cross-correlation, {FORMULAS['cross-correlation']}", self.correlated),
            (f"convolution, {FORMULAS['convolution']}", self.convolved),
        )
        return "\n\n".join("\n".join([name, *(f"  {row}" for row in matrix(values))]) for name, values in blocks)

    @figures.style()
    def figure(self) -> "Figure":
        """Return a matplotlib Figure: cross-correlation above, convolution below, each with the kernel that slides."""
        figure = figures.blank()
        rows = figure.subfigures(2, 1)
        slides = (self.weight, "kernel K, as it is"), (self.weight[::-1, ::-1], "kernel K, flipped both ways")
        results = self.correlated, self.convolved
        for part, (name, formula), (kernel, heading), result in zip(
            rows, _TYPESET.items(), slides, results, strict=True
        ):
            part.suptitle(f"{name.capitalize()}:  {formula}", fontsize=figures.HEADING)
            left, middle, right = part.subplots(1, 3)
            draw_numbers(left, self.x, "input I", figures.INPUT)
            draw_numbers(middle, kernel, heading, figures.KERNEL)
            draw_numbers(right, result, "output S", figures.OUTPUT)
        return figure


def side_by_side(weight: Operand, x: Operand | None = None) -> SideBySide:
    """Cross-correlate and convolve an image with the same kernel.

    cross-correlation: S(i, j) = sum over m, n of I(i + m, j + n) K(m, n);
    convolution: S(i, j) = sum over m, n of I(i - m, j - n) K(m, n), a cross-correlation with K flipped both ways.

    Parameters
    ----------
    weight : array, shape (KH, KW)
    x : array, shape (H, W), or None
        None is an impulse: a 1 among zeros, just large enough that the output has the size of the kernel.

    Returns
    -------
    SideBySide
        Computed by `ops.conv2d` and `ops.convolve`, without padding. An impulse gives the kernel itself under
        convolution, and the flipped kernel under cross-correlation.

    Raises
    ------
    TypeError, ValueError, ShapeError
        If one of them is not a matrix, or the kernel is larger than the image.
    MismatchError
        If the kernels and the textbook's loops differ.
    """
    op = "explain.side_by_side"
    weight = numbers(op, "weight", weight, (2,))
    if x is None:
        x = np.zeros([2 * side - 1 for side in weight.shape])
        x[weight.shape[0] - 1, weight.shape[1] - 1] = 1
    x = numbers(op, "x", x, (2,))
    if x.shape[0] < weight.shape[0] or x.shape[1] < weight.shape[1]:
        raise ShapeError(f"{op}: x - expected at least the kernel's size {weight.shape}, got {x.shape}")
    image, filters = Tensor(x[None, None]), Tensor(weight[None, None])
    correlated, convolved = ops.conv2d(image, filters).data[0, 0], ops.convolve(image, filters).data[0, 0]
    agree(op, correlated, textbook.cross_correlate2d(x, weight), textbook.convolve2d(x, weight[::-1, ::-1]))
    agree(op, convolved, textbook.convolve2d(x, weight), textbook.cross_correlate2d(x, weight[::-1, ::-1]))
    return SideBySide(x, weight, correlated, convolved)


@dataclass(frozen=True)
class LearnedFlip(_Shown):
    """Two layers that learned the same task from the same images, one by cross-correlation, one by convolution."""

    target: Array  # (KH, KW), the kernel that made the outputs to learn
    correlation: Array  # (KH, KW), learned with flip_kernel=False
    convolution: Array  # (KH, KW), learned with flip_kernel=True
    losses: Array  # (2, steps + 1): mean squared error of both, before each step and at the end

    @property
    def difference(self) -> float:
        """Return the largest difference between one kernel and the flip of the other."""
        return float(np.abs(self.correlation - self.convolution[::-1, ::-1]).max())

    def __str__(self) -> str:
        blocks = (
            ("the kernel that made the targets", self.target),
            ("learned by cross-correlation", self.correlation),
            ("learned by convolution", self.convolution),
            ("learned by convolution, flipped both ways", self.convolution[::-1, ::-1]),
        )
        lines = ["\n".join([name, *(f"  {row}" for row in matrix(np.round(grid, 3)))]) for name, grid in blocks]
        first, last = self.losses[:, 0], self.losses[:, -1]
        for name, a, b in zip(FORMULAS, first, last, strict=True):
            lines.append(f"{name}: mean squared error {short(a)} before, {b:.1e} after {len(self.losses[0]) - 1} steps")
        lines.append(f"largest difference between one kernel and the flip of the other: {self.difference:.1e}")
        return "\n\n".join(lines)

    @figures.style()
    def figure(self) -> "Figure":
        """Return a matplotlib Figure: both losses, and the kernels."""
        figure = figures.blank("Learning makes the flip irrelevant")
        curves, grids = figure.subfigures(1, 2)
        axes = curves.subplots()
        styles = ({"color": figures.BLUE, "ls": "-"}, {"color": figures.ORANGE, "ls": "--"})
        for name, loss, style in zip(FORMULAS, self.losses, styles, strict=True):
            axes.semilogy(loss, label=name, **style)
        axes.set_xlabel("step")
        axes.set_ylabel("mean squared error")
        axes.grid()
        axes.legend()
        blocks = (
            ("made the targets", self.target),
            ("learned by\ncross-correlation", self.correlation),
            ("learned by\nconvolution", self.convolution),
            ("the same,\nflipped both ways", self.convolution[::-1, ::-1]),
        )
        for part, (name, values) in zip(grids.subplots(2, 2).flat, blocks, strict=True):
            draw_numbers(part, np.round(values, 2), name)
        return figure


@enable_grad()
def learn_flip(weight: Operand, steps: int = 40, seed: int = 0) -> LearnedFlip:
    """Train a layer that cross-correlates and one that convolves on the outputs of one kernel.

    Parameters
    ----------
    weight : array, shape (KH, KW)
        Both layers get random images, and as targets the cross-correlation of these with this kernel.
    steps : int
        Of gradient descent on the mean squared error.
    seed : int
        For the images and for the random weights, which differ between the two layers.

    Returns
    -------
    LearnedFlip
        Learned by two `nn.Conv2d`, one of them with ``flip_kernel=True``.

    Raises
    ------
    TypeError, ValueError
        If the kernel is not a matrix, or is larger than 12 x 12; if ``steps`` or ``seed`` is not such an integer.
    """
    target = numbers("explain.learn_flip", "weight", weight, (2,))
    arguments.integer("explain.learn_flip", least=1, steps=steps)
    arguments.integer("explain.learn_flip", least=0, seed=seed)
    rng = np.random.default_rng(seed)
    x = Tensor(rng.standard_normal((_IMAGES, 1, _SIDE, _SIDE)))
    wanted = ops.conv2d(x, Tensor(target[None, None]))
    kernels, losses = [], []
    for flipped in (False, True):
        layer = nn.Conv2d(1, 1, target.shape, bias=False, flip_kernel=flipped)
        layer.weight.data = rng.standard_normal((1, 1, *target.shape))
        optimizer, history = optim.SGD(layer.parameters(), lr=_LR), []
        for _ in range(steps):
            loss = ops.mse_loss(layer(x), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        losses.append([*history, ops.mse_loss(layer(x), wanted).item()])
        kernels.append(layer.weight.data[0, 0].copy())
    return LearnedFlip(target, *kernels, np.array(losses))


def draw_numbers(axes, values, heading, colour=figures.INK):
    """Draw a matrix with its values, blue below zero and orange above; numbers that would be too small are left out."""
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("blue-orange", ["#7CB5D9", "white", "#E8A672"])  # pale, for black text
    largest = np.abs(values).max() or 1
    axes.imshow(values, cmap=colours, vmin=-largest, vmax=largest)
    texts = [[short(value).replace("-", signs.MINUS) for value in row] for row in values]
    cell = _HEIGHT / max(values.shape)  # points
    size = min(20, 0.55 * cell, 1.25 * cell / max(len(text) for row in texts for text in row))
    if size >= figures.SMALL:
        for row, column in np.ndindex(values.shape):
            axes.text(column, row, texts[row][column], ha="center", va="center", fontsize=size)
    axes.set_xticks(np.arange(values.shape[1] + 1) - 0.5, [])
    axes.set_yticks(np.arange(values.shape[0] + 1) - 0.5, [])
    axes.grid(color=figures.SOFT, lw=1)
    axes.set_axisbelow(False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(heading, color=colour)
