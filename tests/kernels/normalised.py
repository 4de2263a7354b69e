"""What the tests of both normalisations share: random maps, and how closely a kernel follows the textbook."""

import numpy as np
from hypothesis import strategies as st

from tests.kernels.conftest import BARS

maps = st.tuples(st.integers(1, 4), st.sampled_from([1, 2, 3, 5, 33]), st.integers(1, 7), st.integers(1, 7))


def random(shape, seed=0):
    """Return an array of float32 as float64."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32).astype(np.float64)


def agree(got, want, dtype, factor=1.0):
    assert got.dtype == dtype and got.shape == np.shape(want)
    scale = max(1.0, np.abs(want).max(initial=0))
    np.testing.assert_allclose(got, want, rtol=0, atol=BARS[np.dtype(dtype)] * scale * factor)
