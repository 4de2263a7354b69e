"""Tables of what a depthwise convolution reads and writes, region by region, computed once for each shape.

The output is divided into regions whose pixels see the same taps (`borders`). A region whose pixels see three by
three adjacent taps, which with a 3 x 3 filter is nearly the whole output, is computed row by row by `forward3x3`;
every other region in tiles of pixels by `microkernel_depthwise`.
"""

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.borders import grid, input_axes, output_axis, step_between
from minitorch_kernels.conv.depthwise.forward3x3 import PIXELS, TAPS
from minitorch_kernels.gemm.microkernel import MR
from minitorch_kernels.gemm.pack import whole_tiles

_NEAR = 1 << 16  # elements in three input rows of a piece: longer pieces stream better, shorter ones stay in the cache


class FilterPlan(NamedTuple):
    """Offsets of one image, in elements; arrays of int64."""

    rows: np.ndarray  # (P, 5): for each piece of a row, the `Row` of `sliding_window`
    windows: np.ndarray  # (P, 6): the stride, and the `Window`
    a_row_offsets: np.ndarray  # of each other pixel, in whole tiles of pixels of one region
    c_row_offsets: np.ndarray
    k_runs: np.ndarray  # a row of taps each
    tiles: np.ndarray  # (T, 5): first and end of its runs, taps in a row, steps from tap to tap in a and in filters


class SumPlan(NamedTuple):
    """Offsets of one image, in elements: rows of regions in pieces."""

    tap_rows: np.ndarray  # offsets in x of the taps of each region, in whole tiles
    sum_rows: np.ndarray
    k_runs: np.ndarray  # a row of output pixels each
    pieces: np.ndarray  # (P, 5): first and end of its taps, first and end of its runs, pixels in a row


class RowSumPlan(NamedTuple):
    """Offsets of one image, in elements, of each row of outputs: what `sliding_sums` takes."""

    rows: np.ndarray  # (OH, 6): the `SumRow`
    x_rows: np.ndarray  # (OH, TAPS)
    row_sums: np.ndarray  # (OH, TAPS): those of a row of taps outside the image lie after the others


class _Region(NamedTuple):
    """Pixels that see the same taps; ``rows`` and ``columns`` are (axis, indices, [(tap, shift)]) each."""

    rows: tuple
    columns: tuple
    line: int  # pixels in a row of the array that is read
    out_line: int  # pixels in a row of the array that is written

    def outputs(self):
        (rows, i, _), (columns, j, _) = self.rows, self.columns
        return grid((rows.first + i * rows.step) * self.out_line, columns.first + j * columns.step)

    def inputs(self):
        """Return the pixels that a tap of shift 0 would see."""
        (rows, i, _), (columns, j, _) = self.rows, self.columns
        return grid(i * rows.source_step * self.line, j * columns.source_step)

    def slides(self):
        """Return whether the region runs in rows."""
        (_, _, row_taps), (columns, j, taps) = self.rows, self.columns
        side_by_side = step_between([shift for _, shift in taps]) == 1 and columns.source_step in (1, 2)
        return len(row_taps) == len(taps) == TAPS and side_by_side and len(j) >= PIXELS


def _regions(row_axes, column_axes, line, out_line):
    """Return all regions, and whether every pixel is in one: one that sees no tap is not."""
    found, whole = [], True
    for rows, columns in itertools.product(row_axes, column_axes):
        for (top, bottom, row_taps), (left, right, taps) in itertools.product(rows.regions(), columns.regions()):
            if row_taps and taps:
                places = np.arange(top, bottom), np.arange(left, right)
                found.append(_Region((rows, places[0], row_taps), (columns, places[1], taps), line, out_line))
            whole &= bool(row_taps and taps)
    return found, whole


def _filter_plan(row_axes, column_axes, line, out_line, channels, kernel_width):
    row_table, windows, a_row_offsets, c_row_offsets, k_runs, tiles = [], [], [], [], [], []
    found, whole = _regions(row_axes, column_axes, line, out_line)
    for region in found:
        (rows, i, row_taps), (columns, j, taps) = region.rows, region.columns
        (first_row, first_shift), (row_step, row_shift) = row_taps[0], map(step_between, zip(*row_taps, strict=True))
        (first_tap, tap_shift), (step, shift) = taps[0], map(step_between, zip(*taps, strict=True))
        if region.slides():
            corner, ahead = first_shift * line + tap_shift, (rows.source_step * line, rows.step * out_line)
            inputs, outputs = (pixels.reshape(len(i), len(j)) for pixels in (region.inputs(), region.outputs()))
            piece = _piece(channels, columns.source_step)
            for k, left in itertools.product(range(len(i)), range(0, len(j), piece)):
                left = min(left, len(j) - PIXELS)
                row_table.append((inputs[k, left] + corner, outputs[k, left], min(piece, len(j) - left), *ahead))
                weights = first_row * kernel_width + first_tap, row_step * kernel_width, step
                windows.append((columns.source_step, row_shift * line, *weights, columns.step))
        else:
            a_row_offsets.append(whole_tiles(region.inputs() * channels))
            c_row_offsets.append(whole_tiles(region.outputs() * channels))
            begin = len(k_runs)
            k_runs += [((shift * line + tap_shift), u * kernel_width + first_tap) for u, shift in row_taps]
            tile = (begin, len(k_runs), len(taps), shift * channels, step * channels)
            tiles += [tile] * (len(a_row_offsets[-1]) // MR)
    plan = FilterPlan(
        _table(row_table, 5) * [channels, channels, 1, channels, channels],
        _table(windows, 6) * [1, *[channels] * 5],
        *(np.concatenate([*table, np.zeros(0, np.int64)]) for table in (a_row_offsets, c_row_offsets)),
        np.ascontiguousarray(_table(k_runs, 2).T * channels),
        _table(tiles, 5),
    )
    return plan, whole


def _piece(channels, stride):
    """Return the outputs in a row whose inputs are near enough, but never so few that loading the weights matters."""
    seen = _NEAR // channels // TAPS  # inputs in a row
    return max(2, (seen - TAPS) // stride // PIXELS) * PIXELS


def _table(rows, width):
    return np.array(rows, np.int64).reshape(-1, width)


@lru_cache(maxsize=256)
def forward_plan(size, out_size, channels, kernel_size, stride, padding, dilation):
    """Return the plan of a forward pass, and whether every output sees a tap; parameters as in `indirect`."""
    rows, columns = _output_axes(size, out_size, kernel_size, stride, padding, dilation)
    return _filter_plan([rows], [columns], size[1], out_size[1], channels, kernel_size[1])


@lru_cache(maxsize=256)
def input_plan(size, out_size, channels, kernel_size, stride, padding, dilation):
    """Return the plan of an input gradient, and whether every input sees a tap."""
    axes = (input_axes(out_size[k], size[k], kernel_size[k], stride[k], padding[2 * k], dilation[k]) for k in (0, 1))
    return _filter_plan(*axes, out_size[1], size[1], channels, kernel_size[1])


@lru_cache(maxsize=256)
def weight_plan(size, out_size, channels, kernel_size, stride, padding, dilation, panel, together):
    """Return the plan of a weight gradient, in pieces of ``together`` rows."""
    rows, columns = _output_axes(size, out_size, kernel_size, stride, padding, dilation)
    tap_rows, sum_rows, k_runs, pieces = [], [], [], []
    for region in _regions([rows], [columns], size[1], out_size[1])[0]:
        (_, i, row_taps), (_, j, taps) = region.rows, region.columns
        shifts = grid([shift * size[1] for _, shift in row_taps], [shift for _, shift in taps])
        places = grid([u * kernel_size[1] for u, _ in row_taps], [v for v, _ in taps])
        begin = sum(map(len, tap_rows))
        tap_rows.append(whole_tiles(shifts * channels))
        sum_rows.append(whole_tiles(places * panel))
        for first in range(0, len(i), together):
            piece = i[first : first + together]
            ends = len(k_runs), len(k_runs) + len(piece)
            k_runs += [(k * stride[0] * size[1] + j[0] * stride[1], k * out_size[1] + j[0]) for k in piece]
            pieces.append((begin, begin + len(tap_rows[-1]), *ends, len(j)))
    return SumPlan(
        *(np.concatenate([*table, np.zeros(0, np.int64)]) for table in (tap_rows, sum_rows)),
        np.ascontiguousarray(_table(k_runs, 2).T * channels),
        _table(pieces, 5),
    )


@lru_cache(maxsize=256)
def row_sum_plan(size, out_size, channels, kernel_size, stride, padding, dilation, lanes):
    """Return the plan of a weight gradient with nine taps, row by row; None where it needs `weight_plan`."""
    if kernel_size != (TAPS, TAPS) or dilation[1] != 1 or stride[1] not in (1, 2):
        return None
    rows, columns = _output_axes(size, out_size, kernel_size, stride, padding, dilation)
    seen = [(first, end, [v for v, _ in taps]) for first, end, taps in columns.regions()]
    (begin, end, _) = next((run for run in seen if run[2] == [0, 1, 2]), (0, 0, None))
    ends = {(begin - 1, begin): [1, 2], (end, end + 1): [0, 1]}
    if begin == end or any(ends.get(run[:2]) != run[2] for run in seen if run[:2] != (begin, end)):
        return None
    i = np.arange(rows.count)
    x_rows = i[:, None] * stride[0] + [shift for _, shift in rows.taps]
    outside = (x_rows < 0) | (x_rows >= size[0])
    corner = begin * stride[1] + columns.taps[0][1]
    ahead = stride[0] * size[1] * channels, out_size[1] * channels
    counts = end - begin, begin > 0, end < columns.count, *ahead
    places = np.column_stack([(i * out_size[1] + begin) * channels, np.tile(np.int64(counts), (len(i), 1))])
    return RowSumPlan(
        places,
        (x_rows.clip(0, size[0] - 1) * size[1] + corner) * channels,
        np.where(outside, TAPS, np.arange(TAPS)) * TAPS * lanes,
    )


def _output_axes(size, out_size, kernel_size, stride, padding, dilation):
    return (output_axis(out_size[k], size[k], kernel_size[k], stride[k], padding[2 * k], dilation[k]) for k in (0, 1))
