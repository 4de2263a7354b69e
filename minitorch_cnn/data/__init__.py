"""Datasets, pictures, augmentation, and the loader that turns them into batches."""

from minitorch_cnn.data.cifar10 import CIFAR10
from minitorch_cnn.data.cifar100 import CIFAR100
from minitorch_cnn.data.dataset import ArrayDataset, DatasetError
from minitorch_cnn.data.division import hold_out
from minitorch_cnn.data.downloads import fetch
from minitorch_cnn.data.idx import MNIST, FashionMNIST
from minitorch_cnn.data.image_folder import ImageFolder
from minitorch_cnn.data.image_table import ImageTable
from minitorch_cnn.data.loader import DataLoader
from minitorch_cnn.data.mixing import Mixing
from minitorch_cnn.data.pictures import PictureError, find_pictures, read_picture
from minitorch_cnn.data.pool import WorkerError, possible_workers
from minitorch_cnn.data.samples import Dataset, read_samples
from minitorch_cnn.data.shapes10 import Shapes10
from minitorch_cnn.data.stronger import ColorJitter, RandAugment, RandomErasing, RandomResizedCrop, Rotate
from minitorch_cnn.data.survey import Survey, survey
from minitorch_cnn.data.transforms import AlternatingFlip, Cutout, Flip, PadCrop, Resize, Translate

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "AlternatingFlip",
    "ArrayDataset",
    "ColorJitter",
    "Cutout",
    "DataLoader",
    "Dataset",
    "DatasetError",
    "FashionMNIST",
    "Flip",
    "ImageFolder",
    "ImageTable",
    "Mixing",
    "PadCrop",
    "PictureError",
    "RandAugment",
    "RandomErasing",
    "RandomResizedCrop",
    "Resize",
    "Rotate",
    "Shapes10",
    "Survey",
    "Translate",
    "WorkerError",
    "fetch",
    "find_pictures",
    "hold_out",
    "possible_workers",
    "read_picture",
    "read_samples",
    "survey",
]
