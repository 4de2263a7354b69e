"""What the three products of Winograd's convolution share: where tiles lie, whole vectors of channels, filters.

Tiles are numbered image by image, row by row. Transformed, they are 36 planes, one for each element of a tile; filters
likewise.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.winograd.transform import TILE, Inside, Placement, to_filter, to_inputs, to_outputs
from minitorch_kernels.runtime.chunks import with_channels
from minitorch_kernels.runtime.jit import compiled

TILE_AREA = TILE * TILE
RUN = 8  # channels whose filters are transformed together
ONE_RUN = np.zeros((2, 1), np.int64)  # the terms of a sum, one for each channel, are a single run
_FEWEST_CHANNELS = {3: 12, 5: 32}  # on both sides


class Grid(NamedTuple):
    """How a convolution is cut into tiles and panels; all int64."""

    top: int  # pixels of padding above
    left: int
    tiles: int  # that are transformed, then multiplied, together
    lanes: int
    width: int  # NR: columns of a panel of filters


class FilterBlock(NamedTuple):
    """A block of filters that `transform_run` transforms: some channels of one panel; all int64."""

    panel: int
    channel: int  # the first
    channels: int  # in all, whole vectors
    lanes: int
    width: int  # NR: columns of a panel


@compiled
def plane(size, lanes):
    """Return the offset from one plane to the next, for planes of ``size`` elements.

    Pads each plane by one vector: a transform touches all 36 planes, which would otherwise map to the same few
    cache sets where ``size`` is a power of two.
    """
    return size + lanes


@compiled
def place(t, down, across, side):
    """Return (image, first row, first column) of the outputs of tile t; tiles are ``side`` pixels apart."""
    n, rest = t // (down * across), t % (down * across)
    return n, rest // across * side, rest % across * side


@compiled
def transform_tile(x, shape, inputs, zeros, origin, to, step, grid, static_kernel_size):
    """Transform a tile of x, flat of ``shape`` (N, H, W, C), into 36 vectors of C elements.

    ``origin`` is the tile's `place`. The vectors go to ``inputs[to]`` and so on, ``step`` apart.
    """
    (_, height, width, channels), (n, i, j) = shape, origin
    i, j = i - grid.top, j - grid.left
    placement = Placement(
        source_offset=((n * height + i) * width + j) * channels,
        source_row=width * channels,
        source_column=channels,
        target_offset=to,
        target_row=TILE * step,
        target_column=step,
    )
    inside = Inside(-i, height - i, -j, width - j)
    to_inputs(x, inputs, zeros, placement, inside, channels // grid.lanes, static_kernel_size)


@compiled
def transform_back(products, out, shape, aside, origin, panel, start, step, grid, static_kernel_size):
    """Transform a tile's products with one panel of filters into ``out``, flat of ``shape`` (N, OH, OW, O).

    The products are 36 vectors from ``products[start]`` on, ``step`` apart; ``origin`` is the `place` in ``out``.
    """
    (_, height, width, channels), (n, i, j) = shape, origin
    placement = Placement(
        source_offset=start,
        source_row=TILE * step,
        source_column=step,
        target_offset=((n * height + i) * width + j) * channels + panel * grid.width,
        target_row=width * channels,
        target_column=channels,
    )
    vectors = min(grid.width, channels - panel * grid.width) // grid.lanes
    inside = Inside(0, height - i, 0, width - j)
    to_outputs(products, out, aside, placement, inside, vectors, static_kernel_size)


def tiles_of(height, width, kernel):
    """Return how many tiles of outputs an image has."""
    side = TILE + 1 - kernel
    return -(-height // side) * -(-width // side)


def is_faster(images, out_size, channels, out_channels, kernel, filters_weigh):
    """Return True where Winograd's algorithm is faster than the indirect one.

    Measured on AVX-512: from 12 channels on both sides, with 5 x 5 filters 32, and where the definition's products,
    KERNEL^2 for each output pixel, are more than 42 * (tiles + ``filters_weigh``). A tile costs 36 products and two
    transforms, together about 42; the transform of the filters costs as much as ``filters_weigh`` tiles. So tiles must
    be well filled, and enough of them must share the filters.
    """
    tiles = images * tiles_of(*out_size, kernel)
    many = min(channels, out_channels) >= _FEWEST_CHANNELS[kernel]
    return many and images * out_size[0] * out_size[1] * kernel**2 > 42 * (tiles + filters_weigh)


def whole_vectors(x, lanes):
    """Return x (N, H, W, C) with C rounded up to a multiple of ``lanes``."""
    return with_channels(x, -(-x.shape[3] // lanes) * lanes)


@compiled
def transform_run(weight, transposed_filter, filters, block, to, step, static_kernel_size):
    """Transform up to RUN channels of a panel of filters, into ``filters[to]`` and so on, ``step`` apart.

    ``weight`` is (columns, inner, KH, KW); with ``transposed_filter`` it is (inner, columns, KH, KW), and each filter
    is turned by 180 degrees, as the input gradient needs it. ``block`` is a `FilterBlock`.
    """
    width, first, side = block.width, block.channel, len(static_kernel_size)
    columns, inner = (weight.shape[1], weight.shape[0]) if transposed_filter else (weight.shape[0], weight.shape[1])
    last, column = side - 1, block.panel * width
    values = np.zeros(RUN * side * side * width, filters.dtype)  # (channels, KH, KW, NR)
    for j in range(min(width, columns - column)):
        for c in range(min(RUN, inner - first)):
            for u in range(side):
                for v in range(side):
                    if transposed_filter:
                        value = weight[first + c, column + j, last - u, last - v]
                    else:
                        value = weight[column + j, first + c, u, v]
                    values[((c * side + u) * side + v) * width + j] = value
    everywhere = Inside(0, 0, 0, 0)  # filters have no edge: not read
    for c in range(min(RUN, block.channels - first)):
        placement = Placement(
            source_offset=c * side * side * width,
            source_row=side * width,
            source_column=width,
            target_offset=to + c * width,
            target_row=TILE * step,
            target_column=step,
        )
        to_filter(values, filters, values, placement, everywhere, width // block.lanes, static_kernel_size)
