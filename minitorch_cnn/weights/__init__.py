"""Files of weights."""

from minitorch_cnn.weights.file import WeightFileError, is_own, load, load_metadata, save
from minitorch_cnn.weights.onnx import load_onnx, save_onnx
from minitorch_cnn.weights.pth import load_pth, save_pth
from minitorch_cnn.weights.safetensors_file import load_safetensors

__all__ = [
    "WeightFileError",
    "is_own",
    "load",
    "load_metadata",
    "load_onnx",
    "load_pth",
    "load_safetensors",
    "save",
    "save_onnx",
    "save_pth",
]
