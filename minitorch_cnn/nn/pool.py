"""Pooling layers; for the formulas see `ops`."""

from typing import Any

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._check import positive_int
from minitorch_cnn.nn.module import Module
from minitorch_cnn.nn.shape_trace import SMALLER_WINDOW
from minitorch_cnn.shapes import padding4, pair, pair_or_kept
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Shape, Size


class MaxPool2d(Module):
    """The maximum of each window; the first of equal values gets the gradient.

    Parameters
    ----------
    kernel_size : int or (int, int), pixels
    stride : int, (int, int) or None, pixels
        None means the kernel size, so that windows are adjacent.
    padding : int, (int, int) or (top, bottom, left, right), pixels
        The padding is minus infinity, so it never wins.
    dilation : int or (int, int), pixels
        Distance between the pixels of a window.
    return_indices : bool
        Return also where each maximum was: row * W + column.
    ceil_mode : bool
        Also take windows that end outside of the image; see `ops.max_pool2d`.

    Returns
    -------
    Tensor, shape (N, C, OH, OW), OH = floor((H + 2*padding - dilation*(KH-1) - 1) / stride) + 1
        On call, for x of shape (N, C, H, W); with ``return_indices`` a pair of it and an int64 ndarray.

    Raises
    ------
    TypeError, ValueError
        If a size is out of its range.
    """

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None
    padding: int | tuple[int, ...]
    dilation: int | tuple[int, ...]
    return_indices: bool
    ceil_mode: bool

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        _check_window(type(self).__name__, kernel_size, stride, padding)
        pair(dilation, f"{type(self).__name__}: dilation")
        arguments.flag(type(self).__name__, return_indices=return_indices, ceil_mode=ceil_mode)
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.return_indices, self.ceil_mode = bool(return_indices), bool(ceil_mode)

    def suggest_fix(self, shape: Shape) -> str:
        """Return a suggestion for windows that are larger than the maps."""
        return _window_repair(self.kernel_size)

    def _window(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "ceil_mode": self.ceil_mode}

    def forward(self, x: Tensor) -> Any:
        """Return the maxima of x, (N, C, H, W)."""
        return ops.max_pool2d(x, self.kernel_size, **self._window(), return_indices=self.return_indices)


class MaxPool1d(MaxPool2d):
    """`MaxPool2d` along one axis.

    Parameters
    ----------
    kernel_size : int, samples
    stride : int or None, samples
    padding : int or (left, right), samples
    dilation : int, samples
    return_indices, ceil_mode : bool

    Returns
    -------
    Tensor, shape (N, C, OW)
        On call, for x of shape (N, C, W); with ``return_indices`` a pair of it and an int64 ndarray.

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `MaxPool2d`.
    """

    def forward(self, x: Tensor) -> Any:
        """Return the maxima of x, (N, C, W)."""
        return ops.max_pool1d(x, self.kernel_size, **self._window(), return_indices=self.return_indices)


class AvgPool2d(Module):
    """The mean of each window.

    Parameters
    ----------
    kernel_size : int or (int, int), pixels
    stride : int, (int, int) or None, pixels
        None means the kernel size, so that windows are adjacent.
    padding : int, (int, int) or (top, bottom, left, right), pixels
        Filled with zeros.
    count_include_pad : bool
        False divides by the number of pixels inside the image instead of KH*KW.
    ceil_mode : bool
        Also take windows that end outside of the image; see `ops.avg_pool2d`.
    divisor_override : number or None
        Divide the sum of each window by this number instead.

    Returns
    -------
    Tensor, shape (N, C, OH, OW), OH = floor((H + 2*padding - KH) / stride) + 1
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If a size is out of its range.
    """

    kernel_size: int | tuple[int, ...]
    stride: int | tuple[int, ...] | None
    padding: int | tuple[int, ...]
    count_include_pad: bool
    ceil_mode: bool
    divisor_override: float | None

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        count_include_pad: bool = True,
        ceil_mode: bool = False,
        divisor_override: float | None = None,
    ):
        _check_window(type(self).__name__, kernel_size, stride, padding)
        arguments.flag(type(self).__name__, count_include_pad=count_include_pad, ceil_mode=ceil_mode)
        if divisor_override is not None:
            ops.pool.check_divisor(type(self).__name__, divisor_override)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.count_include_pad, self.ceil_mode = bool(count_include_pad), bool(ceil_mode)
        self.divisor_override = divisor_override

    def suggest_fix(self, shape: Shape) -> str:
        """Return a suggestion for windows that are larger than the maps."""
        return _window_repair(self.kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the means of x, (N, C, H, W)."""
        return ops.avg_pool2d(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
            ceil_mode=self.ceil_mode,
            divisor_override=self.divisor_override,
        )


class AvgPool1d(AvgPool2d):
    """`AvgPool2d` along one axis.

    Parameters
    ----------
    kernel_size : int, samples
    stride : int or None, samples
    padding : int or (left, right), samples
    count_include_pad, ceil_mode : bool

    Returns
    -------
    Tensor, shape (N, C, OW)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `AvgPool2d`.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        count_include_pad: bool = True,
        ceil_mode: bool = False,
    ):
        super().__init__(kernel_size, stride, padding, count_include_pad, ceil_mode)

    def forward(self, x: Tensor) -> Tensor:
        """Return the means of x, (N, C, W)."""
        return ops.avg_pool1d(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
            ceil_mode=self.ceil_mode,
        )


class AdaptiveAvgPool2d(Module):
    """Means over a grid of ``output_size`` bins, for images of any size.

    Parameters
    ----------
    output_size : int or (int or None, int or None)
        None keeps the length of that axis.

    Returns
    -------
    Tensor, shape (N, C, *output_size)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If ``output_size`` is not positive.
    """

    output_size: int | tuple[int | None, ...]

    def __init__(self, output_size: int | tuple[int | None, ...]):
        pair_or_kept(output_size, f"{type(self).__name__}: output_size")
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """Return the means of x, (N, C, H, W)."""
        return ops.adaptive_avg_pool2d(x, self.output_size)


class AdaptiveMaxPool2d(AdaptiveAvgPool2d):
    """Maxima over a grid of ``output_size`` bins, for images of any size.

    Parameters
    ----------
    output_size : int or (int or None, int or None)
        None keeps the length of that axis.
    return_indices : bool
        Return a pair of the maxima and of where they were, see `ops.adaptive_max_pool2d`.

    Returns
    -------
    Tensor, shape (N, C, *output_size)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `AdaptiveAvgPool2d`.
    """

    return_indices: bool

    def __init__(self, output_size: int | tuple[int | None, ...], return_indices: bool = False):
        super().__init__(output_size)
        arguments.flag(type(self).__name__, return_indices=return_indices)
        self.return_indices = bool(return_indices)

    def forward(self, x: Tensor) -> Any:
        """Return the maxima of x, (N, C, H, W)."""
        return ops.adaptive_max_pool2d(x, self.output_size, return_indices=self.return_indices)


class AdaptiveAvgPool1d(Module):
    """Means over ``output_size`` bins of a signal of any length.

    Parameters
    ----------
    output_size : int, >= 1

    Returns
    -------
    Tensor, shape (N, C, output_size)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError
        If ``output_size`` is not a positive integer.
    """

    output_size: int

    def __init__(self, output_size: int):
        positive_int(type(self).__name__, output_size=output_size)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        """Return the means of x, (N, C, W)."""
        return ops.adaptive_avg_pool1d(x, self.output_size)


class AdaptiveMaxPool1d(AdaptiveAvgPool1d):
    """Maxima over ``output_size`` bins of a signal of any length.

    Parameters
    ----------
    output_size : int, >= 1
    return_indices : bool
        Return a pair of the maxima and of where they were, see `ops.adaptive_max_pool1d`.

    Returns
    -------
    Tensor, shape (N, C, output_size)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError, ShapeError
        As `AdaptiveAvgPool1d`.
    """

    return_indices: bool

    def __init__(self, output_size: int, return_indices: bool = False):
        super().__init__(output_size)
        arguments.flag(type(self).__name__, return_indices=return_indices)
        self.return_indices = bool(return_indices)

    def forward(self, x: Tensor) -> Any:
        """Return the maxima of x, (N, C, W)."""
        return ops.adaptive_max_pool1d(x, self.output_size, return_indices=self.return_indices)


class GlobalAvgPool(Module):
    """Global average pooling: the mean of each feature map.

    Returns
    -------
    Tensor, shape (N, C)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ShapeError
        On call, if x is not a Tensor of four axes.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the means of x, (N, C, H, W)."""
        return ops.global_avg_pool(x)


class GlobalMaxPool(Module):
    """Global max pooling: the largest value of each feature map.

    Returns
    -------
    Tensor, shape (N, C)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ShapeError
        On call, if x is not a Tensor of four axes.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the maxima of x, (N, C, H, W)."""
        return ops.global_max_pool(x)


def _window_repair(kernel_size):
    return f"the window {kernel_size} is larger than the maps: {SMALLER_WINDOW}"


def _check_window(layer, kernel_size, stride, padding):
    """Raise on invalid sizes; the operation itself checks the sizes of 1-D pooling."""
    pair(kernel_size, f"{layer}: kernel_size")
    if stride is not None:
        pair(stride, f"{layer}: stride")
    if padding == "same":
        raise ValueError(f"{layer}: padding - expected integers, got 'same'")
    padding4(padding, f"{layer}: padding")
