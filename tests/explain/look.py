"""Whether a figure can be read from the back of a hall: the size and the place of every text that is drawn."""

import math
from unittest import mock

import numpy as np
from matplotlib.text import Text

SMALLEST = 18  # pixels, on a slide 1280 pixels wide


def faults(figure):
    """Return what is wrong with the texts of a figure: too small, beyond its edge, or one over another."""
    texts, draw = [], Text.draw

    def watched(text, renderer):
        if text.get_visible() and text.get_text().strip() and text not in texts:
            texts.append(text)
        return draw(text, renderer)

    with mock.patch.object(Text, "draw", watched):  # ticks out of sight are never drawn
        figure.canvas.draw()
    pixel = 1280 / figure.bbox.width
    found = []
    boxes = [_corners(text) for text in texts]
    for text, corners in zip(texts, boxes, strict=True):
        size = text.get_fontsize() * figure.dpi / 72 * pixel
        if size < SMALLEST - 1e-6:
            found.append(f"{text.get_text()!r} has {size:.1f} pixels")
        if corners.min() < -1 or (corners > [figure.bbox.width + 1, figure.bbox.height + 1]).any():
            found.append(f"{text.get_text()!r} leaves the figure")
    for i, one in enumerate(boxes):
        for j in range(i):
            if _overlap(one, boxes[j]):
                found.append(f"{texts[j].get_text()!r} and {texts[i].get_text()!r} overlap")
    return found


def _corners(text):
    """Return the corners of a text, which may be rotated, (4, 2): a rotated box has the middle of the box around it."""
    angle = text.get_rotation()
    around = text.get_window_extent()
    text.set_rotation(0)
    level = text.get_window_extent()
    text.set_rotation(angle)
    turn = math.radians(angle)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [level.width / 2, level.height / 2 * 0.8]  # without leading
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return half @ rotation + [(around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2]


def _overlap(a, b):
    """Return True unless a line along an edge of one of them separates two rectangles by a pixel or more."""
    for corners in (a, b):
        for edge in (corners[1] - corners[0], corners[2] - corners[1]):
            axis = edge / np.linalg.norm(edge)
            first, second = a @ axis, b @ axis
            if first.max() <= second.min() + 1 or second.max() <= first.min() + 1:
                return False
    return True
