"""Random numbers that depend on (seed, epoch, sample, draw) alone.

Philox4x32-10 turns a counter and a key into four random 32-bit words; nothing is carried from one
call to the next, so a sample is augmented in the same way in every process and in any order.
Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3.
"""

import numpy as np

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox4x32(counter, key):
    """Return four random words for every counter.

    Parameters
    ----------
    counter : sequence of four uint64 ndarray, shape (N,), each below 2**32
    key : (int, int), each below 2**32

    Returns
    -------
    list of four uint64 ndarray, shape (N,), each below 2**32
    """
    c0, c1, c2, c3 = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = (np.uint64(word) for word in key)
    for _ in range(10):
        product0, product1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2  # 32 by 32 bits: 64 bits, no overflow
        c0, c1, c2, c3 = (product1 >> _HALF) ^ c1 ^ k0, product1 & _LOW, (product0 >> _HALF) ^ c3 ^ k1, product0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return [c0, c1, c2, c3]


class Draws:
    """The random numbers of some samples in one epoch; every call draws the next ones.

    Parameters
    ----------
    seed : int, 0 .. 2**64 - 1
    epoch : int, 0 .. 2**32 - 1
    indices : int64 ndarray, shape (N,)
        Positions of the samples in the dataset.
    """

    def __init__(self, seed, epoch, indices):
        self.key = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
        self.epoch = epoch
        self.indices = np.asarray(indices, np.uint64)
        self.count = 0

    def __len__(self):
        return len(self.indices)

    def uniform(self):
        """Return float64 numbers, shape (N,), 0 <= u < 1."""
        self.count += 1
        return self._numbers(self.count - 1)

    def uniform_for_all_epochs(self):
        """Return numbers as `uniform` does, which are the same in every epoch: those of epoch 0."""
        self.count += 1
        return self._numbers(self.count - 1, epoch=0)

    def _numbers(self, draw, epoch=None):
        ones, epoch = np.ones_like(self.indices), self.epoch if epoch is None else epoch
        counter = self.indices & _LOW, self.indices >> _HALF, ones * np.uint64(epoch), ones * np.uint64(draw)
        high, low, _, _ = philox4x32(counter, self.key)
        return ((high << np.uint64(21)) ^ (low >> np.uint64(11))) * 2.0**-53

    def singles(self):
        """Return the Draws of each sample alone, from the next number on; they are computed for all together."""
        drawn = {}
        return [_Single(self, row, drawn) for row in range(len(self))]

    def integers(self, low, high):
        """Return int64 numbers, shape (N,), low <= k < high, all about equally likely.

        Raises
        ------
        ValueError
            If ``high`` is not above ``low``, or by more than the 2**53 values that `uniform` has.
        """
        if not 0 < high - low <= 1 << 53:
            raise ValueError(f"integers: low, high - expected low < high <= low + 2**53, got {low!r}, {high!r}")
        return (self.uniform() * (high - low)).astype(np.int64) + low

    def generators(self):
        """Return a `numpy.random.Generator` per sample, for transforms that need many numbers."""
        words = self.integers(0, 1 << 52)
        return [np.random.Generator(np.random.PCG64(int(word))) for word in words]


class _Single(Draws):
    """One sample of several; ``drawn`` holds the numbers of all, by the number of the draw and the epoch."""

    def __init__(self, whole, row, drawn):
        self.key, self.epoch, self.count = whole.key, whole.epoch, whole.count
        self.indices = whole.indices[row : row + 1]
        self._whole, self._row, self._drawn = whole, row, drawn

    def _numbers(self, draw, epoch=None):
        if (draw, epoch) not in self._drawn:
            self._drawn[draw, epoch] = self._whole._numbers(draw, epoch)
        return self._drawn[draw, epoch][self._row : self._row + 1].copy()
