"""Mixup and CutMix: training images mixed in pairs, with labels that say how much each class is shown."""

from dataclasses import dataclass

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.types import Array


@dataclass(frozen=True)
class Mixing:
    """Mix every image of a batch with its neighbour.

        image[n]  = w image[n] + (1 - w) image[m]         m: the other image of the pair, n xor 1
        target[n] = k at label[n], plus 1 - k at label[m]     k: the mean of w over the pixels

    Mixup draws one w for all pixels from a Beta(a, a) distribution. CutMix draws a share s in the same way; w is 0 in a
    box of the shape of the image, of area (1 - s) H W and with its centre anywhere, as far as it lies in the image,
    and 1 outside. With both, each image is mixed in one of the two ways, with equal chances.

    Parameters
    ----------
    mixup, cutmix : float, >= 0
        a of each; 0 leaves it out. With 1 all shares are equally likely, with less most are near 0 or 1.

    Raises
    ------
    TypeError, ValueError
        If one is not such a number.

    Notes
    -----
    A loader shuffles, so that neighbours are a random pair. The last image of a batch of odd size stays as it is.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        arguments.number("Mixing", least=0, mixup=self.mixup, cutmix=self.cutmix)

    def weights(self, count: int, height: int, width: int, generator: np.random.Generator) -> Array:
        """Return w for each pixel of some images, float32 (N, H, W).

        Raises
        ------
        TypeError, ValueError
            If a size is not an integer of at least 0, or the generator is not NumPy's.
        """
        arguments.integer("Mixing", least=0, count=count, height=height, width=width)
        arguments.instance("Mixing", np.random.Generator, generator=generator)
        weights = np.ones((count, height, width), np.float32)
        cut = generator.random(count) < (0.5 if self.mixup else 1.0) * (self.cutmix > 0)
        if self.mixup:
            shares = generator.beta(self.mixup, self.mixup, count)
            weights[~cut] = shares[~cut, None, None]
        if self.cutmix:
            side = np.sqrt(1 - generator.beta(self.cutmix, self.cutmix, count))  # of the box, as a share
            rows, columns = (_between(length, side, generator.random(count)) for length in (height, width))
            weights[rows[:, :, None] & columns[:, None, :] & cut[:, None, None]] = 0
        return weights

    def __call__(self, images: Array, labels: Array, classes: int, weights: Array) -> tuple[Array, Array]:
        """Return mixed images and their targets.

        Parameters
        ----------
        images : float32 ndarray, shape (N, H, W, C)
        labels : int64 ndarray, shape (N,)
        classes : int
            K.
        weights : float32 ndarray, shape (N, H, W)

        Returns
        -------
        (ndarray, ndarray)
            float32, shapes (N, H, W, C) and (N, K).
        """
        own = np.arange(len(images))
        other = np.where(own ^ 1 < len(images), own ^ 1, own)
        kept = weights.mean((1, 2), dtype=np.float64).astype(np.float32)
        targets = np.zeros((len(images), classes), np.float32)
        targets[own, labels] = kept
        targets[own, labels[other]] += 1 - kept
        weights = weights[..., None]
        return weights * images + (1 - weights) * images[other], targets


def _between(length, side, centre):
    """Return bool (N, length): which indices lie within ``side`` * length around ``centre`` * length."""
    half, middle = np.rint(side * length)[:, None] / 2, np.floor(centre * length)[:, None]
    return (middle - half <= np.arange(length)) & (np.arange(length) < middle + half)
