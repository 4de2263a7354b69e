"""shapes10: ten classes of drawn shapes, made from a seed, with no download and no licence to mind.

Every image shows one shape of random size, place, angle and colour on a background of random colour,
shading and noise. Pixels alone say little about the class, which is the point: comparing pixels
(nearest neighbour) does badly, learning templates (a multi-layer perceptron) somewhat better, and
local patterns that are the same everywhere (convolution) well.
"""

import hashlib

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.data.dataset import ArrayDataset

CLASSES = ("disk", "ring", "square", "frame", "triangle", "plus", "bars", "star", "moon", "arrow")
SIZE = 32


def _box(x, y, half_width, half_height):
    """Distance to a rectangle, negative inside."""
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _polygon(x, y, corners):
    """Distance to a convex polygon with its corners in counter-clockwise order."""
    distance = np.full(x.shape, -np.inf, np.float32)
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        nx, ny = by - ay, ax - bx
        distance = np.maximum(distance, ((x - ax) * nx + (y - ay) * ny) / np.hypot(nx, ny))
    return distance


_TRIANGLE = [(-0.87, -0.5), (0.87, -0.5), (0.0, 1.0)]


def _distance(kind, x, y):
    """Return about how far points (x, y) are outside a shape that fits the unit disk; negative inside."""
    radius = np.hypot(x, y)
    if kind == "disk":
        return radius - 0.85
    if kind == "ring":
        return np.abs(radius - 0.7) - 0.2
    if kind == "square":
        return _box(x, y, 0.7, 0.7)
    if kind == "frame":
        return np.maximum(_box(x, y, 0.78, 0.78), -_box(x, y, 0.42, 0.42))
    if kind == "triangle":
        return _polygon(x, y, _TRIANGLE)
    if kind == "plus":
        return np.minimum(_box(x, y, 0.95, 0.27), _box(x, y, 0.27, 0.95))
    if kind == "bars":
        return np.minimum(_box(x, y - 0.5, 0.85, 0.22), _box(x, y + 0.5, 0.85, 0.22))
    if kind == "star":
        return np.minimum(_polygon(x, y, _TRIANGLE), _polygon(x, -y, _TRIANGLE))
    if kind == "moon":
        return np.maximum(radius - 0.9, 0.75 - np.hypot(x - 0.5, y))
    head = _polygon(x, y, [(0.0, -0.75), (0.95, 0.0), (0.0, 0.75)])
    return np.minimum(head, _box(x + 0.45, y, 0.5, 0.25))


def draw(labels, rng):
    """Draw one image per label.

    Parameters
    ----------
    labels : int64 ndarray, shape (N,), 0..9
    rng : numpy.random.Generator

    Returns
    -------
    uint8 ndarray, shape (N, 32, 32, 3)
    """
    count = len(labels)

    def uniform(low, high, *shape):
        return rng.uniform(low, high, (count, *shape)).astype(np.float32)

    radius = uniform(8.0, 13.0, 1, 1)
    place_x, place_y = (uniform(-1, 1, 1, 1) * (SIZE / 2 - radius * 0.9) + (SIZE - 1) / 2 for _ in range(2))
    angle = uniform(-np.pi, np.pi, 1, 1)
    axis = np.arange(SIZE, dtype=np.float32)
    x, y = (axis - place_x) / radius, (axis[:, None] - place_y) / radius
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x

    cover = np.empty((count, SIZE, SIZE), np.float32)
    for k, kind in enumerate(CLASSES):
        chosen = labels == k
        cover[chosen] = (0.5 - _distance(kind, u[chosen], v[chosen]) * radius[chosen]).clip(0, 1)  # soft edges

    background = uniform(0.0, 1.0, 1, 1, 3)
    contrast = uniform(0.35, 0.65, 1, 1, 3) * rng.choice(np.float32([-1, 1]), (count, 1, 1, 3))
    ink = background + np.where(np.abs(background + contrast - 0.5) > 0.5, -contrast, contrast)  # stay within 0..1
    slope = uniform(-0.3, 0.3, 2, 1, 1, 1)
    shading = (slope[:, 0] * (axis / SIZE - 0.5)[:, None] + slope[:, 1] * (axis / SIZE - 0.5)[:, None, None]).astype(
        np.float32
    )
    images = background + (ink - background) * cover[..., None] + shading
    images += rng.standard_normal(images.shape, np.float32) * uniform(0.02, 0.10, 1, 1, 1)
    return (images.clip(0, 1) * 255).astype(np.uint8)


def Shapes10(train: bool = True, seed: int = 0, size: int | None = None) -> ArrayDataset:
    """Make the dataset.

    Parameters
    ----------
    train : bool
        Training images or test images, from streams of their own.
    seed : int, >= 0
    size : int or None
        Number of images, at least 1; None means 10,000 for training and 2,000 for testing.

    Returns
    -------
    ArrayDataset

    Raises
    ------
    TypeError
        If ``train`` is not True or False, or a number no integer.
    ValueError
        If ``seed`` is negative or ``size`` not positive.
    """
    arguments.flag("Shapes10", train=train)
    size = (10_000 if train else 2_000) if size is None else size
    arguments.integer("Shapes10", least=0, seed=seed)
    arguments.integer("Shapes10", least=1, size=size)
    rng = np.random.Generator(np.random.PCG64([seed, int(train)]))
    labels = rng.permutation(np.arange(size, dtype=np.int64) % len(CLASSES))
    parts = [draw(labels[i : i + 1000], rng) for i in range(0, size, 1000)]  # bounds the memory
    images = np.concatenate(parts)
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return ArrayDataset(images, labels, CLASSES, (0.5, 0.5, 0.5), (0.29, 0.29, 0.29), "shapes10", digest, True)
