"""The weight gradient by Winograd's algorithm: tiles of images times tiles of output gradients.

    gradient of g[o, c] = G^T [ sum over tiles of (B^T d_c B) * (A dy_o A^T) ] G

For each element of the transformed tiles this is one product, channels x tiles times tiles x filters, on the
micro-kernel. It proceeds in chunks of tiles, small enough that both operands stay in the cache.

Small sums exist once for each range of tiles. Each task takes some ranges, and the sums of all ranges are added at the
end; until then, no core reads what another has written. Large sums exist only once: for each chunk, the tasks first
share out the tiles to transform, then the sums to compute. Each chunk reads and writes all sums. Where they are too
large for the caches, that takes longer than reading operands from the last-level cache, and chunks are larger.
Where there is a single chunk that the last-level cache holds, large sums never exist as a whole: each task computes
those of a few channels and filters, and transforms them at once. That takes 45 % off the time of 512 filters for 512
channels and 32 tiles, and 20 % off that of 256 for 256 and 128 tiles.

Source: Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", https://arxiv.org/abs/1509.09308.
"""

from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv import indirect_weight
from minitorch_kernels.conv.winograd import outliers, tiles
from minitorch_kernels.conv.winograd.tiles import (
    FILTER_AREA,
    Grid,
    Images,
    form_of,
    offsets_of,
    place,
    plane,
    plane_step,
    read_rows_of_tiles,
    transform_tile,
    whole_vectors,
    zeros_beside,
)
from minitorch_kernels.conv.winograd.transform import FILTER_POINTS, Inside, Placement, from_filter, from_outputs
from minitorch_kernels.gemm.microkernel import MR, Tile, microkernel_packed_a
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.simd import nr
from minitorch_kernels.runtime.threads import get_num_threads, parallel_kernel, team_kernel
from minitorch_kernels.runtime.transpose import transpose
from minitorch_kernels.runtime.views import flat

_SHARE = 8  # tiles that a task transforms
_CHUNK = 64  # tiles at most, whose transforms stay in the second-level cache
_AT_ONCE = 12 << 20  # bytes at most of transformed tiles that make a single chunk: each is read several times
_LARGE_CHUNK = 256  # where sums are larger than _LARGE: they are then read and written less often
_LARGE = 1 << 23  # bytes
_SMALL = 1 << 20  # bytes: sums up to this size exist once for each range
_SUMS_BYTES = 1 << 21  # of all ranges, which have to be added
_FEWEST_RANGES = 8  # of tiles, if there are enough tiles
_MOST_RANGES = 16
_FEWEST_TILES = 128  # in a range: its products then cost much more than adding its sums
_FILTERS_WEIGH = 16  # tiles: what transforming the sums costs, see `tiles.is_faster`
_LONG_RUN = 32 // MR * MR  # channels, whole tiles, whose sums with a panel stay in the second-level cache
_RUN = 8  # channels whose sums are added and transformed together


class Pairs(NamedTuple):
    """Images with the gradients of their outputs."""

    images: Images
    grads: Images  # their pixels have OH rows, OW columns and O channels; the same images are chosen


class Chunk(NamedTuple):
    """Tiles whose transforms stay in the cache until their products are in the sums; all int64."""

    first: int
    count: int
    accumulate: int  # 0 in the first chunk, which starts the sums; else 1


class Run(NamedTuple):
    """Some channels of a panel of filters; all int64."""

    panel: int
    first: int
    channels: int
    offset: int  # where their sums begin in each plane


class Operands(NamedTuple):
    """The transformed tiles of a chunk, as planes, and zeros for what lies beside an image and to begin sums with."""

    inputs: np.ndarray
    grads: np.ndarray
    zeros: np.ndarray


def is_faster(images, out_size, channels, out_channels, kernel, stride=1):
    """Return True where this weight gradient is faster than the indirect one."""
    return tiles.is_faster(images, out_size, channels, out_channels, kernel, stride, _FILTERS_WEIGH)


@compiled
def _transform(pairs, operands, chunk, share, grid):
    """Transform the tiles ``share`` = (begin, end) of a chunk: those of images and of output gradients."""
    (images, (grad_out, _, chosen)), (inputs, grads, zeros) = pairs, operands
    _, out_height, out_width, out_channels = grad_out.shape
    form, grad_step = grid.static_form, plane_step(grads, grid)
    x, grad_flat, side = flat(images.pixels), flat(grad_out), len(form.out_step)
    begin, end = share
    read_rows_of_tiles(images, chunk.first + begin, chunk.first + end, len(form.in_step), grid)
    read_rows_of_tiles(pairs.grads, chunk.first + begin, chunk.first + end, side, grid)
    for t in range(begin, end):
        m, row, column = place(chunk.first + t, grid)
        n, i, j = chosen[m], row * side, column * side
        inside = Inside(0, out_height - i, 0, out_width - j)
        for p in range(grid.panels):
            placement = Placement(
                source_offset=((n * out_height + i) * out_width + j) * out_channels + p * grid.width,
                source_row=out_width * out_channels,
                source_column=out_channels,
                target_offset=(p * grid.tiles + t) * grid.width,
                target_row=len(form.points) * grad_step,
                target_column=grad_step,
            )
            vectors = min(grid.width, out_channels - p * grid.width) // grid.lanes
            from_outputs(grad_flat, grads, zeros, placement, inside, vectors, form)
        transform_tile(x, images.pixels.shape, inputs, zeros, (n, row, column), t * grid.channels, grid)


@compiled
def _multiply(operands, sums, offsets, element, run, chunk, grid):
    """Add a chunk's products to the sums of a `Run` for one element of the filters, or begin these sums with them.

    Several elements of a tile may belong to that element of the filters, see `tiles.filter_plane`.
    """
    inputs, grads, zeros = operands
    u, v, last = element // FILTER_POINTS, element % FILTER_POINTS, FILTER_POINTS - 1
    points = len(grid.static_form.points)
    end_u, end_v = points if u == last else u + 1, points if v == last else v + 1
    for i in range(0, run.channels, MR):
        for a in range(u, end_u):
            for b in range(v, end_v):
                plane_index = a * points + b
                tile = Tile(
                    row=i,
                    first_run=0,
                    end_run=1,
                    k_terms=chunk.count,
                    a_offset=plane_index * plane_step(inputs, grid) + run.first + i,
                    a_step=grid.channels,
                    b_offset=plane_index * plane_step(grads, grid) + run.panel * grid.tiles * grid.width,
                    b_step=grid.width,
                    c_offset=element * (len(sums) // FILTER_AREA) + run.offset,
                    init_offset=0,
                    accumulate=chunk.accumulate if (a, b) == (u, v) else 1,
                    width=grid.width,
                )
                c_rows, k_runs = offsets.c_rows, offsets.k_runs
                microkernel_packed_a(inputs, grads, sums, zeros, c_rows, c_rows, k_runs, tile)


@parallel_task
def _transform_chunk(first_task, end_task, pairs, operands, chunk, grid):
    """Transform the tiles of a chunk, some in each task."""
    share = first_task * _SHARE, min(chunk.count, end_task * _SHARE)
    _transform(pairs, operands, chunk, share, grid)


@compiled
def _multiply_panel(operands, sums, offsets, element, panel, chunk, grid):
    """Add a chunk's products to the sums of all channels with a panel of filters, for one element of the filters."""
    rows = len(offsets.c_rows)
    _multiply(operands, sums, offsets, element, Run(panel, 0, rows, panel * rows * grid.width), chunk, grid)


@parallel_task
def _multiply_chunk(first_task, end_task, operands, sums, offsets, chunk, grid):
    """Add the products of a chunk to the sums, those of one element and panel in each task.

    The last elements come first. With stride 2 their products take longest, and the threads should end together.
    """
    for task in range(first_task, end_task):
        element = FILTER_AREA - 1 - task // grid.panels
        _multiply_panel(operands, sums, offsets, element, task % grid.panels, chunk, grid)


@team_kernel
def _sum_together(team, pairs, inputs, grads, sums, offsets, total, grid):
    """Fill sums (1, 36 planes of P * rows * NR) from ``total`` tiles of the images and of the output's gradients.

    ``inputs`` (planes of T * C) and ``grads`` (planes of P * T * NR) hold the transformed tiles of a chunk. All
    tiles of a chunk are transformed in parallel, then all products computed in parallel; each task owns its part of
    ``sums``.
    """
    operands = Operands(inputs, grads, zeros_beside(grid, sums.dtype))
    for first in range(0, total, grid.tiles):
        chunk = Chunk(first, min(grid.tiles, total - first), min(first, 1))
        _transform_chunk(team, -(-chunk.count // _SHARE), (pairs, operands, chunk, grid))
        _multiply_chunk(team, FILTER_AREA * grid.panels, (operands, sums[0], offsets, chunk, grid))


@parallel_kernel(tasks=lambda inputs: len(inputs))
def _sum_apart(first_task, end_task, pairs, inputs, grads, sums, offsets, total, grid):
    """Fill sums (ranges, 36 planes of P * rows * NR), each from a range of the ``total`` tiles.

    ``inputs`` (threads, planes of T * C) and ``grads`` (threads, planes of P * T * NR) hold the transformed tiles of a
    chunk.
    """
    ranges, threads, zeros = len(sums), len(inputs), zeros_beside(grid, sums.dtype)
    for thread in range(first_task, end_task):
        operands = Operands(inputs[thread], grads[thread], zeros)
        for part in range(thread, ranges, threads):
            begin, end = part * total // ranges, (part + 1) * total // ranges
            for first in range(begin, end, grid.tiles):
                chunk = Chunk(first, min(grid.tiles, end - first), min(first - begin, 1))
                _transform(pairs, operands, chunk, (0, chunk.count), grid)
                for task in range(FILTER_AREA * grid.panels):
                    element, panel = task // grid.panels, task % grid.panels
                    _multiply_panel(operands, sums[part], offsets, element, panel, chunk, grid)


@compiled
def _add_ranges(sums, start, total):
    """Add up the sums of all ranges, from ``start`` of each plane on, into total (36, elements)."""
    step = sums.shape[1] // FILTER_AREA
    for e in range(FILTER_AREA):
        element, first = total[e], e * step + start
        for part in range(len(sums)):
            own = sums[part, first : first + len(element)]
            for j in range(len(element)):
                element[j] = own[j] if part == 0 else element[j] + own[j]


@compiled
def _store_run(sums, grad_weight, run, grid):
    """Transform the sums of a `Run`, 36 planes of channels * NR or more, flat, into grad_weight (O, C, KH, KW)."""
    inner, width, side = grad_weight.shape[1], grid.width, len(grid.static_form.kernel)
    column, taps, step = run.panel * width, side * side, len(sums) // FILTER_AREA
    filters = np.empty(run.channels * taps * width, sums.dtype)  # (channels, KH, KW, NR)
    for c in range(run.channels):
        placement = Placement(
            source_offset=c * width,
            source_row=FILTER_POINTS * step,
            source_column=step,
            target_offset=c * taps * width,
            target_row=side * width,
            target_column=width,
        )
        from_filter(sums, filters, placement, width // grid.lanes, grid.static_form)
    size, to = (run.channels * taps, min(width, len(grad_weight) - column)), (column * inner + run.first) * taps
    transpose(filters, 0, width, size, flat(grad_weight), to, inner * taps, grid.lanes)


@parallel_kernel(tasks=lambda grad_weight, grid: grid.panels * -(-grad_weight.shape[1] // _RUN))
def _transform_sums(first_task, end_task, sums, grad_weight, rows, grid):
    """Store sums (ranges, 36 planes of P * rows * NR), added and transformed, in grad_weight (O, C, KH, KW).

    Parallel over panels and runs of a few channels.
    """
    inner, width = grad_weight.shape[1], grid.width
    runs = -(-inner // _RUN)
    for task in range(first_task, end_task):
        p, first = task // runs, task % runs * _RUN
        run = Run(p, first, min(_RUN, inner - first), 0)
        total = np.empty((FILTER_AREA, run.channels * width), sums.dtype)
        _add_ranges(sums, (p * rows + first) * width, total)
        _store_run(flat(total), grad_weight, run, grid)


@parallel_task
def _multiply_runs(first_task, end_task, operands, grad_weight, offsets, scratch, grid):
    """Compute some runs in each task; there are as many tasks as there is scratch memory for."""
    inner, threads, chunk = grad_weight.shape[1], len(scratch), Chunk(0, grid.tiles, 0)
    for thread in range(first_task, end_task):
        for task in range(thread, grid.panels * -(-inner // _LONG_RUN), threads):
            first = task // grid.panels * _LONG_RUN
            run = Run(task % grid.panels, first, min(_LONG_RUN, inner - first), 0)
            for element in range(FILTER_AREA):
                _multiply(operands, scratch[thread], offsets, element, run, chunk, grid)
            _store_run(scratch[thread], grad_weight, run, grid)


@team_kernel
def _by_runs(team, pairs, inputs, grads, grad_weight, offsets, scratch, grid):
    """Compute grad_weight (O, C, KH, KW) from all tiles at once, run by run.

    ``inputs`` and ``grads`` are as in `_sum_together`; ``scratch`` (threads, 36 planes) holds the sums of a run, which
    never leave the second-level cache.
    """
    operands = Operands(inputs, grads, zeros_beside(grid, grad_weight.dtype))
    _transform_chunk(team, -(-grid.tiles // _SHARE), (pairs, operands, Chunk(0, grid.tiles, 0), grid))
    _multiply_runs(team, len(scratch), (operands, grad_weight, offsets, scratch, grid))


def conv2d_backward_weight_winograd(x, grad_out, *, kernel_size, stride, padding, dilation, groups, memo=None):
    """Return the gradient of 3 x 3 or 5 x 5 filters: the images, cross-correlated with the output's gradient.

    grad_weight[o, c, u, v] = sum over n, i, j of x[n, i + u - top, j + v - left, c] * grad_out[n, i, j, o]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32 or float64
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous
    kernel_size : (3, 3) or, with stride 1, (5, 5)
    stride, padding, dilation, groups, memo
        As in `correlate.conv2d_forward_winograd`.

    Returns
    -------
    ndarray, shape (C_out, C_in, KH, KW)

    Notes
    -----
    Cost: as forward. Parallel over ranges of tiles, or over tiles, then over products.
    """
    memo, chosen, total = memo or outliers.Memo(), np.arange(len(x)), None
    problem, measures = (kernel_size, stride, padding), [memo.known(maps) for maps in (x, grad_out)]
    if None in measures:  # the sum over all images finds out both
        measures = [memo.to_fill(maps) for maps in (x, grad_out)]
        total = _gradient(x, grad_out, chosen, *problem, measures)
    apart = outliers.find_pairs(x, grad_out, *measures)
    if total is None or len(apart):
        chosen = np.delete(chosen, apart) if len(apart) else chosen
        total = _gradient(x, grad_out, chosen, *problem, [outliers.empty(maps) for maps in (x, grad_out)])
    hyper = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    for _, images, grads in outliers.parts(apart, x, grad_out):
        total += indirect_weight.conv2d_backward_weight_indirect(images, grads, kernel_size=kernel_size, **hyper)
    return total


def _chunk_size(tiles, sums_bytes):
    """Return how many of the tiles to take at a time, so that all chunks have about the same size."""
    most = _LARGE_CHUNK if sums_bytes > _LARGE else _CHUNK
    return -(-tiles // -(-tiles // most))


def _gradient(x, grad_out, chosen, kernel_size, stride, padding, measures):
    """Return `conv2d_backward_weight_winograd` of the ``chosen`` images, right if all of them fit.

    It fills ``measures``, those of x and of grad_out, for the chosen images.
    """
    out_channels, inner, lanes = grad_out.shape[3], x.shape[3], vector_lanes(x.dtype)
    width = nr(x.dtype, out_channels)
    panels = -(-out_channels // width)
    if not (x.size and grad_out.size and len(chosen)):
        for own in measures:
            own.clear()
        return np.zeros((out_channels, inner, *kernel_size), x.dtype)
    pixels = [whole_vectors(maps, lanes) for maps in (x, grad_out)]
    images, grads = (Images(maps, own, chosen) for maps, own in zip(pixels, measures, strict=True))
    form, channels = form_of(kernel_size[0], stride[0]), images.pixels.shape[3]
    down, across = tiles.tiles_along(*grad_out.shape[1:3], len(form.out_step))
    total = len(chosen) * down * across
    rows = -(-channels // MR) * MR  # those after the last channel are sums of what follows, and not read
    area = len(form.points) ** 2
    size = FILTER_AREA * plane(panels * rows * width, lanes)
    apart, ranges = size * x.itemsize <= _SMALL, 1
    at_once = not apart and area * total * (channels + panels * width) * x.itemsize <= _AT_ONCE
    if apart:
        ranges = min(max(_FEWEST_RANGES, _SUMS_BYTES // (size * x.itemsize)), _MOST_RANGES, -(-total // _FEWEST_TILES))
    grid = Grid(
        top=padding[0],
        left=padding[2],
        down=down,
        across=across,
        channels=channels,
        tiles=total if at_once else _chunk_size(-(-total // ranges), size * x.itemsize),
        panels=panels,
        width=width,
        lanes=lanes,
        static_form=form,
    )
    inputs = area * plane(grid.tiles * channels, -(-MR // lanes) * lanes)
    transformed = area * plane(panels * grid.tiles * width, lanes)
    threads = (min(get_num_threads(), ranges),) if apart else ()
    inputs, transformed = (memory.empty((*threads, length), x.dtype) for length in (inputs, transformed))
    grad_weight = memory.empty((out_channels, inner, *kernel_size), x.dtype)
    if at_once:
        scratch = memory.empty((get_num_threads(), FILTER_AREA * plane(_LONG_RUN * width, lanes)), x.dtype)
        offsets = offsets_of(_LONG_RUN, width, width)
        _by_runs(Pairs(images, grads), inputs, transformed, grad_weight, offsets, scratch, grid)
        return grad_weight
    sums = memory.empty((ranges, size), x.dtype)
    offsets = offsets_of(rows, width, width)  # A is packed, so its rows need no offsets
    add_up = _sum_apart if apart else _sum_together
    add_up(Pairs(images, grads), inputs, transformed, sums, offsets, total, grid)
    _transform_sums(sums, grad_weight, rows, grid)
    return grad_weight
