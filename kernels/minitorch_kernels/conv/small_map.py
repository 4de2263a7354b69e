"""Convolution of maps so small that most of each window lies in the padding.

With 3 x 3 filters and padding 1 on a map of 2 x 2 pixels, a window has 9 pixels, and only 4 of them are inside. All
other products are with zeros. So each output pixel has a matrix product of its own here, with those taps alone that
meet a pixel of the map: 16 multiplications of a channel and a filter instead of 36. The gradient of the images likewise
has a matrix product for each of their pixels, and the gradient of the filters one for each tap.

Only for few pixels: each product packs the weights of its taps, and the products follow one another.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv.borders import output_size
from minitorch_kernels.conv.indirect import multiply_windows, pixel_offsets
from minitorch_kernels.conv.winograd import correlate as winograd
from minitorch_kernels.conv.winograd import tiles
from minitorch_kernels.gemm.matmul import matmul
from minitorch_kernels.runtime import memory
from minitorch_kernels.runtime.chunks import chunk_bounds
from minitorch_kernels.runtime.simd import lanes as vector_lanes
from minitorch_kernels.runtime.threads import parallel_kernel
from minitorch_kernels.runtime.transpose import transpose
from minitorch_kernels.runtime.views import flat

_MOST_PIXELS = 9  # of the images and of the output
_FEWEST_CHANNELS = 64  # on both sides
_FEWEST_IMAGES = 64  # with fewer, packing the weights takes longer than the saved products
_RUNS = 16  # parts of the filters whose taps are brought side by side in parallel


class Link(NamedTuple):
    """A pixel of the output and one of the images that a tap connects: their indices along one axis."""

    tap: int
    output: int
    input: int


@lru_cache(maxsize=256)
def links_inside(size, out_size, kernel, stride, before, dilation):
    """Return every `Link` along one axis whose input lies inside; ``before`` is the padding before the first pixel."""
    found = []
    for i in range(out_size):
        for u in range(kernel):
            h = i * stride + u * dilation - before
            if 0 <= h < size:
                found.append(Link(u, i, h))
    return tuple(found)


def is_faster(problem):
    """Return True where forward and input gradient of a `selection.Problem` take less time than all other algorithms.

    Less than half of the definition's multiplications have to be left, and fewer than Winograd's. Measured on AVX-512
    with 128 images of 2 x 2 pixels, 512 channels and filters: 1.5 to 1.9 times as fast as the indirect algorithm.
    """
    few = max(np.prod(problem.input_size), np.prod(problem.output_size)) <= _MOST_PIXELS
    many = min(problem.in_channels, problem.out_channels) >= _FEWEST_CHANNELS and problem.block >= _FEWEST_IMAGES
    if not (few and many):
        return False
    rows, columns = _axes_of(problem)
    everything = np.prod(problem.output_size) * np.prod(problem.kernel_size)
    if winograd.supports(problem.kernel_size, problem.stride, problem.dilation, problem.groups):
        patches = tiles.tiles_of(*problem.output_size, problem.kernel_size[0])
        everything = min(everything, 2 * tiles.POINTS[problem.stride[0]] ** 2 * patches)
    return 0 < 2 * len(rows) * len(columns) <= everything


def weight_is_faster(problem):
    """Return True where the weight gradient is faster, too: if no tap lies in the padding of all windows."""
    if not is_faster(problem):
        return False
    axes = zip(_axes_of(problem), problem.kernel_size, strict=True)
    return all(len({link.tap for link in links}) == taps for links, taps in axes)


def _axes_of(problem):
    sizes = problem.input_size, problem.output_size, problem.kernel_size
    return _axes(*sizes, problem.stride, problem.padding, problem.dilation)


def _axes(input_size, output_size, kernel_size, stride, padding, dilation):
    """Return the `links_inside` of both axes."""
    before = padding[0], padding[2]
    axes = zip(input_size, output_size, kernel_size, stride, before, dilation, strict=True)
    return [links_inside(*axis) for axis in axes]


def _products(rows, columns, at):
    """Return {(row, column): links of both axes} for each pixel of the output or the input; ``at`` names which."""
    found = {}
    for row in rows:
        for column in columns:
            found.setdefault((getattr(row, at), getattr(column, at)), []).append((row, column))
    return found


def _multiply_pixels(a, weight, bias, out, products, other, relu):
    """Compute ``out`` pixel by pixel from the pixels of ``a`` that its taps meet; ``other`` names their indices."""
    images, height, width, channels = a.shape
    _, out_height, out_width, out_channels = out.shape
    for (i, j), links in products.items():
        taps = [(row.tap, column.tap) for row, column in links]
        starts = [(getattr(row, other) * width + getattr(column, other)) * channels for row, column in links]
        a_rows = pixel_offsets(images, 1, 1, height * width * channels, 0, 0)
        at = (i * out_width + j) * out_channels
        out_rows = pixel_offsets(images, 1, 1, out_height * out_width * out_channels, 0, 0, at)
        multiply_windows(a, weight[None], taps, starts, bias, out, a_rows, out_rows, relu=relu)


def conv2d_forward_small_map(x, weight, bias=None, *, stride, padding, dilation, groups, relu=False):
    """Cross-correlate images with filters; see `indirect.conv2d_forward_indirect`. There is one group.

    Notes
    -----
    Cost: 2*N*C_in*C_out flop for each pair of an output pixel and an input pixel that a tap connects.
    """
    out_size = output_size(x.shape[1:3], weight.shape[2:], stride, padding, dilation)
    out = memory.empty((len(x), *out_size, len(weight)), x.dtype)
    products = _products(*_axes(x.shape[1:3], out_size, weight.shape[2:], stride, padding, dilation), "output")
    if len(products) < out_size[0] * out_size[1]:  # some windows lie in the padding
        out[...] = 0 if bias is None else np.maximum(bias, 0) if relu else bias
    _multiply_pixels(x, weight, bias, out, products, "input", relu)
    return out


def conv2d_backward_input_small_map(grad_out, weight, *, input_size, stride, padding, dilation, groups):
    """Return the gradient of the images; see `indirect.conv2d_backward_input_indirect`. There is one group.

    Notes
    -----
    Cost: as forward.
    """
    grad_x = memory.empty((len(grad_out), *input_size, weight.shape[1]), grad_out.dtype)
    axes = _axes(input_size, grad_out.shape[1:3], weight.shape[2:], stride, padding, dilation)
    products = _products(*axes, "input")
    if len(products) < input_size[0] * input_size[1]:  # no window covers some of the pixels
        grad_x[...] = 0
    _multiply_pixels(grad_out, weight.swapaxes(0, 1), None, grad_x, products, "output", False)
    return grad_x


@parallel_kernel(tasks=lambda: _RUNS)
def _side_by_side(first_task, end_task, of_taps, grad_weight, lanes):
    """Copy the gradients of taps (T, C_out * C_in) into grad_weight (C_out * C_in, T)."""
    taps, count = of_taps.shape
    for task in range(first_task, end_task):
        begin, end = chunk_bounds(task, _RUNS, count)
        transpose(flat(of_taps), begin, count, (taps, end - begin), flat(grad_weight), begin * taps, taps, lanes)


def conv2d_backward_weight_small_map(x, grad_out, *, kernel_size, stride, padding, dilation, groups):
    """Return the gradient of the filters; see `indirect_weight.conv2d_backward_weight_indirect`. There is one group.

    Notes
    -----
    Cost: as forward.
    """
    channels, filters = x.shape[3], grad_out.shape[3]
    rows, columns = _axes(x.shape[1:3], grad_out.shape[1:3], kernel_size, stride, padding, dilation)
    of_taps = memory.empty((kernel_size[0] * kernel_size[1], filters * channels), x.dtype)
    products = _products(rows, columns, "tap")
    if len(products) < len(of_taps):  # some taps meet no pixel
        of_taps[...] = 0
    for (u, v), links in products.items():
        grads = np.concatenate([grad_out[:, row.output, column.output] for row, column in links])
        images = np.concatenate([x[:, row.input, column.input] for row, column in links])
        of_taps[u * kernel_size[1] + v] = matmul(grads.T, images).reshape(-1)
    grad_weight = memory.empty((filters * channels, len(of_taps)), x.dtype)
    _side_by_side(of_taps, grad_weight, vector_lanes(x.dtype))
    return grad_weight.reshape(filters, channels, *kernel_size)
