"""Files of weights."""

from minitorch_cnn.weights.file import WeightFileError, load, save

__all__ = ["WeightFileError", "load", "save"]
