"""Resizing images as a layer."""

from minitorch_cnn import ops
from minitorch_cnn.nn._check import one_of
from minitorch_cnn.nn.module import Module
from minitorch_cnn.shapes import pair
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Size


class Resize(Module):
    """Interpolate images to another size; see `ops.resize`.

    Parameters
    ----------
    size : int or (int, int), pixels
    mode : "bilinear" or "nearest"
    antialias : bool
        When shrinking, average over all pixels that one output pixel covers.

    Returns
    -------
    Tensor, shape (N, C, *size)
        On call, for x of shape (N, C, H, W).

    Raises
    ------
    TypeError, ValueError
        If ``size`` is not positive, or ``mode`` is unknown.
    """

    size: int | tuple[int, ...]
    mode: str
    antialias: bool

    def __init__(self, size: Size, mode: str = "bilinear", antialias: bool = False):
        pair(size, "Resize: size")
        one_of("Resize", ("bilinear", "nearest"), mode=mode)
        self.size, self.mode, self.antialias = size, mode, bool(antialias)

    def forward(self, x: Tensor) -> Tensor:
        """Return images x, (N, C, H, W), at the new size."""
        return ops.resize(x, self.size, mode=self.mode, antialias=self.antialias)
