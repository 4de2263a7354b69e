"""Float32 numbers of all sizes, and errors in units in the last place."""

import numpy as np


def units(got, want):
    """Return the largest error of float32 numbers, in units in the last place."""
    unit = np.spacing(np.maximum(np.abs(want).astype(np.float32), np.finfo(np.float32).tiny))
    return np.max(np.abs(got - want) / unit)


def all_magnitudes(low):
    """Return float32 numbers above ``low``, of every sign and size."""
    x = np.arange(0, 1 << 32, 40_009, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return x[np.isfinite(x) & (x > low)]
