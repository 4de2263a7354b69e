"""Sizes, layouts, and the errors about them.

Shape letters, the same in every docstring of the project: N images, C channels, H and W height and
width, KH and KW of a kernel or window, OH and OW of the output.

Arrays read as (N, C, H, W) and lie in memory as N, H, W, C ("channels last"), so that all channels
of a pixel are neighbours. `nhwc` and `nchw` go from one view to the other.
"""

import math
from typing import Any

import numpy as np

LARGEST = 2**31 - 1  # of a size, a stride or a dilation: the kernels multiply two of them in 64 bits
layout_copies = 0  # number of copies that `nhwc` made; tests read it


class ShapeError(ValueError):
    """Shapes that do not fit; the message names the argument, the expected shape and the actual one."""


def pair(value, name, minimum=1):
    """Return ``value`` as two integers: an int applies to both directions.

    Parameters
    ----------
    value : int or (int, int)
    name : str
        Operation and argument, for the message.
    minimum : int or None
        The smallest integer allowed; None allows all.

    Returns
    -------
    (int, int)

    Raises
    ------
    TypeError
        If ``value`` is neither an int nor two ints.
    ValueError
        If an integer is below ``minimum``, or above `LARGEST`.
    """
    values = (value, value) if (same := _is_int(value)) else value
    if not same and not (isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_int, value))):
        raise TypeError(f"{name} - expected an int or two ints, got {value!r}")
    if minimum is not None and min(values) < minimum:
        raise ValueError(f"{name} - expected at least {minimum}, got {value!r}")
    if max(values) > LARGEST:
        raise ValueError(f"{name} - expected at most {LARGEST}, got {value!r}")
    return int(values[0]), int(values[1])


def pair_or_kept(value, name, lengths=(1, 1)):
    """Return ``value`` as `pair` does, with the element of ``lengths`` for None: that axis keeps its length."""
    if isinstance(value, (tuple, list)) and len(value) == 2:
        value = tuple(max(n, 1) if one is None else one for one, n in zip(value, (*lengths, 1, 1), strict=False))
    return pair(value, name)


def _is_int(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def same_padding(size, kernel, stride, dilation):
    """Return the padding (before, after) that gives ceil(size / stride) output elements."""
    needed = max((math.ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return needed // 2, needed - needed // 2


def padding4(padding, name, size=None, kernel=None, stride=(1, 1), dilation=(1, 1)):
    """Return padding as (top, bottom, left, right), in pixels.

    Parameters
    ----------
    padding : int, (int, int), (int, int, int, int), "same" or "valid"
        One value for all sides; two for (height, width); four for (top, bottom, left, right). "same" gives
        ceil(H / stride) by ceil(W / stride) outputs, with an odd zero at the bottom and the right. "valid" is 0.
    name : str
        Operation and argument, for the message.
    size, kernel, stride, dilation : (int, int)
        Needed for "same".

    Returns
    -------
    (int, int, int, int)

    Raises
    ------
    TypeError, ValueError
        If ``padding`` is anything else, or negative.
    """
    if isinstance(padding, str) and padding == "valid":
        padding = 0
    if isinstance(padding, str):
        if padding != "same":
            raise ValueError(f"{name} - expected an int, two or four ints, 'same' or 'valid', got {padding!r}")
        sides = zip(size, kernel, stride, dilation, strict=True)
        return tuple(p for side in sides for p in same_padding(*side))
    if isinstance(padding, (tuple, list)) and len(padding) == 4:
        return pair(padding[:2], name, minimum=0) + pair(padding[2:], name, minimum=0)
    height, width = pair(padding, name, minimum=0)
    return height, height, width, width


def conv_output_size(
    size: int,
    kernel: int,
    stride: int = 1,
    before: int = 0,
    after: int = 0,
    dilation: int = 1,
    what: str = "convolution",
) -> int:
    """Return the number of window positions along one axis.

    out = floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1

    Parameters
    ----------
    size, kernel, stride, before, after, dilation : int
        Pixels along this axis; ``before`` and ``after`` are the padding on the two sides.
    what : str
        Operation and axis, for the message.

    Returns
    -------
    int, at least 1

    Raises
    ------
    ShapeError
        If not even one window fits.
    """
    extent = dilation * (kernel - 1) + 1
    padded = size + before + after
    if extent > padded:
        raise ShapeError(
            f"{what} - expected at least {extent} padded pixels for a window of {kernel} with dilation {dilation}, "
            f"got {padded} ({before} + {size} + {after})"
        )
    return (padded - extent) // stride + 1


def ceil_padding(size, kernel, stride, before, after, dilation):
    """Return the padding (before, after) with which windows that begin inside, but end outside, are whole.

    As in PyTorch: out = ceil((size + before + after - extent) / stride) + 1, where the last window must begin before
    the end of the image.
    """
    extent = dilation * (kernel - 1) + 1
    count = -((extent - size - before - after) // stride) + 1
    last = (count - 1) * stride  # where the last window begins, in the padded image
    if last >= size + before:
        last -= stride
    return before, max(after, last + extent - size - before)


def nhwc(x: Any) -> Any:
    """Return the C-contiguous (N, H, W, C) array of a logical (N, C, H, W) array.

    A view if the memory already has this layout, otherwise a copy, counted in ``layout_copies``.
    """
    global layout_copies
    view = x.transpose(0, 2, 3, 1)
    if view.flags.c_contiguous:
        return view
    layout_copies += 1
    return np.ascontiguousarray(view)


def batch_hint(shape: tuple[int, ...], name: str = "x", axes: int = 4) -> str:
    """Return how to add the batch axis, for the end of a message, if ``x`` has the shape of one image; else nothing.

    ``axes`` are those of a batch: 4 of images, 3 of signals.
    """
    kind = "image" if axes == 4 else "signal"
    return f"; one {kind} alone needs the batch axis: x[None]" if name == "x" and len(shape) == axes - 1 else ""


def channels_hint(shape: tuple[int, ...], channels: int) -> str:
    """Return how to move the channels to their axis, for the end of a message, if they are the last axis now."""
    return "; the channels come last here: use x.transpose(0, 3, 1, 2)" if shape[-1] == channels else ""


def nchw(x: Any) -> Any:
    """Return the logical (N, C, H, W) view of an (N, H, W, C) array."""
    return x.transpose(0, 3, 1, 2)


def memory_order(x):
    """Return the axes of ``x`` from the slowest to the fastest in memory."""
    return sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis))


def on_flat(kernel, *arrays):
    """Call a kernel of flat arrays with arrays of one shape.

    Parameters
    ----------
    kernel : callable
        Takes contiguous arrays of shape (size,), and returns one.
    arrays : ndarray, all of one shape
        Flattened in the memory order of the last one, so that a dense array is not copied.

    Returns
    -------
    ndarray
        What the kernel returns, in the shape and the memory order of the last array.
    """
    order = memory_order(arrays[-1])
    permuted = [array.transpose(order) for array in arrays]
    inverse = sorted(range(len(order)), key=order.__getitem__)
    flat = kernel(*(np.ascontiguousarray(array).reshape(-1) for array in permuted))
    return flat.reshape(permuted[-1].shape).transpose(inverse)
