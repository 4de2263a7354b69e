"""Resizing images as a layer."""

from minitorch_cnn import arguments, ops
from minitorch_cnn.nn._check import one_of
from minitorch_cnn.nn.module import Module
from minitorch_cnn.ops.resize import MODES, size_or_factors
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.types import Size


class Resize(Module):
    """Interpolate images or signals to another size; see `ops.resize`.

    Parameters
    ----------
    size : int, (int, int) or None, pixels
        None takes ``scale_factor``.
    mode : "bilinear", "nearest", "bicubic" or "linear"
    antialias : bool
        When shrinking, average over all pixels that one output pixel covers.
    align_corners : bool
        Put the centres of the pixels in the corners on those of the input.
    scale_factor : float, (float, float) or None

    Returns
    -------
    Tensor, shape (N, C, OH, OW) or (N, C, OW)
        On call, for x of shape (N, C, H, W) or (N, C, W).

    Raises
    ------
    TypeError, ValueError
        If ``size`` or ``scale_factor`` is not positive, there are both or neither, or ``mode`` is unknown.
    """

    size: int | tuple[int, ...] | None
    mode: str
    antialias: bool
    align_corners: bool
    scale_factor: float | tuple[float, float] | None

    def __init__(
        self, size: Size | None = None, mode: str = "bilinear", antialias: bool = False,
        align_corners: bool = False, scale_factor: float | tuple[float, float] | None = None
    ):
        size_or_factors("Resize", size, scale_factor)
        one_of("Resize", MODES, mode=mode)
        arguments.flag("Resize", antialias=antialias, align_corners=align_corners)
        self.size, self.mode, self.antialias = size, mode, bool(antialias)
        self.align_corners, self.scale_factor = bool(align_corners), scale_factor

    def forward(self, x: Tensor) -> Tensor:
        """Return images x, (N, C, H, W), or signals, (N, C, W), at the new size."""
        options = {"antialias": self.antialias, "align_corners": self.align_corners}
        return ops.resize(x, self.size, mode=self.mode, scale_factor=self.scale_factor, **options)
