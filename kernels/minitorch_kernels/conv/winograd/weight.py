"""The weight gradient by Winograd's F(4x4, 3x3) or F(2x2, 5x5): tiles of images times tiles of output gradients.

    gradient of g[o, c] = G^T [ sum over tiles of (B^T d_c B) * (A dy_o A^T) ] G

For each element of the transformed tiles this is one product, channels x tiles times tiles x filters, on the
micro-kernel. It goes chunk by chunk of tiles, few enough that both sides stay in the cache.

Where the sums are small, each task takes a range of the tiles and has sums of its own, which are added at the
end: until then no core reads what another has written. Large sums exist once, and for each chunk the tasks share first
its tiles, then the sums.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv import indirect_weight
from minitorch_kernels.conv.winograd import outliers, tiles
from minitorch_kernels.conv.winograd.tiles import (
    ONE_RUN,
    TILE_AREA,
    Grid,
    place,
    plane,
    tiles_of,
    transform_tile,
    whole_vectors,
)
from minitorch_kernels.conv.winograd.transform import TILE, Inside, Placement, from_filter, from_outputs
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel_packed_a
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.simd import nr
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel, team_kernel

_SHARE = 8  # tiles that a task transforms
_CHUNK = 64  # tiles whose transforms stay in the second-level cache; fewer would read and write the sums more often
_SMALL = 1 << 20  # bytes: sums up to this size exist once for each range
_SUMS_BYTES = 1 << 21  # of all ranges, which have to be added
_FEWEST_RANGES = 8  # of tiles, if there are enough tiles
_MOST_RANGES = 16
_FEWEST_TILES = 128  # in a range: its products then cost much more than adding its sums
_FILTERS_WEIGH = 16  # tiles: what transforming the sums costs, see `tiles.is_faster`
_RUN = 8  # channels whose sums are added and transformed together


class Share(NamedTuple):
    """Which tiles of a chunk a task transforms; all int64."""

    chunk: int  # the first tile of the chunk
    begin: int  # in the chunk
    end: int


def is_faster(images, out_size, channels, out_channels, kernel):
    """Return True where this weight gradient is faster than the indirect one."""
    return tiles.is_faster(images, out_size, channels, out_channels, kernel, _FILTERS_WEIGH)


@compiled
def _transform(x, grad_out, inputs, grads, zeros, share, grid, static_kernel_size):
    """Transform a share of the tiles of images and output gradients."""
    _, out_height, out_width, out_channels = grad_out.shape
    channels, panels = x.shape[3], -(-out_channels // grid.width)
    in_step, grad_step = len(inputs) // TILE_AREA, len(grads) // TILE_AREA
    side, x_flat, grad_flat = TILE + 1 - len(static_kernel_size), x.reshape(-1), grad_out.reshape(-1)
    down, across = -(-out_height // side), -(-out_width // side)
    for t in range(share.begin, share.end):
        origin = place(share.chunk + t, down, across, side)
        n, i, j = origin
        inside = Inside(0, out_height - i, 0, out_width - j)
        for p in range(panels):
            placement = Placement(
                source_offset=((n * out_height + i) * out_width + j) * out_channels + p * grid.width,
                source_row=out_width * out_channels,
                source_column=out_channels,
                target_offset=(p * grid.tiles + t) * grid.width,
                target_row=TILE * grad_step,
                target_column=grad_step,
            )
            vectors = min(grid.width, out_channels - p * grid.width) // grid.lanes
            from_outputs(grad_flat, grads, zeros, placement, inside, vectors, static_kernel_size)
        transform_tile(x_flat, x.shape, inputs, zeros, origin, t * channels, in_step, grid, static_kernel_size)


@compiled
def _multiply(inputs, grads, sums, zeros, rows, k_runs, channels, element, panel, count, accumulate, grid):
    """Compute the sums of one element of the transformed tiles and one panel, over ``count`` tiles."""
    width = grid.width
    for i in range(0, len(rows), MR):
        tile = Tile(
            row=i,
            first_run=0,
            end_run=1,
            k_terms=count,
            a_offset=element * (len(inputs) // TILE_AREA) + i,
            a_step=channels,
            b_offset=element * (len(grads) // TILE_AREA) + panel * grid.tiles * width,
            b_step=width,
            c_offset=element * (len(sums) // TILE_AREA) + panel * len(rows) * width,
            init_offset=0,
            accumulate=accumulate,
            width=width,
        )
        microkernel_packed_a(inputs, grads, sums, zeros, rows, rows, k_runs, tile)


@parallel_task
def _transform_chunk(first_task, end_task, x, grad_out, inputs, grads, zeros, chunk, count, grid, static_kernel_size):
    """Transform the tiles of a chunk, some in each task."""
    share = Share(chunk=chunk, begin=first_task * _SHARE, end=min(count, end_task * _SHARE))
    _transform(x, grad_out, inputs, grads, zeros, share, grid, static_kernel_size)


@parallel_task
def _multiply_chunk(
    first_task, end_task, inputs, grads, sums, zeros, rows, k_runs, channels, panels, count, accumulate, grid
):
    """Add the products of a chunk to the sums, those of one element and panel in each task."""
    for task in range(first_task, end_task):
        e, p = task // panels, task % panels
        _multiply(inputs, grads, sums, zeros, rows, k_runs, channels, e, p, count, accumulate, grid)


@team_kernel
def _sum_together(team, x, grad_out, inputs, grads, sums, rows, k_runs, total, grid, static_kernel_size):
    """Fill sums (1, 36 planes of P * rows * NR) from ``total`` tiles of the images and of the output's gradients.

    ``inputs`` (36 planes of T * C) and ``grads`` (36 planes of P * T * NR) hold the transformed tiles of a chunk. All
    tiles of a chunk are transformed in parallel, then all products computed in parallel; each task owns its part of
    ``sums``.
    """
    channels, panels = x.shape[3], -(-grad_out.shape[3] // grid.width)
    zeros, own = np.zeros(max(channels, grid.width), x.dtype), sums[0]
    for first in range(0, total, grid.tiles):
        count = min(grid.tiles, total - first)
        chunk = x, grad_out, inputs, grads, zeros, first, count, grid, static_kernel_size
        _transform_chunk(team, -(-count // _SHARE), chunk)
        products = inputs, grads, own, zeros, rows, k_runs, channels, panels, count, min(first, 1), grid
        _multiply_chunk(team, TILE_AREA * panels, products)


@parallel_kernel(tasks=lambda inputs: len(inputs))
def _sum_apart(first_task, end_task, x, grad_out, inputs, grads, sums, rows, k_runs, total, grid, static_kernel_size):
    """Fill sums (ranges, 36 planes of P * rows * NR), each from a range of the ``total`` tiles.

    ``inputs`` (threads, 36 planes of T * C) and ``grads`` (threads, 36 planes of P * T * NR) hold the
    transformed tiles of a chunk.
    """
    channels, panels = x.shape[3], -(-grad_out.shape[3] // grid.width)
    ranges, threads = len(sums), len(inputs)
    zeros = np.zeros(max(channels, grid.width), x.dtype)
    for thread in range(first_task, end_task):
        own_inputs, own_grads = inputs[thread], grads[thread]
        for part in range(thread, ranges, threads):
            begin, end = part * total // ranges, (part + 1) * total // ranges
            for first in range(begin, end, grid.tiles):
                count = min(grid.tiles, end - first)
                share = Share(chunk=first, begin=0, end=count)
                _transform(x, grad_out, own_inputs, own_grads, zeros, share, grid, static_kernel_size)
                accumulate = min(first - begin, 1)
                for task in range(TILE_AREA * panels):
                    e, p = task // panels, task % panels
                    _multiply(
                        own_inputs, own_grads, sums[part], zeros, rows, k_runs, channels, e, p, count, accumulate, grid
                    )


@compiled
def _add_ranges(sums, start, total):
    """Add up the sums of all ranges, from ``start`` of each plane on, into total (36, elements)."""
    step = sums.shape[1] // TILE_AREA
    for e in range(TILE_AREA):
        element, first = total[e], e * step + start
        for part in range(len(sums)):
            own = sums[part, first : first + len(element)]
            for j in range(len(element)):
                element[j] = own[j] if part == 0 else element[j] + own[j]


@parallel_kernel(tasks=lambda grad_weight, width: -(-len(grad_weight) // width) * -(-grad_weight.shape[1] // _RUN))
def _transform_sums(first_task, end_task, sums, grad_weight, rows, width, lanes, static_kernel_size):
    """Add sums (ranges, 36 planes of P * rows * NR), transformed, into grad_weight (O, C, KH, KW).

    Parallel over panels and runs of a few channels.
    """
    (out_channels, inner, _, _), side = grad_weight.shape, len(static_kernel_size)
    runs = -(-inner // _RUN)
    everywhere = Inside(0, 0, 0, 0)  # filters have no edge: not read
    for task in range(first_task, end_task):
        p, first = task // runs, task % runs * _RUN
        size = min(_RUN, inner - first) * width  # elements of a plane that this task takes
        total = np.empty((TILE_AREA, size), sums.dtype)
        _add_ranges(sums, (p * rows + first) * width, total)
        filters = np.empty(side * side * size, sums.dtype)  # (KH, KW, channels, NR)
        placement = Placement(
            source_offset=0,
            source_row=TILE * size,
            source_column=size,
            target_offset=0,
            target_row=side * size,
            target_column=size,
        )
        flat, vectors = total.reshape(-1), size // lanes
        from_filter(flat, filters, filters, placement, everywhere, vectors, static_kernel_size)
        for j in range(min(width, out_channels - p * width)):
            for c in range(size // width):
                for u in range(side):
                    for v in range(side):
                        element = filters[(u * side + v) * size + c * width + j]
                        grad_weight[p * width + j, first + c, u, v] = element


def conv2d_backward_weight_winograd(x, grad_out, *, kernel_size, stride, padding, dilation, groups, memo=None):
    """Return the gradient of 3 x 3 or 5 x 5 filters: the images, cross-correlated with the output's gradient.

    grad_weight[o, c, u, v] = sum over n, i, j of x[n, i + u - top, j + v - left, c] * grad_out[n, i, j, o]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32 or float64
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous
    kernel_size : (3, 3) or (5, 5)
    stride, padding, dilation, groups, memo
        As in `correlate.conv2d_forward_winograd`.

    Returns
    -------
    ndarray, shape (C_out, C_in, KH, KW)

    Notes
    -----
    Cost: as forward. Parallel over ranges of patches, or over patches, then over products.
    """
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    apart = outliers.find_pairs(x, grad_out, memo)
    if not len(apart):
        return _gradient(x, grad_out, kernel_size, padding)
    sizes = {"kernel_size": kernel_size, **hyper}
    by_definition = indirect_weight.conv2d_backward_weight_indirect(x[apart], grad_out[apart], **sizes)
    rest = np.delete(np.arange(len(x)), apart)
    return by_definition + _gradient(x[rest], grad_out[rest], kernel_size, padding)


def _gradient(x, grad_out, kernel_size, padding):
    """Return `conv2d_backward_weight_winograd` of images that all fit Winograd's algorithm."""
    out_channels, inner, lanes = grad_out.shape[3], x.shape[3], vector_lanes(x.dtype)
    width, static_kernel_size = nr(x.dtype, out_channels), (0,) * kernel_size[0]
    panels = -(-out_channels // width)
    grad_weight = np.zeros((out_channels, inner, *kernel_size), x.dtype)
    if not (x.size and grad_out.size):
        return grad_weight
    x, grad_out = whole_vectors(x, lanes), whole_vectors(grad_out, lanes)
    channels, total = x.shape[3], len(x) * tiles_of(*grad_out.shape[1:3], len(static_kernel_size))
    count = -(-channels // MR) * MR  # rows after the last channel are sums of what follows, and not read
    rows, size = np.arange(count) * width, TILE_AREA * plane(panels * count * width, lanes)
    apart, ranges = size * x.itemsize <= _SMALL, 1
    if apart:
        ranges = min(max(_FEWEST_RANGES, _SUMS_BYTES // (size * x.itemsize)), _MOST_RANGES, -(-total // _FEWEST_TILES))
    grid = Grid(*padding[::2], min(_CHUNK, -(-total // ranges)), lanes, width)
    inputs = TILE_AREA * plane(grid.tiles * channels, -(-MR // lanes) * lanes)
    grads = TILE_AREA * plane(panels * grid.tiles * width, lanes)
    sums = memory.empty((ranges, size), x.dtype)
    threads = (min(get_num_threads(), ranges),) if apart else ()
    inputs, grads = (memory.empty((*threads, length), x.dtype) for length in (inputs, grads))
    add_up = _sum_apart if apart else _sum_together
    add_up(x, grad_out, inputs, grads, sums, rows, ONE_RUN, total, grid, static_kernel_size)
    _transform_sums(sums, grad_weight, count, width, lanes, static_kernel_size)
    return grad_weight
