"""Which algorithm computes a convolution: one table, read from the top.

A row says what it supports and where it is faster than all rows below it. For each of the three products, `choose`
takes the first row that has a function for it, supports the problem and is faster. The rows of the family "direct"
differ in which dimension fills the lanes of a vector register; one of them leaves out the products with the padding.
The results of all rows agree up to rounding.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from minitorch_kernels.conv import bf16, empty, im2col, indirect, indirect_weight, small_cin, small_cout, small_map
from minitorch_kernels.conv.depthwise import depthwise
from minitorch_kernels.conv.winograd import correlate as winograd
from minitorch_kernels.conv.winograd import outliers
from minitorch_kernels.conv.winograd import panels as winograd_panels
from minitorch_kernels.conv.winograd import tiles as winograd_tiles
from minitorch_kernels.conv.winograd import weight as winograd_weight
from minitorch_kernels.runtime import simd

PRODUCTS = ("forward", "backward_input", "backward_weight")
_BF16_PRODUCTS = 16  # that a rounded element has to take part in, measured on AVX-512


class Problem(NamedTuple):
    """A convolution, as far as the choice of its algorithm depends on it."""

    images: int  # N
    block: int  # images that a sum over images adds up at once; what changes bits must depend on this alone
    in_channels: int
    out_channels: int
    input_size: tuple  # (H, W)
    output_size: tuple  # (OH, OW)
    kernel_size: tuple  # (KH, KW)
    stride: tuple
    padding: tuple  # (top, bottom, left, right)
    dilation: tuple
    groups: int
    dtype: np.dtype
    precision: str = "float32"  # of the products, see `runtime.precision`

    def empty(self):
        """Return True where the output or the input has no elements."""
        return 0 in (self.images, self.in_channels, self.out_channels, *self.input_size, *self.output_size)


class Row(NamedTuple):
    """An algorithm of the table; a function that it does not have is None. The functions take channels-last arrays.

    With ``relu=True``, ``forward`` returns max(out, 0), in most rows without a further pass over memory.
    """

    name: str
    family: str  # what users type
    supports: Callable[[Problem], bool]
    is_faster: Callable[[Problem], bool]
    reason: str  # why it is faster where it is
    forward: Callable | None = None
    backward_input: Callable | None = None
    backward_weight: Callable | None = None


class Chosen(NamedTuple):
    """The algorithm of one product of a convolution, the reason for the choice, and the function that computes it."""

    name: str
    reason: str
    function: Callable


class Choice(NamedTuple):
    """The algorithms of the three products of a convolution."""

    forward: Chosen
    backward_input: Chosen
    backward_weight: Chosen

    def with_memo(self):
        """Return the same algorithms, whose functions share an `outliers.Memo` where they can.

        The arrays of the convolution must then not change until the last product has run.
        """
        if not any(own.name == "winograd" for own in self):
            return self
        memo = outliers.Memo()
        functions = [partial(own.function, memo=memo) if own.name == "winograd" else own.function for own in self]
        return Choice(*(own._replace(function=function) for own, function in zip(self, functions, strict=True)))


def _compiled(problem):
    return simd.supports(problem.dtype)


def _always(problem):
    return True


def _bf16_supports(problem):
    asked = problem.precision == "bf16" and problem.dtype == np.float32
    return asked and problem.groups == 1 and (problem.kernel_size == (1, 1) or problem.stride != (1, 1))


def _bf16_is_faster(problem):
    """Return True if rounding the images and the outputs takes less time than the products in bf16 save."""
    channels, filters = problem.in_channels, problem.out_channels
    inputs, outputs, taps = (math.prod(pair) for pair in (problem.input_size, problem.output_size, problem.kernel_size))
    products = outputs * filters * channels * taps
    return products >= _BF16_PRODUCTS * (inputs * channels + outputs * filters)


def _depthwise_supports(problem):
    return _compiled(problem) and depthwise.supports(
        problem.in_channels, problem.out_channels, problem.groups, problem.dtype
    )


def _small_map_supports(problem):
    return _compiled(problem) and problem.groups == 1


def _winograd_supports(problem):
    return _compiled(problem) and winograd.supports(
        problem.kernel_size, problem.stride, problem.dilation, problem.groups
    )


def _winograd_sizes(problem):
    channels = problem.in_channels, problem.out_channels
    return problem.block, problem.output_size, *channels, problem.kernel_size[0], problem.stride[0]


def _winograd_is_faster(problem):
    return winograd.is_faster(*_winograd_sizes(problem))


def _winograd_weight_is_faster(problem):
    return winograd_weight.is_faster(*_winograd_sizes(problem))


def _panels_are_faster(problem, size, *channels, transposed=False):
    """Return True where the order panel by panel is faster; it gives the same bits as the other order."""
    form = winograd_tiles.form_of(problem.kernel_size[0], problem.stride[0], transposed)
    down, across = winograd_tiles.tiles_along(*size, len(form.out_step))
    return winograd_panels.is_faster(problem.images * down * across, *channels)


def _forward_panels_are_faster(problem):
    return _panels_are_faster(problem, problem.output_size, problem.in_channels, problem.out_channels)


def _input_panels_are_faster(problem):
    channels = problem.out_channels, problem.in_channels
    return _panels_are_faster(problem, problem.input_size, *channels, transposed=True)


def _few_filters(problem, filters):
    return _compiled(problem) and problem.groups == 1 and problem.stride == (1, 1) and filters <= small_cout.MR


def _small_cout_supports(problem):
    return _few_filters(problem, problem.out_channels)


def _small_cout_is_faster(problem):
    shape = problem.out_channels, problem.in_channels, *problem.kernel_size
    return small_cout.is_faster(shape, problem.stride, problem.groups, problem.dtype)


def _small_cout_input_supports(problem):
    around = small_cout.input_gradient_padding(problem.kernel_size, problem.padding, problem.dilation)
    return _few_filters(problem, problem.in_channels) and min(around) >= 0


def _small_cout_input_is_faster(problem):
    shape = problem.in_channels, problem.out_channels, *problem.kernel_size
    return small_cout.is_faster(shape, problem.stride, problem.groups, problem.dtype)


def _small_cout_weight_supports(problem):
    return _compiled(problem) and problem.groups == 1 and problem.dilation[1] == 1


def _small_cout_weight_is_faster(problem):
    channels = problem.in_channels, problem.out_channels
    return indirect_weight.small_cout_is_faster(
        problem.kernel_size, problem.dilation, *channels, problem.groups, problem.dtype
    )


def _small_cin_supports(problem):
    return _compiled(problem) and problem.groups == 1


def _small_cin_is_faster(problem):
    return small_cin.is_faster(problem, small_cout=_small_cout_input_is_faster(problem))


def _small_cin_weight_supports(problem):
    return _small_cin_supports(problem) and problem.dilation[1] == 1


def _small_cin_weight_is_faster(problem):
    filters = problem.out_channels
    return small_cin.weight_is_faster(problem, indirect_weight.reads_in_place(filters, filters, problem.dtype))


EMPTY = Row(
    "empty",
    "",
    Problem.empty,
    _always,
    "there is nothing to multiply",
    empty.conv2d_forward_empty,
    empty.conv2d_backward_input_empty,
    empty.conv2d_backward_weight_empty,
)

TABLE = (
    EMPTY,
    Row(
        "bf16",
        "direct",
        _bf16_supports,
        _bf16_is_faster,
        "the precision is bf16, and one instruction adds two products to each sum",
        bf16.conv2d_forward_bf16,
        bf16.conv2d_backward_input_bf16,
        bf16.conv2d_backward_weight_bf16,
    ),
    Row(
        "depthwise",
        "direct",
        _depthwise_supports,
        _always,
        "each channel has a filter of its own, so the lanes hold channels and nothing is summed over them",
        depthwise.conv2d_forward_depthwise,
        depthwise.conv2d_backward_input_depthwise,
        depthwise.conv2d_backward_weight_depthwise,
    ),
    Row(
        "small_map",
        "direct",
        _small_map_supports,
        small_map.is_faster,
        "most of each window lies in the padding, and only products with pixels of the map are computed",
        forward=small_map.conv2d_forward_small_map,
        backward_input=small_map.conv2d_backward_input_small_map,
    ),
    Row(
        "small_map",
        "direct",
        _small_map_supports,
        small_map.weight_is_faster,
        "most of each window lies in the padding, and only products with pixels of the map are computed",
        backward_weight=small_map.conv2d_backward_weight_small_map,
    ),
    Row(
        "winograd",
        "winograd",
        _winograd_supports,
        _winograd_is_faster,
        "fewer multiplications than the definition, and enough channels and full tiles to pay for the transforms",
        forward=winograd.conv2d_forward_winograd,
        backward_input=winograd.conv2d_backward_input_winograd,
    ),
    Row(
        "winograd",
        "winograd",
        _winograd_supports,
        _winograd_weight_is_faster,
        "fewer multiplications than the definition, and enough channels and full tiles to pay for the transforms",
        backward_weight=winograd_weight.conv2d_backward_weight_winograd,
    ),
    Row(
        "small_cout",
        "direct",
        _small_cout_supports,
        _small_cout_is_faster,
        "few channels come out, so the lanes hold neighbouring pixels",
        forward=small_cout.conv2d_forward_small_cout,
    ),
    Row(
        "small_cin",
        "direct",
        _small_cin_supports,
        _small_cin_is_faster,
        "images with few channels, so the lanes hold whole windows",
        backward_input=small_cin.conv2d_backward_input_small_cin,
    ),
    Row(
        "small_cout",
        "direct",
        _small_cout_input_supports,
        _small_cout_input_is_faster,
        "few channels come out of the input gradient, so the lanes hold neighbouring pixels",
        backward_input=small_cout.conv2d_backward_input_small_cout,
    ),
    Row(
        "small_cin",
        "direct",
        _small_cin_weight_supports,
        _small_cin_weight_is_faster,
        "images with few channels, so the lanes hold whole windows",
        backward_weight=small_cin.conv2d_backward_weight_small_cin,
    ),
    Row(
        "small_cout",
        "direct",
        _small_cout_weight_supports,
        _small_cout_weight_is_faster,
        "few filters, so the lanes hold a row of the window",
        backward_weight=indirect_weight.conv2d_backward_weight_small_cout,
    ),
    Row(
        "indirect",
        "direct",
        _compiled,
        _always,
        "a matrix product that reads windows through a table of offsets, without copying them",
        indirect.conv2d_forward_indirect,
        indirect.conv2d_backward_input_indirect,
        indirect_weight.conv2d_backward_weight_indirect,
    ),
    Row(
        "im2col",
        "im2col",
        _always,
        _always,
        "NumPy's matrix product on copied windows: the micro-kernel does not know this dtype, or nothing is compiled",
        im2col.conv2d_forward_im2col,
        im2col.conv2d_backward_input_im2col,
        im2col.conv2d_backward_weight_im2col,
    ),
)


def choose(problem, rows=TABLE):
    """Return the algorithms that compute a convolution.

    Parameters
    ----------
    problem : Problem
    rows : sequence of Row
        The part of the table that the user allows. The last row that supports the problem need not be faster.

    Returns
    -------
    Choice

    Raises
    ------
    LookupError
        If no row supports the problem.
    """
    return _choose(problem, tuple(rows), simd.supports(problem.dtype))


@lru_cache(maxsize=1024)
def _choose(problem, rows, compiled):
    """Return `choose`, looked up once for each problem; ``compiled`` says whether there is a micro-kernel."""
    return Choice(*(_first(rows, problem, product) for product in PRODUCTS))


def _first(rows, problem, product):
    able = [row for row in rows if getattr(row, product) and row.supports(problem)]
    if not able:
        raise LookupError(f"no algorithm for {product} among {', '.join(row.name for row in rows)} supports {problem}")
    row = next((row for row in able if row.is_faster(problem)), able[-1])
    return Chosen(row.name, row.reason, _in_best_order(row, problem, product))


def _in_best_order(row, problem, product):
    """Return the function of a row, Winograd's with the loop order that is faster; both orders give the same bits."""
    orders = {
        "forward": (_forward_panels_are_faster, winograd_panels.conv2d_forward_panels),
        "backward_input": (_input_panels_are_faster, winograd_panels.conv2d_backward_input_panels),
    }
    if row.name == "winograd" and product in orders:
        are_faster, function = orders[product]
        if are_faster(problem):
            return function
    return getattr(row, product)
