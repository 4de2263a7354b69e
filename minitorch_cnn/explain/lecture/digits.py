"""Printed digits in white on black, so that LeNet-5 can learn what it was made for without a download."""

import pathlib

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 32  # pixels per side, the input of LeNet-5
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral")
CLASSES = tuple("0123456789")


def digits(count, seed):
    """Draw digits of several fonts and sizes, turned and moved at random.

    Parameters
    ----------
    count : int
    seed : int

    Returns
    -------
    images : uint8 ndarray, shape (count, 32, 32, 1)
    labels : int ndarray, shape (count,)
    """
    import matplotlib

    folder = pathlib.Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    rng = np.random.default_rng(seed)
    fonts = [ImageFont.truetype(str(folder / f"{name}.ttf"), size) for name in FONTS for size in (20, 24, 28)]
    labels = rng.integers(0, 10, count)
    images = np.zeros((count, SIZE, SIZE, 1), np.uint8)
    for image, label in zip(images, labels, strict=True):
        drawing = Image.new("L", (SIZE, SIZE))
        place = tuple(SIZE / 2 + rng.uniform(-3, 3, 2))
        font, width = fonts[rng.integers(len(fonts))], int(rng.integers(0, 2))
        ImageDraw.Draw(drawing).text(place, CLASSES[label], 255, font, anchor="mm", stroke_width=width)
        image[..., 0] = drawing.rotate(rng.uniform(-15, 15), Image.Resampling.BILINEAR)
    return images, labels
