"""The weight gradient of a convolution without an im2col buffer.

A product of images and output gradients on the register tile, as in `direct`: row = position (u, v, c)
in the kernel, column = output channel, terms = output pixels. There are few rows and columns and very
many terms, so the work is also cut along the terms: chunks of images that stay in the cache.

From pixel to pixel the tile would jump by all channels, to another cache line for every term, and lines
that lie a power of two apart fall out of the first-level cache before the next tile comes. So a task first
copies what its rows see in a block of terms, tile by tile, and then a panel of gradients after the other: the
tile reads number after number.

Where the images have few channels, as in a first layer, a gradient read from memory takes part in so
few products that reading is what takes the time. Then the tile reads the gradients where they are, all
panels of a pixel one after the other, and fetches those of the next block while it adds up this one.

Where the filters are few too (six in LeNet-5), they would leave lanes empty, and the two change places:
row = output channel, column = number in a row of the window, of which KW * C lie side by side.
"""

from functools import lru_cache

import numpy as np

from minitorch_kernels.conv.depthwise import depthwise
from minitorch_kernels.conv.indirect import pad
from minitorch_kernels.gemm.matmul import cut_segments, whole_tiles
from minitorch_kernels.gemm.microkernel import (
    BLOCK,
    HALF,
    ROWS,
    adjacent_tile,
    copy_rows,
    copy_vector,
    gather_half,
    gather_rows,
    half_tile,
)
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import helper
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.simd import VECTOR_BYTES, panel_width
from minitorch_kernels.runtime.threads import parallel_kernel, team_kernel

__all__ = ["conv2d_backward_weight_direct"]

_ROW_GROUP = 24 * ROWS  # kernel positions that one task sums up
_CHUNK_BYTES = 1 << 20  # images and gradients that shall stay in the second-level cache
_NARROW_BYTES = 256  # gradients of a pixel up to here lie close enough together for the first-level cache
_TASKS = 16  # below this the images are split too, whatever the number of threads


@parallel_task
def _chunk_product(
    first_task,
    end_task,
    x,
    grad_out,
    sums,
    zeros,
    a_rows,
    c_rows,
    segments,
    pixels,
    blocks,
    parts,
    panels,
    numbers,
    adjacent,
    chunk,
):
    """Add a chunk of images to the sums; a task is a split of the images, some panels, a group of kernel positions."""
    a_step, out_channels, per_group, together, in_place, dense = numbers
    _, panel_count, terms, width = sums.shape
    rows, groups = len(a_rows), panel_count // per_group
    row_groups, shares = -(-rows // _ROW_GROUP), -(-per_group // together)
    flat, no_jump = sums.reshape(-1), np.zeros((2, 1), np.int64)
    b_segments = no_jump if dense else segments
    for task in range(first_task, end_task):
        first_row = task % row_groups * _ROW_GROUP
        last_row = min(rows, first_row + _ROW_GROUP)
        share = task // row_groups
        split, group = share // shares // groups, share // shares % groups
        first_panel = group * per_group + share % shares * together
        last_panel = min(first_panel + together, (group + 1) * per_group)
        tiles = (last_panel - first_panel) * ((last_row - first_row) // ROWS)  # that see a block
        fetch_step = -(-out_channels // tiles) if in_place else 0
        copied_rows = np.empty(BLOCK * (last_row - first_row), x.dtype)
        copied_panel = np.empty(0 if in_place else BLOCK * width, x.dtype)
        source = grad_out if in_place else copied_panel
        for block in range(parts[split, chunk], parts[split, chunk + 1]):
            begin, end, length = blocks[block]
            count = (end - begin) * length
            run = (0, 1, count) if dense else (begin, end, length)
            seen = (begin, end, length, panels[first_panel, 0], a_step, terms)
            _copy_rows(x, copied_rows, a_rows, adjacent, first_row, last_row, segments, seen)
            fetch = pixels[blocks[min(block + 1, len(blocks) - 1), 0]] * out_channels if in_place else 0
            go_on = 0 if block == parts[split, 0] else 1
            for p in range(first_panel, last_panel):
                _, channel, valid = panels[p]
                if not in_place:
                    _copy_panel(grad_out, source, pixels, begin, end, length, channel, out_channels, valid, width)
                b_offset, b_step = (channel, out_channels) if in_place else (0, width)
                if dense and in_place:
                    b_offset += pixels[begin] * out_channels
                c_offset, a_offset = (split * panel_count + p) * terms * width, 0
                for i in range(first_row, last_row, ROWS):
                    place = (a_offset, ROWS, b_offset, b_step, c_offset, 0, go_on, width)
                    call = (i, *run, *place, fetch, fetch_step)
                    if terms - i > HALF:
                        adjacent_tile(copied_rows, source, flat, zeros, a_rows, c_rows, b_segments, call)
                    else:
                        half_tile(copied_rows, source, flat, zeros, a_rows, c_rows, b_segments, call)
                    fetch += count * fetch_step
                    a_offset += count * ROWS


@team_kernel
def _weight_product(team, x, grad_out, sums, zeros, a_rows, c_rows, segments, pixels, blocks, parts, panels, numbers):
    """Sum up kernel positions over output pixels; sums (splits, panels, K, width).

    Chunk by chunk of images, small enough to stay in the cache, all tasks (split of the images, some panels
    of output channels, group of kernel positions) run in parallel; each owns its part of ``sums``.
    ``parts`` (splits, chunks + 1) gives the blocks of each chunk; ``panels`` those of a group side by side, of
    which a task has ``together``. With ``in_place`` gradients are not copied; ``dense`` if those of a block lie
    side by side. x and grad_out change places where the caller plans it so, see `_few_filters`.
    """
    _, _, per_group, together, _, _ = numbers
    splits, panel_count, _, _ = sums.shape
    rows, groups = len(a_rows), panel_count // per_group
    tasks = splits * groups * -(-per_group // together) * -(-rows // _ROW_GROUP)
    adjacent = np.ones(rows // ROWS, np.bool_)  # tiles whose rows see numbers side by side
    for i in range(rows):
        if a_rows[i] != a_rows[i // ROWS * ROWS] + i % ROWS:
            adjacent[i // ROWS] = False
    tables = x, grad_out, sums, zeros, a_rows, c_rows, segments, pixels, blocks, parts, panels, numbers, adjacent
    for chunk in range(parts.shape[1] - 1):
        _chunk_product(team, tasks, (*tables, chunk))


@helper
def _copy_rows(x, copy, a_rows, adjacent, first_row, last_row, segments, seen):
    """Copy what some rows see in a block, tile after tile, each (terms, ROWS)."""
    begin, end, length, a_offset, a_step, terms = seen
    tile_size = (end - begin) * length * ROWS
    for s in range(begin, end):
        for k in range(length):
            pixel, target = segments[0, s] + a_offset + k * a_step, ((s - begin) * length + k) * ROWS
            for i in range(first_row, last_row, ROWS):
                if adjacent[i // ROWS]:
                    copy_rows(x, pixel + a_rows[i], copy, target)
                elif terms - i <= HALF:
                    gather_half(x, pixel, a_rows, i, copy, target)
                else:
                    gather_rows(x, pixel, a_rows, i, copy, target)
                target += tile_size


@helper
def _copy_panel(grad_out, copy, pixels, begin, end, length, channel, out_channels, valid, width):
    """Copy a panel of a block's gradients side by side, for all tiles to come."""
    vector = VECTOR_BYTES // grad_out.itemsize
    for s in range(begin, end):
        for k in range(length):
            source, target = (pixels[s] + k) * out_channels + channel, ((s - begin) * length + k) * width
            if valid == width:
                for j in range(0, width, vector):
                    copy_vector(grad_out, source + j, copy, target + j)
            else:
                for j in range(width):
                    copy[target + j] = grad_out[source + j] if j < valid else 0


@parallel_kernel(tasks=lambda sums: sums.shape[1])
def _unpack_weight(first_task, end_task, sums, grad_weight, columns):
    """Add up the splits of sums (S, G*P, KH*KW*I, width) into grad_weight (G*columns, I, KH*KW)."""
    splits, all_panels, _, width = sums.shape
    _, inner, taps = grad_weight.shape
    panels = -(-columns // width)
    for p in range(first_task, end_task):
        first = p // panels * columns + p % panels * width
        for j in range(min(width, columns - p % panels * width)):
            for i in range(inner):
                for t in range(taps):
                    total = sums[0, p, t * inner + i, j]
                    for s in range(1, splits):
                        total += sums[s, p, t * inner + i, j]
                    grad_weight[first + j, i, t] = total


@lru_cache(maxsize=512)
def _pixel_segments(images, out_size, x_steps, splits, images_per_chunk):
    """Return segments (offsets in x and numbers of the output pixels), blocks and parts of `_weight_product`.

    ``x_steps`` are the offsets in x from image to image, from output row to row, from column to column.
    """
    (out_height, out_width), (image_step, row_step, column_step) = out_size, x_steps
    bounds = np.linspace(0, images, splits + 1).astype(int)
    chunks = max(1, -(-int(np.diff(bounds).max()) // images_per_chunk))
    all_segments, all_blocks, parts = [], [], np.zeros((splits, chunks + 1), np.int64)
    segment_count = block_count = 0
    for split in range(splits):
        parts[split, 0] = block_count
        for chunk in range(chunks):
            first = min(bounds[split] + chunk * images_per_chunk, bounds[split + 1])
            last = min(first + images_per_chunk, bounds[split + 1])
            n, i = np.divmod(np.arange(first * out_height, last * out_height), out_height)
            starts = n * image_step + i * row_step
            segments, blocks = cut_segments(starts, (n * out_height + i) * out_width, out_width, column_step, 1)
            all_segments.append(segments)
            all_blocks.append(blocks + [segment_count, segment_count, 0])
            segment_count += segments.shape[1]
            block_count += len(blocks)
            parts[split, chunk + 1] = block_count
    return np.concatenate(all_segments, 1), np.concatenate(all_blocks), parts


def _adjacent_first(offsets):
    """Return the order in which as many tiles as can be have rows that see numbers side by side.

    Such rows are copied by one instruction, others number by number. With 3 channels a row of the window
    has 9 numbers: one tile, and one number that the last tile gathers.
    """
    runs = np.split(np.arange(len(offsets)), np.flatnonzero(np.diff(offsets) != 1) + 1)
    whole = [len(run) // ROWS * ROWS for run in runs]
    parts = [run[:end] for run, end in zip(runs, whole, strict=True)]
    return np.concatenate(parts + [run[end:] for run, end in zip(runs, whole, strict=True)])


def _few_filters_pay(kernel_size, dilation, channels, out_channels, groups, dtype):
    """Return True where tiles of output channels by numbers of a window's row are fewer than the other way round."""
    row = kernel_size[1] * channels
    if groups > 1 or dilation[1] > 1 or channels * np.dtype(dtype).itemsize > _NARROW_BYTES:
        return False

    def tiles(rows, columns):
        return -(-rows // ROWS) * -(-columns // panel_width(dtype, columns))

    return kernel_size[0] * tiles(out_channels, row) < tiles(kernel_size[0] * row, out_channels)


def _few_filters(padded, grad_out, kernel_size, stride, dilation):
    """Return the gradient of few filters, (C_out, C_in, KH, KW); the tile reads the gradients as A, the images as B."""
    images, height, width, channels = padded.shape
    _, out_height, out_width, out_channels = grad_out.shape
    line, row = width * channels, kernel_size[1] * channels
    panel = panel_width(padded.dtype, row)
    per_row = -(-row // panel)
    readable = memory.empty((padded.size + panel,), padded.dtype)  # the last window's panels end behind the images
    readable[: padded.size], readable[padded.size :] = padded.reshape(-1), 0
    splits = min(images, _TASKS)
    x_steps, b_step = (height * line, stride[0] * line, stride[1] * channels), stride[1] * channels
    image_bytes = (padded[0].size + grad_out[0].size) * padded.itemsize
    per_chunk = max(1, _CHUNK_BYTES // image_bytes, -(-BLOCK // (out_height * out_width)))
    (starts, pixels), blocks, parts = _pixel_segments(images, (out_height, out_width), x_steps, splits, per_chunk)
    segments = np.stack([pixels * out_channels, starts])
    panels = np.array(
        [(0, u * dilation[0] * line + p * panel, 0) for u in range(kernel_size[0]) for p in range(per_row)]
    )
    a_rows, c_rows = whole_tiles(np.arange(out_channels)), whole_tiles(np.arange(out_channels) * panel)
    sums = memory.empty((splits, len(panels), out_channels, panel), padded.dtype)
    numbers = (out_channels, b_step, len(panels), len(panels), True, False)
    arrays = grad_out.reshape(-1), readable, sums, np.zeros(panel, padded.dtype)
    _weight_product(*arrays, a_rows, c_rows, segments, starts // b_step, blocks, parts, panels, numbers)
    rows = sums.sum(axis=0).reshape(kernel_size[0], per_row, out_channels, panel).transpose(2, 0, 1, 3)
    rows = rows.reshape(out_channels, kernel_size[0], per_row * panel)[:, :, :row]
    return np.ascontiguousarray(rows.reshape(out_channels, *kernel_size, channels).transpose(0, 3, 1, 2))


def conv2d_backward_weight_direct(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of the filters: the images, cross-correlated with the output's gradient.

    grad_weight[o, c, u, v] = sum over n, i, j of x[n, i*sh + u*dh - top, j*sw + v*dw - left, c] * grad_out[n, i, j, o]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32 or float64
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous
    kernel_size : (KH, KW)
    stride, padding, dilation, groups
        As in `conv2d_forward_direct`.

    Returns
    -------
    ndarray, shape (C_out, C_in/groups, KH, KW)

    Notes
    -----
    Cost: as forward. Parallel over panels of output channels, groups of kernel positions and, where
    these are few, a number of image ranges that the shapes alone decide.
    """
    (sh, sw), (dh, dw), (kernel_height, kernel_width) = stride, dilation, kernel_size
    _, out_height, out_width, out_channels = grad_out.shape
    if grad_out.size and depthwise.fits(x.shape[3], out_channels, groups, x.dtype):
        around = {"stride": stride, "padding": padding, "dilation": dilation}
        return depthwise.backward_weight(x, grad_out, kernel_size, **around)
    padded = pad(x, padding)
    images, height, width, channels = padded.shape
    inner, columns = channels // groups, out_channels // groups
    if 0 not in (grad_out.size, padded.size) and _few_filters_pay(
        kernel_size, dilation, channels, out_channels, groups, x.dtype
    ):
        return _few_filters(padded, grad_out, kernel_size, stride, dilation)
    grad_weight = np.zeros((out_channels, inner, kernel_height * kernel_width), x.dtype)
    if 0 not in (grad_out.size, grad_weight.size):
        panel, terms = panel_width(x.dtype, columns), kernel_height * kernel_width * inner
        per_group = -(-columns // panel)
        u, v, c = np.ogrid[:kernel_height, :kernel_width, :inner]
        taps = ((u * dh * width + v * dw) * channels + c).reshape(-1)
        order = _adjacent_first(taps)
        a_rows, c_rows = whole_tiles(taps[order]), whole_tiles(order * panel)
        in_place = columns % panel == 0 and out_channels * x.itemsize <= _NARROW_BYTES
        tasks = groups * -(-len(a_rows) // _ROW_GROUP)
        splits = min(images, max(1, _TASKS // tasks))
        shares = 1 if in_place else min(per_group, -(-_TASKS // (tasks * splits)))  # of a group's panels
        image_bytes = (padded[0].size + grad_out[0].size) * x.itemsize
        per_chunk = max(1, _CHUNK_BYTES // image_bytes, -(-BLOCK // (out_height * out_width)))
        x_steps = height * width * channels, sh * width * channels, sw * channels
        segments, blocks, parts = _pixel_segments(images, (out_height, out_width), x_steps, splits, per_chunk)
        sums = memory.empty((splits, groups * per_group, terms, panel), x.dtype)
        places = [(g, first) for g in range(groups) for first in range(0, columns, panel)]
        panels = np.array([(g * inner, g * columns + first, min(panel, columns - first)) for g, first in places])
        numbers = (sw * channels, out_channels, per_group, -(-per_group // shares), in_place, True)
        arrays = padded.reshape(-1), grad_out.reshape(-1), sums, np.zeros(panel, x.dtype)
        _weight_product(*arrays, a_rows, c_rows, segments, segments[1], blocks, parts, panels, numbers)
        _unpack_weight(sums, grad_weight, columns)
    return grad_weight.reshape(out_channels, inner, *kernel_size)
