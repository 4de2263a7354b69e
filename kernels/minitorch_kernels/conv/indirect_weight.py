"""The weight gradient of a convolution without an im2col buffer.

A product of images and output gradients on the micro-kernel, as in `indirect`: row = position (u, v, c)
in the kernel, column = output channel, terms = output pixels. There are few rows and columns but very
many terms, so the work is also divided along the terms, into chunks of images that stay in the cache.

From one term to the next, the micro-kernel would jump over all channels of a pixel to another cache line, and lines
that are a power of two apart evict each other from the first-level cache before the next tile reads them. So a task
first packs A, tile by tile, and then B, one panel of gradients after the other; the micro-kernel then reads
contiguous memory.

Where the images have few channels, as in a first layer, each gradient takes part in few products, and reading it
takes most of the time. Then B is not packed: the micro-kernel reads the gradients where they are, all panels of a
pixel one after the other, and prefetches those of the next block meanwhile.

`conv2d_backward_weight_small_cout` is for few filters, which would leave lanes empty. The operands swap roles:
row = output channel, column = element in a row of the window, whose KW * C elements are contiguous.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.borders import pad
from minitorch_kernels.gemm.microkernel import HALF_MR, KC, MR, PrefetchingTile, microkernel_packed_a
from minitorch_kernels.gemm.pack import copy_mr, copy_vector, cut_k_runs, gather_half_mr, gather_mr, whole_tiles
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.jit import compiled
from minitorch_kernels.runtime.parallel import parallel_task
from minitorch_kernels.runtime.simd import VECTOR_BYTES, lanes, nr, sum_dtype
from minitorch_kernels.runtime.threads import parallel_kernel, team_kernel
from minitorch_kernels.runtime.views import flat

_ROW_GROUP = 24 * MR  # kernel positions that one task sums up
_CHUNK_BYTES = 1 << 20  # of images and gradients: they stay in the second-level cache
_NARROW_BYTES = 256  # up to this size, the gradients of the pixels of a block fit the first-level cache unpacked
_GATHER_UNITS = 1.5  # see `small_cout_is_faster`
_TASKS = 16  # with fewer tasks the images are split too; a constant, so that results do not depend on the threads


class Product(NamedTuple):
    """How `_weight_product` reads its operands; all int64."""

    a_step: int  # from one output pixel to the next in a row of A
    b_width: int  # elements of a pixel of B
    per_group: int  # panels of a group of channels
    together: int  # panels of a task
    in_place: int  # 1: B is read where it lies; 0: it is packed
    contiguous: int  # 1: the elements of B that a block reads are contiguous


class Tables(NamedTuple):
    """Where the operands of `_weight_product` lie; arrays of int64."""

    a_row_offsets: np.ndarray
    c_row_offsets: np.ndarray
    k_runs: np.ndarray  # (2, S): offsets of rows of output pixels in A, and their indices or offsets in B
    pixels: np.ndarray  # (S,): index of the first pixel of each run in B
    blocks: np.ndarray  # (B, 3): first run, end of runs, terms of a run
    parts: np.ndarray  # (splits, chunks + 1): the first block of each chunk, and the end
    panels: np.ndarray  # (P, 3): offset in A, first channel in B, columns to write; those of a group side by side


class Block(NamedTuple):
    """The terms of a block, and the rows of A and the panels of B that a task multiplies there; all int64."""

    first_run: int
    end_run: int
    length: int  # terms in a run
    first_row: int
    end_row: int
    first_panel: int
    end_panel: int
    split: int  # which of the sums it adds to
    accumulate: int  # 0 in the first block of a split, which starts the sums; else 1
    prefetch_offset: int  # where the next block begins in B, if that is read where it lies


@compiled
def _adjacent_tiles(a_row_offsets):
    """Return, for each tile, whether its rows read adjacent elements."""
    adjacent = np.ones(len(a_row_offsets) // MR, np.bool_)
    for i in range(len(a_row_offsets)):
        if a_row_offsets[i] != a_row_offsets[i // MR * MR] + i % MR:
            adjacent[i // MR] = False
    return adjacent


@parallel_task
def _chunk_product(first_task, end_task, x, grad_out, sums, zeros, tables, how, adjacent, chunk):
    """Add a chunk of images to the sums; a task is a split of the images, some panels, a group of kernel positions."""
    rows, groups = len(tables.a_row_offsets), sums.shape[1] // how.per_group
    row_groups, shares = -(-rows // _ROW_GROUP), -(-how.per_group // how.together)
    blocks, parts = tables.blocks, tables.parts
    for task in range(first_task, end_task):
        first_row = task % row_groups * _ROW_GROUP
        end_row = min(rows, first_row + _ROW_GROUP)
        share = task // row_groups
        split, group = share // shares // groups, share // shares % groups
        first_panel = group * how.per_group + share % shares * how.together
        packed_a = np.empty(KC * (end_row - first_row), x.dtype)
        packed_b = np.empty(0 if how.in_place else KC * sums.shape[3], x.dtype)
        for b in range(parts[split, chunk], parts[split, chunk + 1]):
            block = Block(
                first_run=blocks[b, 0],
                end_run=blocks[b, 1],
                length=blocks[b, 2],
                first_row=first_row,
                end_row=end_row,
                first_panel=first_panel,
                end_panel=min(first_panel + how.together, (group + 1) * how.per_group),
                split=split,
                accumulate=0 if b == parts[split, 0] else 1,
                prefetch_offset=tables.pixels[blocks[min(b + 1, len(blocks) - 1), 0]] * how.b_width,
            )
            _pack_a(x, packed_a, adjacent, tables, how, block, sums.shape[2])
            _multiply_block(grad_out, packed_a, packed_b, sums, zeros, tables, how, block)


@team_kernel
def _weight_product(team, x, grad_out, sums, zeros, tables, how):
    """Sum up kernel positions over output pixels; sums (splits, panels, K, NR).

    Chunk by chunk of images, small enough to stay in the cache, all tasks (split of the images, some panels
    of output channels, group of kernel positions) run in parallel; each owns its part of ``sums``.
    ``tables`` are `Tables`, ``how`` is a `Product`. x and grad_out change places in
    `conv2d_backward_weight_small_cout`.
    """
    groups, adjacent = sums.shape[1] // how.per_group, _adjacent_tiles(tables.a_row_offsets)
    row_groups, shares = -(-len(tables.a_row_offsets) // _ROW_GROUP), -(-how.per_group // how.together)
    tasks = len(sums) * groups * shares * row_groups
    for chunk in range(tables.parts.shape[1] - 1):
        _chunk_product(team, tasks, (x, grad_out, sums, zeros, tables, how, adjacent, chunk))


@compiled
def _multiply_block(grad_out, packed_a, packed_b, sums, zeros, tables, how, block):
    """Multiply the packed rows of a block by each of its panels of gradients, and add to ``sums``."""
    _, panel_count, k_terms, width = sums.shape
    flat_sums, no_jump = flat(sums), np.zeros((2, 1), np.int64)
    pixels, c_row_offsets, b_runs = tables.pixels, tables.c_row_offsets, no_jump if how.contiguous else tables.k_runs
    count = (block.end_run - block.first_run) * block.length
    tiles = (block.end_panel - block.first_panel) * ((block.end_row - block.first_row) // MR)  # that see this block
    prefetch_step = -(-how.b_width // tiles) if how.in_place else 0  # each of them fetches a part of the next block
    prefetch_offset = block.prefetch_offset if how.in_place else 0
    source = grad_out if how.in_place else packed_b
    for p in range(block.first_panel, block.end_panel):
        channel = tables.panels[p, 1]
        if not how.in_place:
            _pack_b(grad_out, packed_b, pixels, block, channel, how.b_width, tables.panels[p, 2], width)
        b_offset, b_step = (channel, how.b_width) if how.in_place else (0, width)
        if how.contiguous and how.in_place:
            b_offset += pixels[block.first_run] * how.b_width
        a_offset = 0
        for i in range(block.first_row, block.end_row, MR):
            tile = PrefetchingTile(
                row=i,
                first_run=0 if how.contiguous else block.first_run,
                end_run=1 if how.contiguous else block.end_run,
                k_terms=count if how.contiguous else block.length,
                a_offset=a_offset,
                a_step=MR,
                b_offset=b_offset,
                b_step=b_step,
                c_offset=(block.split * panel_count + p) * k_terms * width,
                init_offset=0,
                accumulate=block.accumulate,
                width=width,
                rows=min(MR, k_terms - i),
                prefetch_offset=prefetch_offset,
                prefetch_step=prefetch_step,
            )
            microkernel_packed_a(packed_a, source, flat_sums, zeros, c_row_offsets, c_row_offsets, b_runs, tile)
            prefetch_offset += count * prefetch_step
            a_offset += count * MR


@compiled
def _pack_a(x, packed, adjacent, tables, how, block, rows):
    """Pack the elements of A that a block reads, tile after tile, each (k_terms, MR); ``rows`` excludes padding."""
    tile_size = (block.end_run - block.first_run) * block.length * MR
    a_offset, a_row_offsets = tables.panels[block.first_panel, 0], tables.a_row_offsets
    for s in range(block.first_run, block.end_run):
        for k in range(block.length):
            pixel = tables.k_runs[0, s] + a_offset + k * how.a_step
            target = ((s - block.first_run) * block.length + k) * MR
            for i in range(block.first_row, block.end_row, MR):
                if adjacent[i // MR]:
                    copy_mr(x, pixel + a_row_offsets[i], packed, target)
                elif rows - i <= HALF_MR:
                    gather_half_mr(x, pixel, a_row_offsets, i, packed, target)
                else:
                    gather_mr(x, pixel, a_row_offsets, i, packed, target)
                target += tile_size


@compiled
def _pack_b(grad_out, packed, pixels, block, channel, b_width, valid, width):
    """Pack a panel of a block's gradients, from ``channel`` on; nobody reads the sums of columns after ``valid``."""
    vector = VECTOR_BYTES // grad_out.itemsize
    for s in range(block.first_run, block.end_run):
        for k in range(block.length):
            source = (pixels[s] + k) * b_width + channel
            target = ((s - block.first_run) * block.length + k) * width
            if source + width <= len(grad_out):  # whole vectors, even past the last column
                for j in range(0, width, vector):
                    copy_vector(grad_out, source + j, packed, target + j)
            else:
                for j in range(width):
                    packed[target + j] = grad_out[source + j] if j < valid else 0


@compiled
def _sum_of_splits(sums, panel, row, column):
    """Return an element of the sums (S, P, K, NR), added up over the splits in order."""
    total = sums[0, panel, row, column]
    for s in range(1, len(sums)):
        total += sums[s, panel, row, column]
    return total


@parallel_kernel(tasks=lambda sums: sums.shape[1])
def _unpack_weight(first_task, end_task, sums, grad_weight, columns):
    """Add up the splits of sums (S, G*P, KH*KW*I, NR) into grad_weight (G*columns, I, KH*KW)."""
    width = sums.shape[3]
    _, inner, taps = grad_weight.shape
    panels = -(-columns // width)
    for p in range(first_task, end_task):
        first = p // panels * columns + p % panels * width
        for j in range(min(width, columns - p % panels * width)):
            for i in range(inner):
                for t in range(taps):
                    grad_weight[first + j, i, t] = _sum_of_splits(sums, p, t * inner + i, j)


@lru_cache(maxsize=512)
def _pixel_runs(images, out_size, x_steps, splits, images_per_chunk):
    """Return k_runs (offsets in x and indices of the output pixels), blocks and parts of `_weight_product`.

    ``x_steps`` are the offsets in x from image to image, from output row to row, from column to column.
    """
    (out_height, out_width), (image_step, row_step, column_step) = out_size, x_steps
    bounds = np.linspace(0, images, splits + 1).astype(int)
    chunks = max(1, -(-int(np.diff(bounds).max()) // images_per_chunk))
    all_runs, all_blocks, parts = [], [], np.zeros((splits, chunks + 1), np.int64)
    run_count = block_count = 0
    for split in range(splits):
        parts[split, 0] = block_count
        for chunk in range(chunks):
            first = min(bounds[split] + chunk * images_per_chunk, bounds[split + 1])
            last = min(first + images_per_chunk, bounds[split + 1])
            n, i = np.divmod(np.arange(first * out_height, last * out_height), out_height)
            starts = n * image_step + i * row_step
            k_runs, blocks = cut_k_runs(starts, (n * out_height + i) * out_width, out_width, column_step, 1)
            all_runs.append(k_runs)
            all_blocks.append(blocks + [run_count, run_count, 0])
            run_count += k_runs.shape[1]
            block_count += len(blocks)
            parts[split, chunk + 1] = block_count
    return np.concatenate(all_runs, 1), np.concatenate(all_blocks), parts


@lru_cache(maxsize=512)
def _window_rows(kernel_size, steps, inner, panel):
    """Return where a window's elements and their sums lie, ordered so that most tiles read adjacent elements.

    One instruction copies such a tile; others are gathered. A row of 9 elements gives one tile of 8, and one element.
    """
    taps = [np.arange(size) * step for size, step in zip((*kernel_size, inner), (*steps, 1), strict=True)]
    offsets = sum(np.ix_(*taps)).reshape(-1)
    runs = np.split(np.arange(len(offsets)), np.flatnonzero(np.diff(offsets) != 1) + 1)
    whole = [len(run) // MR * MR for run in runs]
    parts = [run[:end] for run, end in zip(runs, whole, strict=True)]
    order = np.concatenate(parts + [run[end:] for run, end in zip(runs, whole, strict=True)])
    return whole_tiles(offsets[order]), whole_tiles(order * panel)


def small_cout_is_faster(kernel_size, dilation, channels, out_channels, groups, dtype):
    """Return True where tiles of output channels by elements of a window's row take less time than the usual ones.

    The unit of cost is a tile one vector wide. Gathering a tile of A whose elements are not adjacent costs about one
    and a half of these, measured on AVX-512.
    """
    row, count = kernel_size[1] * channels, kernel_size[0]
    if groups > 1 or dilation[1] > 1 or channels * np.dtype(dtype).itemsize > _NARROW_BYTES:
        return False

    def units(rows, columns, gathered):
        width = nr(dtype, columns)
        return -(-rows // MR) * -(-columns // width) * (width // lanes(dtype)) + _GATHER_UNITS * -(-gathered // MR)

    swapped = count * units(out_channels, row, 0) + units(0, row, out_channels % MR)
    return swapped < units(count * row, out_channels, count * (row % MR))


@lru_cache(maxsize=512)
def _swapped_tables(pixel_runs, out_channels, b_step, row_step, kernel_height, per_row, panel):
    """Return the `Tables` of swapped operands; ``pixel_runs`` are the arguments of `_pixel_runs`."""
    (starts, pixels), blocks, parts = _pixel_runs(*pixel_runs)
    k_runs, rows = np.stack([pixels * out_channels, starts]), np.arange(out_channels)
    panels = np.array([(0, u * row_step + p * panel, 0) for u, p in np.ndindex(kernel_height, per_row)])
    return Tables(whole_tiles(rows), whole_tiles(rows * panel), k_runs, starts // b_step, blocks, parts, panels)


def conv2d_backward_weight_small_cout(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of few filters; parameters as `conv2d_backward_weight_indirect`, one group.

    The micro-kernel reads the gradients as A and the images as B.
    """
    (top, bottom, left, right), (images, _, width, channels) = padding, x.shape
    _, out_height, out_width, out_channels = grad_out.shape
    line, row = (left + width + right) * channels, kernel_size[1] * channels
    panel = nr(x.dtype, row)
    per_row = -(-row // panel)
    below = -(-panel // line)  # lines of zeros, as the panels of the last window reach past its image
    padded = pad(x, (top, bottom + below, left, right))
    splits = min(images, _TASKS)
    x_steps, b_step = (padded.shape[1] * line, stride[0] * line, stride[1] * channels), stride[1] * channels
    per_chunk = _images_per_chunk(padded[:, :-below], grad_out)
    pixel_runs, panels = (images, (out_height, out_width), x_steps, splits, per_chunk), kernel_size[0] * per_row
    tables = _swapped_tables(pixel_runs, out_channels, b_step, dilation[0] * line, kernel_size[0], per_row, panel)
    sums = memory.empty((splits, panels, out_channels, panel), padded.dtype)
    how = Product(out_channels, b_step, panels, panels, in_place=1, contiguous=0)
    _weight_product(grad_out.reshape(-1), padded.reshape(-1), sums, np.zeros(panel, padded.dtype), tables, how)
    rows = sums.sum(axis=0).reshape(kernel_size[0], per_row, out_channels, panel).transpose(2, 0, 1, 3)
    rows = rows.reshape(out_channels, kernel_size[0], per_row * panel)[:, :, :row]  # (C_out, KH, KW*C)
    return np.ascontiguousarray(rows.reshape(out_channels, *kernel_size, channels).transpose(0, 3, 1, 2))


def _images_per_chunk(padded, grad_out):
    """Return how many images, with their gradients, stay in the second-level cache, but at least KC output pixels."""
    image_bytes = (padded[0].size + grad_out[0].size) * padded.itemsize
    return max(1, _CHUNK_BYTES // image_bytes, -(-KC // (grad_out.shape[1] * grad_out.shape[2])))


def reads_in_place(columns, out_channels, dtype):
    """Return True where the gradients need not be packed; ``columns`` are the output channels of a group."""
    return columns % nr(dtype, columns) == 0 and out_channels * np.dtype(dtype).itemsize <= _NARROW_BYTES


def conv2d_backward_weight_indirect(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of the filters: the images, cross-correlated with the output's gradient.

    grad_weight[o, c, u, v] = sum over n, i, j of x[n, i*sh + u*dh - top, j*sw + v*dw - left, c] * grad_out[n, i, j, o]

    Parameters
    ----------
    x : ndarray, shape (N, H, W, C_in), C-contiguous, float32, float64 or pairs of bf16 (`conv.bf16`)
    grad_out : ndarray, shape (N, OH, OW, C_out), C-contiguous
    kernel_size : (KH, KW)
    stride, padding, dilation, groups
        As in `indirect.conv2d_forward_indirect`.

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
    padded = pad(x, padding)
    images, height, width, channels = padded.shape
    inner, columns = channels // groups, out_channels // groups
    grad_weight = np.zeros((out_channels, inner, kernel_height * kernel_width), sum_dtype(x.dtype))
    if 0 in (grad_out.size, grad_weight.size):
        return grad_weight.reshape(out_channels, inner, *kernel_size)
    panel, k_terms = nr(x.dtype, columns), kernel_height * kernel_width * inner
    per_group = -(-columns // panel)
    steps = dh * width * channels, dw * channels
    a_row_offsets, c_row_offsets = _window_rows(tuple(kernel_size), steps, inner, panel)
    in_place = reads_in_place(columns, out_channels, x.dtype)
    tasks = groups * -(-len(a_row_offsets) // _ROW_GROUP)
    splits = min(images, max(1, _TASKS // tasks))
    shares = 1 if in_place else min(per_group, -(-_TASKS // (tasks * splits)))  # of a group's panels
    x_steps = height * width * channels, sh * width * channels, sw * channels
    per_chunk = _images_per_chunk(padded, grad_out)
    k_runs, blocks, parts = _pixel_runs(images, (out_height, out_width), x_steps, splits, per_chunk)
    sums = memory.empty((splits, groups * per_group, k_terms, panel), grad_weight.dtype)
    firsts = [(g, first) for g in range(groups) for first in range(0, columns, panel)]
    panels = np.array([(g * inner, g * columns + first, min(panel, columns - first)) for g, first in firsts])
    how = Product(sw * channels, out_channels, per_group, -(-per_group // shares), int(in_place), contiguous=1)
    tables = Tables(a_row_offsets, c_row_offsets, k_runs, k_runs[1], blocks, parts, panels)
    _weight_product(padded.reshape(-1), grad_out.reshape(-1), sums, np.zeros(panel, sums.dtype), tables, how)
    _unpack_weight(sums, grad_weight, columns)
    return grad_weight.reshape(out_channels, inner, *kernel_size)
