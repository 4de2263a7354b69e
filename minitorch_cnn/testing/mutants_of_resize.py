"""Wrong backwards of resizing, one for each mode and option that it could mistake for another."""

import numpy as np

from minitorch_cnn import ops
from minitorch_cnn.ops.resize import interpolation_weights
from minitorch_cnn.testing.mutant import BATCH, beside, changed, family, first, misread, normal, seeing


def _resized(shape=(1, 1, 4, 4), **options):
    """Return a case: an image or signal of 4 pixels along each axis, resized."""
    return lambda x: ops.resize(x, **options), normal(*shape)


def _as_if(out_size, mode="bilinear", antialias=False, align_corners=False, factor=None):
    """Let backward take the `interpolation_weights` of other options along each axis that is 4 pixels long."""

    def others(axes):
        return [of if len(of[0]) == 1 else interpolation_weights(4, out_size, *options) for of in axes]

    options = mode, antialias, align_corners, factor
    return misread(weights=others)


def _without_negative(axes):
    """Leave out what bicubic interpolation subtracts."""
    return [(i, j, np.maximum(weights, 0)) for i, j, weights in axes]


RESIZE = (
    *family(
        "movement",
        "resize.Resize",
        _resized(size=(4, 6)),
        ("resize: spread evenly", changed(lambda grad: grad**0 * grad.mean())),
        ("resize: nearest pixel alone", _as_if(6, "nearest"), "", _resized(size=6)),
        ("resize: corners aligned", _as_if(6, align_corners=True), "", _resized(size=6)),
        ("resize: corners not aligned", _as_if(6), "", _resized(size=6, align_corners=True)),
        ("resize: nearest by rounding", seeing(beside), "", _resized(size=6, mode="nearest")),
        ("resize: antialias forgotten", _as_if(2), "", _resized(size=2, antialias=True)),
    ),
    *family(
        "movement",
        "resize.Resize",
        _resized(size=6, mode="bicubic"),
        ("bicubic: as bilinear", _as_if(6)),
        ("bicubic: another parameter a", _as_if(6, "bicubic", antialias=True)),
        ("bicubic: negative weights forgotten", misread(weights=_without_negative)),
        (
            "bicubic: corners not aligned",
            _as_if(6, "bicubic"),
            "",
            _resized(size=6, mode="bicubic", align_corners=True),
        ),
    ),
    *family(
        "movement",
        "resize.Resize",
        _resized(scale_factor=(1.6, 1.7)),
        ("scale factor: distances of the size", _as_if(6)),
        ("scale factor: turned round", _as_if(6, factor=1 / 1.6)),
        ("scale factor: axes swapped", misread(weights=lambda axes: axes[::-1])),
    ),
    *family(
        "movement",
        "resize.Resize",
        _resized((2, 1, 4), size=7, mode="linear"),
        ("linear: nearest sample alone", _as_if(7, "nearest")),
        ("linear: first signal alone", seeing(first), BATCH),
    ),
)
