"""Networks as slides show them."""

import pytest

from minitorch_cnn.explain.lecture.structures import title


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vgg_a", "VGG-A"),
        ("alexnet_2012", "AlexNet"),
        ("allcnn_base_c", "Base-C"),
        ("convpool_cnn_c", "ConvPool-CNN-C"),
        ("densenet40_k12", "DenseNet-40 k12"),
        ("resnet18_cifar", "ResNet-18 cifar"),
        ("cifar4", "cifar4"),
    ],
)
def test_titles_of_networks(name, expected):
    assert title(name) == expected
