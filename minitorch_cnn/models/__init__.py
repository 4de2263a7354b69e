"""Models, one paper or idea a file, and their registry."""

from minitorch_cnn.models.cifar4 import Cifar4
from minitorch_cnn.models.mlp import MLP
from minitorch_cnn.models.registry import create, list, register

__all__ = ["MLP", "Cifar4", "create", "list", "register"]
