"""Stronger augmentation: colours, rotation, crops of random size, erased boxes, and RandAugment.

Each draws the same count of random numbers for every sample, so that what follows does not depend on the other samples
of a batch. Pictures are changed by Pillow, channel by channel where a change has nothing to do with colour.
"""

import math
from dataclasses import dataclass

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.data.philox import Draws
from minitorch_cnn.data.transforms import Choice, _Chooser
from minitorch_cnn.types import Array

_GREY = np.array([0.299, 0.587, 0.114])  # how much red, green and blue count for brightness


def _bytes(values):
    """Return float values as uint8, rounded, within 0..255."""
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _grey(image):
    """Return the brightness of an image (H, W, C) as float (H, W, 1)."""
    return image @ _GREY[:, None] if image.shape[2] == 3 else image.mean(2, keepdims=True)


def _blend(image, other, factor):
    """Return ``other`` for factor 0, the image for 1, and more than the image above."""
    return other + factor * (image.astype(np.float64) - other)


def _brightness(image, factor):
    return _bytes(_blend(image, 0.0, factor))


def _contrast(image, factor):
    return _bytes(_blend(image, _grey(image).mean(), factor))


def _saturation(image, factor):
    return _bytes(_blend(image, _grey(image), factor)) if image.shape[2] == 3 else image


def _sharpness(image, factor):
    from PIL import ImageFilter

    return _bytes(_blend(image, _by_channel(image, lambda channel: channel.filter(ImageFilter.SMOOTH)), factor))


def _by_channel(image, change):
    """Return an image (H, W, C) whose channels were changed one by one, as Pillow images."""
    from PIL import Image

    channels = [Image.fromarray(np.ascontiguousarray(image[:, :, c])) for c in range(image.shape[2])]
    return np.stack([np.asarray(change(channel)) for channel in channels], axis=2)


def _affine(image, matrix):
    """Return an image whose pixel (x, y), from the middle, is that of the source at matrix (2, 2) times (x, y).

    Bilinear; what lies outside is black.
    """
    from PIL import Image

    (a, b), (d, e) = matrix
    x, y = image.shape[1] / 2, image.shape[0] / 2
    coefficients = a, b, x - a * x - b * y, d, e, y - d * x - e * y
    bilinear = Image.Resampling.BILINEAR

    def change(channel):
        return channel.transform(channel.size, Image.Transform.AFFINE, coefficients, bilinear)

    return _by_channel(image, change)


def _rotated(image, degrees):
    angle = math.radians(degrees)
    cos, sin = round(math.cos(angle), 12), round(math.sin(angle), 12)  # a quarter turn is exact: Pillow rounds down
    return _affine(image, ((cos, -sin), (sin, cos)))


def _turned_hue(image, turn):
    """Return a colour image whose hues are moved around the circle of colours, 1 being the whole circle."""
    from PIL import Image

    if image.shape[2] != 3:
        return image
    hue, *others = Image.fromarray(image).convert("HSV").split()
    turned = np.asarray(hue) + np.uint8(round(turn * 256) % 256)  # 256 steps around the circle: uint8 wraps as it does
    return np.asarray(Image.merge("HSV", (Image.fromarray(turned), *others)).convert("RGB"))


@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast, saturation and hue by random amounts, in this order.

        brightness   f x                        x: the image
        contrast     m + f (x - m)              m: its mean brightness
        saturation   g + f (x - g)              g: the brightness of each pixel; grey images stay as they are
        hue          moved around the circle of colours

    Parameters
    ----------
    brightness, contrast, saturation : float, 0..1
        Each factor f is between 1 - this and 1 + this.
    hue : float, 0..0.5
        The largest move to either side, as a share of the circle; 0.5 turns red into cyan.

    Raises
    ------
    TypeError, ValueError
        If one is not such a number.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.0

    def __post_init__(self) -> None:
        named = {"brightness": self.brightness, "contrast": self.contrast, "saturation": self.saturation}
        arguments.number("ColorJitter", least=0, most=1, **named)
        arguments.number("ColorJitter", least=0, most=0.5, hue=self.hue)

    def __call__(self, images: Array, draws: Draws) -> Array:
        (image,) = images
        steps = (_brightness, self.brightness), (_contrast, self.contrast), (_saturation, self.saturation)
        for change, width in steps:
            image = change(image, 1 + width * (2 * draws.uniform()[0] - 1))
        if self.hue:
            image = _turned_hue(image, self.hue * (2 * draws.uniform()[0] - 1))
        return image[None]


@dataclass(frozen=True)
class Rotate:
    """Turn the image around its middle by a random angle; the corners become black.

    Parameters
    ----------
    degrees : float, 0..180
        The largest angle to either side.

    Raises
    ------
    TypeError, ValueError
        If it is not such a number.
    """

    degrees: float = 15.0

    def __post_init__(self) -> None:
        arguments.number("Rotate", least=0, most=180, degrees=self.degrees)

    def __call__(self, images: Array, draws: Draws) -> Array:
        return _rotated(images[0], self.degrees * (2 * draws.uniform()[0] - 1))[None]


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut out a part of random area and shape, and scale it to the size of the image.

    Parameters
    ----------
    least_area : float, above 0 to 1
        The smallest part, as a share of the area of the image; the largest is the whole.
    most_stretch : float, >= 1
        Width / height of the part, against that of the image, is between 1 / this and this.

    Raises
    ------
    TypeError, ValueError
        If one is not such a number.
    """

    least_area: float = 0.25
    most_stretch: float = 4 / 3

    def __post_init__(self) -> None:
        arguments.number("RandomResizedCrop", least=0, most=1, least_area=self.least_area)
        arguments.positive("RandomResizedCrop", least_area=self.least_area)
        arguments.number("RandomResizedCrop", least=1, most_stretch=self.most_stretch)

    def __call__(self, images: Array, draws: Draws) -> Array:
        from PIL import Image

        (image,) = images
        height, width, _ = image.shape
        area = self.least_area + (1 - self.least_area) * draws.uniform()[0]
        stretch = self.most_stretch ** (2 * draws.uniform()[0] - 1)
        tall, wide = (height * min(1.0, math.sqrt(area / stretch)), width * min(1.0, math.sqrt(area * stretch)))
        top, left = (height - tall) * draws.uniform()[0], (width - wide) * draws.uniform()[0]
        box, bilinear = (left, top, left + wide, top + tall), Image.Resampling.BILINEAR
        return _by_channel(image, lambda channel: channel.resize((width, height), bilinear, box))[None]


@dataclass(frozen=True)
class RandomErasing(_Chooser):
    """Black out a box of random place, area and shape, with some probability.

    Parameters
    ----------
    probability : float, 0..1
    most_area : float, 0..1
        The largest box, as a share of the area of the image; the smallest has a tenth of that.

    Raises
    ------
    TypeError, ValueError
        If one is not such a number.
    """

    probability: float = 0.5
    most_area: float = 0.3

    def __post_init__(self) -> None:
        arguments.number("RandomErasing", least=0, most=1, probability=self.probability, most_area=self.most_area)

    def choose(self, choice: Choice, draws: Draws) -> Choice:
        height, width = choice.rows.shape[1], choice.columns.shape[1]
        erased = draws.uniform() < self.probability
        area = self.most_area * (0.1 + 0.9 * draws.uniform())
        stretch = 3.0 ** (2 * draws.uniform() - 1)  # 1/3 to 3
        tall = np.rint(height * np.minimum(1.0, np.sqrt(area / stretch))).astype(np.int64)
        wide = np.rint(width * np.minimum(1.0, np.sqrt(area * stretch))).astype(np.int64)
        top = (draws.uniform() * (height - tall + 1)).astype(np.int64)
        left = (draws.uniform() * (width - wide + 1)).astype(np.int64)
        boxes = np.stack([top, top + tall, left, left + wide], 1) * erased[:, None]
        return Choice(choice.rows, choice.columns, boxes)


def _solarized(image, strength):
    threshold = 256 * (1 - strength)
    return np.where(image < threshold, image, 255 - image).astype(np.uint8)


def _posterized(image, strength):
    return image & np.uint8(256 - (1 << round(4 * strength)))


def _auto_contrast(image, strength):
    from PIL import ImageOps

    return _by_channel(image, ImageOps.autocontrast)


def _equalized(image, strength):
    from PIL import ImageOps

    return _by_channel(image, ImageOps.equalize)


def _moved(axis):
    def moved(image, strength):
        shift = round(0.3 * strength * image.shape[axis])
        out, whole = np.zeros_like(image), image.shape[axis]
        target = [slice(None)] * 3
        source = [slice(None)] * 3
        target[axis] = slice(max(shift, 0), whole + min(shift, 0))
        source[axis] = slice(max(-shift, 0), whole - max(shift, 0))
        out[tuple(target)] = image[tuple(source)]
        return out

    return moved


_move_down, _move_right = _moved(0), _moved(1)
# Each takes an image (H, W, C) and a strength, 0..1; those in the second tuple -1..1, either way.
_ONE_WAY = (lambda image, strength: image, _auto_contrast, _equalized, _solarized, _posterized)
_EITHER_WAY = (
    lambda image, strength: _rotated(image, 30 * strength),
    lambda image, strength: _affine(image, ((1, 0.3 * strength), (0, 1))),
    lambda image, strength: _affine(image, ((1, 0), (0.3 * strength, 1))),
    _move_down,
    _move_right,
    lambda image, strength: _brightness(image, 1 + 0.9 * strength),
    lambda image, strength: _contrast(image, 1 + 0.9 * strength),
    lambda image, strength: _saturation(image, 1 + 0.9 * strength),
    lambda image, strength: _sharpness(image, 1 + 0.9 * strength),
)


@dataclass(frozen=True)
class RandAugment:
    """Change the image by some of 14 operations, drawn at random, all with one strength.

    None, auto-contrast, equalise, solarise, posterise; rotate, shear and shift in two directions, brightness,
    contrast, saturation and sharpness.

    Parameters
    ----------
    count : int, >= 0
        Operations one after the other.
    magnitude : float, 0..10
        Their strength; 10 turns by 30 degrees, shears and shifts by 0.3, and changes colours by 90 %.

    Raises
    ------
    TypeError, ValueError
        If one is not such a number.

    Notes
    -----
    Grey images keep their saturation.
    """

    count: int = 2
    magnitude: float = 5.0

    def __post_init__(self) -> None:
        arguments.integer("RandAugment", least=0, count=self.count)
        arguments.number("RandAugment", least=0, most=10, magnitude=self.magnitude)

    def __call__(self, images: Array, draws: Draws) -> Array:
        (image,) = images
        for _ in range(self.count):
            chosen = int(draws.integers(0, len(_ONE_WAY) + len(_EITHER_WAY))[0])
            sign = 1 if draws.uniform()[0] < 0.5 else -1
            if chosen < len(_ONE_WAY):
                image = _ONE_WAY[chosen](image, self.magnitude / 10)
            else:
                image = _EITHER_WAY[chosen - len(_ONE_WAY)](image, sign * self.magnitude / 10)
        return image[None]
