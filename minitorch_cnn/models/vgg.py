"""VGG: deep stacks of 3 x 3 convolutions."""

from functools import partial

from minitorch_cnn import arguments, nn, ops
from minitorch_cnn.models.initialise import he_convolutions
from minitorch_cnn.models.registry import register
from minitorch_cnn.tensor import Tensor

# Filters of each convolution by blocks, table 1 of the paper; a pooling follows every block.
# "1x1" marks the 1 x 1 filters of C, "lrn" the local response normalisation of A-LRN.
_BLOCKS = {
    "A": ([64], [128], [256, 256], [512, 512], [512, 512]),
    "A-LRN": ([64, "lrn"], [128], [256, 256], [512, 512], [512, 512]),
    "B": ([64, 64], [128, 128], [256, 256], [512, 512], [512, 512]),
    "C": ([64, 64], [128, 128], [256, 256, "1x1"], [512, 512, "1x1"], [512, 512, "1x1"]),
    "D": ([64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3),
    "E": ([64, 64], [128, 128], [256] * 4, [512] * 4, [512] * 4),
}
_DEPTHS = {"A": 11, "B": 13, "D": 16, "E": 19}  # layers with weights, as in the common names such as VGG-16


def _features(configuration, in_channels, batch_norm):
    layers, channels = [], in_channels
    for block in _BLOCKS[configuration]:
        for entry in block:
            if entry == "lrn":
                layers.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
                continue
            kernel, filters = (1, channels) if entry == "1x1" else (3, entry)
            layers.append(nn.Conv2d(channels, filters, kernel, padding=kernel // 2))
            layers += [nn.BatchNorm2d(filters)] * batch_norm + [nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """Five blocks of convolutions, each halved in size by max pooling, then three fully connected layers.

        configuration    A     A-LRN   B     C         D     E
        layers           11    11      13    16        16    19
        block 1, 64      1     1+LRN   2     2         2     2
        block 2, 128     1     1       2     2         2     2
        block 3, 256     2     2       2     2, 1x1    3     4
        block 4, 512     2     2       2     2, 1x1    3     4
        block 5, 512     2     2       2     2, 1x1    3     4
        10^6 parameters  132.9 132.9   133.0 133.6     138.4 143.7

    Parameters
    ----------
    configuration : "A", "A-LRN", "B", "C", "D" or "E"
        The columns of table 1 of the paper.
    num_classes, in_channels : int
    image_size : int, pixels, at least 32
        Only checked, because adaptive pooling gives 7 x 7 for any size.
    batch_norm : bool
        Batch norm between each convolution and its ReLU, which the paper does not have.
    cifar : bool
        One fully connected layer after global average pooling, instead of three after 7 x 7: the usual form
        for 32 x 32 pixels.

    Raises
    ------
    ValueError
        If the image is too small for five poolings.

    Notes
    -----
    Source: Simonyan and Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", table 1, arXiv 1409.1556; state_dict keys are torchvision's.
    """

    def __init__(
        self,
        configuration: str,
        num_classes: int = 1000,
        in_channels: int = 3,
        image_size: int = 224,
        batch_norm: bool = False,
        cifar: bool = False,
    ):
        arguments.flag("VGG", batch_norm=batch_norm, cifar=cifar)
        arguments.integer("VGG", least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
        if image_size < 32:
            raise ValueError(f"VGG: image_size - expected at least 32 for five poolings by 2, got {image_size}")
        self.features = _features(configuration, in_channels, batch_norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1 if cifar else 7)
        if cifar:
            self.classifier = nn.Linear(512, num_classes)
        else:
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096),
                nn.ReLU(),
                nn.Dropout(0.5),
                nn.Linear(4096, 4096),
                nn.ReLU(),
                nn.Dropout(0.5),
                nn.Linear(4096, num_classes),
            )
        he_convolutions(self, mode="fan_out")  # as torchvision; the paper's std of 0.01 needs pretraining with A
        for module in self.modules():
            if isinstance(module, nn.Linear) and not cifar:
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        return self.classifier(ops.flatten(self.avgpool(self.features(x))))


def _register_all():
    """Register vgg_a, vgg_a_bn, vgg_a_cifar, vgg_a_bn_cifar, ..., and the common names vgg11, ... of four of them."""
    for configuration in _BLOCKS:
        letters = f"vgg_{configuration.lower().replace('-', '_')}"
        names = [letters] + ([f"vgg{_DEPTHS[configuration]}"] if configuration in _DEPTHS else [])
        for name in names:
            for norm in ("", "_bn") if configuration != "A-LRN" else ("",):
                build = partial(VGG, configuration, batch_norm=bool(norm))
                register(name + norm)(build)
                register(name + norm + "_cifar")(partial(build, num_classes=10, image_size=32, cifar=True))


_register_all()
