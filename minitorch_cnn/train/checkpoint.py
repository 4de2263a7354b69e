"""Checkpoints: one file holds all that training goes on from, and a broken one never replaces a good one.

A checkpoint is a nested dict with string keys: arrays, and what JSON can hold. `weights.save` writes
it as one safetensors file with a checksum, whole or not at all; the last two are kept.
"""

import copy
import pathlib

import numpy as np

from minitorch_cnn import weights
from minitorch_cnn.io import files

KEEP = 2


class CheckpointError(ValueError):
    """There is no checkpoint that can be loaded; the message says what is wrong with each."""


class Checkpoints:
    """The checkpoints of one run: ``checkpoint-<step>.safetensors`` in its folder.

    Parameters
    ----------
    folder : str or Path
        Exists. What an interrupted save left behind is removed.
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        files.remove_stale(self.folder)

    def paths(self):
        """Return the files, newest first."""
        return sorted(self.folder.glob("checkpoint-*.safetensors"), reverse=True)

    def save(self, step, state):
        """Write a checkpoint, then remove all but the last two.

        Parameters
        ----------
        step : int, >= 0
            Optimiser steps done.
        state : dict
            Nested dicts of arrays and of what JSON can hold; keys without ``"/"``.

        Returns
        -------
        Path
        """
        arrays, rest = _split(state)
        path = self.folder / f"checkpoint-{step:09d}.safetensors"
        weights.save(path, arrays, rest)
        for old in self.paths()[KEEP:]:
            old.unlink()
        return path

    def load(self):
        """Read the newest checkpoint that is whole.

        Returns
        -------
        state : dict
            As it was saved; tuples come back as lists.
        notes : list of str
            A sentence for each newer file that had to be passed over.

        Raises
        ------
        CheckpointError
            If there is none.
        """
        notes = []
        for path in self.paths():
            try:
                return _join(*weights.load(path)), notes
            except (weights.WeightFileError, KeyError, TypeError) as error:  # the latter two of another program's names
                notes.append(f"{path.name} is damaged and was passed over ({error})")
        found = "; ".join(notes) or "no file checkpoint-*.safetensors"
        raise CheckpointError(f"Checkpoints: {self.folder} - expected a whole checkpoint, got {found}")


def _split(tree, prefix=""):
    """Split nested dicts into arrays by path, ``"optimizer/state/0/m"``, and the same dicts without them."""
    arrays, rest = {}, {}
    for key, value in tree.items():
        if isinstance(value, np.ndarray):
            arrays[prefix + key] = value
        elif isinstance(value, dict):
            inner, rest[key] = _split(value, f"{prefix}{key}/")
            arrays |= inner
        else:
            rest[key] = value
    return arrays, rest


def _join(arrays, rest):
    """Undo `_split`."""
    tree = copy.deepcopy(rest)
    for path, array in arrays.items():
        *parents, name = path.split("/")
        branch = tree
        for parent in parents:
            branch = branch[parent]
        branch[name] = array
    return tree
