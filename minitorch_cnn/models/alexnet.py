"""AlexNet: the winner of ImageNet 2012, and its later single-tower form."""

from minitorch_cnn import arguments, nn, ops
from minitorch_cnn.models.registry import register
from minitorch_cnn.tensor import Tensor


def _fully_connected(num_classes):
    """Return the head of both forms: dropout before the first two of three fully connected layers."""
    return nn.Sequential(
        nn.Dropout(0.5),
        nn.Linear(256 * 6 * 6, 4096),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Linear(4096, num_classes),
    )


class _AlexNet(nn.Module):
    def __init__(self, features: nn.Sequential, num_classes: int):
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = _fully_connected(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, num_classes) of images x, (N, in_channels, H, W)."""
        return self.classifier(ops.flatten(self.avgpool(self.features(x))))


def _check(name, num_classes, in_channels, image_size):
    arguments.integer(name, least=1, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
    if image_size < 63:
        raise ValueError(f"{name}: image_size - expected at least 63 for three poolings, got {image_size}")


@register("alexnet")
class AlexNet(_AlexNet):
    """The single-tower form of 2014, as in torchvision.

        convolution            output, 3 x 224 x 224 in
        11 x 11, 64, stride 4  64 x 55 x 55,  pooled to 27 x 27
        5 x 5, 192             192 x 27 x 27, pooled to 13 x 13
        3 x 3, 384             384 x 13 x 13
        3 x 3, 256             256 x 13 x 13
        3 x 3, 256             256 x 13 x 13, pooled to 6 x 6
        fully connected layers       4096, 4096, num_classes

    Parameters
    ----------
    num_classes, in_channels : int
    image_size : int, pixels, at least 63
        Only checked, because adaptive pooling gives 6 x 6 for any size.

    Raises
    ------
    ValueError
        If the image is too small for the poolings.

    Notes
    -----
    61,100,840 parameters, and 714,188,480 multiplications per image at the defaults.
    Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks". Layers and
    state_dict keys are torchvision's.
    """

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, image_size: int = 224):
        _check("AlexNet", num_classes, in_channels, image_size)
        features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        super().__init__(features, num_classes)


@register("alexnet_2012")
class AlexNet2012(_AlexNet):
    """The two towers of the paper, as groups of channels, with local response normalisation.

        convolution             groups   then            output, 3 x 224 x 224 in
        11 x 11, 96, stride 4        1   ReLU LRN pool   96 x 27 x 27
        5 x 5, 256                   2   ReLU LRN pool   256 x 13 x 13
        3 x 3, 384                   1   ReLU            384 x 13 x 13
        3 x 3, 384                   2   ReLU            384 x 13 x 13
        3 x 3, 256                   2   ReLU pool       256 x 6 x 6
        fully connected layers                                 4096, 4096, num_classes

    Parameters
    ----------
    num_classes, in_channels : int
    image_size : int, pixels, at least 63
        Only checked.

    Raises
    ------
    ValueError
        If the image is too small for the poolings.

    Notes
    -----
    60,965,224 parameters, and 724,406,816 multiplications per image at the defaults. Two pixels of padding
    turn 224 pixels into the paper's 55 x 55 maps. The paper's alpha = 1e-4 multiplies the sum of the squares;
    that of `nn.LocalResponseNorm` multiplies their mean over 5 channels, so it is 5e-4 here.
    Source: Krizhevsky, Sutskever and Hinton 2012, "ImageNet Classification with Deep Convolutional Neural
    Networks", section 3.
    """

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, image_size: int = 224):
        _check("AlexNet2012", num_classes, in_channels, image_size)

        def normalised():
            return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)

        features = nn.Sequential(
            nn.Conv2d(in_channels, 96, 11, stride=4, padding=2),
            nn.ReLU(),
            normalised(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(96, 256, 5, padding=2, groups=2),
            nn.ReLU(),
            normalised(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(256, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        super().__init__(features, num_classes)
