"""What the three products of Winograd's convolution share: where tiles lie, whole vectors of channels, filters.

Tiles are numbered image by image, row by row. Transformed tiles are stored as planes, one for each element of a tile:
36, or 81 with stride 2. Transformed filters are stored as 36 planes.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.winograd.outliers import Measures, measure_rows
from minitorch_kernels.conv.winograd.transform import (
    FILTER_POINTS,
    Form,
    Inside,
    Placement,
    to_filter,
    to_inputs,
    to_outputs,
)
from minitorch_kernels.gemm.pack import whole_tiles
from minitorch_kernels.runtime.chunks import with_channels
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.transpose import transpose
from minitorch_kernels.runtime.views import flat

FILTER_AREA = FILTER_POINTS * FILTER_POINTS
OUTPUTS = {3: 4, 5: 2}  # of a tile, along a side, by the side of the filters
POINTS = {1: 6, 2: 9}  # of a transformed tile, along a side, by the stride
RUN = 8  # channels whose filters are transformed together
K_TERMS = 128  # channels that a sum takes at once, in either order of the loops: so both give the same bits
ONE_RUN = np.zeros((2, 1), np.int64)  # the terms of a sum, one for each channel, are a single run
_FEWEST_CHANNELS = {(3, 1): 12, (5, 1): 32, (3, 2): 16}  # on both sides, by the filters' side and the stride
_COST = {1: 42, 2: 85}  # of a tile with its transforms, in products, by the stride


class Grid(NamedTuple):
    """How a convolution is cut into tiles and panels; all int64, but for the last field."""

    top: int  # pixels of padding above
    left: int
    down: int  # tiles in a column of an image
    across: int  # tiles in a row
    channels: int  # of the images, whole vectors
    tiles: int  # that are transformed, then multiplied, together
    panels: int  # of filters
    width: int  # NR: columns of a panel
    lanes: int
    static_form: Form


class Images(NamedTuple):
    """Images, and what `read_rows_of_tiles` finds out about them."""

    pixels: np.ndarray  # (N, H, W, C)
    measures: Measures  # to fill, integers
    chosen: np.ndarray  # (M,), int64: indices of images; tiles are numbered through these


class Outputs(NamedTuple):
    """Maps to compute, what is added to each of their pixels, and whether ReLU follows."""

    maps: np.ndarray  # (N, OH, OW, O)
    bias: np.ndarray  # (P * NR,)
    relu: bool


class Filters(NamedTuple):
    """Filters as they come, before their transform."""

    weight: np.ndarray  # (C_out, C_in, KH, KW)
    transposed: bool  # weight is (C_in, C_out, KH, KW), and each filter is rotated by 180 degrees


class Offsets(NamedTuple):
    """Where the rows of a product of transformed tiles begin, see `gemm.microkernel`; arrays of int64."""

    a_rows: np.ndarray
    c_rows: np.ndarray
    k_runs: np.ndarray


@lru_cache(maxsize=256)
def offsets_of(count, a_step, c_step):
    """Return the `Offsets` of ``count`` rows, so far apart in A and in C."""
    rows = np.arange(count)
    return Offsets(whole_tiles(rows * a_step), whole_tiles(rows * c_step), ONE_RUN)


@compiled
def plane(size, lanes):
    """Return the offset from one plane to the next, for planes of ``size`` elements.

    Pads each plane by one vector: a transform touches all planes, which would otherwise map to the same few cache sets
    where ``size`` is a power of two.
    """
    return size + lanes


@compiled
def plane_step(planes, grid):
    """Return the offset from one plane to the next in all planes of transformed tiles, flat."""
    return len(planes) // len(grid.static_form.points) ** 2


@compiled
def filter_plane(element, points):
    """Return the plane of the filters that an element of a transformed tile is multiplied with.

    With stride 2, the last four of nine points have the middle tap in common, see `transform`.
    """
    last = FILTER_POINTS - 1
    return min(element // points, last) * FILTER_POINTS + min(element % points, last)


@compiled
def place(t, grid):
    """Return the (image, row, column) of tile t, row and column counted in tiles."""
    per_image = grid.down * grid.across
    n, rest = t // per_image, t % per_image
    return n, rest // grid.across, rest % grid.across


@compiled
def read_rows_of_tiles(images, first, end, side, grid):
    """Measure the pixels of the rows of tiles that begin with one of the tiles first .. end - 1.

    A row of tiles stands for ``side`` rows of pixels, the last one also for the rest of the image.
    This comes right before the tiles are transformed, and brings their pixels into the cache. Memory delivers pixels
    row by row 2.7 times as fast as in the order in which the tiles ask for them, with 144 channels.
    """
    height = images.pixels.shape[1]
    for row in range(-(-first // grid.across), -(-end // grid.across)):
        n, down = images.chosen[row // grid.down], row % grid.down
        end_row = height if down == grid.down - 1 else min(height, (down + 1) * side)
        measure_rows(images.pixels, images.measures, n, down * side, end_row)


@compiled
def zeros_beside(grid, dtype):
    """Return zeros for a row of pixels of a tile outside the image, and for a row of sums that begin at 0."""
    return np.zeros(len(grid.static_form.points) * max(grid.channels, grid.width * grid.panels), dtype)


@compiled
def transform_tile(x, shape, inputs, zeros, origin, to, grid):
    """Transform a tile of x, flat of ``shape`` (N, H, W, C), into vectors of C elements, one in each plane.

    ``origin`` is the tile's `place`; ``to`` is where the vectors begin in the planes of ``inputs``.
    """
    (_, height, width, channels), (n, row, column), side = shape, origin, len(grid.static_form.in_step)
    i, j, step = row * side - grid.top, column * side - grid.left, plane_step(inputs, grid)
    placement = Placement(
        source_offset=((n * height + i) * width + j) * channels,
        source_row=width * channels,
        source_column=channels,
        target_offset=to,
        target_row=len(grid.static_form.points) * step,
        target_column=step,
    )
    inside = Inside(-i, height - i, -j, width - j)
    to_inputs(x, inputs, zeros, placement, inside, channels // grid.lanes, grid.static_form)


@compiled
def transform_back(products, outputs, origin, panel, start, grid):
    """Transform a tile's products with one panel of filters into `Outputs`.

    The products are vectors, one in each plane, which begin at ``start`` there; ``origin`` is the tile's `place`.
    """
    (_, height, width, channels), (n, row, column) = outputs.maps.shape, origin
    side, step = len(grid.static_form.out_step), plane_step(products, grid)
    i, j = row * side, column * side
    placement = Placement(
        source_offset=start,
        source_row=len(grid.static_form.points) * step,
        source_column=step,
        target_offset=((n * height + i) * width + j) * channels + panel * grid.width,
        target_row=width * channels,
        target_column=channels,
    )
    vectors = min(grid.width, channels - panel * grid.width) // grid.lanes
    inside = Inside(0, height - i, 0, width - j)
    maps, bias = flat(outputs.maps), outputs.bias[panel * grid.width :]
    to_outputs(products, maps, bias, placement, inside, outputs.relu, vectors, grid.static_form)


def form_of(kernel, stride, transposed=False):
    """Return the `Form` of filters of this side; with ``transposed``, of the gradient of the images."""
    out_step = (0,) * OUTPUTS[kernel]
    in_step = out_step * stride
    steps = (out_step, in_step) if transposed else (in_step, out_step)
    return Form((0,) * kernel, *steps, (0,) * POINTS[stride])


def tiles_along(height, width, side):
    """Return how many tiles of ``side`` x ``side`` outputs a column and a row of an image have."""
    return -(-height // side), -(-width // side)


def tiles_of(height, width, kernel):
    """Return how many tiles the outputs of a forward pass have."""
    down, across = tiles_along(height, width, OUTPUTS[kernel])
    return down * across


def is_faster(images, out_size, channels, out_channels, kernel, stride, filters_weigh):
    """Return True where Winograd's algorithm is faster than the indirect one.

    Measured on AVX-512: from 12 channels on both sides, with stride 2 from 16, with 5 x 5 filters from 32, and where
    the definition's products, KERNEL^2 for each output pixel, are more than 42 * (tiles + ``filters_weigh``). A tile
    costs 36 products and two transforms, together about 42; the transform of the filters costs as much as
    ``filters_weigh`` tiles. So tiles must be well filled, and enough of them must share the filters. With stride 2 a
    tile costs 81 products and its transforms, but the indirect algorithm is slower there, too: this counts as 85.
    """
    tiles = images * tiles_of(*out_size, kernel)
    many = min(channels, out_channels) >= _FEWEST_CHANNELS[kernel, stride]
    cost = _COST[stride] * tiles + _COST[1] * filters_weigh
    return many and images * out_size[0] * out_size[1] * kernel**2 > cost


def whole_vectors(x, lanes):
    """Return x (N, H, W, C) with C rounded up to a multiple of ``lanes``."""
    return with_channels(x, -(-x.shape[3] // lanes) * lanes)


@compiled
def _gather_filters(filters, panel, first, grid):
    """Return up to RUN channels of a panel of filters as they are transformed, flat (channels, KH, KW, NR).

    Zeros fill the channels and the columns after the last.
    """
    weight, width, lanes, taps = filters.weight, grid.width, grid.lanes, len(grid.static_form.kernel) ** 2
    flat_weight, inner = flat(weight), weight.shape[0 if filters.transposed else 1]
    columns = min(width, weight.shape[1 if filters.transposed else 0] - panel * width)
    channels, values = min(RUN, inner - first), np.zeros(RUN * taps * width, weight.dtype)
    if filters.transposed:  # of each channel, the filters lie side by side
        for c in range(channels):
            start, to = ((first + c) * weight.shape[1] + panel * width) * taps, ((c + 1) * taps - 1) * width
            transpose(flat_weight, start, taps, (columns, taps), values, to, -width, lanes)
    else:  # of each filter, the channels lie side by side
        start, step = (panel * width * inner + first) * taps, inner * taps
        transpose(flat_weight, start, step, (columns, channels * taps), values, 0, width, lanes)
    return values


@compiled
def transform_run(filters, transformed, panel, first, to, grid):
    """Transform up to RUN channels of a panel of `Filters`, from channel ``first`` on.

    ``to`` is where their vectors begin in the planes of ``transformed``, a flat array.
    """
    width, side, step = grid.width, len(grid.static_form.kernel), len(transformed) // FILTER_AREA
    values = _gather_filters(filters, panel, first, grid)
    for c in range(min(RUN, grid.channels - first)):
        placement = Placement(
            source_offset=c * side * side * width,
            source_row=side * width,
            source_column=width,
            target_offset=to + c * width,
            target_row=FILTER_POINTS * step,
            target_column=step,
        )
        vectors = width // grid.lanes
        to_filter(values, transformed, placement, vectors, grid.static_form)
