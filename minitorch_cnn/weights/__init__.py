"""Files of weights."""

from minitorch_cnn.weights.file import WeightFileError, load, save
from minitorch_cnn.weights.onnx import load_onnx, save_onnx
from minitorch_cnn.weights.pth import load_pth, save_pth

__all__ = ["WeightFileError", "load", "load_onnx", "load_pth", "save", "save_onnx", "save_pth"]
