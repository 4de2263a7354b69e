"""Networks in the Open Neural Network Exchange format, which ONNX Runtime and many other programs run."""

from minitorch_cnn.weights.onnx.file import load_onnx, restore, save_onnx

__all__ = ["load_onnx", "restore", "save_onnx"]
