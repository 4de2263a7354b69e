"""Images of another size."""

import numpy as np

from minitorch_cnn.autograd import Function
from minitorch_cnn.ops._check import tensors
from minitorch_cnn.shapes import ShapeError, nchw, nhwc, pair


def interpolation_matrix(size, out_size, mode, antialias, dtype):
    """Return (out_size, size): row i holds the weights with which output pixel i reads the input pixels.

    The centre of output pixel i lies at (i + 1/2) * size / out_size - 1/2 in input pixels. "nearest"
    reads the pixel at floor(i * size / out_size); "bilinear" the two pixels around the centre, each by
    its nearness; with ``antialias``, when the image shrinks, all pixels under a triangle as wide as the
    distance between output pixels.
    """
    matrix = np.zeros((out_size, size))
    scale = size / out_size
    if mode == "nearest":
        matrix[np.arange(out_size), np.arange(out_size) * size // out_size] = 1
        return matrix.astype(dtype)
    reach = max(scale, 1.0) if antialias else 1.0
    centre = (np.arange(out_size) + 0.5) * scale - 0.5
    if not antialias:
        centre = centre.clip(0, size - 1)  # beyond the border stands the border
    distance = np.abs(np.arange(size) - centre[:, None])
    matrix = np.maximum(0, 1 - distance / reach)
    return (matrix / matrix.sum(1, keepdims=True)).astype(dtype)


def _along(axis, matrix, pixels):
    """Apply a matrix along one axis of (N, H, W, C), adding up in a fixed order."""
    moved = np.moveaxis(pixels, axis, 0)
    out = np.zeros((len(matrix), *moved.shape[1:]), pixels.dtype)
    for i, j in zip(*np.nonzero(matrix), strict=True):
        out[i] += matrix[i, j] * moved[j]
    return np.moveaxis(out, 0, axis)


class Resize(Function):
    """A linear map along the height, then one along the width."""

    rule = "each input pixel gets grad_out of the output pixels that read it, by their weights"

    @staticmethod
    def output_shape(x, *, size, mode, antialias):
        if len(x) != 4:
            raise ShapeError(f"resize: x - expected 4 axes (N, C, H, W), got shape {x}")
        if 0 in x[2:]:
            raise ShapeError(f"resize: x - expected at least one pixel, got shape {x}")
        return (*x[:2], *size)

    @staticmethod
    def forward(ctx, x, *, size, mode, antialias):
        ctx.matrices = [
            interpolation_matrix(length, out, mode, antialias, x.dtype)
            for length, out in zip(x.shape[2:], size, strict=True)
        ]
        rows, columns = ctx.matrices
        return nchw(np.ascontiguousarray(_along(2, columns, _along(1, rows, nhwc(x)))))

    @staticmethod
    def backward(ctx, grad_out):
        rows, columns = ctx.matrices
        return nchw(np.ascontiguousarray(_along(1, rows.T, _along(2, columns.T, nhwc(grad_out)))))


def resize(x, size, *, mode="bilinear", antialias=False):
    """Scale images to another size.

    Parameters
    ----------
    x : Tensor, shape (N, C, H, W)
    size : int or (int, int)
        OH and OW.
    mode : "bilinear" or "nearest"
        Bilinear takes pixel centres at half-integers, as PyTorch with ``align_corners=False``.
    antialias : bool
        For a smaller bilinear image: average over all input pixels that an output pixel covers.

    Returns
    -------
    Tensor, shape (N, C, OH, OW)

    Raises
    ------
    TypeError
        If x is no Tensor or the size no integers.
    ValueError
        If the mode is unknown, the size not positive, or antialias asked of "nearest".
    ShapeError
        If x has not four axes, or no pixels.
    """
    tensors("resize", x=x)
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"resize: mode - expected 'bilinear' or 'nearest', got {mode!r}")
    if antialias and mode == "nearest":
        raise ValueError("resize: antialias - expected False for mode 'nearest', got True")
    return Resize.apply(x, size=pair(size, "resize: size"), mode=mode, antialias=bool(antialias))
