"""Dividing a dataset: what is learned from, and what judges."""

import math

import numpy as np

from minitorch_cnn import arguments
from minitorch_cnn.data.dataset import ArrayDataset
from minitorch_cnn.data.samples import Dataset, as_arrays


def hold_out(dataset: Dataset, count: int, seed: int = 0) -> tuple[ArrayDataset, ArrayDataset]:
    """Divide a dataset: all but ``count`` samples, and ``count`` samples to choose settings with.

    Parameters
    ----------
    dataset : Dataset
    count : int, 0 < count < N
    seed : int, >= 0
        Which samples.

    Returns
    -------
    (ArrayDataset, ArrayDataset)

    Raises
    ------
    TypeError
        If ``count`` or ``seed`` is not an integer.
    ValueError
        If ``count`` leaves nothing on one side, or ``seed`` is negative.
    """
    dataset = as_arrays("hold_out", "dataset", dataset)
    arguments.integer("hold_out", least=0, seed=seed)
    arguments.integer("hold_out", least=-math.inf, count=count)
    if not 0 < count < len(dataset):
        raise ValueError(f"hold_out: count - expected 1 to {len(dataset) - 1}, got {count}")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(dataset))
    return dataset.select(np.sort(order[count:])), dataset.select(np.sort(order[:count]))
