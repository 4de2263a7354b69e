"""Padding layers, with the names and the order of PyTorch; `ops.pad` pads any axes."""

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn.module import Module
from minitorch_cnn.shapes import ShapeError
from minitorch_cnn.tensor import Tensor


class _Padding(Module):
    """A border around the last axes; a subclass says of how many, and how it is filled."""

    _axes, _mode, _letters = 2, "zero", "(N, C, H, W)"

    def __init__(self, padding: int | tuple[int, ...]):
        layer = type(self).__name__
        ends = padding if isinstance(padding, (tuple, list)) else (padding,) * 2 * self._axes
        if len(ends) != 2 * self._axes:
            raise ValueError(f"{layer}: padding - expected an integer or {2 * self._axes} integers, got {padding!r}")
        arguments.integer(layer, least=-(2**31), **{f"padding[{i}]": width for i, width in enumerate(ends)})
        self.padding, self.value = padding, 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return x with a border."""
        if x.ndim != self._axes + 2:
            raise ShapeError(f"{type(self).__name__}: x - expected {self._letters}, got shape {x.shape}")
        ends = self.padding if isinstance(self.padding, (tuple, list)) else (self.padding,) * 2 * self._axes
        pairs = list(zip(ends[::2], ends[1::2], strict=True))[::-1]  # PyTorch begins at the last axis
        return ops.pad(x, [(0, 0), (0, 0), *pairs], self._mode, self.value)


class ZeroPad2d(_Padding):
    """A border around images: zeros.

    Parameters
    ----------
    padding : int, or (left, right, top, bottom), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OH, OW)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """


class ZeroPad1d(_Padding):
    """A border around signals: zeros.

    Parameters
    ----------
    padding : int, or (left, right), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OW)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _axes, _mode, _letters = 1, "zero", "(N, C, W)"


class ReflectionPad2d(_Padding):
    """A border around images: the image mirrored at its edges, without repeating the edge.

    Parameters
    ----------
    padding : int, or (left, right, top, bottom), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OH, OW)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _mode = "reflect"


class ReflectionPad1d(_Padding):
    """A border around signals: the image mirrored at its edges, without repeating the edge.

    Parameters
    ----------
    padding : int, or (left, right), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OW)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _axes, _mode, _letters = 1, "reflect", "(N, C, W)"


class ReplicationPad2d(_Padding):
    """A border around images: its edges repeated.

    Parameters
    ----------
    padding : int, or (left, right, top, bottom), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OH, OW)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _mode = "replicate"


class ReplicationPad1d(_Padding):
    """A border around signals: its edges repeated.

    Parameters
    ----------
    padding : int, or (left, right), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OW)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _axes, _mode, _letters = 1, "replicate", "(N, C, W)"


class CircularPad2d(_Padding):
    """A border around images: its opposite side.

    Parameters
    ----------
    padding : int, or (left, right, top, bottom), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OH, OW)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _mode = "circular"


class CircularPad1d(_Padding):
    """A border around signals: its opposite side.

    Parameters
    ----------
    padding : int, or (left, right), as in PyTorch
        A negative number crops.

    Returns
    -------
    Tensor, shape (N, C, OW)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _axes, _mode, _letters = 1, "circular", "(N, C, W)"


class ConstantPad2d(_Padding):
    """A border around images: a constant.

    Parameters
    ----------
    padding : int, or (left, right, top, bottom), as in PyTorch
        A negative number crops.
    value : float

    Returns
    -------
    Tensor, shape (N, C, OH, OW)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    def __init__(self, padding: int | tuple[int, ...], value: float):
        super().__init__(padding)
        arguments.number("ConstantPad2d", value=value)
        self.value = value


class ConstantPad1d(_Padding):
    """A border around signals: a constant.

    Parameters
    ----------
    padding : int, or (left, right), as in PyTorch
        A negative number crops.
    value : float

    Returns
    -------
    Tensor, shape (N, C, OW)
        On call, for x of shape (N, C, W).

    Raises
    ------
    TypeError, ValueError
        If an argument is out of its range.
    ShapeError
        On call, if x has another number of axes, or the border is longer than it allows.
    """

    _axes, _mode, _letters = 1, "zero", "(N, C, W)"

    def __init__(self, padding: int | tuple[int, ...], value: float):
        super().__init__(padding)
        arguments.number("ConstantPad1d", value=value)
        self.value = value
