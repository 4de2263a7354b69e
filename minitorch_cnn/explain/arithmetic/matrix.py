"""A convolution as a matrix: it is mostly zeros and repeats the same few weights."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from minitorch_cnn import arguments, ops
from minitorch_cnn.display import figures, signs
from minitorch_cnn.explain.result import Picture
from minitorch_cnn.nn import Conv1d, Conv2d, Module
from minitorch_cnn.shapes import ShapeError, conv_output_size, padding4, pair
from minitorch_cnn.types import Array, Operand, Shape

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of nine weights that people with any colour vision can tell apart, by Paul Tol.
_APART = "#332288", "#88CCEE", "#44AA99", "#117733", "#999933", "#DDCC77", "#CC6677", "#882255", "#AA4499"
_DENSE_LIMIT = 16_000_000  # elements of a matrix that is written out


@dataclass(frozen=True)
class ConvMatrix(Picture):
    """The matrix M of a layer: ``M @ x`` is its output without the bias, and ``M.T @ dy`` its input gradient.

    Only the entries that hold a weight are stored. Where a mirrored border reads a pixel twice, two entries have
    the same row and column; their sum counts.
    """

    shape: tuple[int, ...]  # (C_out * OH * OW, C_in * H * W)
    rows: Array = field(repr=False)  # index of the output, (entries,) int64
    columns: Array = field(repr=False)  # index of the input
    values: Array = field(repr=False)
    weight_index: Array = field(repr=False)  # index in the flattened weight
    weight: Array = field(repr=False)
    input_shape: tuple[int, ...]  # without the batch
    output_shape: tuple[int, ...]
    transposed: bool = False

    @property
    def T(self) -> "ConvMatrix":
        """The transposed matrix, which carries the gradient back."""
        return replace(
            self, shape=self.shape[::-1], rows=self.columns, columns=self.rows, transposed=not self.transposed
        )

    def __matmul__(self, x: Operand) -> Array:
        """Return the product with a vector, as an array (rows,) of float64."""
        x = arguments.array("ConvMatrix", "x", x)
        if x.shape != self.shape[1:]:
            raise ShapeError(f"ConvMatrix: x - expected shape {self.shape[1:]}, got {x.shape}; flatten it")
        return np.bincount(self.rows, self.values * x[self.columns].astype(np.float64), self.shape[0])

    def dense(self) -> Array:
        """Return the matrix with all its zeros; ShapeError if it has more than 16 million elements."""
        if self.dense_weights > _DENSE_LIMIT:
            raise ShapeError(
                f"ConvMatrix.dense: expected at most {_DENSE_LIMIT:,} elements, got {self.dense_weights:,}"
            )
        full = np.zeros(self.shape, self.values.dtype)
        np.add.at(full, (self.rows, self.columns), self.values)
        return full

    @property
    def dense_weights(self) -> int:
        """Weights of a layer that connects every input with every output."""
        return self.shape[0] * self.shape[1]

    @property
    def local_weights(self) -> int:
        """Weights if every output had its own window of weights, including those over the padding."""
        outputs = self.shape[1] if self.transposed else self.shape[0]
        return outputs * int(np.prod(self.weight.shape[1:]))

    @property
    def shared_weights(self) -> int:
        """Weights of the convolution: one window for each output channel."""
        return self.weight.size

    def __str__(self) -> str:
        """The figure as text: shapes, the three counts, and the matrix itself where it is small."""
        sides = [" x ".join(map(str, shape)) for shape in (self.input_shape, self.output_shape)]
        kept = f"{len(self.rows):,} entries are weights, {1 - len(self.rows) / self.dense_weights:.1%} are zeros"
        lines = [
            f"{sides[0]} -> {sides[1]}: a matrix {self.shape[0]:,} x {self.shape[1]:,}; {kept}",
            f"dense    {self.dense_weights:>15,} weights   every input with every output",
            f"local    {self.local_weights:>15,} weights   each output with its own window",
            f"shared   {self.shared_weights:>15,} weights   the same window everywhere: convolution",
        ]
        if max(self.shape) <= 40:
            width = len(str(self.weight.size - 1))
            cells = np.full(self.shape, ".".rjust(width), object)
            for row, column, index in zip(self.rows, self.columns, self.weight_index, strict=True):
                cells[row, column] = str(index).rjust(width)
            lines += ["", "index of the weight in each place:", *(" ".join(row) for row in cells)]
        return "\n".join(lines)

    @figures.style()
    def figure(self) -> "Figure":
        """Return the drawing: the kernel, and the matrix; each weight has one colour in both."""
        counts = f"{self.dense_weights:,} if dense, {self.local_weights:,} if local, {self.shared_weights:,} if shared"
        drawing = figures.blank(f"Weights: {counts}")
        kernel, matrix = drawing.subplots(1, 2, width_ratios=(1, 3.2))
        colours = {"cmap": self._colours(), "vmin": 0, "vmax": max(self.weight.size - 1, 1)}
        self._draw_kernel(kernel, colours)
        small = max(self.shape) <= 200
        if small:
            cells = np.full(self.shape, np.nan)
            cells[self.rows, self.columns] = self.weight_index
            matrix.imshow(cells, interpolation="nearest", **colours)
            matrix.set_aspect("equal" if 0.3 < self.shape[0] / self.shape[1] < 3 else "auto")
        else:
            matrix.scatter(
                self.columns, self.rows, c=self.weight_index, s=1, marker="s", lw=0, rasterized=True, **colours
            )
            matrix.set(xlim=(-0.5, self.shape[1] - 0.5), ylim=(self.shape[0] - 0.5, -0.5), aspect="auto")
        matrix.set_xlabel(f"input: {' x '.join(map(str, self.input_shape))} = {self.shape[1]:,} elements")
        matrix.set_ylabel(f"output: {' x '.join(map(str, self.output_shape))} = {self.shape[0]:,}")
        if self.transposed:
            matrix.set(xlabel=matrix.get_ylabel(), ylabel=matrix.get_xlabel())
        for axis in (matrix.xaxis, matrix.yaxis):
            axis.get_major_locator().set_params(integer=True, nbins=6)
        return drawing

    def _colours(self):
        """Return a colour for each weight: apart where they are few, else along a scale."""
        from matplotlib.colors import ListedColormap

        return ListedColormap(_APART[: self.weight.size]) if self.weight.size <= len(_APART) else "viridis"

    def _draw_kernel(self, axes, colours):
        """Draw the weights of the first filter, one channel below the other, each in its colour with its value."""
        window = self.weight.reshape(self.weight.shape[0] * self.weight.shape[1], -1, self.weight.shape[-1])
        shown = window[: max(1, 12 // window.shape[1])]
        if len(shown) < len(window):
            axes.axis("off")
            filters, *size = self.weight.shape
            text = f"{filters} filters of\n{' x '.join(map(str, size))} weights,\ncoloured from\nthe first to the last"
            axes.text(0, 0.5, text, va="center", transform=axes.transAxes)
            return
        index = np.arange(shown.size).reshape(-1, shown.shape[2])
        axes.imshow(index, interpolation="nearest", **colours)
        if shown.shape[2] <= 3:
            for (y, x), number in np.ndenumerate(index):
                box = {"fc": "white", "ec": "none", "pad": 2}
                text = f"{shown.flat[number]:.2g}".replace("-", signs.MINUS)
                axes.text(x, y, text, ha="center", va="center", fontsize=figures.SMALL, bbox=box)
        for border in range(1, len(shown)):
            axes.axhline(border * shown.shape[1] - 0.5, color="white", lw=4)
        axes.set(xticks=[], yticks=[])
        axes.set_title("the weights")


def as_matrix(layer: Module, input_shape: Shape) -> ConvMatrix:
    """Write a convolution out as a matrix.

    out.ravel() = M @ x.ravel() (+ bias)          dx.ravel() = M.T @ dout.ravel()

    Parameters
    ----------
    layer : Conv1d or Conv2d
        With any stride, padding, dilation and groups; also with a flipped kernel or a mirrored border.
    input_shape : tuple of int
        (1, C, H, W), or (1, C, W) for signals: the matrix is that of one image.

    Returns
    -------
    ConvMatrix

    Raises
    ------
    TypeError
        If the layer is not a convolution.
    ShapeError
        If it does not take inputs of this shape.

    Notes
    -----
    Cost: C_out*OH*OW * C_in/groups*KH*KW entries of 32 bytes.
    """
    if not isinstance(layer, (Conv1d, Conv2d)):
        raise TypeError(f"as_matrix: layer - expected a Conv1d or Conv2d, got {type(layer).__name__}")
    axes = 3 if isinstance(layer, Conv1d) else 4
    weight, shape = layer.weight.data, tuple(arguments.listed("as_matrix", "input_shape", input_shape))
    expected = (1, layer.in_channels)
    if len(shape) != axes or shape[:2] != expected:
        letters = f"({expected[0]}, {expected[1]}, {'W' if axes == 3 else 'H, W'})"
        raise ShapeError(f"as_matrix: input_shape - expected {letters}, got {shape}")
    rows, columns, index, out = _entries(layer, shape)
    return ConvMatrix(
        shape=(int(np.prod(out)), int(np.prod(shape))),
        rows=rows,
        columns=columns,
        values=weight.ravel()[index],
        weight_index=index,
        weight=weight,
        input_shape=shape[1:],
        output_shape=out,
    )


def _entries(layer, shape):
    """Return row, column and weight index of each entry, and the shape of the output without the batch."""
    flat = len(shape) == 3  # a signal is an image one pixel high
    channels, height, width = (shape[1], 1, shape[2]) if flat else shape[1:]
    taps = (1, *layer.weight.shape[2:])[-2:]
    (filters, group_channels), groups = layer.weight.shape[:2], layer.groups
    stride, dilation = ((1, value) if flat else pair(value, "as_matrix") for value in (layer.stride, layer.dilation))
    padding = layer.padding
    if flat and padding != "same":
        padding = (0, 0, *pair(padding, "as_matrix", minimum=0))
    top, bottom, left, right = padding4(padding, "as_matrix", (height, width), taps, stride, dilation)
    mode = layer.padding_mode
    fill = {"constant_values": -1} if mode == "zeros" else {"mode": ops.padding.MODES[mode]}
    numbers = np.arange(channels * height * width).reshape(channels, height, width)
    numbers = np.pad(numbers, ((0, 0), (top, bottom), (left, right)), **fill)  # -1: padding, which has no column
    ends = ((top, bottom), (left, right))
    oh, ow = (
        conv_output_size(size, taps[i], stride[i], *ends[i], dilation[i], "as_matrix: input_shape")
        for i, size in enumerate((height, width))
    )
    # One axis for each of: output channel o, row i, column j; channel of the group c, tap u, tap v.
    o, i, j, c, u, v = np.ogrid[:filters, :oh, :ow, :group_channels, : taps[0], : taps[1]]
    first = o // (filters // groups) * group_channels
    columns = numbers[first + c, i * stride[0] + u * dilation[0], j * stride[1] + v * dilation[1]]
    if layer.flip_kernel:
        u, v = taps[0] - 1 - u, taps[1] - 1 - v
    index = ((o * group_channels + c) * taps[0] + u) * taps[1] + v
    rows = (o * oh + i) * ow + j
    rows, columns, index = (np.broadcast_to(a, columns.shape)[columns >= 0] for a in (rows, columns, index))
    return rows, columns, index, (filters, ow) if flat else (filters, oh, ow)
