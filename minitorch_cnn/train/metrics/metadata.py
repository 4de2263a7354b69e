"""What a classifier must know about its model: checks of the metadata, which may come from a file."""

import math
import numbers
from collections.abc import Sequence

import numpy as np

ENTRIES = {"architecture", "classes", "mean", "std"}  # that metadata must have
_LARGEST_SIDE = 1 << 16  # pixels


def check_metadata(owner, metadata):
    """Raise unless metadata describe a classifier."""
    if not isinstance(metadata, dict):
        raise TypeError(f"{owner} - expected a dict of facts about the model, got {type(metadata).__name__}")
    if absent := sorted(ENTRIES - metadata.keys()):
        got = ", ".join(map(repr, metadata)) or "an empty dict"
        raise ValueError(f"{owner} - expected facts with {', '.join(map(repr, absent))}, got {got}")
    architecture = metadata["architecture"]
    size = architecture.get("image_size") if isinstance(architecture, dict) else None
    if not _is_side(size):
        raise ValueError(f"{owner} - expected facts with 'architecture' and its 'image_size', got {architecture!r:.80}")
    for name in ("classes", "mean", "std"):
        if isinstance(metadata[name], str) or not isinstance(metadata[name], Sequence):
            raise TypeError(f"{owner} - expected a list for {name!r}, got {metadata[name]!r:.80}")
    mean, std, size = metadata["mean"], metadata["std"], metadata.get("input_size")
    if not 0 < len(mean) == len(std) or not all(_is_number(value) for value in (*mean, *std)) or min(std) <= 0:
        raise ValueError(f"{owner} - expected 'mean' and positive 'std' of each channel, got {mean!r:.80}, {std!r:.80}")
    if not all(0 <= value <= 1 for value in (*mean, *std)):
        raise ValueError(f"{owner} - expected 'mean' and 'std' of pixels divided by 255, got {mean!r:.80}, {std!r:.80}")
    if not metadata["classes"] or len(set(map(str, metadata["classes"]))) < len(metadata["classes"]):
        raise ValueError(f"{owner} - expected different names as 'classes', got {metadata['classes']!r:.80}")
    fits = isinstance(size, Sequence) and len(size) == 2 and all(map(_is_side, size))
    if size is not None and not fits:
        raise ValueError(f"{owner} - expected [height, width] in pixels as 'input_size', got {size!r:.80}")


def _is_side(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and 0 < value <= _LARGEST_SIDE


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)) and math.isfinite(value)
