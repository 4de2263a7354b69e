"""Models, one paper or idea per file, and their registry."""

from minitorch_cnn.models.air import Air
from minitorch_cnn.models.alexnet import AlexNet, AlexNet2012
from minitorch_cnn.models.allcnn import AllCNN, AllCNNImageNet
from minitorch_cnn.models.cifar4 import Cifar4
from minitorch_cnn.models.densenet import DenseNet
from minitorch_cnn.models.lenet import LeNet5
from minitorch_cnn.models.mlp import MLP
from minitorch_cnn.models.own import from_file
from minitorch_cnn.models.pretrained import IMAGENET_MEAN, IMAGENET_STD, Pretrained, load_pretrained, resnet18
from minitorch_cnn.models.registry import create, list, native_input, register
from minitorch_cnn.models.resnet import ResNet
from minitorch_cnn.models.resnet9 import ResNet9
from minitorch_cnn.models.vgg import VGG

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MLP",
    "VGG",
    "Air",
    "AlexNet",
    "AlexNet2012",
    "AllCNN",
    "AllCNNImageNet",
    "Cifar4",
    "DenseNet",
    "LeNet5",
    "Pretrained",
    "ResNet",
    "ResNet9",
    "create",
    "from_file",
    "list",
    "load_pretrained",
    "native_input",
    "register",
    "resnet18",
]
