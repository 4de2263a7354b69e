"""Weights as bytes of a page: float32, or a scale for each row and then integers of fewer bits."""

import base64

import numpy as np

SMALL = 256  # elements of an array that stays float32, because it is small beside the others


def rounded_bits(array, bits):
    """Return how many bits an element of an array gets: ``bits``, or 32 if it is small, a vector, or not finite."""
    return bits if array.size > SMALL and array.ndim > 1 and np.isfinite(array).all() else 32


def packed(arrays, bits):
    """Return the bytes of arrays whose elements get these bits, 32, 16, 8 or 4.

    A row is what belongs to one index of the first axis, such as a filter. Rounding changes an element by at most half
    a step, and ``2**bits - 2`` steps go from minus the largest size in its row to plus that.
    """
    parts = [np.zeros(0, np.uint8)]
    for array, count in zip(arrays, bits, strict=True):
        if count == 32:
            parts.append(np.frombuffer(np.float32(array).tobytes(), np.uint8))
            continue
        rows, most = array.reshape(len(array), -1), 2 ** (count - 1) - 1
        scale = np.float32(np.abs(rows).max(1) / most)
        codes = np.round(rows / np.where(scale == 0, 1, scale)[:, None]).astype("<i2" if count == 16 else np.int8)
        codes = codes.ravel()
        if count == 4:
            codes = (np.resize(codes, codes.size + codes.size % 2) + 8).astype(np.uint8)
            codes = codes[::2] | codes[1::2] << 4
        parts += [np.frombuffer(scale.tobytes(), np.uint8), codes.view(np.uint8)]
    return np.concatenate(parts)


def encoded(array):
    """Return the bytes of an array in base64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
