"""Answers, and test-time augmentation: a network answers for several views of an image, and their mean counts."""

import numpy as np

from minitorch_cnn.train.recipe_fields import VIEWS


def list_views(count):
    """Return the views as a list of (weight, shift in pixels, mirrored); the image as it is comes first.

    Parameters
    ----------
    count : 1, 2 or 6
        1: the image. 2: the image and its mirror image, half each. 6: these, and both of them moved by one pixel up and
        left, and down and right; the images in place have half of the weight.

    Notes
    -----
    Source: ``infer_mirror_translate`` of ``airbench94.py`` in https://github.com/KellerJordan/cifar10-airbench.
    """
    if count not in VIEWS or isinstance(count, bool):
        raise ValueError(f"evaluate: views - expected 1, 2 or 6, got {count!r}")
    shifts = {0: 0.5, 1: 0.25, -1: 0.25} if count == 6 else {0: 1.0}
    mirrored = (False,) if count == 1 else (False, True)
    return [(weight / len(mirrored), shift, mirror) for shift, weight in shifts.items() for mirror in mirrored]


def view(x, shift, mirror):
    """Return maps x (N, C, H, W) moved up and left by ``shift`` pixels, and mirrored left to right.

    The border that moves in is the mirrored one, as if the image had been padded by reflection and cropped.
    """
    if shift:
        rows, columns = (_moved(length, shift) for length in x.shape[2:])
        x = x[:, :, rows][..., columns]
    return np.ascontiguousarray(x[..., ::-1]) if mirror else x


def answers_of(logits):
    """Return the index of the largest logit of each row, (N,); -1 for a row with NaN, although it has an argmax."""
    return np.where(np.isnan(logits).any(axis=1), -1, logits.argmax(axis=1))


def _moved(length, shift):
    """Return the indices shift .. length + shift - 1, where those outside are reflected at the first and the last."""
    index = np.abs(np.arange(length) + shift)
    return np.where(index >= length, 2 * (length - 1) - index, index).clip(0, length - 1)
